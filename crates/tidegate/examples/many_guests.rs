//! Many guests on few threads: thousands that wait and cost no time, and thousands that compute and get their share.
//!
//! ```sh
//! cargo run --release -p tidegate --example many_guests -- waiting 10000 10    # guests, seconds
//! cargo run --release -p tidegate --example many_guests -- computing 1000 10
//! ```
//!
//! Add `wasmi` for the interpreter, `pooling` for compiled code whose guests share a few large mappings.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidegate::module::{FuncType, Module, ModuleLinker, Outcome};
use tidegate::scheduler::Scheduler;
use tidegate::{Config, Engine, EngineKind, Result, Store, Strategy, block_on, timer};
use tidegate_engine::Pooling;

const WAITING: &str = r#"(module
    (import "host" "wait" (func $wait))
    (memory (export "memory") 1)
    (func (export "run") (i32.store (i32.const 0) (i32.const 1)) (call $wait)))"#;

const COMPUTING: &str = r#"(module
    (import "host" "wait" (func $wait))
    (func (export "run") (loop $l (br $l))))"#;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default| {
        words
            .get(index)
            .and_then(|word| word.parse().ok())
            .unwrap_or(default)
    };
    let has = |word: &str| words.iter().any(|given| given == word);
    let computing = has("computing");
    let guests = number(1, 1000usize);
    let seconds = Duration::from_secs(number(2, 10) as u64);

    let mut config = Config::new();
    if has("wasmi") {
        config.strategy(Strategy::Always(EngineKind::Wasmi));
    }
    config.core().epoch_interruption = computing;
    // A guest of a thousand gets 20 milliseconds of 10 seconds on two threads: slices are to be much shorter than that.
    config.time_slice(Some(Duration::from_micros(500)));
    if has("pooling") {
        let count = u32::try_from(guests)? + 10;
        // Memories of 64 KiB in slots of 1 MiB, without room for guard pages: bounds are checked by code.
        config.core().memory_reservation = Some(1 << 20);
        config.core().pooling = Some(Pooling {
            instances: count,
            memories: count,
            tables: 10,
            stacks: count,
            max_memory_bytes: 1 << 20,
            ..Pooling::default()
        });
    }
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, if computing { COMPUTING } else { WAITING })?;
    let gate = Arc::new(AtomicBool::new(false));
    let waiting = Arc::new(AtomicU64::new(0));
    let count = waiting.clone();
    let mut linker = ModuleLinker::<()>::new(&engine);
    linker.func_waiting("host", "wait", FuncType::default(), move |_, _| {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Outcome::Wait(Box::pin(std::future::pending())))
    })?;
    let linker = Arc::new(linker);
    let scheduler = Scheduler::new(2)?;
    let before = (resident(), Instant::now());
    let mut handles = Vec::with_capacity(guests);
    let mut tasks = Vec::with_capacity(guests);
    for _ in 0..guests {
        let mut store = Store::new(&engine, ());
        handles.push(store.interrupt_handle());
        let (linker, module, gate) = (linker.clone(), module.clone(), gate.clone());
        tasks.push(scheduler.spawn(async move {
            let instance = linker.instantiate_async(&mut store, &module).await?;
            while computing && !gate.load(Ordering::Acquire) {
                timer::sleep(Duration::from_millis(1)).await;
            }
            match instance.get_func(&mut store, "run") {
                Some(run) => run.call_async(&mut store, &mut []).await,
                None => Ok(()),
            }
        }));
    }
    if computing {
        std::thread::sleep(Duration::from_secs(1));
        gate.store(true, Ordering::Release);
        std::thread::sleep(Duration::from_millis(50));
        let begun: Vec<Duration> = handles
            .iter()
            .map(|handle| handle.processor_time())
            .collect();
        std::thread::sleep(seconds);
        let used: Vec<f64> = handles
            .iter()
            .zip(begun)
            .map(|(handle, begun)| (handle.processor_time() - begun).as_secs_f64() * 1e3)
            .collect();
        shares(used);
    } else {
        while waiting.load(Ordering::Relaxed) < guests as u64 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let made = before.1.elapsed();
        let each = resident().saturating_sub(before.0) / guests as u64;
        let (threads, begun) = (status("Threads"), processor_time());
        std::thread::sleep(seconds);
        println!(
            "{guests} guests that wait, made in {made:?}: {each} bytes each, {threads} threads of the system; {} ticks of processor time in {seconds:?}",
            processor_time() - begun
        );
    }
    for handle in &handles {
        handle.terminate("measured");
    }
    for task in tasks {
        let _ = block_on(task);
    }
    Ok(())
}

fn shares(mut used: Vec<f64>) {
    used.sort_by(f64::total_cmp);
    let mean = used.iter().sum::<f64>() / used.len() as f64;
    let (least, most) = (used.first().unwrap_or(&0.0), used.last().unwrap_or(&0.0));
    println!(
        "{} guests that compute: {mean:.2} ms each; least {least:.2} ({:+.1} %), most {most:.2} ({:+.1} %)",
        used.len(),
        (least / mean - 1.0) * 100.0,
        (most / mean - 1.0) * 100.0,
    );
}

/// Bytes of this process in memory.
fn resident() -> u64 {
    status("VmRSS") * 1024
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// Ticks of processor time that this process had, a hundred a second.
fn processor_time() -> u64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, which may hold anything, ends with the last bracket.
    let fields = text.rsplit(')').next().unwrap_or_default();
    let times = fields.split_whitespace().skip(11).take(2);
    times.filter_map(|time| time.parse::<u64>().ok()).sum()
}
