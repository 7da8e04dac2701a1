//! How long an interrupt takes: from the request, made by another thread at a random moment, until control is back with the embedder. For each
//! kind of wait, and on both engines, a table and a histogram.
//!
//! ```sh
//! cargo run --release -p tidegate-wasi --example interrupt_latency [TIMES]
//! ```
//!
//! Figures mean something on a machine that does nothing else.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tidegate::interrupt::Outcome;
use tidegate::module::{FuncType, Module, ModuleLinker, Outcome as Host, Threads};
use tidegate::scheduler::Scheduler;
use tidegate::{
    Component, Config, Engine, EngineKind, Linker, Result, Store, Strategy, block_on, timer,
};
use tidegate_wasi::WasiCtx;
use tidegate_wasi::io::FdInput;
use tidegate_wasi::p1::{self, Preview1};

/// What every guest has: `$begun` says that it has begun.
const COMMON: &str = r#"
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "host" "begun" (func $begun))
    (import "host" "sleep" (func $sleep))
    (memory (export "memory") 1)
    (data (i32.const 0) "\40\00\00\00\10\00\00\00")
    ;; Subscriptions: the monotonic clock in an hour, descriptor 0 to read.
    (data (i32.const 264) "\00\00\00\00\00\00\00\00\01\00\00\00\00\00\00\00\00\a0\b8\30\46\03\00\00")
    (data (i32.const 312) "\01\00\00\00\00\00\00\00\00\00\00\00")
"#;

/// A name, what standard input is, and what the guest does.
const KINDS: [(&str, Stdin, &str); 7] = [
    ("computing", Stdin::Nothing, "(loop $l (br $l))"),
    (
        "computing in calls",
        Stdin::Nothing,
        "(loop $l (drop (call $fib (i32.const 25))) (br $l))",
    ),
    ("read of a pipe", Stdin::Pipe, READ),
    ("read of a socket", Stdin::Socket, READ),
    (
        "poll of a pipe and a clock",
        Stdin::Pipe,
        "(drop (call $poll (i32.const 256) (i32.const 1024) (i32.const 2) (i32.const 8)))",
    ),
    (
        "sleep",
        Stdin::Nothing,
        "(drop (call $poll (i32.const 256) (i32.const 1024) (i32.const 1) (i32.const 8)))",
    ),
    ("async host function", Stdin::Nothing, "(call $sleep)"),
];
const READ: &str = "(drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";

const FIB: &str = r#"(func $fib (param i32) (result i32)
    (if (i32.lt_u (local.get 0) (i32.const 2)) (then (return (local.get 0))))
    (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))"#;

#[derive(Clone, Copy)]
enum Stdin {
    Nothing,
    Pipe,
    Socket,
}

fn main() -> Result<()> {
    let times = std::env::args()
        .nth(1)
        .and_then(|times| times.parse().ok())
        .unwrap_or(1000);
    println!("{times} requests each; microseconds from the request until control is back");
    println!(
        "{:<44} {:>8} {:>8} {:>8} {:>8}",
        "", "median", "p99", "p99.9", "max"
    );
    for kind in EngineKind::ALL {
        let engine = engine(kind)?;
        for (name, stdin, body) in KINDS {
            let took = module(&engine, stdin, body, times)?;
            report(&format!("{}: {name}", kind.name()), took);
        }
        report(
            &format!("{}: host and guests nested 8 deep", kind.name()),
            nested(&engine, times)?,
        );
    }
    let engine = engine(EngineKind::Wasmtime)?;
    for (name, body) in [
        (
            "atomic wait",
            "(drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))",
        ),
        ("computing", "(loop $l (br $l))"),
    ] {
        report(
            &format!("two threads end, both in: {name}"),
            threads(&engine, body, times)?,
        );
    }
    Ok(())
}

fn engine(kind: EngineKind) -> Result<Engine> {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind));
    config.core().epoch_interruption = true;
    config.core().threads = true;
    Engine::new(&config)
}

