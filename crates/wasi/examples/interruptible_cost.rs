//! What programs pay for being interruptible while they compute: each is run with and without, in turns, and the shortest runs are compared. Time is that
//! of the processor.
//!
//! ```sh
//! cargo run --release -p tidegate-wasi --example interruptible_cost -- [RUNS] [loop-py.wasm]
//! ```
//!
//! The file is CPython with a loop, a component that `guests/foreign/build` makes.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tidegate::module::{Module, ModuleLinker};
use tidegate::{Component, Config, Engine, Linker, ResourceTable, Result, Store};
use tidegate_wasi::p1::{self, Preview1};
use tidegate_wasi::p2::{self, WasiCtxView, WasiView};
use tidegate_wasi::{I32Exit, WasiCtx};

/// The tightest loops that there are: one that only counts, one that also writes to memory, and one that copies small pieces of different lengths.
const LOOPS: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "count") (local $n i64)
        (local.set $n (i64.const 500000000))
        (loop $l (br_if $l (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0)))))
    (func (export "write") (local $n i32)
        (local.set $n (i32.const 500000000))
        (loop $l
            (i32.store8 (i32.and (local.get $n) (i32.const 65535)) (local.get $n))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "copy") (local $n i32)
        (local.set $n (i32.const 20000000))
        (loop $l
            (memory.copy
                (i32.and (local.get $n) (i32.const 32767))
                (i32.const 40000)
                (i32.and (local.get $n) (i32.const 63)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

/// Programs of `guests/wasm/crunch.wasm`, with their rounds.
const CRUNCH: [(&str, &str); 3] = [("sha256", "100"), ("regex", "40"), ("json", "40")];

fn main() -> Result<()> {
    let mut runs = 5u32;
    let mut python = None;
    for word in std::env::args().skip(1) {
        match word.parse() {
            Ok(number) => runs = number,
            Err(_) => python = Some(std::fs::read(&word)?),
        }
    }
    let engines = [engine(false)?, engine(true)?];
    println!("| program | without | interruptible | costs |\n| --- | ---: | ---: | ---: |");

    let crunch = std::fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../guests/wasm/crunch.wasm"
    ))?;
    let modules = [
        Module::new(&engines[0], &crunch)?,
        Module::new(&engines[1], &crunch)?,
    ];
    for (what, rounds) in CRUNCH {
        compare(what, runs, |with| {
            let wasi = WasiCtx::builder().args(["crunch", what, rounds]).build();
            module(
                &engines[usize::from(with)],
                &modules[usize::from(with)],
                wasi,
                "_start",
            )
        })?;
    }
    if let Some(python) = python {
        let components = [
            Component::new(&engines[0], &python)?,
            Component::new(&engines[1], &python)?,
        ];
        compare("a loop in CPython", runs, |with| {
            component(&engines[usize::from(with)], &components[usize::from(with)])
        })?;
    }
    let loops = [
        Module::new(&engines[0], LOOPS)?,
        Module::new(&engines[1], LOOPS)?,
    ];
    for (name, function) in [
        ("a loop that counts", "count"),
        ("a loop that writes to memory", "write"),
        ("a loop that copies up to 63 bytes", "copy"),
    ] {
        compare(name, runs, |with| {
            let wasi = WasiCtx::builder().build();
            module(
                &engines[usize::from(with)],
                &loops[usize::from(with)],
                wasi,
                function,
            )
        })?;
    }
    Ok(())
}

fn engine(interruptible: bool) -> Result<Engine> {
    let mut config = Config::new();
    config.core().interruptible = interruptible;
    Engine::new(&config)
}

/// Runs in turns, so that what else the machine does falls on both.
fn compare(name: &str, runs: u32, mut run: impl FnMut(bool) -> Result<Duration>) -> Result<()> {
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..runs.max(1) {
        for with in [false, true] {
            let shortest = &mut shortest[usize::from(with)];
            *shortest = run(with)?.min(*shortest);
        }
    }
    let [without, with] = shortest.map(|time| time.as_secs_f64() * 1e3);
    println!(
        "| {name} | {without:.1} ms | {with:.1} ms | {:+.1} % |",
        (with / without - 1.0) * 100.0
    );
    Ok(())
}

/// Runs a function of a core module.
fn module(engine: &Engine, module: &Module, wasi: WasiCtx, function: &str) -> Result<Duration> {
    let mut linker = ModuleLinker::new(engine);
    p1::add_to_linker(&mut linker, |host: &mut Preview1| host)?;
    let mut store = Store::new(engine, Preview1::new(wasi));
    let instance = linker.instantiate(&mut store, module)?;
    let run = instance
        .get_func(&mut store, function)
        .ok_or_else(|| tidegate::Error::msg("there is no such function"))?;
    let begun = processor_time();
    match run.call(&mut store, &mut []) {
        Err(error) if error.downcast_ref() != Some(&I32Exit(0)) => Err(error),
        _ => Ok(processor_time() - begun),
    }
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn wasi(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Runs a command.
fn component(engine: &Engine, component: &Component) -> Result<Duration> {
    let mut linker = Linker::new(engine);
    p2::add_to_linker(&mut linker)?;
    let host = Host {
        wasi: WasiCtx::builder().args(["loop", "100000"]).build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(engine, host);
    let instance = linker.instantiate(&mut store, component)?;
    let names = component.plan().exports.iter().map(|(name, _)| name);
    let run = names
        .filter(|name| name.starts_with("wasi:cli/run@0.2."))
        .find_map(|name| {
            let interface = component.export_index(None, name)?;
            let run = component.export_index(Some(&interface), "run")?;
            instance.get_func(&mut store, &run)
        })
        .ok_or_else(|| tidegate::Error::msg("the component is no command"))?;
    let begun = processor_time();
    let (result,) = run.typed::<(), (Result<(), ()>,)>()?.call(&mut store, ())?;
    match result {
        Ok(()) => Ok(processor_time() - begun),
        Err(()) => Err(tidegate::Error::msg("the command failed")),
    }
}

/// What this thread had of the processors: guests run on it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}
