//! How long an interrupt takes: from the request, made by another thread at a random moment, until control is back with the embedder. For
//! whatever a guest can be busy with, and on both engines; a table of percentiles and one of how often it took how long.
//!
//! ```sh
//! cargo run --release -p tidegate-wasi --example interrupt_latency -- [TIMES] [--write FILE] [--only WORDS]
//! ```
//!
//! `--only` leaves out the rows whose names do not have these words. Figures mean something on a machine that does nothing else.

mod components;
mod measure;
mod modules;
mod report;
mod threads;

use report::Report;
use tidegate::{Config, Engine, EngineKind, Result, Strategy};

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let mut times = 1000;
    let mut file = None;
    let mut only = None;
    while let Some(word) = words.next() {
        match word.parse() {
            Ok(number) => times = number,
            Err(_) if word == "--write" => file = words.next(),
            Err(_) if word == "--only" => only = words.next(),
            Err(_) => {
                eprintln!("interrupt_latency: {word:?} is neither a number nor --write nor --only")
            }
        }
    }
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only));
    let mut report = Report::new(times);
    for kind in EngineKind::ALL {
        let engine = engine(kind)?;
        for work in modules::ALL.iter().filter(|work| wanted(work.name)) {
            report.row(kind, work.name, modules::pause(&engine, work, times)?);
        }
        for (name, pause) in components::ALL.into_iter().filter(|row| wanted(row.0)) {
            report.row(kind, name, pause(&engine, times)?);
        }
    }
    let compiled = engine(EngineKind::Wasmtime)?;
    for (name, body) in threads::ALL.into_iter().filter(|row| wanted(row.0)) {
        let took = threads::end(&compiled, body, times)?;
        report.row(EngineKind::Wasmtime, name, took);
    }
    report.comparison(
        "a thread of the system, parked and unparked",
        measure::unparks(times),
    );
    report.comparison(
        "the longest gap in 5 ms of two threads that read the clock",
        measure::gaps(times),
    );
    print!("{}", report.text());
    if let Some(file) = file {
        std::fs::write(file, report.document())?;
    }
    Ok(())
}

fn engine(kind: EngineKind) -> Result<Engine> {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind));
    config.core().interruptible = true;
    config.core().threads = true;
    Engine::new(&config)
}
