//! Guests that keep their stacks while they wait for ends of the host's.

use super::guest::engines;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tidegate::stream::{Destination, StreamProducer, StreamReader, StreamResult, VecBuffer};
use tidegate::{Component, Linker, Result, Store, StoreContextMut, block_on};

/// Reads with its stack, again and again, and tells what each read returned.
const READS: &str = r#"
(component
  (import "got" (func $got (param "guest" u32) (param "result" u32)))
  (type $bytes (stream u8))
  (core module $memory (memory (export "memory") 1))
  (core instance $memory (instantiate $memory))
  (core func $got (canon lower (func $got)))
  (core func $read (canon stream.read $bytes (memory $memory "memory")))
  (core func $return (canon task.return))
  (core module $m
    (import "" "got" (func $got (param i32 i32)))
    (import "" "read" (func $read (param i32 i32 i32) (result i32)))
    (import "" "return" (func $return))
    (func (export "park") (param $guest i32) (param $from i32) (result i32)
      (local $result i32)
      (call $return)
      (loop $l
        (local.set $result (call $read (local.get $from) (i32.const 16) (i32.const 1)))
        (call $got (local.get $guest) (local.get $result))
        (br_if $l (i32.eqz (i32.and (local.get $result) (i32.const 15)))))
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
    (func (export "idle")))
  (core instance $i (instantiate $m (with "" (instance
    (export "got" (func $got)) (export "read" (func $read)) (export "return" (func $return))))))
  (func (export "park") async (param "guest" u32) (param "from" $bytes)
    (canon lift (core func $i "park") async (callback (func $i "callback"))))
  (func (export "idle") (canon lift (core func $i "idle"))))"#;

/// What a producer does when it is asked, but for waiting.
#[derive(Clone, Copy)]
enum Does {
    Gives,
    Ends,
    Fails,
}

/// What happened, and what is to happen.
#[derive(Default)]
struct Shared {
    log: Vec<String>,
    acts: Vec<VecDeque<Does>>,
    wakers: Vec<Option<Waker>>,
    watcher: Option<Waker>,
}

#[derive(Clone, Default)]
struct Stage(Arc<Mutex<Shared>>);

impl Stage {
    fn with<R>(&self, f: impl FnOnce(&mut Shared) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }

    fn log(&self, what: String) {
        let watcher = self.with(|shared| {
            shared.log.push(what);
            shared.watcher.take()
        });
        watcher.into_iter().for_each(Waker::wake);
    }

    fn wake(&self, guest: usize, does: Does) {
        let waker = self.with(|shared| {
            shared.acts[guest].push_back(does);
            shared.wakers[guest].take()
        });
        waker.expect("it waits").wake();
    }

    /// Drives the store until so much has happened; gives what.
    fn run(&self, store: &mut Store<()>, lines: usize) -> Vec<String> {
        let until = poll_fn(|cx| {
            self.with(|shared| {
                if shared.log.len() >= lines {
                    return Poll::Ready(());
                }
                shared.watcher = Some(cx.waker().clone());
                Poll::Pending
            })
        });
        block_on(store.run_concurrent(async |_| until.await)).unwrap();
        self.with(|shared| std::mem::take(&mut shared.log))
    }
}

struct Producer(Stage, usize);

impl StreamProducer<()> for Producer {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, ()>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let Self(stage, guest) = &*self;
        let does = stage.with(|shared| shared.acts[*guest].pop_front());
        let Some(does) = does else {
            stage.with(|shared| shared.wakers[*guest] = Some(cx.waker().clone()));
            stage.log(format!("{guest} waits"));
            return Poll::Pending;
        };
        stage.log(format!("{guest} asked"));
        Poll::Ready(match does {
            Does::Gives => {
                let mut direct = destination.as_direct(store, 1);
                direct.remaining()[0] = 7;
                direct.mark_written(1);
                Ok(StreamResult::Completed)
            }
            Does::Ends => Ok(StreamResult::Dropped),
            Does::Fails => Err(anyhow::anyhow!("the producer fails")),
        })
    }
}

