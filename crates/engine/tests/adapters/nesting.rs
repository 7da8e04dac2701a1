//! Guests calling hosts calling guests, within an isolate and across isolates, as deep as it goes.

use std::sync::{Arc, Mutex};

use tidegate_engine::{EngineKind, Func, Isolate, IsolateData, Limits, Trap, TrapCode};

use crate::support::*;

/// Calls the host with one less until zero, and adds up.
const COUNT: &str = r#"(module
    (import "h" "f" (func $f (param i32) (result i32)))
    (func (export "run") (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0))
            (then (i32.const 0))
            (else (i32.add (local.get 0) (call $f (i32.sub (local.get 0) (i32.const 1))))))))"#;

/// A chain of isolates: each calls the next.
struct Link {
    next: Option<(Isolate<Link>, Func)>,
}

impl IsolateData for Link {
    type Block = ();
    type Local = ();
    type Reply = ();
}

both! {
    fn host_and_guest_call_each_other(kind) {
        let engine = engine(kind);
        let module = module(&engine, COUNT);
        let mut isolate = isolate(&engine);
        let run: Arc<Mutex<Option<Func>>> = Arc::default();
        let again = run.clone();
        let host = isolate
            .cx()
            .host_func(i32_to_i32(), Box::new(move |mut cx, slots| {
                let run = again.lock().unwrap().unwrap();
                cx.call(run, slots)
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[host.into()]);
        *run.lock().unwrap() = Some(func(&mut isolate.cx(), instance, "run"));
        assert_eq!(call(&mut isolate, instance, "run", &[10]).unwrap(), 55);
        // Without end it is the guest's trap, not the native stack's overflow.
        let error = call(&mut isolate, instance, "run", &[10_000_000]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::StackExhausted);
        assert_eq!(call(&mut isolate, instance, "run", &[10]).unwrap(), 55);
    }

    fn a_long_chain_of_isolates_ends_in_a_trap(kind) {
        let engine = engine(kind);
        let module = module(&engine, COUNT);
        let chain = |length: usize| {
            let mut next = None;
            for _ in 0..length {
                let mut isolate = Isolate::new(&engine, Link { next }, Limits::default()).unwrap();
                let mut cx = isolate.cx();
                let host = cx
                    .host_func(i32_to_i32(), Box::new(|mut cx, slots| {
                        let Some((mut isolate, func)) = cx.data_mut().next.take() else {
                            slots[0] = 0;
                            return Ok(());
                        };
                        let result = isolate.cx().call(func, slots);
                        cx.data_mut().next = Some((isolate, func));
                        result
                    }))
                    .unwrap();
                let instance = cx.instantiate(&module, &[host.into()]).unwrap();
                let Some(tidegate_engine::Extern::Func(func)) = cx.export(instance, "run") else { panic!() };
                next = Some((isolate, func));
            }
            next.unwrap()
        };
        let run = |(mut isolate, func): (Isolate<Link>, Func), depth: u64| {
            let mut slots = [depth];
            let result = isolate.cx().call(func, &mut slots).map(|()| slots[0]);
            // Dropping a long chain recursively is the test's own matter.
            let mut next = isolate.data_mut().next.take();
            while let Some((mut isolate, _)) = next {
                next = isolate.data_mut().next.take();
            }
            result
        };
        assert_eq!(run(chain(20), 10).unwrap(), 55);
        // In a thread of the size that `EngineConfig::native_stack` promises, and debug builds at that.
        let error = std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(2 << 20)
                .spawn_scoped(scope, || run(chain(3000), 1 << 30))
                .unwrap()
                .join()
                .unwrap()
        })
        .unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::StackExhausted);
    }

    fn deep_recursion_works_where_a_program_may_need_it(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (func $sum (export "sum") (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0))
                    (then (i32.const 0))
                    (else (i32.add (local.get 0) (call $sum (i32.sub (local.get 0) (i32.const 1))))))))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        assert_eq!(call(&mut isolate, instance, "sum", &[5000]).unwrap(), 12_502_500);
        let error = call(&mut isolate, instance, "sum", &[10_000_000]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::StackExhausted);
    }
}
