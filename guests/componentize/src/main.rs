//! `componentize IN OUT [command|reactor]`: makes a component of a core module.
//!
//! With the last word, what the module imports of WASI 0.1 is put on WASI 0.2 by the Bytecode Alliance's adapter.
//!
//! `componentize --world WIT WORLD OUT`: makes a component that imports and exports everything a world has, and does nothing.
//!
//! `componentize --compose SOCKET PLUG OUT`: makes one component of two, where the one imports what the other exports.

use anyhow::{Context, bail};
use wac_graph::{CompositionGraph, EncodeOptions, types::Package};
use wasi_preview1_component_adapter_provider as adapter;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

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
        ["--world", wit, world, output] => return whole_world(wit, world, output),
        ["--compose", socket, plug, output] => return compose(socket, plug, output),
        _ => bail!(
            "usage: componentize IN OUT [command|reactor] | --world WIT WORLD OUT | --compose SOCKET PLUG OUT"
        ),
    };
    let module = std::fs::read(input).with_context(|| format!("cannot read {input}"))?;
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(&module)?;
    if let Some(bytes) = bytes {
        encoder.adapter(adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, bytes)?;
    }
    std::fs::write(output, encoder.encode()?).with_context(|| format!("cannot write {output}"))
}

fn whole_world(wit: &str, world: &str, output: &str) -> anyhow::Result<()> {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, true)?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .encode()?;
    std::fs::write(output, component).with_context(|| format!("cannot write {output}"))
}

fn compose(socket: &str, plug: &str, output: &str) -> anyhow::Result<()> {
    let mut graph = CompositionGraph::new();
    let mut register = |name, path: &str| -> anyhow::Result<_> {
        let package = Package::from_file(name, None, path, graph.types_mut())?;
        Ok(graph.register_package(package)?)
    };
    let plug = register("plug", plug)?;
    let socket = register("socket", socket)?;
    wac_graph::plug(&mut graph, vec![plug], socket)?;
    let component = graph.encode(EncodeOptions::default())?;
    std::fs::write(output, component).with_context(|| format!("cannot write {output}"))
}
