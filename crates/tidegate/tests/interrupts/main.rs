//! Interrupting guests that compute and guests that wait, on both engines.

mod hostile;
mod nested;

use std::future::{Future, poll_fn};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use tidegate::interrupt::{Outcome, PausedCall, Terminated};
use tidegate::module::{FuncType, Module, ModuleInstance, ModuleLinker, Outcome as Host, ValType};
use tidegate::{Config, Engine, EngineKind, Store, Strategy, block_on};

fn engines() -> [Engine; 2] {
    engines_with(|_| {})
}

fn engines_with(set: impl Fn(&mut Config)) -> [Engine; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        config.core().interruptible = true;
        set(&mut config);
        Engine::new(&config).unwrap()
    })
}

const GUEST: &str = r#"(module
    (import "host" "wait" (func $wait (param i32) (result i32)))
    (import "host" "begun" (func $begun))
    (func (export "forever") (call $begun) (loop $l (br $l)))
    (func (export "sum") (param $n i32) (result i32) (local $sum i32)
        (call $begun)
        (loop $l
            (local.set $sum (i32.add (local.get $sum) (local.get $n)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum))
    (func (export "waits") (param i32) (result i32)
        (call $begun)
        (i32.add (call $wait (local.get 0)) (call $wait (i32.const 1)))))"#;

/// The data of a store: `host.wait` waits until it is open, and adds up what it was given.
#[derive(Default)]
struct Data {
    open: Arc<Mutex<Gate>>,
    begun: Arc<AtomicBool>,
    seen: u32,
}

#[derive(Default)]
struct Gate {
    is_open: bool,
    waker: Option<Waker>,
}

fn open(gate: &Mutex<Gate>) {
    let mut gate = gate.lock().unwrap();
    gate.is_open = true;
    if let Some(waker) = gate.waker.take() {
        waker.wake();
    }
}

fn guest(engine: &Engine) -> (Store<Data>, ModuleInstance) {
    let module = Module::new(engine, GUEST).unwrap();
    let mut linker = ModuleLinker::<Data>::new(engine);
    let ty = FuncType::new([ValType::I32], [ValType::I32]);
    linker
        .func_waiting("host", "wait", ty, |caller, slots| {
            let gate = caller.data_mut().open.clone();
            if !gate.lock().unwrap().is_open {
                return Ok(Host::Wait(Box::pin(poll_fn(move |cx| {
                    let mut gate = gate.lock().unwrap();
                    gate.waker = Some(cx.waker().clone());
                    match gate.is_open {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                }))));
            }
            caller.data_mut().seen += slots[0] as u32;
            Ok(Host::Done)
        })
        .unwrap();
    linker
        .func("host", "begun", FuncType::default(), |caller, _| {
            caller.data_mut().begun.store(true, Ordering::SeqCst);
            Ok(Host::Done)
        })
        .unwrap();
    let mut store = Store::new(engine, Data::default());
    let instance = linker.instantiate(&mut store, &module).unwrap();
    (store, instance)
}

/// Does something in a thread once the guest has begun.
fn once_begun(store: &Store<Data>, act: impl FnOnce() + Send + 'static) -> thread::JoinHandle<()> {
    let begun = store.data().begun.clone();
    thread::spawn(move || {
        while !begun.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        act();
    })
}

fn paused<F: Future>(outcome: Outcome<F>) -> PausedCall<F> {
    match outcome {
        Outcome::Paused(paused) => paused,
        Outcome::Ended(_) => panic!("it ended"),
    }
}

fn ended<F: Future>(outcome: Outcome<F>) -> F::Output {
    match outcome {
        Outcome::Paused(paused) => panic!("it is {paused:?}"),
        Outcome::Ended(output) => output,
    }
}

#[test]
fn a_guest_that_computes_is_paused_and_goes_on_any_number_of_times() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let sum = instance.get_func(&mut store, "sum").unwrap();
        let handle = store.interrupt_handle();
        let over = Arc::new(AtomicBool::new(false));
        let (asking, asked) = (handle.clone(), over.clone());
        let storm = once_begun(&store, move || {
            while !asked.load(Ordering::SeqCst) {
                asking.pause();
                thread::sleep(Duration::from_micros(50));
            }
        });
        let mut slots = [0];
        let mut pauses = 0;
        // Until the storm has met it.
        while pauses == 0 {
            slots = [3_000_000];
            let mut call = handle.run(sum.call_async(&mut store, &mut slots));
            loop {
                match block_on(call) {
                    Outcome::Ended(result) => break result.unwrap(),
                    Outcome::Paused(paused) => {
                        let begun = !paused.suspension().frames.is_empty();
                        pauses += 1;
                        if begun && engine.kind() == EngineKind::Wasmtime {
                            assert_eq!(paused.suspension().frames[0].func_index, 3);
                        }
                        call = paused.resume();
                    }
                }
            }
        }
        over.store(true, Ordering::SeqCst);
        storm.join().unwrap();
        let expected = (1..=3_000_000u32).fold(0, u32::wrapping_add);
        assert_eq!(slots[0], u64::from(expected));
    }
}

