//! What a guest learns of terminals: that there is one.

use crate::WasiCtx;
use crate::io::{Input, Kind, Output, SharedOutput};

/// The proof that stdin is a terminal.
#[derive(Debug)]
pub struct TerminalInput(());

/// The proof that an output is a terminal.
#[derive(Debug)]
pub struct TerminalOutput(());

impl WasiCtx {
    /// The proof, if stdin is a terminal.
    pub(crate) fn terminal_stdin(&self) -> Option<TerminalInput> {
        (self.stdin.kind() == Kind::Terminal).then_some(TerminalInput(()))
    }

    /// The proof, if stdout is a terminal.
    pub(crate) fn terminal_stdout(&self) -> Option<TerminalOutput> {
        terminal_output(&self.stdout)
    }

    /// The proof, if stderr is a terminal.
    pub(crate) fn terminal_stderr(&self) -> Option<TerminalOutput> {
        terminal_output(&self.stderr)
    }
}

fn terminal_output(output: &SharedOutput) -> Option<TerminalOutput> {
    (output.kind() == Kind::Terminal).then_some(TerminalOutput(()))
}
