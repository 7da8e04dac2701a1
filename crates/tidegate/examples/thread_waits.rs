//! How exactly threads of a program wait, and what a thousand of them need: each waits for so long in `memory.atomic.wait32`, and adds its number to a sum. Then one
//! waits for 10 milliseconds again and again.
//!
//! ```sh
//! cargo run --release -p tidegate --example thread_waits -- 1000 3    # threads, seconds
//! ```

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidegate::module::{FuncType, Module, ModuleLinker, Outcome, Threads, ValType};
use tidegate::scheduler::Scheduler;
use tidegate::{Config, Engine, Result, block_on};

/// The sum is at 0, the number of threads that are left at 4. Nobody notifies those who wait at 8.
const THREADS: &str = r#"(module
    (import "env" "memory" (memory 1 1 shared))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "host" "sum" (func $sum (param i32)))
    (func (export "wasi_thread_start") (param i32 i32)
        (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const NANOSECONDS)))
        (drop (i32.atomic.rmw.add (i32.const 0) (local.get 1)))
        (if (i32.eq (i32.atomic.rmw.sub (i32.const 4) (i32.const 1)) (i32.const 1))
            (then (drop (memory.atomic.notify (i32.const 4) (i32.const 1))))))
    (func (export "_start") (local $n i32) (local $left i32)
        (i32.atomic.store (i32.const 4) (i32.const COUNT))
        (local.set $n (i32.const COUNT))
        (loop $more
            (if (i32.lt_s (call $spawn (local.get $n)) (i32.const 0)) (then unreachable))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (loop $until
            (local.set $left (i32.atomic.load (i32.const 4)))
            (if (local.get $left) (then
                (drop (memory.atomic.wait32 (i32.const 4) (local.get $left) (i64.const -1)))
                (br $until))))
        (call $sum (i32.atomic.load (i32.const 0)))))"#;

const AGAIN: &str = r#"(module
    (import "env" "memory" (memory 1 1 shared))
    (import "host" "tick" (func $tick))
    (func (export "_start") (local $n i32)
        (local.set $n (i32.const 200))
        (loop $more
            (call $tick)
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 10000000)))
            (call $tick)
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

fn main() -> Result<()> {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse::<u32>().ok());
    let count = numbers.next().unwrap_or(1000);
    let time = Duration::from_secs(numbers.next().unwrap_or(3).into());
    let mut config = Config::new();
    config.core().threads = true;
    config.core().interruptible = true;
    let engine = Engine::new(&config)?;

    let text = THREADS
        .replace("NANOSECONDS", &time.as_nanos().to_string())
        .replace("COUNT", &count.to_string());
    let module = Module::new(&engine, text)?;
    let sum = Arc::new(Mutex::new((0, 0)));
    let summed = sum.clone();
    let mut linker = ModuleLinker::new(&engine);
    let takes = FuncType::new([ValType::I32], []);
    linker.func("host", "sum", takes, move |_, slots| {
        *summed.lock().unwrap_or_else(PoisonError::into_inner) = (slots[0], os_threads());
        Ok(Outcome::Done)
    })?;
    let begun = Instant::now();
    run(Threads::new(linker, &module, || ())?)?;
    let took = begun.elapsed();
    let (sum, os_threads) = *sum.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{count} threads that wait for {time:?} each, and add up: {sum} after {took:.3?}, on {os_threads} threads of the system"
    );

    let module = Module::new(&engine, AGAIN)?;
    let ticks = Arc::new(Mutex::new(Vec::new()));
    let ticking = ticks.clone();
    let mut linker = ModuleLinker::new(&engine);
    linker.func("host", "tick", FuncType::default(), move |_, _| {
        let mut ticks = ticking.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.push(Instant::now());
        Ok(Outcome::Done)
    })?;
    // What else the machine does makes these longer as well.
    let bare = std::thread::spawn(|| {
        let sleep = |_| {
            let begun = Instant::now();
            std::thread::sleep(Duration::from_millis(10));
            begun.elapsed()
        };
        (0..200).map(sleep).collect::<Vec<Duration>>()
    });
    run(Threads::new(linker, &module, || ())?)?;
    let ticks = ticks.lock().unwrap_or_else(PoisonError::into_inner);
    let waits = ticks.chunks(2).map(|pair| pair[1] - pair[0]).collect();
    report("waits for 10 ms", waits);
    let sleeps = bare.join().unwrap_or_default();
    report(
        "sleeps of 10 ms by a thread of the system meanwhile",
        sleeps,
    );
    Ok(())
}

fn report(what: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at =
        |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
    println!(
        "{} {what}: {:.3?} (shortest), {:.3?} (median), {:.3?} (99 of 100), {:.3?} (longest)",
        took.len(),
        at(0).unwrap_or(&Duration::ZERO),
        at(50).unwrap_or(&Duration::ZERO),
        at(99).unwrap_or(&Duration::ZERO),
        at(100).unwrap_or(&Duration::ZERO),
    );
}

fn run(program: Threads<()>) -> Result<()> {
    let scheduler = Scheduler::new(2)?;
    let spawning = scheduler.clone();
    let main = scheduler.spawn(program.run(move |thread| drop(spawning.spawn(thread))));
    block_on(main).unwrap_or(Ok(()))
}

fn os_threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}
