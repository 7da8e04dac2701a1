//! Programs of several threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tidegate::module::{FuncType, Module, ModuleLinker, Outcome, Threads, ValType};
use tidegate::scheduler::Scheduler;
use tidegate::{Config, Engine, Limits, Result, Trap, TrapCode, block_on};

fn engine() -> Engine {
    let mut config = Config::new();
    config.core().threads = true;
    config.core().interruptible = true;
    Engine::new(&config).unwrap()
}

/// An error of the host, as WASI's `proc_exit` makes it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("exit {0}")]
struct Exit(u32);

struct Program {
    threads: Threads<()>,
    seen: Arc<AtomicU32>,
}

impl Program {
    /// `body` is what `_start` and `wasi_thread_start` are, and whatever they need.
    fn new(body: &str) -> Self {
        let engine = engine();
        let text = format!(
            r#"(module
                (import "env" "memory" (memory 1 100 shared))
                (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
                (import "host" "exit" (func $exit (param i32)))
                (import "host" "see" (func $see (param i32)))
                (import "host" "never" (func $never (result i32)))
                (func $wait (param $at i32) (param $nanoseconds i64) (result i32)
                    (memory.atomic.wait32 (local.get $at) (i32.const 0) (local.get $nanoseconds)))
                {body}
                (export "memory" (memory 0)))"#
        );
        let module = Module::new(&engine, text).unwrap();
        assert!(module.uses_threads());
        let seen = Arc::new(AtomicU32::new(0));
        let seeing = seen.clone();
        let mut linker = ModuleLinker::new(&engine);
        let takes = || FuncType::new([ValType::I32], []);
        linker
            .func("host", "exit", takes(), |_, slots| {
                Err(Exit(slots[0] as u32).into())
            })
            .unwrap();
        linker
            .func("host", "see", takes(), move |_, slots| {
                seeing.fetch_add(slots[0] as u32, Ordering::SeqCst);
                Ok(Outcome::Done)
            })
            .unwrap();
        linker
            .func_waiting(
                "host",
                "never",
                FuncType::new([], [ValType::I32]),
                |_, _| Ok(Outcome::Wait(Box::pin(std::future::pending()))),
            )
            .unwrap();
        Self {
            threads: Threads::new(linker, &module, || ()).unwrap(),
            seen,
        }
    }

    fn run(self) -> (Result<()>, u32) {
        let scheduler = Scheduler::new(2).unwrap();
        let spawning = scheduler.clone();
        let main = self.threads.run(move |thread| drop(spawning.spawn(thread)));
        let result = block_on(scheduler.spawn(main)).unwrap();
        (result, self.seen.load(Ordering::SeqCst))
    }
}

/// A `wasi_thread_start` of its kind for each way to be busy when the program ends.
const BUSY: [&str; 4] = [
    "(loop $l (br $l))",
    "(drop (call $wait (i32.const 0) (i64.const -1)))",
    "(drop (call $wait (i32.const 0) (i64.const 3600000000000)))",
    "(drop (call $never))",
];

#[test]
fn the_end_of_the_main_thread_is_the_end_of_all() {
    for busy in BUSY {
        for end in ["", "(call $exit (i32.const 7))", "unreachable"] {
            let program = Program::new(&format!(
                r#"(func (export "wasi_thread_start") (param i32 i32)
                    (i32.atomic.store (i32.const 8) (i32.const 1))
                    (drop (memory.atomic.notify (i32.const 8) (i32.const 1)))
                    {busy})
                (func (export "_start")
                    (drop (call $spawn (i32.const 0)))
                    (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))
                    {end})"#
            ));
            check(program.run().0, end);
        }
    }
}

#[test]
fn a_thread_that_ends_the_program_ends_all() {
    for busy in BUSY {
        for end in ["(call $exit (i32.const 7))", "unreachable"] {
            let program = Program::new(&format!(
                r#"(func (export "wasi_thread_start") (param i32 i32) {end})
                (func (export "_start")
                    (drop (call $spawn (i32.const 0)))
                    {busy})"#
            ));
            check(program.run().0, end);
        }
    }
}

