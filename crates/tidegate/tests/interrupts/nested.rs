//! Guests that call each other through asynchronous functions of the host.

use super::engines;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;
use tidegate::interrupt::{Outcome, Terminated};
use tidegate::{Component, Engine, Linker, Store, block_on};

/// Calls itself through the host, each time in an instance of its own: `run(n)` gives 2 to the power of `n`.
const NESTED: &str = r#"(component
    (import "call" (func $call (param "n" u32) (result u32)))
    (core func $lowered (canon lower (func $call)))
    (core module $m
        (import "host" "call" (func $call (param i32) (result i32)))
        (func (export "run") (param $n i32) (result i32) (local $i i32)
            (local.set $i (i32.const 500))
            (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
            (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (i32.add (call $call (local.get $n)) (call $call (local.get $n)))))
    (core instance $i (instantiate $m (with "host" (instance (export "call" (func $lowered))))))
    (func (export "run") (param "n" u32) (result u32) (canon lift (core func $i "run"))))"#;

pub struct Nested {
    linker: Arc<Linker<Self>>,
    component: Component,
}

pub async fn run_nested(
    mut store: impl tidegate::AsContextMut<Data = Nested>,
    n: u32,
) -> tidegate::Result<u32> {
    let (linker, component) = {
        let mut store = store.as_context_mut();
        (
            store.data_mut().linker.clone(),
            store.data_mut().component.clone(),
        )
    };
    let instance = linker.instantiate_async(&mut store, &component).await?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    let (result,) = run.call_async(&mut store, (n,)).await?;
    Ok(result)
}

pub fn nested(engine: &Engine) -> Store<Nested> {
    let mut linker = Linker::new(engine);
    linker
        .root()
        .func_wrap_async("call", |mut store, (n,): (u32,)| {
            Box::new(async move {
                yield_now().await;
                Ok((Box::pin(run_nested(&mut store, n)).await?,))
            })
        })
        .unwrap();
    let nested = Nested {
        linker: Arc::new(linker),
        component: Component::new(engine, NESTED).unwrap(),
    };
    Store::new(engine, nested)
}

async fn yield_now() {
    let mut once = false;
    poll_fn(|cx| match std::mem::replace(&mut once, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

#[test]
fn calls_that_nest_guests_and_host_are_paused_at_every_level() {
    for engine in engines() {
        let mut store = nested(&engine);
        let handle = store.interrupt_handle();
        let over = Arc::new(AtomicBool::new(false));
        let (asking, asked) = (handle.clone(), over.clone());
        let storm = thread::spawn(move || {
            while !asked.load(Ordering::SeqCst) {
                asking.pause();
                thread::sleep(Duration::from_micros(20));
            }
        });
        let mut call = handle.run(run_nested(&mut store, 5));
        let result = loop {
            match block_on(call) {
                Outcome::Ended(result) => break result.unwrap(),
                Outcome::Paused(paused) => call = paused.resume(),
            }
        };
        over.store(true, Ordering::SeqCst);
        storm.join().unwrap();
        assert_eq!(result, 32);
    }
}

#[test]
fn nested_calls_end_at_every_level_when_they_are_terminated() {
    for engine in engines() {
        // Each time a little later.
        for step in 0..40 {
            let mut store = nested(&engine);
            let handle = store.interrupt_handle();
            let mut call = pin!(run_nested(&mut store, 3));
            let polls = AtomicU32::new(0);
            let result = block_on(poll_fn(|cx| {
                if polls.fetch_add(1, Ordering::Relaxed) == step {
                    handle.terminate("enough");
                }
                call.as_mut().poll(cx)
            }));
            match result {
                Ok(result) => assert_eq!(result, 8),
                Err(error) => assert!(error.is::<Terminated>(), "{error:#}"),
            }
        }
    }
}
