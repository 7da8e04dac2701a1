//! The whole world `wasi:cli/command`: a component that imports every function of it can be linked.

use tidegate::{Component, Config, Engine, EngineKind, Linker, ResourceTable, Strategy};
use tidegate_wasi::WasiCtx;
use tidegate_wasi::p2::{WasiCtxView, WasiView, add_to_linker};

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

/// A component that imports everything at 0.2.12.
fn everything() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../guests/wasm/everything-p2.wasm"
    );
    std::fs::read(path).unwrap()
}

/// The same as if it had been made for another version, whose number is as long.
fn made_for(version: &str) -> Vec<u8> {
    let (old, new) = (b"@0.2.12", format!("@{version}"));
    assert_eq!(old.len(), new.len());
    let mut bytes = everything();
    let mut replaced = 0;
    for start in 0..bytes.len() - old.len() {
        if bytes[start..].starts_with(old) {
            bytes[start..start + old.len()].copy_from_slice(new.as_bytes());
            replaced += 1;
        }
    }
    assert!(replaced > 20);
    bytes
}

fn link(component: &[u8]) -> tidegate::Result<()> {
    let mut config = Config::new();
    config.strategy(Strategy::Always(EngineKind::Wasmi));
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, component)?;
    let mut linker: Linker<State> = Linker::new(&engine);
    add_to_linker(&mut linker)?;
    linker.instantiate_pre(&component).map(drop)
}

#[test]
fn every_function_is_there_with_its_type() {
    link(&everything()).unwrap();
}

#[test]
fn other_versions_of_wasi_0_2_are_served() {
    link(&made_for("0.2.10")).unwrap();
    link(&made_for("0.2.99")).unwrap();
    let error = link(&made_for("0.3.12")).unwrap_err();
    assert!(format!("{error:#}").contains("@0.3.12"), "{error:#}");
}

#[test]
fn component_imports_what_the_world_lists() {
    // Guards the two tests above against linking next to nothing.
    let text = String::from_utf8_lossy(&everything()).into_owned();
    for name in [
        "[method]output-stream.blocking-splice",
        "[method]udp-socket.set-unicast-hop-limit",
        "[method]descriptor.metadata-hash-at",
        "exit-with-code",
        "wasi:clocks/timezone@0.2.12",
        "network-error-code",
        "[method]resolve-address-stream.resolve-next-address",
    ] {
        assert!(text.contains(name), "{name}");
    }
}