fn check(result: Result<()>, end: &str) {
    match end {
        "" => result.unwrap(),
        "unreachable" => {
            let error = result.unwrap_err();
            let trap = error.downcast_ref::<Trap>().unwrap();
            assert_eq!(trap.code, TrapCode::Unreachable);
        }
        _ => assert_eq!(result.unwrap_err().downcast_ref(), Some(&Exit(7))),
    }
}

#[test]
fn a_thread_that_returns_ends_itself_alone_and_numbers_are_its_own() {
    let program = Program::new(
        r#"(func (export "wasi_thread_start") (param $tid i32) (param $arg i32)
            (call $see (i32.mul (local.get $arg) (local.get $tid)))
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
        (func (export "_start") (local $n i32)
            (drop (call $spawn (i32.const 100)))
            (drop (call $wait (i32.const 0) (i64.const -1)))
            (i32.atomic.store (i32.const 0) (i32.const 0))
            (drop (call $spawn (i32.const 1000)))
            (drop (call $wait (i32.const 0) (i64.const -1)))
            (call $see (i32.const 1)))"#,
    );
    let (result, seen) = program.run();
    result.unwrap();
    assert_eq!(seen, 2101);
}

#[test]
fn waits_give_what_they_should() {
    let program = Program::new(
        r#"(func (export "wasi_thread_start") (param i32 i32))
        (func $expect (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
        (func (export "_start")
            (i64.store (i32.const 16) (i64.const 5))
            ;; Another value.
            (call $expect (memory.atomic.wait32 (i32.const 16) (i32.const 4) (i64.const -1)) (i32.const 1))
            (call $expect (memory.atomic.wait64 (i32.const 16) (i64.const 4) (i64.const -1)) (i32.const 1))
            ;; No time, a little time.
            (call $expect (memory.atomic.wait32 offset=8 (i32.const 8) (i32.const 5) (i64.const 0)) (i32.const 2))
            (call $expect (memory.atomic.wait64 (i32.const 16) (i64.const 5) (i64.const 1000000)) (i32.const 2))
            ;; Nobody waits, or any more.
            (call $expect (memory.atomic.notify (i32.const 16) (i32.const -1)) (i32.const 0)))"#,
    );
    program.run().0.unwrap();
}

#[test]
fn bad_addresses_trap() {
    for (instruction, code) in [
        (
            "(drop (memory.atomic.wait32 (i32.const 2) (i32.const 0) (i64.const 0)))",
            TrapCode::UnalignedAtomic,
        ),
        (
            "(drop (memory.atomic.wait64 (i32.const 4) (i64.const 0) (i64.const 0)))",
            TrapCode::UnalignedAtomic,
        ),
        (
            "(drop (memory.atomic.notify (i32.const 1) (i32.const 0)))",
            TrapCode::UnalignedAtomic,
        ),
        (
            "(drop (memory.atomic.wait32 (i32.const 65536) (i32.const 0) (i64.const 0)))",
            TrapCode::MemoryOutOfBounds,
        ),
        (
            "(drop (memory.atomic.notify offset=4294967292 (i32.const -4) (i32.const 0)))",
            TrapCode::MemoryOutOfBounds,
        ),
    ] {
        let program = Program::new(&format!(
            r#"(func (export "wasi_thread_start") (param i32 i32))
            (func (export "_start") {instruction})"#
        ));
        let error = program.run().0.unwrap_err();
        assert_eq!(
            error.downcast_ref::<Trap>().unwrap().code,
            code,
            "{instruction}"
        );
    }
}

#[test]
fn the_memory_grows_while_others_run_and_no_further_than_the_limit() {
    let mut program = Program::new(
        r#"(func (export "wasi_thread_start") (param i32 i32)
            (loop $l
                (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))
                (br_if $l (i32.eqz (i32.atomic.load (i32.const 0)))))
            (call $see (memory.size))
            (i32.atomic.store (i32.const 8) (i32.const 1))
            (drop (memory.atomic.notify (i32.const 8) (i32.const 1))))
        (func (export "_start")
            (drop (call $spawn (i32.const 0)))
            (call $see (i32.mul (i32.const 100) (memory.grow (i32.const 9))))
            (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
            (i32.atomic.store (i32.const 0) (i32.const 1))
            (drop (call $wait (i32.const 8) (i64.const -1))))"#,
    );
    let mut limits = Limits::default();
    limits.isolate.memory_bytes = 10 << 16;
    program.threads = program.threads.limits(limits);
    let (result, seen) = program.run();
    result.unwrap();
    assert_eq!(seen, 110);
}

#[test]
fn threads_that_start_threads_meet_the_limit() {
    let mut program = Program::new(
        r#"(func $more
            (loop $l
                (if (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0))
                    (then (call $see (i32.const 1)) (br $l))))
            ;; There can be no more: the main thread may look.
            (i32.atomic.store (i32.const 0) (i32.const 1))
            (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
            (drop (call $wait (i32.const 4) (i64.const -1))))
        (func (export "wasi_thread_start") (param i32 i32) (call $more))
        (func (export "_start")
            (drop (call $spawn (i32.const 0)))
            (drop (call $wait (i32.const 0) (i64.const -1))))"#,
    );
    program.threads = program.threads.max_threads(50);
    let (result, seen) = program.run();
    result.unwrap();
    // The first was not counted.
    assert_eq!(seen, 48);
}

