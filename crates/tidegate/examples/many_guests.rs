//! Many guests on few threads: thousands that wait and cost no time, and thousands that compute and get their share.
//!
//! ```sh
//! cargo run --release -p tidegate --example many_guests -- waiting 10000 10    # guests, seconds
//! cargo run --release -p tidegate --example many_guests -- computing 1000 10
//! ```
//!
//! Words that may follow: `callback` for guests that wait in a callback, rather than on a stack of their own; `wasmi` for the interpreter; `pooling` for compiled
//! code whose guests share a few large mappings. Linux allows a process 65,530 mappings unless told otherwise (`sysctl vm.max_map_count`); how many there are is
//! printed.

use rustix::time::{ClockId, clock_gettime};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidegate::interrupt::InterruptHandle;
use tidegate::module::{FuncType, Module, ModuleLinker, Outcome};
use tidegate::scheduler::{JoinHandle, Scheduler};
use tidegate::{Component, Config, Engine, EngineKind, Linker, Result, Store, Strategy, block_on};
use tidegate_engine::Pooling;

/// A guest of a thousand gets 20 milliseconds of 10 seconds on two threads: slices are to be much shorter than that.
const SLICE: Duration = Duration::from_micros(500);

/// Each guest that waits has a memory of one page.
const MEMORY: usize = 64 << 10;

/// Waits on its stack, having used its memory.
const WAITING: &str = r#"(module
    (import "host" "wait" (func $wait))
    (memory (export "memory") 1)
    (func (export "run")
        (i32.store (i32.const 0) (i32.const 1))
        (loop $l (call $wait) (br $l))))"#;

/// Waits in a callback, for a function of the host.
const CALLBACK: &str = r#"(component
    (import "wait" (func $wait async))
    (core func $wait (canon lower (func $wait) async))
    (core func $set-new (canon waitable-set.new))
    (core func $join (canon waitable.join))
    (core module $m
        (import "" "wait" (func $wait (result i32)))
        (import "" "set-new" (func $set-new (result i32)))
        (import "" "join" (func $join (param i32 i32)))
        (memory 1)
        (func (export "run") (result i32) (local $set i32)
            (i32.store (i32.const 0) (i32.const 1))
            (local.set $set (call $set-new))
            (call $join (i32.shr_u (call $wait) (i32.const 4)) (local.get $set))
            (i32.or (i32.const 2) (i32.shl (local.get $set) (i32.const 4))))
        (func (export "woken") (param i32 i32 i32) (result i32) unreachable))
    (core instance $m (instantiate $m (with "" (instance
        (export "wait" (func $wait)) (export "set-new" (func $set-new)) (export "join" (func $join))))))
    (func (export "run") async (canon lift (core func $m "run") async (callback (func $m "woken")))))"#;

const COMPUTING: &str = r#"(module
    (import "host" "wait" (func $wait))
    (func (export "run") (loop $l (br $l))))"#;

/// What is asked for on the command line.
struct Options {
    computing: bool,
    callback: bool,
    guests: usize,
    time: Duration,
    config: Config,
}

impl Options {
    fn read() -> Result<Self> {
        let words: Vec<String> = std::env::args().skip(1).collect();
        let has = |word: &str| words.iter().any(|given| given == word);
        let mut numbers = words.iter().filter_map(|word| word.parse::<usize>().ok());
        let guests = numbers.next().unwrap_or(1000);
        let time = Duration::from_secs(numbers.next().unwrap_or(10) as u64);
        let mut config = Config::new();
        if has("wasmi") {
            config.strategy(Strategy::Always(EngineKind::Wasmi));
        }
        config.core().interruptible = has("computing");
        config.time_slice(Some(SLICE));
        if has("pooling") {
            let count = u32::try_from(guests)? + 10;
            // Memories that have no room to grow, and no guard: bounds are checked by code, and those of neighbours are one mapping. Small stacks lie close together, so
            // that many share a page of the system's tables.
            config.core().memory_reservation = Some(MEMORY as u64);
            config.core().memory_guard = Some(0);
            config.core().max_wasm_stack = 64 << 10;
            config.core().native_stack = 448 << 10;
            config.core().pooling = Some(Pooling {
                instances: count,
                memories: count,
                tables: 10,
                stacks: count,
                max_memory_bytes: MEMORY,
                ..Pooling::default()
            });
        }
        Ok(Self {
            computing: has("computing"),
            callback: has("callback"),
            guests,
            time,
            config,
        })
    }
}

