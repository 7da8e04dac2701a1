//! Calls on top of a blocked stack, which wasmtime's stacks can have as each has its isolate to itself.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use tidegate_engine::{
    Cx, Engine, EngineConfig, EngineError, EngineKind, Flow, Func, Isolate, Memory, Resume, Stack,
    Step, TopCall, Trap,
};

use crate::support::*;

/// `run` blocks twice, and gives the sum; `add` does not block.
const GUEST: &str = r#"(module
    (import "h" "block" (func $block (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "run") (param i32) (result i32)
        (i32.add (call $block (local.get 0)) (call $block (i32.add (local.get 0) (i32.const 100)))))
    (func (export "add") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "trap") (param i32) (result i32) unreachable)
    (func (export "block-and-trap") (param i32) (result i32)
        (drop (call $block (local.get 0)))
        unreachable)
    (func $deep (export "deep") (param i32) (result i32)
        (i32.add (call $deep (local.get 0)) (call $deep (i32.const 1))))
    (func (export "turn") (param i32) (result i32)
        (loop $l
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get 0) (i32.const 100))))
        (call $block (local.get 0)))
    (func (export "none")))"#;

struct Guest {
    isolate: Option<Isolate<Log>>,
    run: Func,
    add: Func,
    trap: Func,
    block_and_trap: Func,
    deep: Func,
    turn: Func,
    none: Func,
    memory: Memory,
}

fn guest_of(engine: &Engine) -> Guest {
    let module = module(engine, GUEST);
    let mut isolate = isolate(engine);
    let block = blocking(&mut isolate.cx());
    let instance = instantiate(&mut isolate, &module, &[block]);
    let mut cx = isolate.cx();
    let mut get = |name| func(&mut cx, instance, name);
    let (run, add, trap) = (get("run"), get("add"), get("trap"));
    let (block_and_trap, deep) = (get("block-and-trap"), get("deep"));
    let (turn, none) = (get("turn"), get("none"));
    let memory = memory(&mut cx, instance, "memory");
    Guest {
        isolate: Some(isolate),
        run,
        add,
        trap,
        block_and_trap,
        deep,
        turn,
        none,
        memory,
    }
}

fn guest() -> Guest {
    guest_of(&engine(EngineKind::Wasmtime))
}

/// Tells what became of it.
struct Top {
    func: Func,
    slots: Vec<u64>,
    ended: Arc<AtomicBool>,
}

impl TopCall<Log> for Top {
    fn begin(&mut self, mut cx: Cx<'_, Log>) -> Func {
        assert!(!cx.can_block());
        cx.data_mut()
            .0
            .push(format!("begins with {:?}", self.slots));
        self.func
    }

    fn slots(&mut self) -> &mut [u64] {
        &mut self.slots
    }

    fn end(self: Box<Self>, mut cx: Cx<'_, Log>, result: anyhow::Result<()>) -> String {
        assert!(!cx.can_block());
        self.ended.store(true, Ordering::Relaxed);
        cx.data_mut().0.push("ends".into());
        match result {
            Ok(()) => format!("gave {}", self.slots[0]),
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => format!("{:?}", trap.code),
                None => error.root_cause().to_string(),
            },
        }
    }
}

fn top(func: Func, arg: u64) -> Box<Top> {
    Box::new(Top {
        func,
        slots: vec![arg],
        ended: Arc::default(),
    })
}

fn on_top(guest: &mut Guest, stack: &mut Stack<Log>, call: Box<Top>) -> Step<String> {
    stack.run(
        &mut guest.isolate,
        &mut Context::from_waker(Waker::noop()),
        Resume::Call(call),
    )
}

fn started(guest: &mut Guest) -> Stack<Log> {
    let mut stack = Stack::call(guest.run, &[1]).unwrap();
    assert_eq!(blocked(start(&mut stack, &mut guest.isolate)), "1");
    stack
}

#[test]
fn a_call_on_top_leaves_the_stack_blocked_where_it_was() {
    let mut guest = guest();
    let mut stack = started(&mut guest);
    for round in 0..3 {
        let call = top(guest.add, round);
        let step = on_top(&mut guest, &mut stack, call);
        assert_eq!(blocked(step), format!("gave {}", round + 1));
    }
    assert_eq!(
        blocked(resume(&mut stack, &mut guest.isolate, give(7))),
        "101"
    );
    done(resume(&mut stack, &mut guest.isolate, give(3)));
    assert_eq!(stack.results(), [10]);
    let log = &guest.isolate.unwrap().data().0.clone();
    assert_eq!(log[..2], ["begins with [0]", "ends"]);
    assert_eq!(log.len(), 6);
}

