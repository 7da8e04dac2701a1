//! Callers that are ended while what they called runs: others go on as if they had returned.

use crate::turns;
use tidegate::{
    Accessor, Component, Config, Engine, EngineKind, Linker, Store, Strategy, block_on,
};

/// The outer instance calls the inner one, and its `realloc` traps when it is given the result. `waits` is a task of the inner one.
const GUEST: &str = r#"(component
  (import "wait" (func $wait async))
  (component $inner
    (import "wait" (func $wait async))
    (core module $memory (memory (export "m") 1))
    (core instance $memory (instantiate $memory))
    (core func $wait (canon lower (func $wait)))
    (core func $return (canon task.return))
    (core func $return-text (canon task.return (result string) (memory $memory "m")))
    (core module $m
      (import "" "wait" (func $wait))
      (import "" "return" (func $return))
      (import "" "return-text" (func $return-text (param i32 i32)))
      (import "" "m" (memory 1))
      (func (export "text") (result i32) (i32.store offset=4 (i32.const 0) (i32.const 9)) (i32.const 0))
      (func (export "later") (result i32) (call $wait) (call $return-text (i32.const 0) (i32.const 9)) (i32.const 0))
      (func (export "waits") (result i32) (call $wait) (call $return) (i32.const 0))
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait)) (export "m" (memory $memory "m"))
      (export "return" (func $return)) (export "return-text" (func $return-text))))))
    (func (export "text") (result string) (canon lift (core func $i "text") (memory $memory "m")))
    (func (export "later") async (result string)
      (canon lift (core func $i "later") async (memory $memory "m") (callback (func $i "callback"))))
    (func (export "waits") async (canon lift (core func $i "waits") async (callback (func $i "callback")))))
  (component $outer
    (import "text" (func $text (result string)))
    (import "later" (func $later async (result string)))
    (core module $memory (memory (export "m") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
    (core instance $memory (instantiate $memory))
    (core func $text (canon lower (func $text) (memory $memory "m") (realloc (func $memory "realloc"))))
    (core func $later (canon lower (func $later) (memory $memory "m") (realloc (func $memory "realloc"))))
    (core module $m
      (import "" "text" (func $text (param i32)))
      (import "" "later" (func $later (param i32)))
      (func (export "calls") (call $text (i32.const 16)))
      (func (export "calls-later") (result i32) (call $later (i32.const 16)) unreachable)
      (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
    (core instance $i (instantiate $m (with "" (instance (export "text" (func $text)) (export "later" (func $later))))))
    (func (export "calls") (canon lift (core func $i "calls")))
    (func (export "calls-later") async (canon lift (core func $i "calls-later") async (callback (func $i "callback")))))
  (instance $inner (instantiate $inner (with "wait" (func $wait))))
  (instance $outer (instantiate $outer (with "text" (func $inner "text")) (with "later" (func $inner "later"))))
  (export "waits" (func $inner "waits"))
  (export "calls" (func $outer "calls"))
  (export "calls-later" (func $outer "calls-later")))"#;

#[test]
fn a_caller_whose_realloc_traps_on_the_result_is_left() {
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let mut linker = Linker::new(&engine);
        linker
            .root()
            .func_wrap_concurrent("wait", |_: &Accessor<()>, (): ()| {
                Box::pin(async {
                    turns(2).await;
                    Ok(())
                })
            })
            .unwrap();
        let mut store = Store::new(&engine, ());
        for name in ["calls", "calls-later"] {
            let [one, other] =
                [(); 2].map(|()| linker.instantiate(&mut store, &component).unwrap());
            let calls = one.get_typed_func::<(), ()>(&mut store, name).unwrap();
            let error = block_on(calls.call_async(&mut store, ())).unwrap_err();
            assert!(format!("{error:#}").contains("unreachable"), "{error:#}");
            assert!(block_on(calls.call_async(&mut store, ())).is_err());
            // Who waits is told, anywhere else in the store.
            let waits = other.get_typed_func::<(), ()>(&mut store, "waits").unwrap();
            block_on(waits.call_async(&mut store, ())).unwrap();
        }
    }
}
