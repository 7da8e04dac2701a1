//! Counts the lines, words and bytes of standard input: WASI 0.2.

use wasip2::cli::{stdin::get_stdin, stdout::get_stdout};
use wasip2::io::streams::StreamError;
use wc_count::{BUFFER, Count};

struct Wc;

impl wasip2::exports::cli::run::Guest for Wc {
    fn run() -> Result<(), ()> {
        let input = get_stdin();
        let mut count = Count::default();
        loop {
            match input.blocking_read(BUFFER as u64) {
                Ok(bytes) => count.add(&bytes),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(_)) => return Err(()),
            }
        }
        get_stdout()
            .blocking_write_and_flush(count.to_string().as_bytes())
            .map_err(drop)
    }
}

wasip2::cli::command::export!(Wc);
