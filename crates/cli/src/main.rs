//! The `tidegate` command.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`args`] | the command line |
//! | [`program`] | files: what they are, loading them, compiled or from the cache |
//! | [`run`] | `tidegate run`: WASI 0.1, WASI 0.2, calls with WAVE values |
//! | [`compile`], [`inspect`], [`wast`] | the other subcommands |
//! | [`cache`], [`progress`] | compiled code kept between runs; a sign of life while there is none |
//! | [`trust`] | whether compiled code may be executed |
//! | [`status`], [`report`] | exit codes, and what the user is told |

#![forbid(unsafe_code)]

mod args;
mod cache;
mod compile;
mod inspect;
mod program;
mod progress;
mod report;
mod run;
mod status;
mod trust;
mod wast;

use args::{Cli, Command};
use clap::{CommandFactory as _, Parser as _};
use status::Outcome;
use std::process::ExitCode;

fn main() -> ExitCode {
    // `parse` prints what is wrong, or the help asked for, and exits with 2 or 0.
    let outcome = match Cli::parse().command {
        Command::Run(args) => run::execute(&args),
        Command::Compile(args) => compile::execute(&args),
        Command::Inspect(args) => inspect::execute(&args),
        Command::Wast(args) => wast::execute(&args),
        Command::Completions(args) => completions(&args),
    };
    outcome.unwrap_or_else(|failure| {
        report::failure(&failure);
        failure.status.into()
    })
}

fn completions(args: &args::CompletionsArgs) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tidegate", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script)?;
    Ok(ExitCode::SUCCESS)
}