#[test]
fn many_threads_wait_at_once_and_are_woken_in_order() {
    let program = Program::new(
        r#"(func (export "wasi_thread_start") (param i32 i32)
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (drop (memory.atomic.wait32 (i32.const 4) (i32.const 0) (i64.const -1)))
            (call $see (local.get 1))
            (if (i32.eq (i32.atomic.rmw.sub (i32.const 0) (i32.const 1)) (i32.const 1))
                (then
                    (i32.atomic.store (i32.const 12) (i32.const 1))
                    (drop (memory.atomic.notify (i32.const 12) (i32.const 1))))))
        (func (export "_start") (local $n i32) (local $woken i32)
            (local.set $n (i32.const 300))
            (loop $l
                (drop (call $spawn (local.get $n)))
                (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (loop $until
                (local.set $woken (i32.add (local.get $woken) (memory.atomic.notify (i32.const 4) (i32.const 7))))
                (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const 100000)))
                (br_if $until (i32.lt_u (local.get $woken) (i32.const 300))))
            (drop (memory.atomic.wait32 (i32.const 12) (i32.const 0) (i64.const -1))))"#,
    );
    let (result, seen) = program.run();
    result.unwrap();
    assert_eq!(seen, 300 * 301 / 2);
}

#[test]
fn a_program_ends_from_outside_and_with_its_future() {
    for busy in BUSY {
        let program = || {
            Program::new(&format!(
                r#"(func (export "wasi_thread_start") (param i32 i32) (call $see (i32.const 1)) {busy})
                (func (export "_start") (drop (call $spawn (i32.const 0))) (call $see (i32.const 1)) {busy})"#
            ))
        };
        let ended = program();
        let (handle, seen) = (ended.threads.handle(), ended.seen.clone());
        let asker = std::thread::spawn(move || {
            while seen.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            handle.terminate("enough");
            handle.terminate("too late");
        });
        let error = ended.run().0.unwrap_err();
        assert!(error.is::<tidegate::interrupt::Terminated>(), "{error:#}");
        assert!(error.to_string().contains("enough"));
        asker.join().unwrap();

        let ended = program();
        ended.threads.handle().terminate("before it began");
        let (result, seen) = ended.run();
        result.unwrap_err();
        assert_eq!(seen, 0);
    }
}

#[test]
fn modules_and_engines_without_threads_are_refused() {
    let engine = engine();
    let module = Module::new(&engine, "(module)").unwrap();
    assert!(!module.uses_threads());
    assert!(Threads::new(ModuleLinker::<()>::new(&engine), &module, || ()).is_err());

    let text = r#"(module (import "env" "memory" (memory 3 3 shared)))"#;
    let mut config = Config::new();
    config.core().threads = true;
    let rigid = Engine::new(&config).unwrap();
    let module = Module::new(&rigid, text).unwrap();
    let error = Threads::new(ModuleLinker::<()>::new(&rigid), &module, || ())
        .err()
        .unwrap();
    assert!(error.to_string().contains("interruptible"), "{error:#}");

    let module = Module::new(&engine, text).unwrap();
    let mut limits = Limits::default();
    limits.isolate.memory_bytes = 2 << 16;
    let threads = Threads::new(ModuleLinker::<()>::new(&engine), &module, || ())
        .unwrap()
        .limits(limits);
    let error = block_on(threads.run(|_| {})).unwrap_err();
    assert!(
        error.to_string().contains("the limit is 131072 bytes"),
        "{error:#}"
    );
}