#[test]
fn a_call_on_top_blocks_and_goes_on_first() {
    let mut guest = guest();
    let mut stack = started(&mut guest);
    let call = top(guest.run, 2);
    assert_eq!(blocked(on_top(&mut guest, &mut stack, call)), "2");
    // Whoever visits is where it is blocked.
    stack
        .visit(|mut cx| cx.memory_mut(guest.memory)[8] = 5)
        .unwrap();
    let again: Step<String> = resume(
        &mut stack,
        &mut guest.isolate,
        Box::new(|mut cx, slots| {
            assert_eq!(slots[0], 2);
            assert!(cx.can_block());
            cx.data_mut().0.push("again".into());
            Ok(Flow::Block("again".into()))
        }),
    );
    assert_eq!(blocked(again), "again");
    assert_eq!(
        blocked(resume(&mut stack, &mut guest.isolate, give(20))),
        "102"
    );
    assert_eq!(
        blocked(resume(&mut stack, &mut guest.isolate, give(30))),
        "gave 50"
    );
    assert_eq!(
        blocked(resume(&mut stack, &mut guest.isolate, give(1))),
        "101"
    );
    done(resume(&mut stack, &mut guest.isolate, give(2)));
    assert_eq!(stack.results(), [3]);
    let mut isolate = guest.isolate.unwrap();
    assert_eq!(isolate.cx().memory_mut(guest.memory)[8], 5);
}

#[test]
fn calls_are_on_top_of_calls_on_top() {
    let mut guest = guest();
    let mut stack = started(&mut guest);
    for number in 2..5 {
        let call = top(guest.run, number);
        let step = on_top(&mut guest, &mut stack, call);
        assert_eq!(blocked(step), number.to_string());
    }
    for number in (2..5).rev() {
        let step = resume(&mut stack, &mut guest.isolate, give(number));
        assert_eq!(blocked(step), (number + 100).to_string());
        let step = resume(&mut stack, &mut guest.isolate, give(1));
        assert_eq!(blocked(step), format!("gave {}", number + 1));
    }
    blocked(resume(&mut stack, &mut guest.isolate, give(1)));
    done(resume(&mut stack, &mut guest.isolate, give(1)));
    assert_eq!(stack.results(), [2]);
}

#[test]
fn a_trap_on_top_ends_only_the_call_there() {
    let mut guest = guest();
    let mut stack = started(&mut guest);
    let call = top(guest.trap, 1);
    assert_eq!(blocked(on_top(&mut guest, &mut stack, call)), "Unreachable");
    let call = top(guest.block_and_trap, 2);
    assert_eq!(blocked(on_top(&mut guest, &mut stack, call)), "2");
    assert_eq!(
        blocked(resume(&mut stack, &mut guest.isolate, give(0))),
        "Unreachable"
    );
    // As does an error of the host.
    let call = top(guest.run, 3);
    blocked(on_top(&mut guest, &mut stack, call));
    let step = resume(
        &mut stack,
        &mut guest.isolate,
        Box::new(|_, _| Err(Exit(4).into())),
    );
    assert_eq!(blocked(step), "exit with 4");
    blocked(resume(&mut stack, &mut guest.isolate, give(1)));
    done(resume(&mut stack, &mut guest.isolate, give(1)));
    assert_eq!(stack.results(), [2]);
}

#[test]
fn what_is_called_on_top_yields() {
    let engine = Engine::new(&EngineConfig {
        interruptible: true,
        ..EngineConfig::new(EngineKind::Wasmtime)
    })
    .unwrap();
    let mut guest = guest_of(&engine);
    let isolate = guest.isolate.as_mut().unwrap();
    isolate.yield_every(NonZeroU32::new(1).unwrap()).unwrap();
    let mut yields = 0;
    let mut through = |guest: &mut Guest, stack: &mut Stack<Log>, mut step: Step<String>| {
        while matches!(step, Step::Yielded) {
            yields += 1;
            step = start(stack, &mut guest.isolate);
        }
        step
    };
    let mut stack = Stack::call(guest.turn, &[1]).unwrap();
    let step = start(&mut stack, &mut guest.isolate);
    assert_eq!(blocked(through(&mut guest, &mut stack, step)), "100");
    let call = top(guest.turn, 2);
    let step = on_top(&mut guest, &mut stack, call);
    assert!(matches!(step, Step::Yielded), "{step:?}");
    assert_eq!(blocked(through(&mut guest, &mut stack, step)), "100");
    let step = resume(&mut stack, &mut guest.isolate, give(3));
    assert_eq!(blocked(through(&mut guest, &mut stack, step)), "gave 3");
    let step = resume(&mut stack, &mut guest.isolate, give(4));
    done(through(&mut guest, &mut stack, step));
    assert_eq!(stack.results(), [4]);
    assert!(yields >= 2);

    // It may be dropped there.
    let mut stack = Stack::call(guest.run, &[1]).unwrap();
    blocked(start(&mut stack, &mut guest.isolate));
    let call = top(guest.turn, 2);
    let ended = call.ended.clone();
    let step = on_top(&mut guest, &mut stack, call);
    assert!(matches!(step, Step::Yielded), "{step:?}");
    drop(stack);
    assert!(!ended.load(Ordering::Relaxed));
}

