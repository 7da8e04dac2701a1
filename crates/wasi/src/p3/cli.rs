//! `wasi:cli`.

use std::io;

use tidegate::{Access, FutureReader, Resource, Result, StreamReader};

use super::bindings::wasi::cli::types::ErrorCode;
use super::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_input, terminal_output, terminal_stderr,
    terminal_stdin, terminal_stdout,
};
use super::stream::{self, Ending};
use crate::I32Exit;
use crate::fs;
use crate::terminal::{TerminalInput, TerminalOutput};
use crate::view::{Wasi, WasiCtxView, push_some};

impl environment::Host for WasiCtxView<'_> {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        Ok(self.ctx.env.clone())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(self.ctx.args.clone())
    }

    fn get_initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(self.ctx.initial_cwd.clone())
    }
}

impl exit::Host for WasiCtxView<'_> {
    fn exit(&mut self, status: std::result::Result<(), ()>) -> Result<()> {
        Err(I32Exit(i32::from(status.is_err())).into())
    }

    fn exit_with_code(&mut self, status_code: u8) -> Result<()> {
        Err(I32Exit(i32::from(status_code)).into())
    }
}

impl stdin::Host<Wasi> for WasiCtxView<'_> {
    fn read_via_stream<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
    ) -> Result<(StreamReader<u8>, FutureReader<Ending<ErrorCode>>)> {
        let stdin = access.get().ctx.stdin();
        stream::read(access, Ok(stdin))
    }
}

impl stdout::Host<Wasi> for WasiCtxView<'_> {
    fn write_via_stream<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ending<ErrorCode>>> {
        let stdout = access.get().ctx.stdout();
        stream::write(access, data, Ok(stdout))
    }
}

impl stderr::Host<Wasi> for WasiCtxView<'_> {
    fn write_via_stream<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ending<ErrorCode>>> {
        let stderr = access.get().ctx.stderr();
        stream::write(access, data, Ok(stderr))
    }
}

impl From<io::Error> for ErrorCode {
    fn from(error: io::Error) -> Self {
        match fs::ErrorCode::from(error) {
            fs::ErrorCode::Pipe => Self::Pipe,
            fs::ErrorCode::IllegalByteSequence => Self::IllegalByteSequence,
            _ => Self::Io,
        }
    }
}

impl terminal_input::Host for WasiCtxView<'_> {}

impl terminal_input::HostTerminalInput for WasiCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalInput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_output::Host for WasiCtxView<'_> {}

impl terminal_output::HostTerminalOutput for WasiCtxView<'_> {
    fn drop(&mut self, terminal: Resource<TerminalOutput>) -> Result<()> {
        self.table.delete(terminal)?;
        Ok(())
    }
}

impl terminal_stdin::Host for WasiCtxView<'_> {
    fn get_terminal_stdin(&mut self) -> Result<Option<Resource<TerminalInput>>> {
        push_some(self.table, self.ctx.terminal_stdin())
    }
}

impl terminal_stdout::Host for WasiCtxView<'_> {
    fn get_terminal_stdout(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        push_some(self.table, self.ctx.terminal_stdout())
    }
}

impl terminal_stderr::Host for WasiCtxView<'_> {
    fn get_terminal_stderr(&mut self) -> Result<Option<Resource<TerminalOutput>>> {
        push_some(self.table, self.ctx.terminal_stderr())
    }
}
