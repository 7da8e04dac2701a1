//! Interrupting guests that compute.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tidegate_engine::{
    Engine, EngineConfig, EngineError, EngineKind, FuncType, Stack, Step, Trap, TrapCode,
};

use crate::support::*;

const SPIN: &str = r#"(module
    (import "h" "done" (func $done (param i32) (result i32)))
    (func (export "spin") (result i32)
        (loop $l (br_if $l (i32.eqz (call $done (i32.const 0)))))
        (i32.const 5))
    (func (export "forever") (loop $l (br $l))))"#;

fn interruptible(kind: EngineKind) -> Engine {
    Engine::new(&EngineConfig {
        interruptible: true,
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
                engine.tick();
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
                ticking.tick();
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
                ticking.tick();
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

    fn a_plain_call_ends_when_it_is_interrupted(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, SPIN);
        let mut isolate = isolate(&engine);
        let done_func = isolate
            .cx()
            .host_func(i32_to_i32(), Box::new(|_, slots| {
                slots[0] = 1;
                Ok(())
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[done_func.into()]);
        let handle = isolate.interrupt_handle().unwrap();
        let _ticker = Ticker::new(&engine);
        let asking = handle.clone();
        let thread = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            asking.interrupt();
        });
        let error = call(&mut isolate, instance, "forever", &[]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::Interrupted);
        thread.join().unwrap();
        // The request was met: what comes next runs.
        handle.interrupt();
        handle.cancel();
        let spin = func(&mut isolate.cx(), instance, "spin");
        isolate.cx().call(spin, &mut [0]).unwrap();
    }

    fn a_stack_with_slices_ends_when_it_is_interrupted(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, SPIN);
        let mut isolate = isolate(&engine);
        let done_func = isolate.cx().host_func(i32_to_i32(), Box::new(|_, _| Ok(()))).unwrap();
        let instance = instantiate(&mut isolate, &module, &[done_func.into()]);
        isolate.set_time_slice(NonZeroU64::new(3)).unwrap();
        let handle = isolate.interrupt_handle().unwrap();
        let forever = func(&mut isolate.cx(), instance, "forever");
        let _ticker = Ticker::new(&engine);
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(forever, &[]).unwrap();
        for _ in 0..3 {
            assert!(matches!(start(&mut stack, &mut isolate), Step::Yielded));
        }
        handle.interrupt();
        let error = loop {
            match start(&mut stack, &mut isolate) {
                Step::Yielded => {}
                step => break failed(step),
            }
        };
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::Interrupted);
        assert!(isolate.is_some());
    }

    fn large_functions_and_large_copies_run_where_guests_can_be_interrupted(kind) {
        let engine = interruptible(kind);
        let adds = "(local.set 0 (i32.add (local.get 0) (i32.const 1)))".repeat(20_000);
        let module = module(&engine, &format!(r#"(module
            (memory 1 200)
            (func (export "adds") (param i32) (result i32) {adds} (local.get 0))
            (func (export "fill") (result i32)
                (drop (memory.grow (i32.const 100)))
                (memory.fill (i32.const 0) (i32.const 1) (i32.const 6000000))
                (i32.load8_u (i32.const 5999999))))"#));
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        assert_eq!(call(&mut isolate, instance, "adds", &[1]).unwrap(), 20_001);
        assert_eq!(call(&mut isolate, instance, "fill", &[]).unwrap(), 1);
        let adds = func(&mut isolate.cx(), instance, "adds");
        let fill = func(&mut isolate.cx(), instance, "fill");
        let mut isolate = Some(isolate);
        for (func, args, expected) in [(adds, &[2][..], 20_002), (fill, &[], 1)] {
            let mut stack = Stack::call(func, args).unwrap();
            done(start(&mut stack, &mut isolate));
            assert_eq!(stack.results(), [expected]);
        }
    }

    fn steps_that_take_more_fuel_than_there_is_at_a_time_go_on_after_a_yield(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, r#"(module
            (memory 100)
            (func (export "fill") (param i32) (result i32)
                (loop $l
                    (memory.fill (i32.const 0) (local.get 0) (i32.const 6000000))
                    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
                (i32.load8_u (i32.const 5999999))))"#);
        let mut isolate = isolate(&engine);
        isolate.yield_every(NonZeroU32::MIN).unwrap();
        let instance = instantiate(&mut isolate, &module, &[]);
        let fill = func(&mut isolate.cx(), instance, "fill");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(fill, &[3]).unwrap();
        let mut yields = 0;
        let end = loop {
            match start(&mut stack, &mut isolate) {
                Step::Yielded => yields += 1,
                step => break step,
            }
        };
        done(end);
        assert_eq!(stack.results(), [1]);
        assert!((2..1000).contains(&yields), "{yields}");
    }

    fn a_stack_yields_when_it_is_asked_to_and_goes_on(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, SPIN);
        let mut isolate = isolate(&engine);
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
        let handle = tidegate_engine::InterruptHandle::default();
        isolate.use_interrupt_handle(&handle).unwrap();
        let spin = func(&mut isolate.cx(), instance, "spin");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(spin, &[]).unwrap();
        for _ in 0..3 {
            handle.ask_yield();
            engine.tick();
            assert!(matches!(start(&mut stack, &mut isolate), Step::Yielded));
            assert!(!handle.is_pending());
            let frames = stack.take_frames();
            assert_eq!(frames.is_empty(), kind == EngineKind::Wasmi);
        }
        stop.store(true, Ordering::Relaxed);
        done(start(&mut stack, &mut isolate));
        assert_eq!(stack.results(), [5]);
    }

    fn slices_need_an_engine_that_can_interrupt(kind) {
        let mut isolate = isolate(&engine(kind));
        let error = isolate.set_time_slice(NonZeroU64::new(1)).unwrap_err();
        assert!(matches!(error, EngineError::Misuse(_)));
        let error = isolate.interrupt_handle().unwrap_err();
        assert!(matches!(error, EngineError::Misuse(_)));
    }
}
