//! `tidegate compile`: compiles a program ahead of time, so that running it starts at once.

use crate::args::CompileArgs;
use crate::cache::write_atomically;
use crate::program::{self, Kind, Program};
use crate::run;
use crate::status::{Failure, Outcome};
use anyhow::Context as _;
use std::process::ExitCode;

/// Compiles a file.
pub fn execute(args: &CompileArgs) -> Outcome {
    let bytes = program::read(&args.file)?;
    if Kind::of(&bytes) == Some(Kind::Precompiled) {
        return Err(Failure::usage(format_args!(
            "{} is precompiled already",
            args.file.display()
        )));
    }
    let needs = match program::uses_threads(&bytes) {
        true => run::Needs::threads(),
        false => run::Needs::default(),
    };
    let engine = run::engine(crate::args::EngineChoice::Wasmtime, needs)?;
    let program = Program::compile(&args.file, &bytes, &engine)
        .with_context(|| format!("cannot compile {}", args.file.display()))?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| args.file.with_extension("cwasm"));
    write_atomically(&output, &program.serialize()?)
        .with_context(|| format!("cannot write {}", output.display()))?;
    Ok(ExitCode::SUCCESS)
}
