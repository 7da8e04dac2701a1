//! `componentize IN OUT [command|reactor]`: makes a component of a core module.
//!
//! With the last word, what the module imports of WASI 0.1 is put on WASI 0.2 by the Bytecode Alliance's adapter.

use anyhow::{Context, bail};
use wasi_preview1_component_adapter_provider as adapter;
use wit_component::ComponentEncoder;

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (input, output, bytes) = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [input, output] => (input, output, None),
        [input, output, "command"] => (
            input,
            output,
            Some(adapter::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER),
        ),
        [input, output, "reactor"] => (
            input,
            output,
            Some(adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER),
        ),
        _ => bail!("usage: componentize IN OUT [command|reactor]"),
    };
    let module = std::fs::read(input).with_context(|| format!("cannot read {input}"))?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module)?;
    if let Some(bytes) = bytes {
        encoder.adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, bytes)?;
    }
    std::fs::write(output, encoder.encode()?).with_context(|| format!("cannot write {output}"))
}
