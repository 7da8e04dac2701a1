//! Random pieces and waits through a guest that forwards: every byte arrives, once, in order.

use crate::guest::engines;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tidegate::stream::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};
use tidegate::{
    Component, Engine, FutureReader, Linker, Result, Store, StoreContextMut, StreamReader,
};

/// A small generator of numbers: the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize % sides
    }

    /// Waits, and is woken at once, once in three times.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let waits = self.roll(3) == 0;
        if waits {
            cx.waker().wake_by_ref();
        }
        waits
    }
}

struct Producer {
    bytes: Vec<u8>,
    sent: usize,
    dice: Dice,
}

impl StreamProducer<()> for Producer {
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, ()>,
        mut destination: Destination<'_, u8, Vec<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if me.dice.waits(cx) {
            return if finish && me.dice.roll(2) == 0 {
                Poll::Ready(Ok(StreamResult::Cancelled))
            } else {
                Poll::Pending
            };
        }
        let rest = &me.bytes[me.sent..];
        let mut count = rest.len().min(1 + me.dice.roll(40));
        if me.dice.roll(2) == 0 {
            destination.set_buffer(rest[..count].to_vec());
        } else {
            let mut direct = destination.as_direct(store, 64);
            let room = direct.remaining();
            count = count.min(room.len());
            room[..count].copy_from_slice(&rest[..count]);
            direct.mark_written(count);
        }
        me.sent += count;
        Poll::Ready(Ok(if me.sent == me.bytes.len() {
            StreamResult::Dropped
        } else {
            StreamResult::Completed
        }))
    }
}

struct Consumer {
    taken: Arc<Mutex<Vec<u8>>>,
    dice: Dice,
    /// Whether it took items and made the writer wait.
    holds: bool,
    _done: futures_channel::oneshot::Sender<()>,
}

impl StreamConsumer<()> for Consumer {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, ()>,
        mut source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if me.dice.waits(cx) {
            return if finish && me.dice.roll(2) == 0 {
                me.holds = false;
                Poll::Ready(Ok(StreamResult::Cancelled))
            } else {
                Poll::Pending
            };
        }
        let mut bytes = Vec::with_capacity(1 + me.dice.roll(30));
        if me.dice.roll(2) == 0 {
            source.read(&mut store, &mut bytes)?;
        } else {
            let mut direct = source.as_direct(store);
            let count = direct.remaining().len().min(bytes.capacity());
            bytes.extend(&direct.remaining()[..count]);
            direct.mark_read(count);
        }
        me.taken.lock().unwrap().extend(&bytes);
        if me.dice.waits(cx) {
            me.holds = true;
            return Poll::Pending;
        }
        me.holds = false;
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Completes when the consumer was dropped.
type Done = futures_channel::oneshot::Receiver<()>;

fn run(engine: &Engine, component: &Component, seed: u64, size: u32, how: u32, hops: usize) {
    let mut store = Store::new(engine, ());
    let mut dice = Dice(seed * 2 + 1);
    let bytes: Vec<u8> = (0..2000).map(|_| dice.roll(256) as u8).collect();
    let mut reader = StreamReader::new(
        &mut store,
        Producer {
            bytes: bytes.clone(),
            sent: 0,
            dice: Dice(seed + 77),
        },
    )
    .unwrap();
    let mut last = None;
    for _ in 0..hops {
        let instance = Linker::new(engine)
            .instantiate(&mut store, component)
            .unwrap();
        let forward = instance
            .get_typed_func::<(StreamReader<u8>, u32, u32), (StreamReader<u8>,)>(
                &mut store, "forward",
            )
            .unwrap();
        (reader,) = forward.call(&mut store, (reader, size, how)).unwrap();
        last = Some(instance);
    }
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (sender, done): (_, Done) = futures_channel::oneshot::channel();
    let consumer = Consumer {
        taken: taken.clone(),
        dice: Dice(seed + 99),
        holds: false,
        _done: sender,
    };
    reader.pipe(&mut store, consumer).unwrap();
    drive_until(&mut store, engine, done);
    drop(last);
    let taken = taken.lock().unwrap();
    assert!(*taken == bytes, "seed {seed}, {size} bytes, way {how}");
}

/// Drives the store until the consumer was dropped: a guest waits for a future of the host that tells of it.
fn drive_until(store: &mut Store<()>, engine: &Engine, done: Done) {
    let text = r#"
        (component
          (core module $libc (memory (export "memory") 1))
          (core instance $libc (instantiate $libc))
          (type $future (future u8))
          (core func $read (canon future.read $future (memory $libc "memory")))
          (core func $return (canon task.return))
          (core module $m
            (import "" "read" (func $read (param i32 i32) (result i32)))
            (import "" "return" (func $return))
            (func (export "wait") (param i32)
              (drop (call $read (local.get 0) (i32.const 0)))
              (call $return)))
          (core instance $m (instantiate $m
            (with "" (instance (export "read" (func $read)) (export "return" (func $return))))))
          (func (export "wait") async (param "f" $future) (canon lift (core func $m "wait") async)))"#;
    let component = Component::new(engine, text).unwrap();
    let instance = Linker::new(engine)
        .instantiate(&mut *store, &component)
        .unwrap();
    let wait = instance
        .get_typed_func::<(FutureReader<u8>,), ()>(&mut *store, "wait")
        .unwrap();
    let told = async move {
        let _ = done.await;
        Result::<u8>::Ok(0)
    };
    let reader = FutureReader::new(&mut *store, told).unwrap();
    wait.call(&mut *store, (reader,)).unwrap();
}

fn component(engine: &Engine) -> Component {
    Component::new(engine, include_str!("forward.wat")).unwrap()
}

#[test]
fn every_byte_arrives_once_and_in_order() {
    for engine in engines() {
        let component = component(&engine);
        let mut dice = Dice(4711);
        for seed in 1..40 {
            let size = 1 + dice.roll(60) as u32;
            let how = seed % 3;
            run(&engine, &component, seed, size, how as u32, 1);
        }
    }
}

#[test]
fn every_byte_arrives_through_several_guests() {
    for engine in engines() {
        let component = component(&engine);
        for seed in 1..10 {
            run(&engine, &component, seed, 17, (seed % 3) as u32, 3);
        }
    }
}

#[test]
fn a_large_buffer_is_no_burden() {
    for engine in engines() {
        let component = component(&engine);
        for how in 0..3 {
            run(&engine, &component, 5, 200_000, how, 1);
        }
    }
}
