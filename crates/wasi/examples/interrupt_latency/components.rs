//! Components: reads of streams and futures that wait on a stack or in a callback, and guests that call each other through the host.

use crate::measure::pauses;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tidegate::stream::{Destination, StreamProducer, StreamResult};
use tidegate::{
    AsContextMut, Component, Engine, Linker, Result, Store, StoreContextMut, StreamReader, timer,
};

type Pause = fn(&Engine, u32) -> Result<Vec<Duration>>;

pub const ALL: [(&str, Pause); 4] = [
    ("`stream.read` on a stack", |engine, times| {
        read(engine, times, SYNC)
    }),
    ("`stream.read` in a callback", |engine, times| {
        read(engine, times, CALLBACK)
    }),
    ("8 nested calls guest → host, a loop", |engine, times| {
        nested(engine, times, Innermost::Computes)
    }),
    ("8 nested calls guest → host, a sleep", |engine, times| {
        nested(engine, times, Innermost::Sleeps)
    }),
];

/// Reads a stream, and waits for that on its stack.
const SYNC: &str = r#"(component
    (import "begun" (func $begun))
    (core func $begun (canon lower (func $begun)))
    (type $bytes (stream u8))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $read (canon stream.read $bytes (memory $libc "memory")))
    (core module $m
        (import "" "begun" (func $begun))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (func (export "run") (param i32)
            (call $begun)
            (drop (call $read (local.get 0) (i32.const 0) (i32.const 1024)))))
    (core instance $m (instantiate $m
        (with "" (instance (export "begun" (func $begun)) (export "read" (func $read))))))
    (func (export "run") async (param "bytes" $bytes) (canon lift (core func $m "run"))))"#;

/// The same by a waitable set, which its callback waits for.
const CALLBACK: &str = r#"(component
    (import "begun" (func $begun))
    (core func $begun (canon lower (func $begun)))
    (type $bytes (stream u8))
    (core module $libc (memory (export "memory") 1))
    (core instance $libc (instantiate $libc))
    (core func $read (canon stream.read $bytes async (memory $libc "memory")))
    (core func $set-new (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core module $m
        (import "" "begun" (func $begun))
        (import "" "read" (func $read (param i32 i32 i32) (result i32)))
        (import "" "set-new" (func $set-new (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (func (export "run") (param i32) (result i32) (local $set i32)
            (call $begun)
            (drop (call $read (local.get 0) (i32.const 0) (i32.const 1024)))
            (local.set $set (call $set-new))
            (call $join (local.get 0) (local.get $set))
            (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
        (func (export "woken") (param i32 i32 i32) (result i32) unreachable))
    (core instance $m (instantiate $m (with "" (instance
        (export "begun" (func $begun)) (export "read" (func $read))
        (export "set-new" (func $set-new)) (export "join" (func $join))))))
    (func (export "run") async (param "bytes" $bytes)
        (canon lift (core func $m "run") async (callback (func $m "woken")))))"#;

/// Never has anything.
struct Never;

impl<D: Send + 'static> StreamProducer<D> for Never {
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        _: Destination<'_, u8, Vec<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        }
    }
}

fn read(engine: &Engine, times: u32, text: &str) -> Result<Vec<Duration>> {
    let mut linker = Linker::<Arc<AtomicBool>>::new(engine);
    linker.root().func_wrap("begun", |store, ()| {
        store.data().store(true, Ordering::Release);
        Ok(())
    })?;
    let begun = Arc::<AtomicBool>::default();
    let mut store = Store::new(engine, begun.clone());
    let component = Component::new(engine, text)?;
    let instance = linker.instantiate(&mut store, &component)?;
    let run = instance.get_typed_func::<(StreamReader<u8>,), ()>(&mut store, "run")?;
    let reader = StreamReader::new(&mut store, Never)?;
    let handle = store.interrupt_handle();
    let call = run.call_async(&mut store, (reader,));
    Ok(pauses(&handle, begun, times, call))
}

#[derive(Clone, Copy)]
enum Innermost {
    Computes,
    Sleeps,
}

/// The data of a store whose host function calls guests.
struct Nested {
    linker: Arc<Linker<Self>>,
    component: Component,
    begun: Arc<AtomicBool>,
    innermost: Innermost,
}

/// Loads the component once more and calls it; it calls this again, until `n` is 0.
async fn call(mut store: impl AsContextMut<Data = Nested>, n: u32) -> Result<u32> {
    let mut context = store.as_context_mut();
    let data = context.data_mut();
    if n == 0 {
        data.begun.store(true, Ordering::Release);
        if let Innermost::Sleeps = data.innermost {
            timer::sleep(Duration::from_secs(3600)).await;
        }
    }
    let (linker, component) = (data.linker.clone(), data.component.clone());
    let instance = linker.instantiate_async(&mut store, &component).await?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    Ok(run.call_async(&mut store, (n,)).await?.0)
}

/// Pauses a guest, called by the host, called by a guest, and so on.
fn nested(engine: &Engine, times: u32, innermost: Innermost) -> Result<Vec<Duration>> {
    type Called<'a> = Pin<Box<dyn Future<Output = Result<u32>> + Send + 'a>>;
    let mut linker = Linker::new(engine);
    linker
        .root()
        .func_wrap_async("call", |mut store, (n,): (u32,)| {
            Box::new(async move {
                let called: Called<'_> = Box::pin(call(&mut store, n));
                Ok((called.await?,))
            })
        })?;
    let text = include_str!("../../../../examples/guests/nested.wat")
        .replace("(then (return (i32.const 1)))", "(then (loop $l (br $l)))");
    let begun = Arc::<AtomicBool>::default();
    let data = Nested {
        linker: Arc::new(linker),
        component: Component::new(engine, text)?,
        begun: begun.clone(),
        innermost,
    };
    let mut store = Store::new(engine, data);
    let handle = store.interrupt_handle();
    Ok(pauses(&handle, begun, times, call(&mut store, 8)))
}
