//! How the process ends: exit codes, and failures on their way to becoming one.

use anyhow::Error;
use std::fmt::Display;
use std::process::ExitCode;

/// An exit code of the command, apart from those that a guest chooses itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Something failed: a file cannot be read, is not valid, or cannot be linked.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The guest did not end within `--timeout`; the code of `timeout(1)`.
    TimedOut,
    /// The guest trapped: 128 + 6, what a shell reports for a process that aborted.
    Trapped,
}

impl Status {
    /// The code that the process exits with.
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::TimedOut => 124,
            Self::Trapped => 134,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}

/// A failure to be reported to the user.
#[derive(Debug)]
pub struct Failure {
    /// How the process will exit.
    pub status: Status,
    /// What went wrong, its causes chained.
    pub error: Error,
    /// What the user can do about it.
    pub help: Option<String>,
}

impl Failure {
    /// A failure with this status.
    pub fn new(status: Status, error: impl Into<Error>) -> Self {
        Self {
            status,
            error: error.into(),
            help: None,
        }
    }

    /// A command line that makes no sense.
    pub fn usage(message: impl Display) -> Self {
        Self::new(Status::Usage, anyhow::anyhow!("{message}"))
    }

    /// The same with advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(Status::Failed, error)
    }
}

/// What a subcommand ends with: the process's exit code, or a failure to report.
pub type Outcome = Result<ExitCode, Failure>;
