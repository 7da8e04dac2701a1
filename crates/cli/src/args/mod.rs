//! The command line.

mod grant;
mod quantity;

pub use grant::{Dir, EnvVar, WasiOption};
pub use quantity::{Limit, parse_bytes, parse_duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use tidegate::{EngineKind, Strategy};
use tidegate_wasi::clocks::Zone;

/// Runs WebAssembly programs, with the files, environment and network that you name and nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    propagate_version = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a program, or call a function of it
    Run(Box<RunArgs>),
    /// Compile a program ahead of time
    Compile(CompileArgs),
    /// Show what a file imports and exports, how it would be run and what it may touch
    Inspect(InspectArgs),
    /// Run conformance scripts (.wast)
    Wast(WastArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
}

/// Which engine executes core code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// Compiled, but interpreted where only the interpreter can do what a component needs.
    #[default]
    Auto,
    /// Always compiled to machine code.
    Wasmtime,
    /// Always interpreted.
    Wasmi,
}

impl From<EngineChoice> for Strategy {
    fn from(choice: EngineChoice) -> Self {
        match choice {
            EngineChoice::Auto => Self::Auto,
            EngineChoice::Wasmtime => Self::Always(EngineKind::Wasmtime),
            EngineChoice::Wasmi => Self::Always(EngineKind::Wasmi),
        }
    }
}

/// `tidegate run`.
#[derive(Debug, Args)]
#[command(
    after_help = "The exit code is the guest's. Otherwise: 1 if the file cannot be loaded or linked, 2 for a bad command \
                  line, 124 if --timeout ran out, 134 if the guest trapped."
)]
pub struct RunArgs {
    /// Let the guest use a folder, under its own path or as GUEST; `::ro` forbids changes
    #[arg(long = "dir", value_name = "HOST[::GUEST][::ro]", value_parser = grant::parse_dir)]
    pub dirs: Vec<Dir>,
    /// Set an environment variable for the guest; a name alone passes this process's value on
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = grant::parse_env)]
    pub env: Vec<EnvVar>,
    /// Tell the guest its time zone, such as Europe/Berlin; `host` for that of this machine. Without, it is UTC
    #[arg(long, value_name = "ZONE", value_parser = grant::parse_zone)]
    pub time_zone: Option<Zone>,
    /// Call an exported function with WAVE values, as `add(1, 2)`, and print its result
    #[arg(long, value_name = "NAME(ARGS)")]
    pub invoke: Option<String>,
    /// End the guest after a time, such as `500ms`, `10s` or `2m`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// How many bytes of memory the guest may have, such as `64M` (each linear memory)
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub max_memory: Option<u64>,
    /// Set a limit by the name that a trap gives it, such as `max-handles=2M`
    #[arg(long = "limit", value_name = "NAME=N", value_parser = quantity::parse_limit)]
    pub limits: Vec<Limit>,
    /// Which engine runs the guest's code
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineChoice,
    /// More that the guest is granted.
    #[arg(help = "Grant more: inherit-env, inherit-network, allow-ip-name-lookup, connect=ADDRESS[:PORTS], bind=ADDRESS[:PORTS]", short = 'S', value_name = "OPTION,…", value_delimiter = ',', value_parser = grant::parse_option)]
    pub wasi: Vec<WasiOption>,
    /// Interrupt the guest at every Nth opportunity and have it go on: for tests of the runtime.
    #[arg(long, hide = true, value_name = "N")]
    pub pause_often: Option<NonZeroU32>,
    /// Neither use nor fill the cache of compiled code
    #[arg(long)]
    pub no_cache: bool,
    /// The program (.wasm, .wat or precompiled), and what is passed to it
    #[arg(required = true, trailing_var_arg = true, value_name = "FILE [ARGS]", value_hint = clap::ValueHint::FilePath)]
    pub command: Vec<OsString>,
}

/// `tidegate compile`.
#[derive(Debug, Args)]
pub struct CompileArgs {
    /// Where to write the result; FILE with the extension `.cwasm` unless given
    #[arg(short, long, value_name = "PATH", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// The module or component to compile
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `tidegate inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Which engine would run the guest's code
    #[arg(long, value_enum, default_value_t)]
    pub engine: EngineChoice,
    /// The module or component to show
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub file: PathBuf,
}

/// `tidegate wast`.
#[derive(Debug, Args)]
pub struct WastArgs {
    /// Which engine runs the scripts; both, one after the other, unless given
    #[arg(long, value_enum)]
    pub engine: Option<WastEngine>,
    /// Accept a trap or a refusal whatever its message says
    #[arg(long)]
    pub ignore_messages: bool,
    /// Interrupt guests at every Nth opportunity and have them go on, which must change nothing
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "1")]
    pub pause_often: Option<NonZeroU32>,
    /// Print every directive, not only those that fail
    #[arg(short, long)]
    pub verbose: bool,
    /// Scripts, or folders to be searched for them
    #[arg(required = true, value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// The engine of a conformance run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WastEngine {
    /// Compiled to machine code.
    Wasmtime,
    /// Interpreted.
    Wasmi,
    /// What `tidegate run` does unless told otherwise.
    Auto,
}

/// `tidegate completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn run(words: &[&str]) -> RunArgs {
        let words = ["tidegate", "run"].iter().chain(words);
        match Cli::try_parse_from(words).map(|cli| cli.command) {
            Ok(Command::Run(args)) => *args,
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_follows_the_file_belongs_to_the_guest() {
        let args = run(&["--env", "A=1", "x.wasm", "--env", "B=2", "-S", "--", "-"]);
        assert_eq!(args.env.len(), 1);
        assert_eq!(args.command, ["x.wasm", "--env", "B=2", "-S", "--", "-"]);
    }

    #[test]
    fn two_dashes_may_stand_before_the_file() {
        let args = run(&[
            "-S",
            "inherit-network",
            "--dir",
            "a::b",
            "--",
            "x.wasm",
            "-l",
            "--",
        ]);
        assert_eq!(args.command, ["x.wasm", "-l", "--"]);
        assert_eq!(args.dirs.len(), 1);
        assert_eq!(args.wasi, [WasiOption::InheritNetwork]);
    }
}
