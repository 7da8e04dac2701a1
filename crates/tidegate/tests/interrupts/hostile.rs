//! Requests where and when nobody should make them, and calls that are dropped wherever they are.

use super::nested::{nested, run_nested};
use super::{Data, ended, engines, engines_with, guest, once_begun, open, paused};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;
use tidegate::block_on;
use tidegate::interrupt::{InterruptHandle, Outcome, Terminated};

#[test]
fn storms_of_requests_from_many_threads_end_where_they_should() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let forever = instance.get_func(&mut store, "forever").unwrap();
        let handle = store.interrupt_handle();
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let handle: InterruptHandle = handle.clone();
                once_begun(&store, move || {
                    for turn in 0..200 {
                        handle.pause();
                        handle.run_in_store(|mut store: tidegate::StoreContextMut<'_, Data>| {
                            store.data_mut().seen += 1;
                        });
                        handle.resume();
                        if number == 0 && turn == 199 {
                            handle.terminate("over");
                        }
                    }
                })
            })
            .collect();
        let resuming = handle.clone();
        let over = Arc::new(AtomicBool::new(false));
        let is_over = over.clone();
        // Whoever paused last has resumed before, perhaps.
        let resumer = thread::spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                resuming.resume();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let error = forever.call(&mut store, &mut []).unwrap_err();
        assert!(error.is::<Terminated>(), "{error:#}");
        for thread in threads {
            thread.join().unwrap();
        }
        over.store(true, Ordering::SeqCst);
        resumer.join().unwrap();
        // What was asked for too late runs with the next call.
        handle.resume();
        let sum = instance.get_func(&mut store, "sum").unwrap();
        let mut slots = [2];
        sum.call(&mut store, &mut slots).unwrap();
        assert_eq!(slots, [3]);
        assert_eq!(store.data().seen, 800);
    }
}

#[test]
fn to_pause_a_paused_call_changes_nothing() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let waits = instance.get_func(&mut store, "waits").unwrap();
        let gate = store.data().open.clone();
        let handle = store.interrupt_handle();
        let asking = handle.clone();
        let asker = once_begun(&store, move || asking.pause());
        let mut slots = [10];
        let stopped = paused(block_on(
            handle.run(waits.call_async(&mut store, &mut slots)),
        ));
        asker.join().unwrap();
        let askers: Vec<_> = (0..4)
            .map(|_| {
                let handle = handle.clone();
                thread::spawn(move || (0..1000).for_each(|_| handle.pause()))
            })
            .collect();
        for asker in askers {
            asker.join().unwrap();
        }
        assert!(handle.suspension().is_some());
        open(&gate);
        ended(block_on(stopped.resume())).unwrap();
        assert_eq!(slots, [11]);
        assert!(handle.suspension().is_none());
    }
}

/// Engines that give control back at every opportunity, so that a call can be dropped there.
fn often() -> [tidegate::Engine; 2] {
    engines_with(|config| {
        config.pause_often(NonZeroU32::MIN);
    })
}

#[test]
fn calls_that_nest_can_be_dropped_wherever_they_are() {
    for engine in often() {
        let mut step = 1;
        let mut store = nested(&engine);
        loop {
            let over = {
                let mut call = pin!(run_nested(&mut store, 2));
                let mut cx = Context::from_waker(Waker::noop());
                (0..step).any(|_| call.as_mut().poll(&mut cx).is_ready())
            };
            // What was entered by the call cannot be used any more, but its store can.
            assert_eq!(block_on(run_nested(&mut store, 1)).unwrap(), 2);
            if over {
                break;
            }
            // The opportunities are thousands.
            step += 1 + step / 8;
        }
        assert!(step > 20, "{step}");
    }
}

#[test]
fn paused_calls_that_nest_can_be_dropped_wherever_they_are() {
    for engine in engines() {
        let mut store = nested(&engine);
        let handle = store.interrupt_handle();
        for step in 0..30 {
            let mut call = Some(handle.run(run_nested(&mut store, 2)));
            for _ in 0..step {
                handle.pause();
                let Some(running) = call.take() else { break };
                match block_on(running) {
                    Outcome::Paused(paused) => call = Some(paused.resume()),
                    Outcome::Ended(result) => assert_eq!(result.unwrap(), 4),
                }
            }
            handle.pause();
            drop(call.map(block_on));
            handle.resume();
            assert_eq!(block_on(run_nested(&mut store, 1)).unwrap(), 2);
        }
    }
}

#[test]
fn a_dropped_call_leaves_nothing_behind() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let held = store.data().open.clone();
        let waits = instance.get_func(&mut store, "waits").unwrap();
        let handle = store.interrupt_handle();
        let asking = handle.clone();
        let asker = once_begun(&store, move || asking.pause());
        let mut slots = [1];
        drop(paused(block_on(
            handle.run(waits.call_async(&mut store, &mut slots)),
        )));
        asker.join().unwrap();
        drop(store);
        // The gate was in the store's data and in the wait.
        let waker = held.lock().unwrap().waker.take();
        drop(waker);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