fn main() -> Result<()> {
    let options = Options::read()?;
    let engine = Engine::new(&options.config)?;
    let scheduler = Scheduler::new(2)?;
    match options.computing {
        true => compute(&options, &engine, &scheduler),
        false => wait(&options, &engine, &scheduler),
    }
}

type Task = JoinHandle<Result<()>>;

/// Has guests wait, and says what that costs.
fn wait(options: &Options, engine: &Engine, scheduler: &Scheduler) -> Result<()> {
    let waiting = Arc::new(AtomicU64::new(0));
    let before = (memory(), Instant::now());
    let guests: Vec<(InterruptHandle, Task)> = match options.callback {
        true => callbacks(engine, scheduler, options.guests, &waiting)?,
        false => stacks(engine, scheduler, options.guests, &waiting)?,
    };
    while waiting.load(Ordering::Relaxed) < options.guests as u64 {
        if guests.iter().any(|(_, task)| task.is_over()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let made = before.1.elapsed();
    // Those that began last are on their way to where they wait.
    std::thread::sleep(Duration::from_millis(100));
    let each = memory().saturating_sub(before.0) / options.guests as u64;
    let (threads, mappings) = (status("Threads"), mappings());
    let begun = processor_time();
    std::thread::sleep(options.time);
    println!(
        "{} of {} guests wait, made in {made:.2?}: {each} bytes each with page tables, {threads} threads of the system, {mappings} mappings; {:?} of processor time in {:?}",
        waiting.load(Ordering::Relaxed),
        options.guests,
        processor_time() - begun,
        options.time,
    );
    end(guests)
}

/// Modules that wait in a host function, each on its stack.
fn stacks(
    engine: &Engine,
    scheduler: &Scheduler,
    guests: usize,
    waiting: &Arc<AtomicU64>,
) -> Result<Vec<(InterruptHandle, Task)>> {
    let module = Module::new(engine, WAITING)?;
    let waiting = waiting.clone();
    let mut linker = ModuleLinker::<()>::new(engine);
    linker.func_waiting("host", "wait", FuncType::default(), move |_, _| {
        waiting.fetch_add(1, Ordering::Relaxed);
        Ok(Outcome::Wait(Box::pin(std::future::pending())))
    })?;
    let linker = Arc::new(linker);
    let start = |_| {
        let gate = Box::pin(std::future::ready(()));
        guest(engine, scheduler, &linker, &module, gate)
    };
    Ok((0..guests).map(start).collect())
}

/// Components that wait in callbacks.
fn callbacks(
    engine: &Engine,
    scheduler: &Scheduler,
    guests: usize,
    waiting: &Arc<AtomicU64>,
) -> Result<Vec<(InterruptHandle, Task)>> {
    let component = Component::new(engine, CALLBACK)?;
    let waiting = waiting.clone();
    let mut linker = Linker::<()>::new(engine);
    linker.root().func_wrap_concurrent("wait", move |_, ()| {
        waiting.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending::<Result<()>>())
    })?;
    let linked = Arc::new(linker.instantiate_pre(&component)?);
    let start = |_| {
        let mut store = Store::new(engine, ());
        let (handle, linked) = (store.interrupt_handle(), linked.clone());
        let task = scheduler.spawn(async move {
            let instance = linked.instantiate_async(&mut store).await?;
            let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
            run.call_async(&mut store, ()).await
        });
        (handle, task)
    };
    Ok((0..guests).map(start).collect())
}

/// A module in a store of its own, which is run once the gate is open.
fn guest(
    engine: &Engine,
    scheduler: &Scheduler,
    linker: &Arc<ModuleLinker<()>>,
    module: &Module,
    gate: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> (InterruptHandle, Task) {
    let mut store = Store::new(engine, ());
    let handle = store.interrupt_handle();
    let (linker, module) = (linker.clone(), module.clone());
    let task = scheduler.spawn(async move {
        let instance = linker.instantiate_async(&mut store, &module).await?;
        gate.await;
        match instance.get_func(&mut store, "run") {
            Some(run) => run.call_async(&mut store, &mut []).await,
            None => Ok(()),
        }
    });
    (handle, task)
}

/// Has guests compute, and says what share each got, and how soon one runs that is woken among them.
fn compute(options: &Options, engine: &Engine, scheduler: &Scheduler) -> Result<()> {
    let module = Module::new(engine, COMPUTING)?;
    let woken = Module::new(engine, WAITING)?;
    let bell = Arc::new(Bell::default());
    let ringing = bell.clone();
    let mut linker = ModuleLinker::<()>::new(engine);
    linker.func_waiting("host", "wait", FuncType::default(), move |_, _| {
        Ok(ringing.clone().visit())
    })?;
    let linker = Arc::new(linker);
    let gate = Arc::new(Gate::default());
    let start = |module| {
        let gate = gate.clone();
        guest(
            engine,
            scheduler,
            &linker,
            module,
            Box::pin(async move { gate.opened().await }),
        )
    };
    let mut guests: Vec<(InterruptHandle, Task)> =
        (0..options.guests).map(|_| start(&module)).collect();
    let woken = start(&woken);
    std::thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    gate.open();
    while begun.elapsed() < options.time {
        std::thread::sleep(Duration::from_millis(23));
        bell.ring();
    }
    // With what each had for its instantiation, which is a few percent of it all.
    let used: Vec<f64> = guests
        .iter()
        .map(|(_, task)| task.processor_time().as_secs_f64() * 1e3)
        .collect();
    shares(used);
    bell.report();
    guests.push(woken);
    end(guests)
}

/// Where guests wait until all may begin.
#[derive(Default)]
struct Gate(Mutex<(bool, Vec<std::task::Waker>)>);

impl Gate {
    fn lock(&self) -> std::sync::MutexGuard<'_, (bool, Vec<std::task::Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn opened(&self) -> impl Future<Output = ()> {
        std::future::poll_fn(|cx| {
            let mut gate = self.lock();
            if gate.0 {
                return std::task::Poll::Ready(());
            }
            gate.1.push(cx.waker().clone());
            std::task::Poll::Pending
        })
    }

    fn open(&self) {
        let mut gate = self.lock();
        gate.0 = true;
        let wakers = std::mem::take(&mut gate.1);
        drop(gate);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }
}

/// Wakes the guest that visits it, and takes the time until that comes again.
#[derive(Default)]
struct Bell(Mutex<Rung>);

#[derive(Default)]
struct Rung {
    waker: Option<std::task::Waker>,
    at: Option<Instant>,
    took: Vec<Duration>,
}

impl Bell {
    fn lock(&self) -> std::sync::MutexGuard<'_, Rung> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest calls, and waits until the bell rings.
    fn visit(self: Arc<Self>) -> Outcome {
        let mut rung = self.lock();
        if let Some(at) = rung.at.take() {
            rung.took.push(at.elapsed());
            return Outcome::Done;
        }
        drop(rung);
        Outcome::Wait(Box::pin(std::future::poll_fn(move |cx| {
            let mut rung = self.lock();
            if rung.at.is_some() {
                return std::task::Poll::Ready(());
            }
            rung.waker = Some(cx.waker().clone());
            std::task::Poll::Pending
        })))
    }

    fn ring(&self) {
        let mut rung = self.lock();
        if let Some(waker) = rung.waker.take() {
            rung.at = Some(Instant::now());
            drop(rung);
            waker.wake();
        }
    }

    fn report(&self) {
        let mut took = std::mem::take(&mut self.lock().took);
        took.sort_unstable();
        let at = |part: usize| {
            let found = took.get((took.len() * part / 100).min(took.len().saturating_sub(1)));
            found.copied().unwrap_or_default()
        };
        println!(
            "a guest that is woken among them runs after {:.2?} (median of {}), {:.2?} (99 of 100), {:.2?} (all); a slice is {SLICE:?}",
            at(50),
            took.len(),
            at(99),
            at(100)
        );
    }
}

fn shares(mut used: Vec<f64>) {
    used.sort_by(f64::total_cmp);
    let mean = used.iter().sum::<f64>() / used.len() as f64;
    let (least, most) = (used.first().unwrap_or(&0.0), used.last().unwrap_or(&0.0));
    let beyond = used.iter().filter(|used| (*used / mean - 1.0).abs() > 0.05);
    println!(
        "{} guests that compute: {mean:.2} ms each; least {least:.2} ({:+.1} %), most {most:.2} ({:+.1} %); {} differ by more than 5 %",
        used.len(),
        (least / mean - 1.0) * 100.0,
        (most / mean - 1.0) * 100.0,
        beyond.count(),
    );
}

fn end(guests: Vec<(InterruptHandle, Task)>) -> Result<()> {
    for (handle, _) in &guests {
        handle.terminate("measured");
    }
    for (_, task) in guests {
        match block_on(task) {
            Some(Err(error)) if !error.is::<tidegate::interrupt::Terminated>() => {
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Bytes of this process in memory, and of the tables by which it finds them.
fn memory() -> u64 {
    (status("VmRSS") + status("VmPTE")) * 1024
}

fn mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().count()
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// What this process had of the processors.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}
