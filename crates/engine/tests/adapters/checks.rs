//! Checks in code that computes: they stop everything that goes on for ever, and change nothing else.

use std::fmt::Write;
use std::num::NonZeroU32;

use tidegate_engine::{
    Engine, EngineConfig, EngineKind, ExternType, Isolate, Module, Pooling, Stack, Step, Trap,
    TrapCode,
};

use crate::support::*;

fn interruptible(kind: EngineKind) -> Engine {
    Engine::new(&EngineConfig {
        interruptible: true,
        ..EngineConfig::new(kind)
    })
    .unwrap()
}

/// Code that does not end, in a function without parameters.
const FOR_EVER: [&str; 17] = [
    "(func (export \"f\") (loop $l (br $l)))",
    "(func (export \"f\") (loop $l (br_if $l (i32.const 1))))",
    "(func (export \"f\") (local i32)
        (loop $l (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br $l)))",
    "(func (export \"f\") (local i64)
        (loop $l (local.set 0 (i64.sub (local.get 0) (i64.const 24))) (br $l)))",
    "(func (export \"f\") (local i32 i32)
        (loop $l
            (local.set 0 (i32.add (local.get 0) (i32.const 1)))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (local.set 1 (i32.xor (local.get 1) (i32.const 1)))
            (br $l)))",
    // A change of which no bit is ever zero but those that never change.
    "(func (export \"f\") (local i32)
        (local.set 0 (i32.const -1))
        (loop $l (local.set 0 (i32.add (local.get 0) (i32.const 0x40000000))) (br $l)))",
    "(func (export \"f\") (local i32)
        (block $a (loop $l (br_table $l $l (local.tee 0 (i32.add (local.get 0) (i32.const 1)))))))",
    "(func (export \"f\")
        (i32.const 1) (loop $l (param i32) (result i32) (br $l)) (drop))",
    "(func (export \"f\") (loop $a (loop $b (block $c (br_if $b (i32.const 0)) (br $a)))))",
    "(func (export \"f\") (drop (loop $l (result i32) (br_if $l (i32.const 1)) (i32.const 2))))",
    "(func $f (export \"f\") (return_call $g)) (func $g (return_call $f))",
    "(type $t (func)) (table funcref (elem $f))
        (func $f (export \"f\") (return_call_indirect (type $t) (i32.const 0)))",
    "(type $t (func)) (table (export \"t\") funcref (elem $f))
        (func $f (export \"f\") (return_call_indirect (type $t) (i32.const 0)))",
    // Not for ever, but longer than anybody waits.
    "(func $f (export \"f\") (call $g (i32.const 60)))
        (func $g (param i32)
            (if (local.get 0) (then
                (call $h (i32.sub (local.get 0) (i32.const 1)))
                (call $h (i32.sub (local.get 0) (i32.const 1))))))
        (func $h (param i32) (call $g (local.get 0)))",
    "(type $t (func (param i32))) (table funcref (elem $g))
        (func $f (export \"f\") (call $g (i32.const 60)))
        (func $g (param i32)
            (if (local.get 0) (then
                (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
                (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))",
    "(tag $e)
        (func (export \"f\") (loop $l
            (block $c (try_table (catch $e $c) (throw $e)))
            (br $l)))",
    "(tag $e)
        (func (export \"f\") (loop $l (try_table (catch $e $l) (throw $e))))",
];

/// Loops that are written several times, in a function that takes two numbers, has two more, and gives one.
const SMALL_LOOPS: [&str; 10] = [
    "(loop $l
        (local.set 2 (i32.add (local.get 2) (i32.const 3)))
        (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))
    (local.get 2)",
    // Left by a branch to a block, and to the function.
    "(block $out (loop $l
        (br_if $out (i32.eqz (local.get 0)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (br $l)))
    (local.get 2)",
    "(loop $l
        (if (i32.eqz (local.get 0)) (then (return (local.get 2))))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (local.set 2 (i32.xor (local.get 2) (local.get 0)))
        (br $l))
    unreachable",
    "(loop $l
        (br_if 1 (local.get 2) (i32.eqz (local.get 0)))
        (drop)
        (local.set 0 (i32.shr_u (local.get 0) (i32.const 1)))
        (br $l))
    unreachable",
    // With a result.
    "(loop $l (result i32)
        (br_if $l (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (local.get 1))) (i32.const 0)))
        (local.get 0))
    (i32.add (i32.const 7))",
    // With blocks in it, and branches to all of them.
    "(block $b (loop $l
        (block $a (br_table $b $a $b $a (i32.and (local.get 0) (i32.const 3))))
        (br_if $l (i32.and (local.tee 0 (i32.shr_u (local.get 0) (i32.const 2))) (i32.const 1)))))
    (local.get 0)",
    "(loop $l
        (if (i32.and (local.get 0) (i32.const 1))
            (then (local.set 2 (i32.add (local.get 2) (local.get 1))))
            (else (br_if $l (local.tee 0 (i32.shr_u (local.get 0) (i32.const 1))))))
        (br_if $l (local.tee 0 (i32.shr_u (local.get 0) (i32.const 1)))))
    (local.get 2)",
    // Within another, that it goes on with.
    "(loop $m
        (loop $l
            (br_if $l (i32.lt_u (local.tee 2 (i32.add (local.get 2) (local.get 1))) (local.get 0)))
            (br_if $m (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 0)))))
    (local.get 2)",
    // Not left by its end, or not at all but by a branch.
    "(block $out (loop $l (br_if $out (i32.eqz (local.get 0)))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br $l)) unreachable)
    (local.get 0)",
    "(loop $l
        (local.set 3 (i64.add (local.get 3) (i64.const 24)))
        (br_if $l (i64.lt_u (local.get 3) (i64.extend_i32_u (local.get 0)))))
    (i32.wrap_i64 (local.get 3))",
];

