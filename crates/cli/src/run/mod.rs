//! `tidegate run`: runs a program, or calls a function of it.

mod call;
mod component;
mod host;
mod module;
mod timeout;
mod wave;

use crate::args::{EngineChoice, RunArgs};
use crate::cache::Cache;
use crate::program::Program;
use crate::report;
use crate::status::{Failure, Outcome, Status};
use anyhow::{Context as _, Error, Result};
use std::path::Path;
use std::process::ExitCode;
use tidegate::{Backtrace, Config, Engine, Limits, Trap, block_on};
use tidegate_wasi::I32Exit;

/// Runs the file that the command line names.
pub fn execute(args: &RunArgs) -> Outcome {
    // The first word is there: the parser demands it.
    let file = args
        .command
        .first()
        .map(Path::new)
        .context("there is no file to run")?;
    let engine = engine(args.engine)?;
    let cache = if args.no_cache {
        None
    } else {
        Cache::of_user()
    };
    let program = Program::load(file, &engine, cache.as_ref())?;
    let wasi = host::context(args)?;
    let drains = wasi.drains();
    let mut limits = Limits::default();
    if let Some(bytes) = args.max_memory {
        limits.isolate.memory_bytes = bytes;
    }

    if let Some(time) = args.timeout {
        timeout::set(time, file.display().to_string(), drains.clone());
    }
    let call = args.invoke.as_deref();
    let ended = match program {
        Program::Module(module) => module::run(&engine, limits, &module, wasi, call),
        Program::Component(component) => component::run(&engine, limits, &component, wasi, call),
    };
    // What the guest wrote reaches its reader, however the guest ended.
    block_on(drains.finished());
    match ended {
        Ok(status) => Ok(status),
        Err(Ended::Guest(error)) => guest_error(file, error),
        Err(Ended::Host(failure)) => Err(failure),
    }
}

/// An engine as `tidegate run` sets it up.
pub fn engine(choice: EngineChoice) -> Result<Engine> {
    let mut config = Config::new();
    config.strategy(choice.into());
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
    report::failure(&Failure::new(
        Status::Trapped,
        anyhow::anyhow!("{} trapped: {message}", file.display()),
    ));
    report::backtrace(
        frames
            .iter()
            .map(|frame| frame.to_string().trim_start().to_owned()),
    );
    Ok(ExitCode::from(Status::Trapped))
}
