//! Values in memory are passed to and from an instance whose task is parked in mid-stack.

use crate::{Gate, turns};
use tidegate::{
    Accessor, Component, Config, Engine, EngineKind, Linker, Store, Strategy, block_on,
};

/// A task of the inner instance is parked in mid-stack, with what it was passed in its memory. Then the host and another instance call it.
const PARKED_WITH_MEMORY: &str = r#"
    (component
      (import "wait" (func $wait async (param "n" u32) (result u32)))
      (component $inner
        (import "wait" (func $wait async (param "n" u32) (result u32)))
        (core module $memory (memory (export "m") 1)
          (global $top (mut i32) (i32.const 1024))
          (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $top (i32.add (global.get $top) (i32.const 64)))
            (global.get $top)))
        (core instance $memory (instantiate $memory))
        (core func $wait (canon lower (func $wait)))
        (core func $return (canon task.return (result u32)))
        (core module $m
          (import "" "wait" (func $wait (param i32) (result i32)))
          (import "" "return" (func $return (param i32)))
          (import "" "m" (memory 1))
          (func (export "parks") (param i32) (result i32)
            (call $return (call $wait (local.get 0)))
            (i32.const 0))
          (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
          ;; Swaps the first two bytes, and gives the string back.
          (func (export "swap") (param i32 i32) (result i32)
            (i32.store16 (local.get 0)
              (i32.or (i32.shl (i32.load8_u (local.get 0)) (i32.const 8)) (i32.load8_u offset=1 (local.get 0))))
            (i32.store (i32.const 16) (local.get 0))
            (i32.store (i32.const 20) (local.get 1))
            (i32.const 16)))
        (core instance $i (instantiate $m (with "" (instance
          (export "wait" (func $wait)) (export "return" (func $return)) (export "m" (memory $memory "m"))))))
        (func (export "parks") async (param "n" u32) (result u32)
          (canon lift (core func $i "parks") async (callback (func $i "callback"))))
        (func (export "swap") (param "s" string) (result string)
          (canon lift (core func $i "swap") (memory $memory "m") (realloc (func $memory "realloc")))))
      (component $outer
        (import "swap" (func $swap (param "s" string) (result string)))
        (import "wait" (func $wait async (param "n" u32) (result u32)))
        (core module $memory (memory (export "m") 1)
          (global $top (mut i32) (i32.const 1024))
          (func (export "realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $top (i32.add (global.get $top) (i32.const 64)))
            (global.get $top)))
        (core instance $memory (instantiate $memory))
        (core func $swap (canon lower (func $swap) (memory $memory "m") (realloc (func $memory "realloc"))))
        (core func $wait (canon lower (func $wait)))
        (core module $m
          (import "" "swap" (func $swap (param i32 i32 i32)))
          (import "" "wait" (func $wait (param i32) (result i32)))
          (func (export "passes") (param i32 i32) (result i32)
            (call $swap (local.get 0) (local.get 1) (i32.const 24))
            (i32.const 24)))
        (core instance $i (instantiate $m (with "" (instance
          (export "swap" (func $swap)) (export "wait" (func $wait))))))
        (func (export "passes") (param "s" string) (result string)
          (canon lift (core func $i "passes") (memory $memory "m") (realloc (func $memory "realloc")))))
      (instance $inner (instantiate $inner (with "wait" (func $wait))))
      (instance $outer (instantiate $outer (with "swap" (func $inner "swap")) (with "wait" (func $wait))))
      (export "parks" (func $inner "parks"))
      (export "swap" (func $inner "swap"))
      (export "passes" (func $outer "passes")))
"#;

#[test]
fn values_in_memory_are_passed_beside_a_parked_stack() {
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, PARKED_WITH_MEMORY).unwrap();
        assert!(component.isolates().iter().all(|one| one.stack.is_some()));
        let (gate, mut linker) = (Gate::default(), Linker::new(&engine));
        let gates = gate.clone();
        linker
            .root()
            .func_wrap_concurrent("wait", move |_: &Accessor<()>, (n,): (u32,)| {
                let gate = gates.clone();
                Box::pin(async move {
                    gate.pass().await;
                    Ok((100 + n,))
                })
            })
            .unwrap();
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let parks = instance
            .get_typed_func::<(u32,), (u32,)>(&mut store, "parks")
            .unwrap();
        let mut func = |name| {
            let func = instance.get_typed_func::<(&str,), (String,)>(&mut store, name);
            func.unwrap()
        };
        let [swap, passes] = ["swap", "passes"].map(&mut func);
        let results = block_on(store.run_concurrent(async |accessor| {
            let parked = parks.call_concurrent(accessor, (1,));
            turns(3).await;
            let mut swapped = Vec::new();
            for func in [swap, passes] {
                for s in ["stream", "ok"] {
                    let result = accessor.with(|access| func.call(access, (s,))).unwrap();
                    swapped.push(result.unwrap().0);
                }
            }
            gate.open();
            (swapped, parked.await.unwrap())
        }));
        let swapped = ["tsream", "ko", "tsream", "ko"].map(str::to_owned).to_vec();
        assert_eq!(results.unwrap(), (swapped, (101,)));
    }
}
