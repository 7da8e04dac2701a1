//! Random pieces and waits through a guest that forwards: every byte arrives, once, in order.

use crate::dice::{Consumer, Dice, Producer};
use crate::guest::engines;
use std::sync::{Arc, Mutex};
use tidegate::{Component, Engine, FutureReader, Linker, Result, Store, StreamReader};

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
            _done: futures_channel::oneshot::channel().0,
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