#[test]
fn storms_of_notifications_lose_nobody() {
    // Two threads take turns, each waiting for ever until the other notifies it, while two others notify both of them all the time.
    let program = Program::new(
        r#"(func $player (param $mine i32) (param $other i32) (local $n i32)
            (local.set $n (i32.const 2000))
            (loop $turn
                (loop $until
                    (drop (memory.atomic.wait32 (local.get $mine) (i32.const 0) (i64.const -1)))
                    (br_if $until (i32.eqz (i32.atomic.load (local.get $mine)))))
                (i32.atomic.store (local.get $mine) (i32.const 0))
                (i32.atomic.store (local.get $other) (i32.const 1))
                (drop (memory.atomic.notify (local.get $other) (i32.const -1)))
                (br_if $turn (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (call $see (i32.const 1))
            (drop (i32.atomic.rmw.add (i32.const 24) (i32.const 1)))
            (drop (memory.atomic.notify (i32.const 24) (i32.const 1))))
        (func $storm
            (loop $l
                (drop (memory.atomic.notify (i32.const 8) (i32.const 1)))
                (drop (memory.atomic.notify (i32.const 16) (i32.const -1)))
                (br $l)))
        (func (export "wasi_thread_start") (param i32) (param $kind i32)
            (if (i32.eqz (local.get $kind)) (then (call $storm)))
            (if (i32.eq (local.get $kind) (i32.const 1))
                (then (call $player (i32.const 8) (i32.const 16)))
                (else (call $player (i32.const 16) (i32.const 8)))))
        (func (export "_start") (local $n i32)
            (i32.atomic.store (i32.const 8) (i32.const 1))
            (drop (call $spawn (i32.const 0)))
            (drop (call $spawn (i32.const 0)))
            (drop (call $spawn (i32.const 1)))
            (drop (call $spawn (i32.const 2)))
            (loop $until
                (local.set $n (i32.atomic.load (i32.const 24)))
                (if (i32.ne (local.get $n) (i32.const 2)) (then
                    (drop (memory.atomic.wait32 (i32.const 24) (local.get $n) (i64.const -1)))
                    (br $until)))))"#,
    );
    let (result, seen) = program.run();
    result.unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn a_million_addresses_are_notified_and_looked_at() {
    let program = Program::new(
        r#"(func (export "wasi_thread_start") (param i32 i32))
        (func (export "_start") (local $at i32)
            (if (i32.eq (memory.grow (i32.const 63)) (i32.const -1)) (then unreachable))
            (loop $more
                (if (memory.atomic.notify (local.get $at) (i32.const -1)) (then unreachable))
                (if (i32.ne (memory.atomic.wait32 (local.get $at) (i32.const 1) (i64.const -1)) (i32.const 1))
                    (then unreachable))
                (br_if $more (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (i32.const 4000000)))))"#,
    );
    program.run().0.unwrap();
}

#[test]
fn an_ended_program_leaves_nothing_behind() {
    let engine = engine();
    let text = r#"(module
        (import "env" "memory" (memory 1 1 shared))
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (func (export "wasi_thread_start") (param i32 i32)
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (drop (memory.atomic.wait32 (i32.const 4) (i32.const 0) (i64.const -1))))
        (func (export "_start") (local $n i32)
            (local.set $n (i32.const 100))
            (loop $more
                (drop (call $spawn (i32.const 0)))
                (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (loop $until (br_if $until (i32.lt_u (i32.atomic.load (i32.const 0)) (i32.const 50))))))"#;
    let module = Module::new(&engine, text).unwrap();
    let held = Arc::new(());
    let holding = held.clone();
    let program = Threads::new(ModuleLinker::new(&engine), &module, move || holding.clone());
    let scheduler = Scheduler::new(2).unwrap();
    let spawning = scheduler.clone();
    let main = program
        .unwrap()
        .run(move |thread| drop(spawning.spawn(thread)));
    block_on(scheduler.spawn(main)).unwrap().unwrap();
    drop(scheduler);
    // Whoever polled a thread last may be about to drop it.
    while Arc::strong_count(&held) > 1 {
        std::thread::yield_now();
    }
}