#[test]
fn a_guest_that_waits_is_paused_and_told_where() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let waits = instance.get_func(&mut store, "waits").unwrap();
        let gate = store.data().open.clone();
        let handle = store.interrupt_handle();
        let asking = handle.clone();
        let asker = once_begun(&store, move || {
            asking.pause();
            asking.pause();
        });
        let mut slots = [10];
        let call = handle.run(waits.call_async(&mut store, &mut slots));
        let stopped = paused(block_on(call));
        asker.join().unwrap();
        assert_eq!(
            stopped.suspension().waiting_in.as_deref(),
            Some("host#wait")
        );
        if engine.kind() == EngineKind::Wasmtime {
            assert_eq!(stopped.suspension().frames[0].func_index, 4);
        }
        open(&gate);
        ended(block_on(stopped.resume())).unwrap();
        assert_eq!(slots, [11]);
        assert_eq!(store.data().seen, 11);
    }
}

#[test]
fn a_call_that_nobody_can_be_given_stands_still_until_it_is_resumed() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let sum = instance.get_func(&mut store, "sum").unwrap();
        let handle = store.interrupt_handle();
        handle.pause();
        let mut slots = [10];
        {
            let mut call = pin!(sum.call_async(&mut store, &mut slots));
            let mut cx = Context::from_waker(Waker::noop());
            for _ in 0..10 {
                assert!(call.as_mut().poll(&mut cx).is_pending());
            }
            assert!(handle.suspension().is_some());
            handle.resume();
            block_on(call).unwrap();
        }
        assert_eq!(slots, [55]);
    }
}

#[test]
fn guests_that_compute_and_guests_that_wait_are_terminated_with_the_reason() {
    for engine in engines() {
        for name in ["forever", "waits"] {
            let (mut store, instance) = guest(&engine);
            let func = instance.get_func(&mut store, name).unwrap();
            let handle = store.interrupt_handle();
            let asker = once_begun(&store, move || handle.terminate("enough"));
            let error = func.call(&mut store, &mut [1]).unwrap_err();
            asker.join().unwrap();
            let why = error.downcast_ref::<Terminated>();
            assert_eq!(why, Some(&Terminated::Asked("enough".into())), "{error:#}");
            // The request was met.
            let sum = instance.get_func(&mut store, "sum").unwrap();
            let mut slots = [4];
            sum.call(&mut store, &mut slots).unwrap();
            assert_eq!(slots, [10]);
        }
    }
}

#[test]
fn requests_before_and_after_a_call_are_for_the_next_or_for_none() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let sum = instance.get_func(&mut store, "sum").unwrap();
        let handle = store.interrupt_handle();
        handle.terminate("before");
        let error = sum.call(&mut store, &mut [4]).unwrap_err();
        assert!(error.is::<Terminated>(), "{error:#}");
        assert!(!store.data().begun.load(Ordering::SeqCst), "it has begun");
        sum.call(&mut store, &mut [4]).unwrap();

        let one = handle.next_call();
        sum.call(&mut store, &mut [4]).unwrap();
        one.terminate("after");
        one.pause();
        sum.call(&mut store, &mut [4]).unwrap();

        let next = handle.next_call();
        next.terminate("before");
        sum.call(&mut store, &mut [4]).unwrap_err();
        sum.call(&mut store, &mut [4]).unwrap();
    }
}

#[test]
fn a_terminated_call_that_is_paused_ends_when_it_is_resumed() {
    for engine in engines() {
        let (mut store, instance) = guest(&engine);
        let forever = instance.get_func(&mut store, "forever").unwrap();
        let handle = store.interrupt_handle();
        let asking = handle.clone();
        let asker = once_begun(&store, move || asking.pause());
        let mut slots = [];
        let stopped = paused(block_on(
            handle.run(forever.call_async(&mut store, &mut slots)),
        ));
        asker.join().unwrap();
        handle.terminate("enough");
        let error = ended(block_on(stopped.resume())).unwrap_err();
        assert!(error.is::<Terminated>(), "{error:#}");
    }
}

