//! `tidegate wast`: runs conformance scripts and counts what passes.
//!
//! The runner knows no script by name. What is not supported yet fails, and is counted.

mod core_values;
mod discover;
mod modules;
mod report;
mod script;
mod values;

use crate::args::{WastArgs, WastEngine};
use crate::status::{Failure, Outcome};
use report::{Report, Tally};
use script::{Script, Settings};
use std::path::Path;
use std::process::ExitCode;
use tidegate::{EngineKind, Strategy};

/// Runs every script, on each engine asked for.
pub fn execute(args: &WastArgs) -> Outcome {
    let files = discover::scripts(&args.paths)?;
    if files.is_empty() {
        return Err(Failure::usage("there is no .wast file there"));
    }
    let strategies: &[(&str, Strategy)] = match args.engine {
        None => &[
            ("wasmtime", Strategy::Always(EngineKind::Wasmtime)),
            ("wasmi", Strategy::Always(EngineKind::Wasmi)),
        ],
        Some(WastEngine::Wasmtime) => &[("wasmtime", Strategy::Always(EngineKind::Wasmtime))],
        Some(WastEngine::Wasmi) => &[("wasmi", Strategy::Always(EngineKind::Wasmi))],
        Some(WastEngine::Auto) => &[("auto", Strategy::Auto)],
    };
    let settings = Settings {
        compare_messages: !args.ignore_messages,
        pause_often: args.pause_often,
    };
    let mut report = Report::new(args.verbose);
    let mut total = Tally::default();
    for &(name, strategy) in strategies {
        for file in &files {
            total += run(file, name, strategy, settings, &mut report);
        }
    }
    report.total(&total);
    Ok(if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs one script on one engine.
fn run(
    file: &Path,
    engine: &str,
    strategy: Strategy,
    settings: Settings,
    report: &mut Report,
) -> Tally {
    let mut tally = Tally::default();
    report.begin(file, engine);
    let result = std::fs::read_to_string(file)
        .map_err(anyhow::Error::from)
        .and_then(|text| {
            let mut script = Script::new(strategy, settings)?;
            script.run(&text, |directive| {
                tally.count(&directive);
                report.directive(&directive);
            })
        });
    if let Err(error) = result {
        // The script itself cannot be read: as one directive that failed.
        tally.failed += 1;
        report.unreadable(&error);
    }
    report.end(&tally);
    tally
}
