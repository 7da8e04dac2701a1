//! A guest reads and writes with the largest buffers there are, against each kind of end: what the host needs for it does not depend on their size.
//!
//! What is measured is a process's peak of resident memory beyond what is resident once all of the guest's memory is, so that each case has a process of
//! its own: the test runs itself.
#![cfg(target_os = "linux")]

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, future};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate::stream::StreamReader;
use tidegate::stream::ready::{
    FromAsyncRead, FromStream, IntoAsyncWrite, IntoSink, consumer_channel,
};
use tidegate::{
    Component, Config, Engine, EngineKind, Instance, Linker, Result, Store, Strategy, TypedFunc,
    block_on,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest buffer that the Canonical ABI allows.
const LONGEST: u32 = (1 << 28) - 1;

/// What the host may need beyond what an end of its has itself: chunks, batches and tables, and what the system counts late.
const BOUND: u64 = 8 << 20;

/// Reads into, or writes from, one buffer of the longest kind, and returns what the built-in or the event says.
const GUEST: &str = r#"
(component
  (core module $memory (memory (export "memory") 4097))
  (core module $m
    (import "" "memory" (memory 4097))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "write" (func $write (param i32 i32 i32) (result i32)))
    (import "" "new" (func $new (result i64)))
    (import "" "set" (func $set (result i32)))
    (import "" "join" (func $join (param i32 i32)))
    (import "" "return" (func $return (param i32)))
    (global $writable (mut i32) (i32.const 0))
    (func (export "touch") (memory.fill (i32.const 0) (i32.const 7) (i32.const 268500992)))
    (func (export "open") (result i32)
      (local $ends i64)
      (local.set $ends (call $new))
      (global.set $writable (i32.wrap_i64 (i64.shr_u (local.get $ends) (i64.const 32))))
      (i32.wrap_i64 (local.get $ends)))
    (func $told (param $end i32) (param $result i32) (result i32)
      (local $s i32)
      (if (i32.ne (local.get $result) (i32.const -1)) (then
        (call $return (local.get $result))
        (return (i32.const 0))))
      (local.set $s (call $set))
      (call $join (local.get $end) (local.get $s))
      (i32.or (i32.const 2) (i32.shl (local.get $s) (i32.const 4))))
    (func (export "read") (param $end i32) (result i32)
      (call $told (local.get $end) (call $read (local.get $end) (i32.const 16) (i32.const 268435455))))
    (func (export "write") (result i32)
      (call $told (global.get $writable)
        (call $write (global.get $writable) (i32.const 16) (i32.const 268435455))))
    (func (export "callback") (param i32 i32) (param $result i32) (result i32)
      (call $return (local.get $result))
      (i32.const 0)))
  (type $bytes (stream u8))
  (core instance $mem (instantiate $memory))
  (alias core export $mem "memory" (core memory $memory'))
  (core func $read (canon stream.read $bytes async (memory $memory')))
  (core func $write (canon stream.write $bytes async (memory $memory')))
  (core func $new (canon stream.new $bytes))
  (core func $set (canon waitable-set.new))
  (core func $join (canon waitable.join))
  (core func $return (canon task.return (result u32)))
  (core instance $i (instantiate $m (with "" (instance
    (export "memory" (memory $memory')) (export "read" (func $read)) (export "write" (func $write)) (export "new" (func $new))
    (export "set" (func $set)) (export "join" (func $join)) (export "return" (func $return))))))
  (func (export "touch") (canon lift (core func $i "touch")))
  (func (export "open") (result $bytes) (canon lift (core func $i "open")))
  (func (export "read") async (param "s" $bytes) (result u32)
    (canon lift (core func $i "read") async (callback (func $i "callback"))))
  (func (export "write") async (result u32)
    (canon lift (core func $i "write") async (callback (func $i "callback")))))
"#;

struct Guests {
    store: Store<()>,
    instances: Vec<Instance>,
}

impl Guests {
    fn new(kind: EngineKind, count: usize) -> Self {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let (mut store, linker) = (Store::new(&engine, ()), Linker::new(&engine));
        let instances: Vec<Instance> = (0..count)
            .map(|_| block_on(linker.instantiate_async(&mut store, &component)).unwrap())
            .collect();
        for instance in &instances {
            let touch: TypedFunc<(), ()> = instance.get_typed_func(&mut store, "touch").unwrap();
            block_on(touch.call_async(&mut store, ())).unwrap();
        }
        Self { store, instances }
    }

    fn read(&mut self, reader: StreamReader<u8>) -> u32 {
        let read: TypedFunc<(StreamReader<u8>,), (u32,)> = self.instances[0]
            .get_typed_func(&mut self.store, "read")
            .unwrap();
        block_on(read.call_async(&mut self.store, (reader,)))
            .unwrap()
            .0
    }

    fn open(&mut self) -> StreamReader<u8> {
        let open: TypedFunc<(), (StreamReader<u8>,)> = self.instances[0]
            .get_typed_func(&mut self.store, "open")
            .unwrap();
        block_on(open.call_async(&mut self.store, ())).unwrap().0
    }

    fn write(&mut self) -> TypedFunc<(), (u32,)> {
        self.instances[0]
            .get_typed_func(&mut self.store, "write")
            .unwrap()
    }
}

/// A line of `/proc/self/status`, in bytes.
fn memory(line: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let found = status
        .lines()
        .find_map(|text| text.strip_prefix(line))
        .unwrap();
    found.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// Runs a case on each engine, each time in a process of its own.
fn each(name: &str, guests: usize, case: impl Fn(&mut Guests)) {
    const ENGINE: &str = "TIDEGATE_LARGE_BUFFERS";

    for (engine, kind) in [
        ("wasmtime", EngineKind::Wasmtime),
        ("wasmi", EngineKind::Wasmi),
    ] {
        match std::env::var(ENGINE) {
            Ok(chosen) if chosen == engine => {
                let mut guests = Guests::new(kind, guests);
                let before = memory("VmRSS:");
                case(&mut guests);
                let beyond = memory("VmHWM:").saturating_sub(before);
                println!("{name}, {engine}: {} KiB", beyond >> 10);
                assert!(
                    beyond <= BOUND,
                    "{name}, {engine}: the host needed {} KiB",
                    beyond >> 10
                );
            }
            Ok(_) => {}
            Err(_) => {
                let output = std::process::Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", name, "--nocapture"])
                    .env(ENGINE, engine)
                    .output()
                    .unwrap();
                let told = String::from_utf8_lossy(&output.stdout).into_owned()
                    + &String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && told.contains(" KiB"), "{told}");
                print!("{told}");
            }
        }
    }
}

/// Moves at most so many bytes a time.
struct Slowly(usize);

impl AsyncRead for Slowly {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.0.min(buffer.remaining());
        buffer.initialize_unfilled_to(count).fill(9);
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Slowly {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.0.min(bytes.len())))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// How many items a result counts.
fn count(result: u32) -> u32 {
    result >> 4
}

#[test]
fn a_read_from_a_vector() {
    each("a_read_from_a_vector", 1, |guests| {
        let reader = StreamReader::new(&mut guests.store, vec![1_u8; 1 << 20]).unwrap();
        assert_eq!(count(guests.read(reader)), 1 << 20);
    });
}

#[test]
fn a_read_from_shared_bytes() {
    static BYTES: [u8; 1 << 20] = [3; 1 << 20];
    each("a_read_from_shared_bytes", 1, |guests| {
        let reader = StreamReader::new(&mut guests.store, Bytes::from_static(&BYTES)).unwrap();
        assert_eq!(count(guests.read(reader)), 1 << 20);
    });
}

#[test]
fn a_read_from_a_reader() {
    each("a_read_from_a_reader", 1, |guests| {
        let all = FromAsyncRead::new(Slowly(usize::MAX));
        let reader = StreamReader::new(&mut guests.store, all).unwrap();
        assert_eq!(count(guests.read(reader)), LONGEST);
    });
}

#[test]
fn a_read_from_a_stream() {
    each("a_read_from_a_stream", 1, |guests| {
        let items = FromStream::new(futures_util::stream::repeat(5_u8));
        let reader = StreamReader::new(&mut guests.store, items).unwrap();
        assert!(count(guests.read(reader)) > 0);
    });
}

#[test]
fn a_write_to_a_writer() {
    each("a_write_to_a_writer", 1, |guests| {
        let reader = guests.open();
        let consumer = IntoAsyncWrite::new(Slowly(10_000));
        reader.pipe(&mut guests.store, consumer).unwrap();
        let write = guests.write();
        let (result,) = block_on(write.call_async(&mut guests.store, ())).unwrap();
        assert_eq!(count(result), LONGEST);
    });
}

#[test]
fn a_write_to_a_sink() {
    each("a_write_to_a_sink", 1, |guests| {
        let reader = guests.open();
        let (sender, mut receiver) = channel(16);
        reader
            .pipe(&mut guests.store, IntoSink::new(sender))
            .unwrap();
        let write = guests.write();
        let taken = block_on(guests.store.run_concurrent(async |accessor| {
            let take = async {
                for _ in 0..10_000 {
                    assert_eq!(receiver.next().await, Some(7));
                }
            };
            // The write ends in the sink's favour only when all is taken.
            let write = write.call_concurrent(accessor, ()).map(Result::unwrap);
            matches!(
                future::select(Box::pin(write), Box::pin(take)).await,
                future::Either::Right(_)
            )
        }));
        assert!(taken.unwrap());
    });
}

#[test]
fn a_write_to_a_channel() {
    each("a_write_to_a_channel", 1, |guests| {
        let reader = guests.open();
        let (consumer, mut receiver) = consumer_channel(16);
        reader.pipe(&mut guests.store, consumer).unwrap();
        let write = guests.write();
        let (result, taken) = block_on(guests.store.run_concurrent(async |accessor| {
            let take = async {
                let first: Option<u8> = receiver.next().await;
                drop(receiver);
                first
            };
            future::join(write.call_concurrent(accessor, ()), take).await
        }))
        .unwrap();
        assert!(count(result.unwrap().0) > 0);
        assert_eq!(taken, Some(7));
    });
}

#[test]
fn a_write_to_another_guest() {
    each("a_write_to_another_guest", 2, |guests| {
        let reader = guests.open();
        let write = guests.write();
        let read: TypedFunc<(StreamReader<u8>,), (u32,)> = guests.instances[1]
            .get_typed_func(&mut guests.store, "read")
            .unwrap();
        let (written, read) = block_on(guests.store.run_concurrent(async |accessor| {
            future::join(
                write.call_concurrent(accessor, ()),
                read.call_concurrent(accessor, (reader,)),
            )
            .await
        }))
        .unwrap();
        assert_eq!(count(written.unwrap().0), LONGEST);
        assert_eq!(count(read.unwrap().0), LONGEST);
    });
}

fn channel(
    capacity: usize,
) -> (
    tidegate::stream::ready::Sender<u8>,
    tidegate::stream::ready::Receiver<u8>,
) {
    futures_channel::mpsc::channel(capacity)
}