struct Data {
    wasi: Preview1,
    begun: Arc<AtomicBool>,
}

/// Pauses a guest many times, each time at another moment.
fn module(engine: &Engine, stdin: Stdin, body: &str, times: u32) -> Result<Vec<Duration>> {
    let text = format!(r#"(module {COMMON} {FIB} (func (export "run") (call $begun) {body}))"#);
    let module = Module::new(engine, text)?;
    let mut linker = ModuleLinker::<Data>::new(engine);
    p1::add_to_linker(&mut linker, |data| &mut data.wasi)?;
    linker.func("host", "begun", FuncType::default(), |caller, _| {
        caller.data_mut().begun.store(true, Ordering::Release);
        Ok(Host::Done)
    })?;
    linker.func_waiting("host", "sleep", FuncType::default(), |_, _| {
        Ok(Host::Wait(timer::sleep(Duration::from_secs(3600))))
    })?;
    let mut wasi = WasiCtx::builder();
    // Nobody ever writes to the other end.
    let mut other_end: Option<OwnedFd> = None;
    wasi = match stdin {
        Stdin::Nothing => wasi,
        Stdin::Pipe => {
            let (reader, writer) = std::io::pipe()?;
            other_end = Some(writer.into());
            wasi.stdin(FdInput::new(reader.into())?)
        }
        Stdin::Socket => {
            let (near, far) = UnixStream::pair()?;
            other_end = Some(far.into());
            wasi.stdin(FdInput::new(near.into())?)
        }
    };
    let data = Data {
        wasi: Preview1::new(wasi.build()),
        begun: Arc::default(),
    };
    let begun = data.begun.clone();
    let mut store = Store::new(engine, data);
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance
        .get_func(&mut store, "run")
        .ok_or_else(|| tidegate::Error::msg("no `run`"))?;
    let handle = store.interrupt_handle();
    let asking = handle.clone();
    let took = measure(
        times,
        begun,
        move || asking.pause(),
        |next| {
            let mut call = handle.run(run.call_async(&mut store, &mut []));
            loop {
                match block_on(call) {
                    Outcome::Ended(_) => return,
                    Outcome::Paused(paused) => {
                        if !next() {
                            return;
                        }
                        call = paused.resume();
                    }
                }
            }
        },
    );
    drop(other_end);
    Ok(took)
}

/// Has a thread make requests: after each `run` calls what it is given, which says whether to go on.
fn measure(
    times: u32,
    begun: Arc<AtomicBool>,
    ask: impl Fn() + Send + 'static,
    run: impl FnOnce(&mut dyn FnMut() -> bool),
) -> Vec<Duration> {
    let asked = Arc::new(Mutex::new(None::<Instant>));
    let (went_on, goes_on) = std::sync::mpsc::channel::<()>();
    let asking = asked.clone();
    let asker = thread::spawn(move || {
        while !begun.load(Ordering::Acquire) {
            thread::yield_now();
        }
        let mut random = 88_172_645_463_325_252u64;
        loop {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            thread::sleep(Duration::from_micros(200 + random % 500));
            *asking.lock().unwrap() = Some(Instant::now());
            ask();
            // Asked before the call had gone on, it was paused already, and is asked again.
            if goes_on.recv_timeout(Duration::from_millis(100))
                == Err(RecvTimeoutError::Disconnected)
            {
                return;
            }
        }
    });
    let mut took = Vec::new();
    run(&mut || {
        let back = Instant::now();
        let since = asked.lock().unwrap().take();
        took.extend(since.map(|since| back - since));
        let go_on = took.len() < times as usize;
        if go_on {
            let _ = went_on.send(());
        }
        go_on
    });
    drop(went_on);
    let _ = asker.join();
    took
}

struct Nested {
    linker: Arc<Linker<Self>>,
    component: Component,
    begun: Arc<AtomicBool>,
}

async fn call_nested(mut store: impl tidegate::AsContextMut<Data = Nested>, n: u32) -> Result<u32> {
    let mut context = store.as_context_mut();
    let data = context.data_mut();
    if n == 0 {
        data.begun.store(true, Ordering::Release);
    }
    let (linker, component) = (data.linker.clone(), data.component.clone());
    let instance = linker.instantiate_async(&mut store, &component).await?;
    let run = instance.get_typed_func::<(u32,), (u32,)>(&mut store, "run")?;
    Ok(run.call_async(&mut store, (n,)).await?.0)
}

/// Pauses a guest that computes, called by the host, called by a guest, and so on.
fn nested(engine: &Engine, times: u32) -> Result<Vec<Duration>> {
    let mut linker = Linker::new(engine);
    linker
        .root()
        .func_wrap_async("call", |mut store, (n,): (u32,)| {
            Box::new(async move { Ok((Box::pin(call_nested(&mut store, n)).await?,)) })
        })?;
    let text = include_str!("../../../examples/guests/nested.wat")
        .replace("(then (return (i32.const 1)))", "(then (loop $l (br $l)))");
    let data = Nested {
        linker: Arc::new(linker),
        component: Component::new(engine, text)?,
        begun: Arc::default(),
    };
    let begun = data.begun.clone();
    let mut store = Store::new(engine, data);
    let handle = store.interrupt_handle();
    let asking = handle.clone();
    Ok(measure(
        times,
        begun,
        move || asking.pause(),
        |next| {
            let mut call = handle.run(call_nested(&mut store, 8));
            loop {
                match block_on(call) {
                    Outcome::Ended(_) => return,
                    Outcome::Paused(paused) => {
                        if !next() {
                            return;
                        }
                        call = paused.resume();
                    }
                }
            }
        },
    ))
}

/// Ends a program of two threads, from the request until both are gone.
fn threads(engine: &Engine, body: &str, times: u32) -> Result<Vec<Duration>> {
    let text = format!(
        r#"(module
            (import "env" "memory" (memory 1 1 shared))
            (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
            (import "host" "begun" (func $begun))
            (func $work {body})
            (func (export "wasi_thread_start") (param i32 i32) (call $begun) (call $work))
            (func (export "_start") (drop (call $spawn (i32.const 0))) (call $work)))"#
    );
    let module = Module::new(engine, text)?;
    let scheduler = Scheduler::new(2)?;
    let mut took = Vec::new();
    for _ in 0..times.div_ceil(10) {
        let mut linker = ModuleLinker::new(engine);
        let (begin, begun) = std::sync::mpsc::channel();
        let begin = Mutex::new(begin);
        linker.func("host", "begun", FuncType::default(), move |_, _| {
            let _ = begin.lock().unwrap().send(());
            Ok(Host::Done)
        })?;
        let program = Threads::new(linker, &module, || ())?;
        let handle = program.handle();
        let spawning = scheduler.clone();
        let main = scheduler.spawn(program.run(move |thread| drop(spawning.spawn(thread))));
        begun.recv()?;
        thread::sleep(Duration::from_micros(300));
        let asked = Instant::now();
        handle.terminate("measured");
        let _ = block_on(main);
        took.push(asked.elapsed());
    }
    Ok(took)
}

fn report(name: &str, mut took: Vec<Duration>) {
    took.sort_unstable();
    let at = |part: f64| {
        let index = ((took.len() as f64 * part).ceil() as usize).clamp(1, took.len());
        took[index - 1].as_secs_f64() * 1e6
    };
    println!(
        "{name:<44} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    // By powers of two, from a microsecond on.
    let mut counts = [0usize; 16];
    for time in &took {
        let micros = time.as_micros().max(1);
        counts[(micros.ilog2() as usize).min(15)] += 1;
    }
    let line: Vec<String> = counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(power, count)| format!("<{} µs: {count}", 2u32 << power))
        .collect();
    println!("    {}", line.join(", "));
    let _ = std::io::stdout().flush();
}
