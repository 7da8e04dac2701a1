//! `tidegate run`: runs a program, or calls a function of it.

mod call;
mod component;
mod ending;
mod host;
mod module;
mod wave;

pub use component::command_interface;

use crate::args::{EngineChoice, RunArgs};
use crate::cache::Cache;
use crate::program::Program;
use crate::report;
use crate::status::{Failure, Outcome, Status};
use anyhow::{Context as _, Error, Result};
use ending::Ending;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use tidegate::interrupt::Terminated;
use tidegate::{AbiTrap, Backtrace, Config, Engine, Limits, Trap};
use tidegate_wasi::I32Exit;

/// Runs the file that the command line names.
pub fn execute(args: &RunArgs) -> Outcome {
    // The first word is there: the parser demands it.
    let file = args
        .command
        .first()
        .map(Path::new)
        .context("there is no file to run")?;
    let cache = if args.no_cache {
        None
    } else {
        Cache::of_user()
    };
    let make = |needs| {
        engine(
            args.engine,
            Needs {
                pause_often: args.pause_often,
                ..needs
            },
        )
    };
    let (engine, program) = Program::load(file, cache.as_ref(), args.timeout.is_some(), make)?;
    let wasi = host::context(args)?;
    let ending = Ending::new(file.display().to_string(), wasi.drains());
    let mut limits = Limits::default();
    if let Some(bytes) = args.max_memory {
        limits.isolate.memory_bytes = bytes;
    }
    for limit in &args.limits {
        limits.set(limit.name, limit.value);
    }

    ending.on_signals();
    if let Some(time) = args.timeout {
        ending.after(time)?;
    }
    let call = args.invoke.as_deref();
    let ended = match program {
        Program::Module(module) => module::run(&engine, limits, &module, wasi, call, &ending),
        Program::Component(component) => {
            component::run(&engine, limits, &component, wasi, call, &ending)
        }
    };
    let cause = ending.over();
    // What the guest wrote reaches its reader, however the guest ended.
    ending.drain(cause);
    let terminated = match &ended {
        Err(Ended::Guest(error)) => error.is::<Terminated>(),
        Err(Ended::Host(failure)) => failure.error.is::<Terminated>(),
        Ok(_) => false,
    };
    if let Some(cause) = cause.filter(|_| terminated) {
        ending.report(cause);
        return Ok(cause.code().into());
    }
    match ended {
        Ok(status) => Ok(status),
        Err(Ended::Guest(error)) => guest_error(file, error),
        Err(Ended::Host(failure)) => Err(failure),
    }
}

/// What the engine must be able to do beside running guests, which costs them something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Have several threads in a program.
    pub threads: bool,
    /// Interrupt guests that compute.
    pub interruptible: bool,
    /// Interrupt them at every so many opportunities.
    pub pause_often: Option<NonZeroU32>,
}

impl Needs {
    /// What a program of several threads needs: when one ends it, it ends the others.
    pub fn threads() -> Self {
        Self {
            threads: true,
            interruptible: true,
            pause_often: None,
        }
    }
}

/// An engine as `tidegate run` sets it up.
pub fn engine(choice: EngineChoice, needs: Needs) -> Result<Engine> {
    let mut config = Config::new();
    config.strategy(choice.into());
    config.core().threads = needs.threads;
    config.core().interruptible = needs.interruptible;
    if let Some(every) = needs.pause_often {
        config.pause_often(every);
    }
    // What is loaded has been checked to be this user's own: see `crate::trust`.
    config.core().trust_artifacts = true;
    Engine::new(&config)
}

/// Why a run did not come to its end.
enum Ended {
    /// An error of a call into the guest: it exited or trapped.
    Guest(Error),
    /// Before or after that.
    Host(Failure),
}

impl<F: Into<Failure>> From<F> for Ended {
    fn from(failure: F) -> Self {
        Self::Host(failure.into())
    }
}

/// What becomes of an error that a call into the guest ended with.
fn guest_error(file: &Path, error: Error) -> Outcome {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        return Ok(exit.process_status().into());
    }
    let frames = match (
        error.downcast_ref::<Trap>(),
        error.downcast_ref::<Backtrace>(),
    ) {
        (Some(trap), _) if !trap.frames.is_empty() => trap.frames.clone(),
        (_, Some(backtrace)) => backtrace.frames.clone(),
        _ => Vec::new(),
    };
    // The frames are shown below, one a line.
    let shown = error.downcast_ref::<Backtrace>().map(ToString::to_string);
    let mut causes = error
        .chain()
        .map(ToString::to_string)
        .filter(|cause| Some(cause) != shown.as_ref());
    let first = causes.next().unwrap_or_default();
    let message = causes.fold(first, |all, cause| {
        if all.contains(&cause) {
            all
        } else {
            format!("{all}: {cause}")
        }
    });
    let mut failure = Failure::new(
        Status::Trapped,
        anyhow::anyhow!("{} trapped: {message}", file.display()),
    );
    if let Some(AbiTrap::Limit { limit, option, .. }) = error.downcast_ref() {
        let more = limit.saturating_mul(2);
        failure = failure.help(format!("raise the limit: --limit {option}={more}"));
    } else if error.is::<Trap>() && frames.is_empty() {
        failure = failure.help(
            "the interpreter cannot tell where in the guest's code that was; run it with --engine wasmtime to see the functions",
        );
    }
    report::failure(&failure);
    report::backtrace(
        frames
            .iter()
            .map(|frame| frame.to_string().trim_start().to_owned()),
    );
    Ok(ExitCode::from(Status::Trapped))
}
