//! Arguments that cannot be passed are the caller's fault, not the callee's.

use crate::{Log, poll_once, turns};
use std::pin::pin;
use tidegate::{
    CallCancelled, Component, Config, Engine, EngineKind, Linker, Store, Strategy, block_on,
};

/// `wrong` passes a handle that there is not. `hang` of the other instance waits until it is cancelled.
const GUEST: &str = r#"(component
    (component $inner
        (core func $set (canon waitable-set.new))
        (core func $cancelled (canon task.cancel))
        (core func $return (canon task.return))
        (core module $m
            (import "" "set" (func $set (result i32)))
            (import "" "cancelled" (func $cancelled))
            (import "" "return" (func $return))
            (func (export "hang") (result i32) (i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4))))
            (func (export "take") (param i32) (result i32) (call $return) (i32.const 0))
            (func (export "plain") (param i32))
            (func (export "callback") (param i32 i32 i32) (result i32)
                (if (i32.ne (local.get 0) (i32.const 6)) (then unreachable))
                (call $cancelled)
                (i32.const 0)))
        (core instance $i (instantiate $m (with "" (instance
            (export "set" (func $set)) (export "cancelled" (func $cancelled)) (export "return" (func $return))))))
        (func (export "hang") async (canon lift (core func $i "hang") async (callback (func $i "callback"))))
        (func (export "take") async (param "s" (stream u8))
            (canon lift (core func $i "take") async (callback (func $i "callback"))))
        (func (export "plain") (param "s" (stream u8)) (canon lift (core func $i "plain"))))
    (instance $inner (instantiate $inner))
    (component $outer
        (import "f" (func $f FUNC (param "s" (stream u8))))
        (core func $f (canon lower (func $f)))
        (core module $m
            (import "" "f" (func $f (param i32)))
            (func (export "wrong") (call $f (i32.const 77))))
        (core instance $i (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "wrong") async (canon lift (core func $i "wrong"))))
    (instance $outer (instantiate $outer (with "f" (func $inner "NAME"))))
    (export "wrong" (func $outer "wrong"))
    (export "hang" (func $inner "hang")))"#;

#[test]
fn a_caller_with_a_wrong_handle_does_not_end_its_callee() {
    for kind in EngineKind::ALL {
        for (name, func) in [("take", "async"), ("plain", "")] {
            let mut config = Config::new();
            config.strategy(Strategy::Always(kind));
            let engine = Engine::new(&config).unwrap();
            let text = GUEST.replace("NAME", name).replace("FUNC", func);
            let component = Component::new(&engine, text).unwrap();
            let mut store = Store::new(&engine, Log::new());
            let instance = Linker::new(&engine)
                .instantiate(&mut store, &component)
                .unwrap();
            let mut func = |name| instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
            let (hang, wrong) = (func("hang"), func("wrong"));
            let ended = block_on(store.run_concurrent(async |accessor| {
                let mut waiting = pin!(hang.call_concurrent(accessor, ()));
                turns(3).await;
                assert!(poll_once(waiting.as_mut()).is_pending());
                let error = wrong.call_concurrent(accessor, ()).await.unwrap_err();
                assert!(
                    format!("{error:#}").contains("unknown handle index 77"),
                    "{error:#}"
                );
                // It waits as before, and is told of its cancellation.
                assert!(poll_once(waiting.as_mut()).is_pending());
                waiting.cancel();
                waiting.await
            }));
            let error = ended.unwrap().unwrap_err();
            assert!(error.is::<CallCancelled>(), "{kind:?} {name}: {error:#}");
        }
    }
}