#[test]
fn a_stack_is_dropped_while_something_is_on_top() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let engine = engine(EngineKind::Wasmtime);
    let module = module(&engine, GUEST);
    for depth in 0..3 {
        let (dropped, ended) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let mut isolate = isolate(&engine);
        let held = Dropped(dropped.clone());
        let block = isolate.cx().blocking_host_func(
            i32_to_i32(),
            Box::new(move |_, slots| {
                let _ = &held;
                assert!(slots[0] < 100, "the guest ran on");
                Ok(Flow::Block("x".into()))
            }),
        );
        let instance = instantiate(&mut isolate, &module, &[block.unwrap().into()]);
        let run = func(&mut isolate.cx(), instance, "run");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(run, &[7]).unwrap();
        blocked(start(&mut stack, &mut isolate));
        for _ in 0..depth {
            let call = Box::new(Top {
                func: run,
                slots: vec![1],
                ended: ended.clone(),
            });
            let context = &mut Context::from_waker(Waker::noop());
            blocked(stack.run(&mut isolate, context, Resume::Call(call)));
        }
        drop(stack);
        assert!(isolate.is_none());
        assert!(dropped.load(Ordering::Relaxed), "the isolate was leaked");
        assert!(!ended.load(Ordering::Relaxed), "a dropped call was ended");
    }
}

#[test]
fn a_stack_with_something_on_top_moves_to_another_thread() {
    let mut guest = guest();
    let mut stack = started(&mut guest);
    let call = top(guest.run, 2);
    blocked(on_top(&mut guest, &mut stack, call));
    let (mut guest, mut stack) = std::thread::spawn(move || {
        blocked(resume(&mut stack, &mut guest.isolate, give(20)));
        (guest, stack)
    })
    .join()
    .unwrap();
    assert_eq!(
        blocked(resume(&mut stack, &mut guest.isolate, give(30))),
        "gave 50"
    );
    blocked(resume(&mut stack, &mut guest.isolate, give(1)));
    done(resume(&mut stack, &mut guest.isolate, give(1)));
}

#[test]
fn what_is_on_top_is_bounded_by_the_native_stack() {
    let mut guest = guest();
    let mut stack = started(&mut guest);
    // One that goes as deep as it can, at any height.
    let mut height = 0;
    loop {
        let call = top(guest.deep, 1);
        let step = on_top(&mut guest, &mut stack, call);
        assert_eq!(blocked(step), "StackExhausted");
        let call = top(guest.run, 5);
        match &*blocked(on_top(&mut guest, &mut stack, call)) {
            "5" => height += 1,
            "StackExhausted" => break,
            other => panic!("{other}"),
        }
        // What comes by way of another thread's stack knows how much is left.
        if height % 50 == 0 {
            (guest, stack) = std::thread::spawn(move || (guest, stack)).join().unwrap();
        }
    }
    assert!(height > 50, "{height}");
    for _ in 0..height {
        blocked(resume(&mut stack, &mut guest.isolate, give(1)));
        blocked(resume(&mut stack, &mut guest.isolate, give(1)));
    }
    blocked(resume(&mut stack, &mut guest.isolate, give(1)));
    done(resume(&mut stack, &mut guest.isolate, give(1)));
    assert_eq!(stack.results(), [2]);
}

#[test]
fn wrong_use_is_an_error_and_changes_nothing() {
    let misuse = |step: Step<String>| match step {
        Step::Done(Err(error)) => {
            let error: Option<&EngineError> = error.downcast_ref();
            assert!(matches!(error, Some(EngineError::Misuse(_))), "{error:?}");
        }
        other => panic!("{other:?}"),
    };
    let mut guest = guest();
    let mut stack = Stack::call(guest.run, &[1]).unwrap();
    let call = top(guest.add, 1);
    misuse(on_top(&mut guest, &mut stack, call));
    assert_eq!(blocked(start(&mut stack, &mut guest.isolate)), "1");
    // Too few words, or a function of another engine.
    let mut call = top(guest.add, 1);
    call.slots.clear();
    let told = blocked(on_top(&mut guest, &mut stack, call));
    assert!(told.contains("fewer slots"), "{told}");
    let mut other = guest_of(&engine(EngineKind::Wasmi));
    let call = top(other.add, 1);
    let told = blocked(on_top(&mut guest, &mut stack, call));
    assert!(told.contains("another engine"), "{told}");
    // More words than it needs are left alone.
    let call = top(guest.none, 8);
    assert_eq!(blocked(on_top(&mut guest, &mut stack, call)), "gave 8");
    blocked(resume(&mut stack, &mut guest.isolate, give(1)));
    done(resume(&mut stack, &mut guest.isolate, give(1)));
    let call = top(guest.add, 1);
    misuse(on_top(&mut guest, &mut stack, call));

    // The interpreter can have another stack.
    let mut stack = started(&mut other);
    let call = top(other.add, 1);
    misuse(on_top(&mut other, &mut stack, call));
    blocked(resume(&mut stack, &mut other.isolate, give(1)));
    done(resume(&mut stack, &mut other.isolate, give(1)));
    assert_eq!(stack.results(), [2]);
}
