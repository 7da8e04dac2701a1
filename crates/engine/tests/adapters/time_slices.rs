//! Interrupting guests that compute.

use std::{
    num::NonZeroU64,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tidegate_engine::{Engine, EngineConfig, EngineError, EngineKind, FuncType, Stack, Step};

use crate::support::*;

const SPIN: &str = r#"(module
    (import "h" "done" (func $done (param i32) (result i32)))
    (func (export "spin") (result i32)
        (loop $l (br_if $l (i32.eqz (call $done (i32.const 0)))))
        (i32.const 5))
    (func (export "forever") (loop $l (br $l))))"#;

fn interruptible(kind: EngineKind) -> Engine {
    Engine::new(&EngineConfig {
        epoch_interruption: true,
        ..EngineConfig::new(kind)
    })
    .unwrap()
}

/// Ticks every millisecond until dropped.
struct Ticker(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Ticker {
    fn new(engine: &Engine) -> Self {
        let (engine, stop) = (engine.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
                engine.increment_epoch();
            }
        });
        Self(stop, Some(thread))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            thread.join().unwrap();
        }
    }
}

both! {
    fn a_stack_that_computes_yields_and_goes_on(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, SPIN);
        let mut isolate = isolate(&engine);
        isolate.set_time_slice(NonZeroU64::new(2)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let done_func = isolate
            .cx()
            .host_func(i32_to_i32(), Box::new(move |_, slots| {
                slots[0] = stopped.load(Ordering::Relaxed).into();
                Ok(())
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[done_func.into()]);
        let spin = func(&mut isolate.cx(), instance, "spin");
        let _ticker = Ticker::new(&engine);
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(spin, &[]).unwrap();
        for _ in 0..5 {
            assert!(matches!(start(&mut stack, &mut isolate), Step::Yielded));
        }
        stop.store(true, Ordering::Relaxed);
        let end = loop {
            match start(&mut stack, &mut isolate) {
                Step::Yielded => {}
                step => break step,
            }
        };
        done(end);
        assert_eq!(stack.results(), [5]);
    }

    fn a_stack_that_never_ends_can_be_dropped(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, SPIN);
        let mut isolate = isolate(&engine);
        isolate.set_time_slice(NonZeroU64::new(1)).unwrap();
        let done_func = isolate.cx().host_func(i32_to_i32(), Box::new(|_, _| Ok(()))).unwrap();
        let instance = instantiate(&mut isolate, &module, &[done_func.into()]);
        let forever = func(&mut isolate.cx(), instance, "forever");
        let _ticker = Ticker::new(&engine);
        let mut stack = Stack::call(forever, &[]).unwrap();
        let mut isolate = Some(isolate);
        assert!(matches!(start(&mut stack, &mut isolate), Step::Yielded));
        assert!(matches!(start(&mut stack, &mut isolate), Step::Yielded));
        drop(stack);
    }

    fn a_plain_call_outlasts_its_slice(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, SPIN);
        let mut isolate = isolate(&engine);
        isolate.set_time_slice(NonZeroU64::new(1)).unwrap();
        let ticking = engine.clone();
        // Every turn of the loop is a tick, so that the slice is long over when it ends.
        let count = std::sync::atomic::AtomicU32::new(0);
        let done_func = isolate
            .cx()
            .host_func(i32_to_i32(), Box::new(move |_, slots| {
                ticking.increment_epoch();
                slots[0] = (count.fetch_add(1, Ordering::Relaxed) > 1000).into();
                Ok(())
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[done_func.into()]);
        assert_eq!(call(&mut isolate, instance, "spin", &[]).unwrap(), 5);
        // The same from a host function on a stack: frames of the host's are never suspended.
        let spin = func(&mut isolate.cx(), instance, "spin");
        let nested = isolate
            .cx()
            .host_func(FuncType::default(), Box::new(move |mut cx, _| cx.call(spin, &mut [0])))
            .unwrap();
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(nested, &[]).unwrap();
        done(start(&mut stack, &mut isolate));
    }

    fn without_a_slice_a_stack_runs_on(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, SPIN);
        let mut isolate = isolate(&engine);
        let ticking = engine.clone();
        let count = std::sync::atomic::AtomicU32::new(0);
        let done_func = isolate
            .cx()
            .host_func(i32_to_i32(), Box::new(move |_, slots| {
                ticking.increment_epoch();
                slots[0] = (count.fetch_add(1, Ordering::Relaxed) > 100_000).into();
                Ok(())
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[done_func.into()]);
        let spin = func(&mut isolate.cx(), instance, "spin");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(spin, &[]).unwrap();
        done(start(&mut stack, &mut isolate));
    }

    fn slices_need_an_engine_that_can_interrupt(kind) {
        let mut isolate = isolate(&engine(kind));
        let error = isolate.set_time_slice(NonZeroU64::new(1)).unwrap_err();
        assert!(matches!(error, EngineError::Misuse(_)));
    }
}
