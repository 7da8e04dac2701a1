//! Stacks that block, are resumed with jobs, and are dropped.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tidegate_engine::{
    EngineError, EngineKind, Extern, Flow, Func, FuncType, Isolate, Memory, Resume, Stack, Step,
    Trap, TrapCode, ValType,
};

use crate::support::*;
use std::task::{Context, Waker};

const GUEST: &str = r#"(module $guest
    (import "h" "block" (func $block (param i32) (result i32)))
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 1024))
    (func (export "realloc") (param i32) (result i32)
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get 0))))
    (func $twice (param i32) (result i32)
        (i32.add (call $block (local.get 0)) (call $block (i32.const 100))))
    (func (export "run") (param i32) (result i32) (call $twice (local.get 0)))
    (func (export "load") (param i32) (result i32) (i32.load (call $block (local.get 0))))
    (func (export "trap") (unreachable)))"#;

struct Guest {
    isolate: Option<Isolate<Log>>,
    run: Func,
    load: Func,
    realloc: Func,
    trap: Func,
    memory: Memory,
}

fn guest(kind: EngineKind) -> Guest {
    let engine = engine(kind);
    let module = module(&engine, GUEST);
    let mut isolate = isolate(&engine);
    assert!(!isolate.is_suspendable());
    let block = blocking(&mut isolate.cx());
    assert!(isolate.is_suspendable());
    let instance = instantiate(&mut isolate, &module, &[block]);
    let mut cx = isolate.cx();
    let mut get = |name| func(&mut cx, instance, name);
    let (run, load, realloc, trap) = (get("run"), get("load"), get("realloc"), get("trap"));
    let memory = memory(&mut cx, instance, "memory");
    Guest {
        isolate: Some(isolate),
        run,
        load,
        realloc,
        trap,
        memory,
    }
}

/// Whoever visits a parked stack may use what is around it, and leaves the stack as it was.
#[test]
fn a_parked_stack_is_visited() {
    let mut guest = guest(EngineKind::Wasmtime);
    let mut stack = Stack::call(guest.run, &[5]).unwrap();
    let error = stack.visit(|_| ()).unwrap_err();
    assert!(matches!(error, EngineError::Misuse(_)), "{error}");
    assert_eq!(blocked(start(&mut stack, &mut guest.isolate)), "5");
    let mut places = vec![0; 1];
    for size in [8, 16] {
        let place = stack
            .visit(|mut cx| {
                assert!(!cx.can_block());
                let mut slots = [size];
                cx.call(guest.realloc, &mut slots)?;
                places.push(slots[0]);
                cx.memory_mut(guest.memory)[slots[0] as usize] = size as u8;
                anyhow::Ok(slots[0])
            })
            .unwrap()
            .unwrap();
        assert_eq!(places.last(), Some(&place));
    }
    assert_eq!(places, [0, 1024, 1032]);
    // What would block there fails, and a trap ends only the call that trapped.
    let error = stack
        .visit(|mut cx| cx.call(guest.run, &mut [1]).unwrap_err())
        .unwrap();
    assert!(matches!(
        error.downcast_ref(),
        Some(EngineError::CannotBlock)
    ));
    let error = stack
        .visit(|mut cx| cx.call(guest.trap, &mut []).unwrap_err())
        .unwrap();
    let trap: &Trap = error.downcast_ref().unwrap();
    assert_eq!(trap.code, TrapCode::Unreachable);
    assert_eq!(
        blocked(resume(&mut stack, &mut guest.isolate, give(7))),
        "100"
    );
    done(resume(&mut stack, &mut guest.isolate, give(1)));
    assert_eq!(stack.results(), [8]);
    let mut isolate = guest.isolate.unwrap();
    assert_eq!(isolate.cx().memory_mut(guest.memory)[1032], 16);
}

/// A panic of a visitor comes out where the stack was visited, and takes only that stack with it.
#[test]
fn a_visitor_that_panics() {
    let mut guest = guest(EngineKind::Wasmtime);
    let mut stack = Stack::call(guest.run, &[5]).unwrap();
    blocked(start(&mut stack, &mut guest.isolate));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = stack.visit(|_| panic!("a visitor"));
    }));
    let message = *panicked.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "a visitor");
}

