//! Programs for WASI 0.3, as their language's own tools build them (`guests/rust/*-p3`), on both engines.

mod echo;
mod files;
mod slow;
mod text;

use std::time::Duration;

use tidegate::{Component, Config, Engine, EngineKind, Linker, ResourceTable, Store, Strategy};
use tidegate_wasi::p3::bindings::Command;
use tidegate_wasi::p3::{WasiCtxView, WasiView, add_to_linker};
use tidegate_wasi::{WasiCtx, WasiCtxBuilder};

const ENGINES: [EngineKind; 2] = [EngineKind::Wasmtime, EngineKind::Wasmi];

struct State {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn wasi(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

/// Runs a guest to its end, and until its output is out.
async fn run(
    kind: EngineKind,
    name: &str,
    builder: WasiCtxBuilder,
) -> tidegate::Result<Result<(), ()>> {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind));
    let engine = Engine::new(&config)?;
    let path = format!("{}/../../guests/wasm/{name}", env!("CARGO_MANIFEST_DIR"));
    let component = Component::new(&engine, std::fs::read(path).unwrap())?;
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker)?;
    let state = State {
        ctx: builder.build(),
        table: ResourceTable::new(),
    };
    let drains = state.ctx.drains();
    let mut store = Store::new(&engine, state);
    let result = async {
        let command = Command::instantiate_async(&mut store, &component, &linker).await?;
        command.wasi_cli_run().call_run(&mut store).await
    };
    let result = tokio::time::timeout(Duration::from_secs(300), result)
        .await
        .expect("ends in time");
    drains.finished().await;
    result
}

/// Bytes that repeat only after a long while.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}
