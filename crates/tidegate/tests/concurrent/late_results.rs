//! Results that come after their caller has trapped.

use crate::{Gate, turns};
use std::future::pending;
use tidegate::{
    Accessor, Component, Config, Engine, EngineKind, Linker, Store, Strategy, block_on,
};

/// The outer instance calls the inner one, and waits in mid-stack for what never comes. Then it traps.
const LATE: &str = r#"
    (component
      (import "wait" (func $wait async))
      (import "never" (func $never async))
      (import "tell" (func $tell (param "n" u32)))
      (component $inner
        (import "wait" (func $wait async))
        (import "tell" (func $tell (param "n" u32)))
        (type $bytes (stream u8))
        (core module $memory (memory (export "m") 1))
        (core instance $memory (instantiate $memory))
        (core func $wait (canon lower (func $wait)))
        (core func $tell (canon lower (func $tell)))
        (core func $new (canon stream.new $bytes))
        (core func $write (canon stream.write $bytes async (memory $memory "m")))
        (core func $return (canon task.return (result $bytes)))
        (core module $m
          (import "" "wait" (func $wait))
          (import "" "tell" (func $tell (param i32)))
          (import "" "new" (func $new (result i64)))
          (import "" "write" (func $write (param i32 i32 i32) (result i32)))
          (import "" "return" (func $return (param i32)))
          (func (export "gives") (result i32) (local $both i64)
            (call $wait)
            (local.set $both (call $new))
            (call $return (i32.wrap_i64 (local.get $both)))
            (call $tell (call $write (i32.wrap_i64 (i64.shr_u (local.get $both) (i64.const 32))) (i32.const 0) (i32.const 8)))
            (i32.const 0))
          (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance
          (export "wait" (func $wait)) (export "tell" (func $tell)) (export "new" (func $new))
          (export "write" (func $write)) (export "return" (func $return))))))
        (func (export "gives") async (result $bytes)
          (canon lift (core func $i "gives") async (callback (func $i "callback")))))
      (component $outer
        (import "never" (func $never async))
        (import "gives" (func $gives async (result (stream u8))))
        (core module $memory (memory (export "m") 1))
        (core instance $memory (instantiate $memory))
        (core func $never (canon lower (func $never)))
        (core func $gives (canon lower (func $gives) async (memory $memory "m")))
        (core module $m
          (import "" "never" (func $never))
          (import "" "gives" (func $gives (param i32) (result i32)))
          (func (export "waits") (result i32)
            (drop (call $gives (i32.const 16)))
            (call $never)
            (i32.const 0))
          (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
          (func (export "traps") unreachable))
        (core instance $i (instantiate $m (with "" (instance
          (export "never" (func $never)) (export "gives" (func $gives))))))
        (func (export "waits") async
          (canon lift (core func $i "waits") async (callback (func $i "callback"))))
        (func (export "traps") (canon lift (core func $i "traps"))))
      (instance $inner (instantiate $inner (with "wait" (func $wait)) (with "tell" (func $tell))))
      (instance $outer (instantiate $outer (with "never" (func $never)) (with "gives" (func $inner "gives"))))
      (export "gives" (func $inner "gives"))
      (export "waits" (func $outer "waits"))
      (export "traps" (func $outer "traps")))
"#;

/// The callee does not suffer for it, and learns that nobody reads from the stream that it gave away.
#[test]
fn a_result_for_a_caller_that_has_trapped_is_lost() {
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, LATE).unwrap();
        let (gate, mut linker) = (Gate::default(), Linker::new(&engine));
        let gates = gate.clone();
        let mut root = linker.root();
        root.func_wrap_concurrent("wait", move |_: &Accessor<Vec<u32>>, (): ()| {
            let gate = gates.clone();
            Box::pin(async move {
                gate.pass().await;
                Ok(())
            })
        })
        .unwrap();
        root.func_wrap_concurrent("never", |_: &Accessor<Vec<u32>>, (): ()| {
            Box::pin(pending::<tidegate::Result<()>>())
        })
        .unwrap();
        root.func_wrap("tell", |mut store, (n,): (u32,)| {
            store.data_mut().push(n);
            Ok(())
        })
        .unwrap();
        let mut store = Store::new(&engine, Vec::new());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let mut func = |name| {
            let func = instance.get_typed_func::<(), ()>(&mut store, name);
            func.unwrap()
        };
        let (waits, traps) = (func("waits"), func("traps"));
        let ended = block_on(store.run_concurrent(async |accessor| {
            let waits = waits.call_concurrent(accessor, ());
            turns(3).await;
            let trapped = accessor.with(|access| traps.call(access, ())).unwrap();
            gate.open();
            turns(5).await;
            (trapped.is_err(), waits.await.is_err())
        }));
        assert_eq!(ended.unwrap(), (true, true));
        // What a write gives whose stream's other end is dropped: nothing was written, and nothing will be.
        assert_eq!(*store.data(), [1]);
    }
}
