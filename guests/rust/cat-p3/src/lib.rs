//! Copies standard input to standard output: WASI 0.3.
//!
//! `cat-p3 [forward]` hands the stream of the one to the other, and sees no byte of it.
//! `cat-p3 copy [BYTES]` reads and writes through a buffer, of 64 KiB unless told otherwise.

use console_p3::{Arguments, outcome};
use wasip3::cli::{stdin, stdout};
use wasip3::wit_bindgen::rt::async_support::{StreamReader, StreamResult, StreamWriter};

const BUFFER: usize = 64 * 1024;

struct Cat;

impl wasip3::exports::cli::run::Guest for Cat {
    async fn run() -> Result<(), ()> {
        outcome(cat().await).await
    }
}

async fn cat() -> Result<(), String> {
    let mut arguments = Arguments::new();
    let mode: String = arguments.next_or("mode", "forward".to_owned())?;
    let (input, read) = stdin::read_via_stream();
    let written = match mode.as_str() {
        "forward" => stdout::write_via_stream(input),
        "copy" => {
            let size = arguments.next_or("number of bytes", BUFFER)?;
            let (writer, reader) = wasip3::wit_stream::new();
            let written = stdout::write_via_stream(reader);
            copy(input, writer, size).await;
            written
        }
        other => return Err(format!("`{other}` is neither `forward` nor `copy`")),
    };
    written
        .await
        .map_err(|code| format!("cannot write standard output: {code:?}"))?;
    read.await
        .map_err(|code| format!("cannot read standard input: {code:?}"))
}

/// Copies until one side ends.
async fn copy(mut from: StreamReader<u8>, mut to: StreamWriter<u8>, size: usize) {
    let mut buffer = Vec::with_capacity(size.max(1));
    loop {
        let (result, bytes) = from.read(buffer).await;
        let unsent = to.write_all(bytes).await;
        if !unsent.is_empty() || result == StreamResult::Dropped {
            return;
        }
        buffer = unsent;
    }
}

wasip3::cli::command::export!(Cat);
