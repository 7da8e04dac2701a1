//! Start functions in components that use async.

use crate::Log;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate::{Component, Config, Engine, EngineKind, Instance, Linker, Result, Store, Strategy};

/// The start function of the one instance calls the function `NAME` of the other, which may call the host.
const GUEST: &str = r#"(component
    (import "count" (func $count (param "n" u32) (result u32)))
    (component $inner
        (import "count" (func $count (param "n" u32) (result u32)))
        (core func $count (canon lower (func $count)))
        (core func $return (canon task.return (result u32)))
        (core func $yield (canon thread.yield))
        (core module $m
            (import "" "count" (func $count (param i32) (result i32)))
            (import "" "return" (func $return (param i32)))
            (import "" "yield" (func $yield (result i32)))
            (func (export "add") (param i32) (result i32) (call $count (local.get 0)))
            (func (export "yielding") (param i32) (result i32) (drop (call $yield)) (local.get 0))
            (func (export "later") (param i32) (result i32) (call $return (local.get 0)) (i32.const 0))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance
            (export "count" (func $count)) (export "return" (func $return)) (export "yield" (func $yield))))))
        (func (export "add") (param "n" u32) (result u32) (canon lift (core func $i "add")))
        (func (export "yielding") (param "n" u32) (result u32) (canon lift (core func $i "yielding")))
        (func (export "later") async (param "n" u32) (result u32)
            (canon lift (core func $i "later") async (callback (func $i "callback")))))
    (instance $inner (instantiate $inner (with "count" (func $count))))
    (component $outer
        (import "add" (func $add FUNC (param "n" u32) (result u32)))
        (core func $add (canon lower (func $add)))
        (core module $m
            (import "" "add" (func $add (param i32) (result i32)))
            (global $sum (mut i32) (i32.const 0))
            (func $start
                (global.set $sum (call $add (i32.const 1)))
                (global.set $sum (call $add (global.get $sum))))
            (start $start)
            (func (export "get") (result i32) (global.get $sum)))
        (core instance $i (instantiate $m (with "" (instance (export "add" (func $add))))))
        (func (export "get") (result u32) (canon lift (core func $i "get"))))
    (instance $outer (instantiate $outer (with "add" (func $inner "NAME"))))
    (export "get" (func $outer "get")))"#;

/// Instantiates it, with a host function that waits or does not.
fn instantiate(kind: EngineKind, name: &str, waits: bool) -> (Store<Log>, Result<Instance>, u32) {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind));
    let engine = Engine::new(&config).unwrap();
    let func = if name == "later" { "async" } else { "" };
    let text = GUEST.replace("NAME", name).replace("FUNC", func);
    let component = Component::new(&engine, text).unwrap();
    let mut linker: Linker<Log> = Linker::new(&engine);
    let calls = Arc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let mut root = linker.root();
    if waits {
        root.func_wrap_async("count", move |_, (n,): (u32,)| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::new(async move {
                crate::turns(3).await;
                Ok((n + 10,))
            })
        })
    } else {
        root.func_wrap("count", move |_, (n,): (u32,)| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok((n + 10,))
        })
    }
    .unwrap();
    let mut store = Store::new(&engine, Log::new());
    let instance = linker.instantiate(&mut store, &component);
    (store, instance, calls.load(Ordering::Relaxed))
}

#[test]
fn a_start_function_may_call_another_instance() {
    for kind in EngineKind::ALL {
        for (name, waits, calls, sum) in [
            ("add", false, 2, 21),
            ("add", true, 2, 21),
            ("yielding", false, 0, 1),
        ] {
            let (mut store, instance, called) = instantiate(kind, name, waits);
            let instance = instance.unwrap();
            assert_eq!(called, calls, "{kind:?} {name} {waits}");
            let get = instance
                .get_typed_func::<(), (u32,)>(&mut store, "get")
                .unwrap();
            assert_eq!(get.call(&mut store, ()).unwrap(), (sum,), "{kind:?} {name}");
        }
    }
}

#[test]
fn a_start_function_that_would_have_to_wait_traps() {
    for kind in EngineKind::ALL {
        let (_, instance, _) = instantiate(kind, "later", false);
        let error = format!("{:#}", instance.unwrap_err());
        assert!(error.contains("cannot block"), "{kind:?}: {error}");
    }
}
