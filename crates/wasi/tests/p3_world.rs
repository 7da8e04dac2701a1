//! The whole world `wasi:cli/command` of WASI 0.3: a component that imports every function of it can be linked.

use tidegate::{Component, Config, Engine, EngineKind, Linker, ResourceTable, Strategy};
use tidegate_wasi::p3::{WasiCtxView, WasiView};
use tidegate_wasi::{WasiCtx, p2, p3};

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

/// A component that imports everything at 0.3.0.
fn everything() -> Vec<u8> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../guests/wasm/everything-p3.wasm"
    );
    std::fs::read(path).unwrap()
}

/// The same as if it had been made for another version, whose number is as long.
fn made_for(version: &str) -> Vec<u8> {
    let (old, new) = (b"@0.3.0", format!("@{version}"));
    assert_eq!(old.len(), new.len());
    let mut bytes = everything();
    for start in 0..bytes.len() - old.len() {
        if bytes[start..].starts_with(old) {
            bytes[start..start + old.len()].copy_from_slice(new.as_bytes());
        }
    }
    bytes
}

fn link(component: &[u8]) -> tidegate::Result<()> {
    let mut config = Config::new();
    config.strategy(Strategy::Always(EngineKind::Wasmi));
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, component)?;
    let mut linker: Linker<State> = Linker::new(&engine);
    p2::add_to_linker(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    linker.instantiate_pre(&component).map(drop)
}

#[test]
fn every_function_is_there_with_its_type() {
    link(&everything()).unwrap();
}

#[test]
fn other_versions_of_wasi_0_3_are_served() {
    link(&made_for("0.3.9")).unwrap();
    let error = link(&made_for("0.4.0")).unwrap_err();
    assert!(format!("{error:#}").contains("@0.4.0"), "{error:#}");
}

#[test]
fn component_imports_what_the_world_lists() {
    // Guards the two tests above against linking next to nothing.
    let text = String::from_utf8_lossy(&everything()).into_owned();
    for name in [
        "read-via-stream",
        "[method]descriptor.append-via-stream",
        "[method]descriptor.read-directory",
        "[method]descriptor.metadata-hash-at",
        "[method]tcp-socket.listen",
        "[method]udp-socket.set-unicast-hop-limit",
        "resolve-addresses",
        "exit-with-code",
        "wait-for",
        "get-terminal-stderr",
        "get-insecure-seed",
        "iana-id",
    ] {
        assert!(text.contains(name), "{name}");
    }
}
