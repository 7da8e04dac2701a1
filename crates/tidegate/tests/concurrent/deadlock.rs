//! Calls that can never end are reported, with what waits for what.

use crate::{Log, poll_once};
use futures_channel::oneshot;
use futures_util::future::{Either, join, select};
use std::pin::pin;
use tidegate::{
    Accessor, Component, Config, Engine, EngineKind, Linker, Store, Strategy, TypedFunc, block_on,
};

/// `hang` waits for an event of a set that is empty; `call` calls that of another instance.
const GUEST: &str = r#"(component
    (component $inner
        (core func $set (canon waitable-set.new))
        (core module $m
            (import "" "set" (func $set (result i32)))
            (func (export "hang") (result i32) (i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4))))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance (export "set" (func $set))))))
        (func (export "hang") async (canon lift (core func $i "hang") async (callback (func $i "callback")))))
    (instance $inner (instantiate $inner))
    (component $outer
        (import "hang" (func $hang async))
        (core func $hang (canon lower (func $hang)))
        (core module $m
            (import "" "hang" (func $hang))
            (func (export "call") (call $hang)))
        (core instance $i (instantiate $m (with "" (instance (export "hang" (func $hang))))))
        (func (export "call") async (canon lift (core func $i "call"))))
    (instance $outer (instantiate $outer (with "hang" (func $inner "hang"))))
    (export "call" (func $outer "call"))
    (export "hang" (func $inner "hang")))"#;

fn each(test: impl Fn(Store<Log>, [TypedFunc<(), ()>; 2])) {
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let mut store = Store::new(&engine, Log::new());
        let instance = Linker::new(&engine)
            .instantiate(&mut store, &component)
            .unwrap();
        let funcs = ["hang", "call"].map(|name| instance.get_typed_func(&mut store, name).unwrap());
        test(store, funcs);
    }
}

fn is_report(result: tidegate::Result<()>) {
    let text = format!("{:#}", result.unwrap_err());
    assert!(
        text.contains("deadlock detected: event loop cannot make further progress"),
        "{text}"
    );
    assert!(
        text.contains("waits for an event of an empty waitable set"),
        "{text}"
    );
}

#[test]
fn a_call_says_what_it_waits_for() {
    each(|mut store, [hang, call]| {
        is_report(hang.call(&mut store, ()));
        let text = format!("{:#}", call.call(&mut store, ()).unwrap_err());
        assert!(text.contains("waits for its call of instance"), "{text}");
    });
}

#[test]
fn calls_of_an_accessor_that_nothing_can_end_are_ended() {
    each(|mut store, [hang, call]| {
        let results = block_on(store.run_concurrent(async |accessor| {
            let both = join(
                hang.call_concurrent(accessor, ()),
                call.call_concurrent(accessor, ()),
            );
            both.await
        }));
        let (hung, called) = results.unwrap();
        is_report(hung);
        is_report(called);
    });
}

/// What a host function leaves for its next call knows the way to the store, but does not come by itself.
#[test]
fn host_functions_that_are_done_change_nothing() {
    const CALLS: &str = r#"(component
        (import "work" (func $work async))
        (core func $work (canon lower (func $work)))
        (core func $set (canon waitable-set.new))
        (core module $m
            (import "" "work" (func $work))
            (import "" "set" (func $set (result i32)))
            (func (export "hang") (result i32)
                (call $work)
                (i32.or (i32.const 2) (i32.shl (call $set) (i32.const 4))))
            (func (export "callback") (param i32 i32 i32) (result i32) unreachable))
        (core instance $i (instantiate $m (with "" (instance (export "work" (func $work)) (export "set" (func $set))))))
        (func (export "hang") async (canon lift (core func $i "hang") async (callback (func $i "callback")))))"#;
    for kind in EngineKind::ALL {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, CALLS).unwrap();
        let mut linker = Linker::new(&engine);
        linker
            .root()
            .func_wrap_concurrent("work", |_: &Accessor<Log>, (): ()| {
                Box::pin(async { Ok(()) })
            })
            .unwrap();
        let mut store = Store::new(&engine, Log::new());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        let hang: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "hang").unwrap();
        let result =
            store.run_concurrent(async |accessor| hang.call_concurrent(accessor, ()).await);
        is_report(block_on(result).unwrap());
    }
}

#[test]
fn as_long_as_something_may_come_from_outside_it_is_waited_for() {
    each(|mut store, [hang, _]| {
        let (sender, receiver) = oneshot::channel::<u32>();
        let mut run = pin!(store.run_concurrent(async |accessor| {
            let call = hang.call_concurrent(accessor, ());
            match select(call, receiver).await {
                Either::Left((result, _)) => panic!("it ended: {result:?}"),
                Either::Right((number, _)) => number.unwrap(),
            }
        }));
        for _ in 0..5 {
            assert!(poll_once(run.as_mut()).is_pending());
        }
        sender.send(7).unwrap();
        assert_eq!(block_on(run).unwrap(), 7);
    });
}

#[test]
fn a_task_at_work_may_change_something() {
    each(|mut store, [hang, _]| {
        let (sender, receiver) = oneshot::channel::<()>();
        let mut run = pin!(store.run_concurrent(async |accessor| {
            let task = accessor
                .spawn(async move |_| {
                    let _ = receiver.await;
                })
                .unwrap();
            drop(task);
            hang.call_concurrent(accessor, ()).await
        }));
        for _ in 0..5 {
            assert!(poll_once(run.as_mut()).is_pending());
        }
        sender.send(()).unwrap();
        is_report(block_on(run).unwrap());
    });
}