fn is_interrupted(step: Step<String>) {
    let error = failed(step);
    let trap = error.downcast_ref::<Trap>().unwrap();
    assert_eq!(trap.code, TrapCode::Interrupted);
}

/// Starts something with a request to yield, has it go on with another, and ends it.
fn stop(mut stack: Stack<Log>, mut isolate: Isolate<Log>) {
    let handle = isolate.interrupt_handle().unwrap();
    let mut isolate = Some(isolate);
    for _ in 0..3 {
        handle.ask_yield();
        assert!(matches!(start(&mut stack, &mut isolate), Step::Yielded));
        assert!(!handle.is_pending());
    }
    handle.interrupt();
    is_interrupted(start(&mut stack, &mut isolate));
    assert!(isolate.is_some());
}

both! {
    fn whatever_goes_on_for_ever_is_stopped(kind) {
        let engine = interruptible(kind);
        for text in FOR_EVER {
            let module = module(&engine, &format!("(module {text})"));
            let mut isolate = isolate(&engine);
            if module.uses_exceptions() {
                isolate.enable_exceptions();
            }
            let instance = instantiate(&mut isolate, &module, &[]);
            let f = func(&mut isolate.cx(), instance, "f");
            stop(Stack::call(f, &[]).unwrap(), isolate);
        }
    }

    fn memories_of_any_reservation_will_do(kind) {
        let engine = Engine::new(&EngineConfig {
            interruptible: true,
            memory_reservation: Some(64 << 10),
            memory_guard: Some(0),
            pooling: Some(Pooling {
                instances: 10,
                memories: 10,
                tables: 10,
                stacks: 10,
                max_memory_bytes: 64 << 10,
                ..Pooling::default()
            }),
            ..EngineConfig::new(kind)
        })
        .unwrap();
        let module = module(&engine, "(module (memory 1) (func (export \"f\") (loop $l (br $l))))");
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let f = func(&mut isolate.cx(), instance, "f");
        stop(Stack::call(f, &[]).unwrap(), isolate);
    }

    fn start_functions_that_go_on_for_ever_are_stopped(kind) {
        let engine = interruptible(kind);
        let module = module(&engine, "(module (func $f (loop $l (br $l))) (start $f))");
        stop(Stack::instantiate(&module, &[]), isolate(&engine));
    }

    fn calls_that_double_are_stopped_though_none_comes_round(kind) {
        let engine = interruptible(kind);
        let mut text = String::from("(module");
        for number in 0..60 {
            write!(text, "(func $f{number} (call $f{0}) (call $f{0}))", number + 1).unwrap();
        }
        text += "(func $f60) (export \"f\" (func $f0)))";
        let module = module(&engine, &text);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let f = func(&mut isolate.cx(), instance, "f");
        stop(Stack::call(f, &[]).unwrap(), isolate);
    }

    fn guests_that_the_host_calls_again_and_again_are_stopped(kind) {
        if kind == EngineKind::Wasmi {
            // It looks by the clock, in calls that take as long as that.
            return;
        }
        let engine = interruptible(kind);
        let module = module(&engine, r#"(module
            (import "h" "again" (func $again (param i32) (result i32)))
            (func (export "f") (param i32) (result i32)
                (if (i32.eqz (local.get 0)) (then (return (i32.const 1))))
                (i32.add
                    (call $again (i32.sub (local.get 0) (i32.const 1)))
                    (call $again (i32.sub (local.get 0) (i32.const 1))))))"#);
        let mut isolate = isolate(&engine);
        let handle = isolate.interrupt_handle().unwrap();
        let count = std::sync::atomic::AtomicU32::new(0);
        let asking = handle.clone();
        let own = std::sync::Arc::new(std::sync::OnceLock::new());
        let called = own.clone();
        let again = isolate
            .cx()
            .host_func(i32_to_i32(), Box::new(move |mut cx, slots| {
                if count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1000 {
                    asking.interrupt();
                }
                cx.call(*called.get().unwrap(), slots)
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[again.into()]);
        let f = func(&mut isolate.cx(), instance, "f");
        own.set(f).unwrap();
        let error = isolate.cx().call(f, &mut [30]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::Interrupted);
        assert!(!handle.is_pending());
    }

    fn nothing_that_checks_add_is_to_be_seen(kind) {
        if kind == EngineKind::Wasmi {
            // It has fuel instead, and tells no frames.
            return;
        }
        let engine = interruptible(kind);
        let module = module(&engine, r#"(module $named
            (import "h" "f" (func $f))
            (import "h" "m" (memory 1))
            (memory (export "own") 2)
            (func (export "trap") (call $deep))
            (func $deep (loop $l (br_if $l (i32.const 0))) unreachable)
            (func (export "forever") (local i32)
                (loop $l (local.set 0 (i32.add (local.get 0) (i32.const 1))) (br $l))))"#);
        assert_eq!(module.name(), Some("named"));
        assert_eq!(module.imports().len(), 2);
        let names: Vec<_> = module.exports().iter().map(|export| export.name.as_str()).collect();
        assert_eq!(names, ["own", "trap", "forever"]);
        assert!(matches!(&module.exports()[0].ty, ExternType::Memory(ty) if ty.minimum == 2));
        let mut isolate = isolate(&engine);
        let mut cx = isolate.cx();
        let host = cx.host_func(tidegate_engine::FuncType::default(), Box::new(|_, _| Ok(()))).unwrap();
        let outer = self::module(&engine, r#"(module (memory (export "m") 1))"#);
        let outer = cx.instantiate(&outer, &[]).unwrap();
        let memory = cx.export(outer, "m").unwrap();
        let instance = cx.instantiate(&module, &[host.into(), memory]).unwrap();
        let error = call(&mut isolate, instance, "trap", &[]).unwrap_err();
        let trap = error.downcast_ref::<Trap>().unwrap();
        assert_eq!(trap.code, TrapCode::Unreachable);
        let frames: Vec<_> = trap.frames.iter().map(|frame| (frame.func_index, frame.func_name.as_deref())).collect();
        assert_eq!(frames, [(2, Some("deep")), (1, None)]);
        let handle = isolate.interrupt_handle().unwrap();
        let forever = func(&mut isolate.cx(), instance, "forever");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(forever, &[]).unwrap();
        handle.ask_yield();
        assert!(matches!(start(&mut stack, &mut isolate), Step::Yielded));
        let frames: Vec<_> = stack.take_frames().iter().map(|frame| frame.func_index).collect();
        assert_eq!(frames, [3]);
    }

    fn artifacts_with_and_without_checks_are_told_apart(kind) {
        let plain = engine(kind);
        let checked = Engine::new(&EngineConfig {
            trust_artifacts: true,
            interruptible: true,
            ..EngineConfig::new(kind)
        })
        .unwrap();
        let text = "(module (func (export \"f\") (loop $l (br $l))))";
        let bytes = module(&checked, text).serialize().unwrap();
        if kind == EngineKind::Wasmtime {
            assert_ne!(plain.compatibility(), checked.compatibility());
            assert!(Module::deserialize(&plain, &bytes).is_err());
            assert!(Module::deserialize(&checked, &module(&plain, text).serialize().unwrap()).is_err());
        }
        let module = Module::deserialize(&checked, &bytes).unwrap();
        assert!(module.imports().is_empty());
        let mut isolate = isolate(&checked);
        let instance = instantiate(&mut isolate, &module, &[]);
        let f = func(&mut isolate.cx(), instance, "f");
        stop(Stack::call(f, &[]).unwrap(), isolate);
    }

    fn code_of_every_shape_gives_the_same_with_checks(kind) {
        let (plain, checked) = (engine(kind), interruptible(kind));
        for seed in 0..20 {
            let text = Shapes::module(seed);
            let calls = [[0, 0], [5, 3], [1000, 77]];
            let results = [None, Some(1), Some(7)].map(|yield_every| {
                let engine = if yield_every.is_some() { &checked } else { &plain };
                results(engine, &text, "f0", yield_every, calls)
            });
            assert_eq!(results[0], results[1], "seed {seed}: {text}");
            assert_eq!(results[0], results[2], "seed {seed}: {text}");
        }
    }

    fn small_loops_do_what_they_did(kind) {
        let (plain, checked) = (engine(kind), interruptible(kind));
        for (number, body) in SMALL_LOOPS.iter().enumerate() {
            let text = format!(
                "(module (memory 1) (func (export \"f\") (param i32 i32) (result i32) (local i32 i64) {body}))"
            );
            let turns = (0..12).chain([1000, 1001]);
            let calls: Vec<_> = turns.flat_map(|turns| [[turns, 3], [turns, 5]]).collect();
            let results = [None, Some(1), Some(3)].map(|yield_every| {
                let engine = if yield_every.is_some() { &checked } else { &plain };
                results(engine, &text, "f", yield_every, calls.iter().copied())
            });
            assert_eq!(results[0], results[1], "{number}: {body}");
            assert_eq!(results[0], results[2], "{number}: {body}");
        }
    }

    fn shared_memories_are_refused_without_threads(kind) {
        let bytes = wat::parse_str("(module (memory 1 1 shared))").unwrap();
        assert!(Module::new(&interruptible(kind), &bytes).is_err());
    }
}

/// What a function gives in calls with these arguments, if it yields at every so many opportunities and is gone on with.
fn results(
    engine: &Engine,
    text: &str,
    name: &str,
    yield_every: Option<u32>,
    calls: impl IntoIterator<Item = [u64; 2]>,
) -> Vec<Vec<u64>> {
    let module = module(engine, text);
    let mut isolate = isolate(engine);
    if let Some(every) = yield_every.and_then(NonZeroU32::new) {
        isolate.yield_every(every).unwrap();
    }
    let instance = instantiate(&mut isolate, &module, &[]);
    let f = func(&mut isolate.cx(), instance, name);
    let mut isolate = Some(isolate);
    let call = |args: [u64; 2]| {
        let mut stack = Stack::call(f, &args).unwrap();
        loop {
            match start(&mut stack, &mut isolate) {
                Step::Yielded => {}
                Step::Done(Ok(())) => return stack.results().to_vec(),
                other => panic!("{other:?} of {args:?}: {text}"),
            }
        }
    };
    calls.into_iter().map(call).collect()
}

/// Code of random shapes that ends: each loop has a local that counts its turns.
struct Shapes {
    random: u64,
    text: String,
    /// Loops so far in the function.
    loops: usize,
    /// How many blocks are open, and which of them are loops that may be gone on with.
    open: Vec<Option<usize>>,
    functions: usize,
}

/// Locals of a function that statements use; those that count turns come after.
const LOCALS: usize = 4;
const FUNCTIONS: usize = 5;

impl Shapes {
    fn module(seed: u64) -> String {
        let mut shapes = Self {
            random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            text: String::from(
                "(module (memory 1) (global $g (mut i32) (i32.const 0))
                (type $t (func (param i32 i32) (result i32)))
                (table funcref (elem",
            ),
            loops: 0,
            open: Vec::new(),
            functions: 0,
        };
        for number in 0..FUNCTIONS {
            write!(shapes.text, " $f{number}").unwrap();
        }
        shapes.text += "))";
        for number in 0..FUNCTIONS {
            shapes.function(number);
        }
        shapes.text + ")"
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % bound
    }

    fn function(&mut self, number: usize) {
        (self.loops, self.functions) = (0, number);
        let before = std::mem::take(&mut self.text);
        self.statements(4);
        let body = std::mem::replace(&mut self.text, before);
        let locals = "i32 ".repeat(2 + self.loops);
        write!(
            self.text,
            "(func $f{number} (export \"f{number}\") (param i32 i32) (result i32) (local {locals}) {body}
            (i32.xor (i32.add (local.get 0) (local.get 2)) (i32.add (local.get 3) (global.get $g))))"
        )
        .unwrap();
    }

    fn statements(&mut self, depth: usize) {
        for _ in 0..=self.below(4) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        let local = self.below(LOCALS);
        match self.below(if depth == 0 { 5 } else { 11 }) {
            0 | 1 => {
                let (by, sign) = (self.below(9), ["add", "sub", "xor"][self.below(3)]);
                write!(
                    self.text,
                    "(local.set {local} (i32.{sign} (local.get {local}) (i32.const {by})))"
                )
                .unwrap();
            }
            2 => {
                let (a, b) = (self.below(LOCALS), self.below(LOCALS));
                write!(self.text, "(local.set {local} (i32.mul (local.get {a}) (i32.add (local.get {b}) (i32.const 3))))").unwrap();
            }
            3 => {
                let other = self.below(LOCALS);
                write!(
                    self.text,
                    "(i32.store (i32.and (local.get {local}) (i32.const 1020)) (local.get {other}))
                    (global.set $g (i32.load (i32.and (local.get {other}) (i32.const 1020))))"
                )
                .unwrap();
            }
            4 => self.branch(local),
            5 => {
                self.text += "(block ";
                self.within(None, depth);
            }
            6 => {
                write!(
                    self.text,
                    "(if (i32.and (local.get {local}) (i32.const 1)) (then "
                )
                .unwrap();
                self.within(None, depth);
                self.text += "(else ";
                self.within(None, depth);
                self.text += ")";
            }
            7 if self.may_call() => {
                let callee = self.functions + 1 + self.below(FUNCTIONS - self.functions - 1);
                write!(
                    self.text,
                    "(local.set {local} (call $f{callee} (local.get 0) (local.get {local})))"
                )
                .unwrap();
            }
            8 if self.may_call() => {
                let callee = self.functions + 1 + self.below(FUNCTIONS - self.functions - 1);
                write!(self.text, "(local.set {local} (call_indirect (type $t) (local.get 1) (local.get {local}) (i32.const {callee})))").unwrap();
            }
            _ => {
                let (number, turns) = (self.loops, self.below(20));
                self.loops += 1;
                let counter = LOCALS + number;
                write!(
                    self.text,
                    "(local.set {counter} (i32.const {turns})) (loop "
                )
                .unwrap();
                self.within(Some(counter), depth);
            }
        }
    }

    /// In loops only the last function is called, so that everything ends soon.
    fn may_call(&self) -> bool {
        let callees = FUNCTIONS - 1 - self.functions;
        callees == 1 || (callees > 1 && self.open.iter().all(Option::is_none))
    }

    fn within(&mut self, counter: Option<usize>, depth: usize) {
        self.open.push(counter);
        self.statements(depth - 1);
        if let Some(counter) = counter {
            self.go_on(counter, 0);
        }
        self.open.pop();
        self.text += ")";
    }

    /// Out of a block, or on with a loop that has turns left.
    fn branch(&mut self, local: usize) {
        if self.open.is_empty() {
            return;
        }
        let depth = self.below(self.open.len());
        let target = self.open[self.open.len() - 1 - depth];
        match target {
            Some(counter) => self.go_on(counter, depth),
            None if self.below(2) == 0 => write!(
                self.text,
                "(br_if {depth} (i32.lt_u (local.get {local}) (i32.const 9)))"
            )
            .unwrap(),
            None => write!(
                self.text,
                "(block (br_table 0 {0} 0 (i32.and (local.get {local}) (i32.const 3))))",
                depth + 1
            )
            .unwrap(),
        }
    }

    fn go_on(&mut self, counter: usize, depth: usize) {
        write!(
            self.text,
            "(br_if {depth} (i32.gt_s (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1))) (i32.const 0)))"
        )
        .unwrap();
    }
}
