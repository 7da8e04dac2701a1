//! Copies standard input to standard output in pieces of at most 64 KiB: WASI 0.2.

use wasip2::cli::{stdin::get_stdin, stdout::get_stdout};
use wasip2::io::streams::{OutputStream, StreamError};

const BUFFER: u64 = 64 * 1024;

struct Cat;

impl wasip2::exports::cli::run::Guest for Cat {
    fn run() -> Result<(), ()> {
        let (input, output) = (get_stdin(), get_stdout());
        loop {
            match input.blocking_read(BUFFER) {
                Ok(bytes) => write(&output, &bytes).map_err(drop)?,
                Err(StreamError::Closed) => return output.blocking_flush().map_err(drop),
                Err(StreamError::LastOperationFailed(_)) => return Err(()),
            }
        }
    }
}

/// Writes all of `bytes`, as much at a time as is permitted.
fn write(output: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let permit = usize::try_from(output.check_write()?).unwrap_or(usize::MAX);
        if permit == 0 {
            output.subscribe().block();
        }
        let (now, later) = bytes.split_at(bytes.len().min(permit));
        if !now.is_empty() {
            output.write(now)?;
        }
        bytes = later;
    }
    Ok(())
}

wasip2::cli::command::export!(Cat);