#[test]
fn the_store_outlives_a_paused_call_that_is_dropped() {
    for engine in engines() {
        for name in ["forever", "waits"] {
            let (mut store, instance) = guest(&engine);
            let func = instance.get_func(&mut store, name).unwrap();
            let handle = store.interrupt_handle();
            let asking = handle.clone();
            let asker = once_begun(&store, move || asking.pause());
            let mut slots = [0];
            drop(paused(block_on(
                handle.run(func.call_async(&mut store, &mut slots)),
            )));
            asker.join().unwrap();
            assert!(handle.suspension().is_none());
            let module = Module::new(&engine, "(module (func (export \"f\")))").unwrap();
            let other = ModuleLinker::new(&engine)
                .instantiate(&mut store, &module)
                .unwrap();
            let f = other.get_func(&mut store, "f").unwrap();
            f.call(&mut store, &mut []).unwrap();
        }
    }
}

#[test]
fn closures_run_in_the_store_of_a_guest_that_computes_or_waits_or_has_not_begun() {
    for engine in engines() {
        for (name, first) in [("forever", true), ("waits", true), ("sum", false)] {
            let (mut store, instance) = guest(&engine);
            let func = instance.get_func(&mut store, name).unwrap();
            let handle = store.interrupt_handle();
            let act = move || {
                for _ in 0..3 {
                    handle.run_in_store(|mut store: tidegate::StoreContextMut<'_, Data>| {
                        store.data_mut().seen += 1000;
                    });
                }
                if first {
                    let ending = handle.clone();
                    handle.run_in_store(move |_: tidegate::StoreContextMut<'_, Data>| {
                        ending.terminate("all have run");
                    });
                }
            };
            if first {
                let asker = once_begun(&store, act);
                func.call(&mut store, &mut [1]).unwrap_err();
                asker.join().unwrap();
            } else {
                act();
                func.call(&mut store, &mut [1]).unwrap();
            }
            assert_eq!(store.data().seen, 3000);
        }
    }
}

#[test]
#[should_panic = "another type"]
fn closures_are_for_the_type_of_the_stores_data() {
    let mut store = Store::new(&Engine::default(), 1u32);
    store
        .interrupt_handle()
        .run_in_store(|_: tidegate::StoreContextMut<'_, u64>| {});
}

#[test]
fn deadlines_of_stores_and_calls_end_guests_that_compute_and_guests_that_wait() {
    for engine in engines() {
        for name in ["forever", "waits"] {
            let (mut store, instance) = guest(&engine);
            let func = instance.get_func(&mut store, name).unwrap();
            store.set_deadline(Some(Instant::now() + Duration::from_millis(5)));
            let error = func.call(&mut store, &mut [1]).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Terminated::Deadline));
            // It counts until another is set.
            let error = func.call(&mut store, &mut [1]).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Terminated::Deadline));
            store.set_deadline(None);
            let handle = store.interrupt_handle().next_call();
            handle.terminate_at(Instant::now() + Duration::from_millis(5));
            let error = func.call(&mut store, &mut [1]).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Terminated::Deadline));
            let sum = instance.get_func(&mut store, "sum").unwrap();
            sum.call(&mut store, &mut [1]).unwrap();
        }
    }
}

#[test]
fn a_guest_that_waits_is_interrupted_on_engines_that_cannot_interrupt_those_that_compute() {
    for engine in engines_with(|config| config.core().interruptible = false) {
        let (mut store, instance) = guest(&engine);
        let waits = instance.get_func(&mut store, "waits").unwrap();
        let handle = store.interrupt_handle();
        let asker = once_begun(&store, move || handle.terminate("enough"));
        let error = waits.call(&mut store, &mut [1]).unwrap_err();
        asker.join().unwrap();
        assert!(error.is::<Terminated>(), "{error:#}");
    }
}

#[test]
fn nothing_changes_when_guests_are_interrupted_at_every_opportunity() {
    for engine in engines_with(|config| {
        config.pause_often(NonZeroU32::MIN);
    }) {
        let (mut store, instance) = guest(&engine);
        open(&store.data().open);
        let sum = instance.get_func(&mut store, "sum").unwrap();
        let mut slots = [1000];
        sum.call(&mut store, &mut slots).unwrap();
        assert_eq!(slots, [500_500]);
        let waits = instance.get_func(&mut store, "waits").unwrap();
        let mut slots = [3];
        waits.call(&mut store, &mut slots).unwrap();
        assert_eq!(slots, [4]);
        let mut store = nested::nested(&engine);
        assert_eq!(block_on(nested::run_nested(&mut store, 3)).unwrap(), 8);
    }
}