/// Three guests that wait.
fn parked(engine: &tidegate::Engine) -> (Store<()>, Stage, Vec<tidegate::Instance>) {
    let component = Component::new(engine, READS).unwrap();
    let stage = Stage::default();
    let mut linker = Linker::<()>::new(engine);
    let told = stage.clone();
    let got = move |_: StoreContextMut<'_, ()>, (guest, result): (u32, u32)| {
        told.log(format!("{guest} got {result:#x}"));
        Ok(())
    };
    linker.root().func_wrap("got", got).unwrap();
    let pre = linker.instantiate_pre(&component).unwrap();
    let mut store = Store::new(engine, ());
    let mut guests = Vec::new();
    for guest in 0..3 {
        stage.with(|shared| {
            shared.acts.push(VecDeque::new());
            shared.wakers.push(None);
        });
        let instance = block_on(pre.instantiate_async(&mut store)).unwrap();
        let park = instance.get_typed_func::<(u32, StreamReader<u8>), ()>(&mut store, "park");
        let reader = StreamReader::new(&mut store, Producer(stage.clone(), guest)).unwrap();
        let called = park.unwrap().call(&mut store, (guest as u32, reader));
        called.unwrap();
        guests.push(instance);
    }
    assert_eq!(stage.run(&mut store, 3), ["0 waits", "1 waits", "2 waits"]);
    (store, stage, guests)
}

#[test]
fn one_that_is_woken_goes_on() {
    for engine in engines() {
        let (mut store, stage, _) = parked(&engine);
        for guest in [1, 0, 1] {
            stage.wake(guest, Does::Gives);
            let happened = stage.run(&mut store, 3);
            let expected = ["asked", "got 0x10", "waits"].map(|what| format!("{guest} {what}"));
            assert_eq!(happened, expected);
        }
    }
}

#[test]
fn those_that_are_woken_together_are_asked_before_their_guests_go_on() {
    for engine in engines() {
        let (mut store, stage, _) = parked(&engine);
        for guest in [1, 2, 0] {
            stage.wake(guest, Does::Gives);
        }
        let asked = [1, 2, 0].map(|guest| format!("{guest} asked"));
        let went_on =
            [1, 2, 0].map(|guest| ["got 0x10", "waits"].map(|what| format!("{guest} {what}")));
        let expected = [asked.as_slice(), &went_on.concat()].concat();
        assert_eq!(stage.run(&mut store, 9), expected);
    }
}

#[test]
fn the_end_of_a_stream_reaches_a_stack() {
    for engine in engines() {
        let (mut store, stage, guests) = parked(&engine);
        stage.wake(2, Does::Ends);
        assert_eq!(stage.run(&mut store, 2), ["2 asked", "2 got 0x1"]);
        // It has ended, and so has its stack.
        let idle = guests[2].get_typed_func::<(), ()>(&mut store, "idle");
        idle.unwrap().call(&mut store, ()).unwrap();
    }
}

/// Only the guest at the other end.
#[test]
fn a_failure_ends_the_guest_whose_stack_waits() {
    for engine in engines() {
        let (mut store, stage, guests) = parked(&engine);
        stage.wake(1, Does::Fails);
        stage.wake(0, Does::Gives);
        let expected = ["1 asked", "0 asked", "0 got 0x10", "0 waits"];
        assert_eq!(stage.run(&mut store, 4), expected);
        for (guest, usable) in [(0, true), (1, false), (2, true)] {
            // Of one whose stack is lost nothing can even be looked up, where its isolate goes with it.
            let idle = guests[guest].get_typed_func::<(), ()>(&mut store, "idle");
            let called = idle.and_then(|idle| idle.call(&mut store, ()));
            assert_eq!(called.is_ok(), usable);
        }
        stage.wake(2, Does::Gives);
        let expected = ["2 asked", "2 got 0x10", "2 waits"];
        assert_eq!(stage.run(&mut store, 3), expected);
    }
}