/// Sets a flag when dropped.
struct Dropped(Arc<AtomicBool>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

both! {
    fn a_stack_blocks_and_is_resumed_with_results(kind) {
        let mut guest = guest(kind);
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        assert_eq!(blocked(start(&mut stack, &mut guest.isolate)), "7");
        assert_eq!(guest.isolate.is_some(), kind == EngineKind::Wasmi);
        assert_eq!(blocked(resume(&mut stack, &mut guest.isolate, give(1000))), "100");
        assert!(stack.results().is_empty());
        done(resume(&mut stack, &mut guest.isolate, give(1)));
        assert_eq!(stack.results(), [1001]);
        assert!(guest.isolate.is_some());
    }

    fn a_stack_is_resumed_with_a_reply(kind) {
        let mut guest = guest(kind);
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        blocked(start(&mut stack, &mut guest.isolate));
        blocked(stack.run(&mut guest.isolate, &mut context, Resume::Reply(1000)));
        done(stack.run(&mut guest.isolate, &mut context, Resume::Reply(1)));
        assert_eq!(stack.results(), [1001]);
        assert_eq!(guest.isolate.unwrap().data().0, ["reply 1000", "reply 1"]);
    }

    fn stacks_follow_each_other_in_an_isolate(kind) {
        let mut guest = guest(kind);
        for round in 0..3 {
            let mut stack = Stack::call(guest.run, &[round]).unwrap();
            assert_eq!(blocked(start(&mut stack, &mut guest.isolate)), round.to_string());
            blocked(resume(&mut stack, &mut guest.isolate, give(round)));
            done(resume(&mut stack, &mut guest.isolate, give(round)));
            assert_eq!(stack.results(), [2 * round]);
            // A plain call between.
            let mut slots = [16];
            guest.isolate.as_mut().unwrap().cx().call(guest.realloc, &mut slots).unwrap();
            assert_eq!(slots[0], 1024 + 16 * round);
        }
    }

    fn a_job_calls_the_guest_and_writes_its_memory(kind) {
        let mut guest = guest(kind);
        let (realloc, memory) = (guest.realloc, guest.memory);
        let mut stack = Stack::call(guest.load, &[0]).unwrap();
        blocked(start(&mut stack, &mut guest.isolate));
        let job = move |mut cx: tidegate_engine::Cx<'_, Log>, slots: &mut [u64]| {
            let mut args = [4];
            cx.call(realloc, &mut args)?;
            let at = args[0] as usize;
            cx.memory_mut(memory)[at..at + 4].copy_from_slice(&77u32.to_le_bytes());
            cx.data_mut().0.push(format!("at {at}"));
            slots[0] = args[0];
            Ok(Flow::Return)
        };
        done(resume(&mut stack, &mut guest.isolate, Box::new(job)));
        assert_eq!(stack.results(), [77]);
        assert_eq!(guest.isolate.unwrap().data().0, ["at 1024"]);
    }

    fn a_job_may_block_again_and_finds_the_slots_as_they_were(kind) {
        let mut guest = guest(kind);
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        blocked(start(&mut stack, &mut guest.isolate));
        for round in 0..3 {
            let step = resume(&mut stack, &mut guest.isolate, Box::new(move |_, slots| {
                assert_eq!(slots[0], 7 + round);
                slots[0] += 1;
                Ok(Flow::Block(format!("again {round}")))
            }));
            assert_eq!(blocked(step), format!("again {round}"));
        }
        assert_eq!(blocked(resume(&mut stack, &mut guest.isolate, give(1))), "100");
        done(resume(&mut stack, &mut guest.isolate, give(2)));
        assert_eq!(stack.results(), [3]);
    }

    fn a_job_that_fails_ends_the_stack_with_its_error(kind) {
        let mut guest = guest(kind);
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        blocked(start(&mut stack, &mut guest.isolate));
        let error = failed(resume(&mut stack, &mut guest.isolate, Box::new(|_, _| Err(Exit(4).into()))));
        assert_eq!(error.downcast_ref(), Some(&Exit(4)));
        // The isolate is back and usable.
        let mut stack = Stack::call(guest.run, &[8]).unwrap();
        assert_eq!(blocked(start(&mut stack, &mut guest.isolate)), "8");
    }

    fn a_guest_trap_on_a_stack_is_that_trap(kind) {
        let mut guest = guest(kind);
        let mut stack = Stack::call(guest.trap, &[]).unwrap();
        let error = failed(start(&mut stack, &mut guest.isolate));
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.code, TrapCode::Unreachable);
        assert_eq!(trap.frames.is_empty(), kind == EngineKind::Wasmi);
        assert!(guest.isolate.is_some());
    }

    fn a_trap_in_a_job_can_be_passed_on(kind) {
        let mut guest = guest(kind);
        let trap = guest.trap;
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        blocked(start(&mut stack, &mut guest.isolate));
        let error = failed(resume(&mut stack, &mut guest.isolate, Box::new(move |mut cx, _| {
            cx.call(trap, &mut [])?;
            Ok(Flow::Return)
        })));
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::Unreachable);
    }

    fn blocking_host_functions_that_return_at_once_need_no_stack(kind) {
        let engine = engine(kind);
        let module = module(&engine, GUEST);
        let mut isolate = isolate(&engine);
        let ready = isolate
            .cx()
            .blocking_host_func(i32_to_i32(), Box::new(|_, slots| {
                slots[0] += 1;
                Ok(Flow::Return)
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[ready.into()]);
        assert_eq!(call(&mut isolate, instance, "run", &[5]).unwrap(), 107);
        let run = func(&mut isolate.cx(), instance, "run");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(run, &[5]).unwrap();
        done(start(&mut stack, &mut isolate));
        assert_eq!(stack.results(), [107]);
    }

    fn blocking_in_a_plain_call_is_an_error(kind) {
        let mut guest = guest(kind);
        let run = guest.run;
        let isolate = guest.isolate.as_mut().unwrap();
        assert!(!isolate.cx().can_block());
        let error = isolate.cx().call(run, &mut [7]).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(EngineError::CannotBlock)), "{error:#}");
        // Nor may a plain call made by a job block.
        let mut stack = Stack::call(run, &[7]).unwrap();
        blocked(start(&mut stack, &mut guest.isolate));
        let step = resume(&mut stack, &mut guest.isolate, Box::new(move |mut cx, slots| {
            assert!(cx.can_block());
            let error = cx.call(run, &mut [8]).unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(EngineError::CannotBlock)), "{error:#}");
            assert!(cx.can_block());
            slots[0] = 1;
            Ok(Flow::Return)
        }));
        assert_eq!(blocked(step), "100");
        done(resume(&mut stack, &mut guest.isolate, give(2)));
        assert_eq!(stack.results(), [3]);
    }

    fn a_stack_can_be_dropped_at_any_point(kind) {
        let mut guest = guest(kind);
        drop(Stack::<Log>::call(guest.run, &[7]).unwrap());
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        blocked(start(&mut stack, &mut guest.isolate));
        drop(stack);
        match kind {
            // The isolate went with it.
            EngineKind::Wasmtime => assert!(guest.isolate.is_none()),
            EngineKind::Wasmi => {
                let mut stack = Stack::call(guest.run, &[7]).unwrap();
                blocked(start(&mut stack, &mut guest.isolate));
                blocked(resume(&mut stack, &mut guest.isolate, give(0)));
                drop(stack);
            }
        }
    }

    fn dropping_a_parked_stack_drops_what_it_holds_and_runs_no_more_code(kind) {
        let engine = engine(kind);
        let module = module(&engine, GUEST);
        let mut isolate = isolate(&engine);
        let (dropped, ran) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (held, marks) = (Dropped(dropped.clone()), ran.clone());
        let block = isolate
            .cx()
            .blocking_host_func(i32_to_i32(), Box::new(move |_, slots| {
                let _ = &held;
                if slots[0] == 100 {
                    marks.store(true, Ordering::Relaxed);
                }
                Ok(Flow::Block("x".into()))
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[block.into()]);
        let run = func(&mut isolate.cx(), instance, "run");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(run, &[7]).unwrap();
        blocked(start(&mut stack, &mut isolate));
        drop(stack);
        drop(isolate);
        assert!(dropped.load(Ordering::Relaxed), "the isolate was leaked");
        assert!(!ran.load(Ordering::Relaxed), "the guest ran on");
    }

    fn wrong_use_of_a_stack_is_an_error_and_changes_nothing(kind) {
        let mut guest = guest(kind);
        assert!(matches!(Stack::<Log>::call(guest.run, &[]).err(), Some(EngineError::Misuse(_))));
        let misuse = |step| {
            let error = failed(step);
            assert!(matches!(error.downcast_ref(), Some(EngineError::Misuse(_))), "{error:#}");
        };
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        misuse(start(&mut stack, &mut None));
        misuse(resume(&mut stack, &mut guest.isolate, give(0)));
        blocked(start(&mut stack, &mut guest.isolate));
        misuse(start(&mut stack, &mut guest.isolate));
        blocked(resume(&mut stack, &mut guest.isolate, give(1)));
        done(resume(&mut stack, &mut guest.isolate, give(2)));
        misuse(start(&mut stack, &mut guest.isolate));
        misuse(resume(&mut stack, &mut guest.isolate, give(0)));
        assert_eq!(stack.results(), [3]);
    }

    fn start_functions_may_block(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (import "h" "block" (func $block (param i32) (result i32)))
            (global (export "g") (mut i32) (i32.const 0))
            (func $main (global.set 0 (call $block (i32.const 3))))
            (start $main))"#);
        let mut first = isolate(&engine);
        let block = blocking(&mut first.cx());
        let mut isolate = Some(first);
        let mut stack = Stack::instantiate(&module, &[block]);
        assert_eq!(blocked(start(&mut stack, &mut isolate)), "3");
        assert!(stack.instance().is_none());
        done(resume(&mut stack, &mut isolate, give(12)));
        let instance = stack.instance().unwrap();
        let mut isolate = isolate.unwrap();
        let mut cx = isolate.cx();
        let Some(Extern::Global(global)) = cx.export(instance, "g") else { panic!() };
        assert_eq!(cx.global_get(global).unwrap(), 12);
        // Where it must not block, it is told.
        let error = cx.instantiate(&module, &[block]).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(EngineError::CannotBlock)), "{error:#}");
    }

    fn instantiation_on_a_stack_fails_as_elsewhere(kind) {
        let engine = engine(kind);
        let mut isolate = Some(isolate(&engine));
        let module = module(&engine, r#"(module (import "h" "f" (func)))"#);
        let mut stack = Stack::instantiate(&module, &[]);
        let error = failed(start(&mut stack, &mut isolate));
        assert!(matches!(error.downcast_ref(), Some(EngineError::Link(_))), "{error:#}");
        assert!(isolate.is_some() && stack.instance().is_none());
    }

    fn a_stack_is_driven_from_within_another_isolates_blocking_host_function(kind) {
        // The outer guest's host function runs a stack of the inner isolate; when that blocks, so does it.
        let engine = engine(kind);
        let module = module(&engine, GUEST);
        let inner = guest(kind);
        struct Inner {
            isolate: Option<Isolate<Log>>,
            stack: Option<Stack<Log>>,
        }
        let shared = Arc::new(std::sync::Mutex::new(Inner { isolate: inner.isolate, stack: None }));
        let mut outer = isolate(&engine);
        let (run_inner, in_host) = (inner.run, shared.clone());
        let relay = outer
            .cx()
            .blocking_host_func(i32_to_i32(), Box::new(move |_, slots| {
                let mut inner = in_host.lock().unwrap();
                let mut stack = Stack::call(run_inner, &[slots[0] + 1]).unwrap();
                let payload = blocked(start(&mut stack, &mut inner.isolate));
                inner.stack = Some(stack);
                Ok(Flow::Block(format!("inner {payload}")))
            }))
            .unwrap();
        let instance = instantiate(&mut outer, &module, &[relay.into()]);
        let run = func(&mut outer.cx(), instance, "run");
        let mut outer = Some(outer);
        let mut stack = Stack::call(run, &[7]).unwrap();
        assert_eq!(blocked(start(&mut stack, &mut outer)), "inner 8");
        let finish_inner = || {
            let mut inner = shared.lock().unwrap();
            let inner = &mut *inner;
            let mut stack = inner.stack.take().unwrap();
            blocked(resume(&mut stack, &mut inner.isolate, give(20)));
            done(resume(&mut stack, &mut inner.isolate, give(3)));
            stack.results()[0]
        };
        let first = finish_inner();
        assert_eq!(blocked(resume(&mut stack, &mut outer, give(first))), "inner 101");
        // This time the inner stack is run on from within the outer one's job.
        let shared_in_job = shared.clone();
        done(resume(&mut stack, &mut outer, Box::new(move |_, slots| {
            let mut inner = shared_in_job.lock().unwrap();
            let inner = &mut *inner;
            let mut stack = inner.stack.take().unwrap();
            blocked(resume(&mut stack, &mut inner.isolate, give(40)));
            done(resume(&mut stack, &mut inner.isolate, give(2)));
            slots[0] = stack.results()[0];
            Ok(Flow::Return)
        })));
        assert_eq!(stack.results(), [65]);
    }

    fn a_parked_stack_moves_to_another_thread(kind) {
        let mut guest = guest(kind);
        let mut stack = Stack::call(guest.run, &[7]).unwrap();
        blocked(start(&mut stack, &mut guest.isolate));
        let (mut stack, mut isolate) = std::thread::spawn(move || {
            let (mut stack, mut isolate) = (stack, guest.isolate);
            blocked(resume(&mut stack, &mut isolate, give(1000)));
            (stack, isolate)
        })
        .join()
        .unwrap();
        done(resume(&mut stack, &mut isolate, give(1)));
        assert_eq!(stack.results(), [1001]);
    }

    fn recursion_on_a_stack_is_bounded(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (import "h" "block" (func $block (param i32) (result i32)))
            (func $f (export "f") (param i32) (result i32)
                (drop (call $block (local.get 0)))
                (i32.add (call $f (local.get 0)) (call $f (local.get 0)))))"#);
        let mut isolate = isolate(&engine);
        let ready = isolate
            .cx()
            .blocking_host_func(FuncType::new([ValType::I32], [ValType::I32]), Box::new(|_, _| Ok(Flow::Return)))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[ready.into()]);
        let f = func(&mut isolate.cx(), instance, "f");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(f, &[1]).unwrap();
        let error = failed(start(&mut stack, &mut isolate));
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::StackExhausted);
    }
}

#[test]
fn wasmi_keeps_many_stacks_parked_and_resumes_them_in_any_order() {
    let mut guest = guest(EngineKind::Wasmi);
    let mut stacks: Vec<Stack<Log>> = (0..3)
        .map(|number| {
            let mut stack = Stack::call(guest.run, &[number]).unwrap();
            assert_eq!(
                blocked(start(&mut stack, &mut guest.isolate)),
                number.to_string()
            );
            stack
        })
        .collect();
    for number in [1, 0, 2] {
        let step = resume(
            &mut stacks[number],
            &mut guest.isolate,
            give(10 * number as u64),
        );
        assert_eq!(blocked(step), "100");
    }
    for number in [2, 1, 0] {
        done(resume(&mut stacks[number], &mut guest.isolate, give(1)));
        assert_eq!(stacks[number].results(), [10 * number as u64 + 1]);
    }
}

#[test]
fn wasmtime_refuses_a_second_stack_while_one_has_the_isolate() {
    let mut guest = guest(EngineKind::Wasmtime);
    let mut first = Stack::call(guest.run, &[1]).unwrap();
    blocked(start(&mut first, &mut guest.isolate));
    let mut second = Stack::call(guest.run, &[2]).unwrap();
    let step = second.run(
        &mut guest.isolate,
        &mut std::task::Context::from_waker(std::task::Waker::noop()),
        Resume::Continue,
    );
    assert!(matches!(step, Step::Done(Err(_))));
    blocked(resume(&mut first, &mut guest.isolate, give(1)));
    done(resume(&mut first, &mut guest.isolate, give(1)));
    // Now it can.
    assert_eq!(blocked(start(&mut second, &mut guest.isolate)), "2");
}
