//! Counts the lines, words and bytes of standard input: WASI 0.3.

use console_p3::outcome;
use wasip3::cli::stdin;
use wasip3::wit_bindgen::rt::async_support::StreamResult;
use wc_count::{BUFFER, Count};

struct Wc;

impl wasip3::exports::cli::run::Guest for Wc {
    async fn run() -> Result<(), ()> {
        outcome(wc().await).await
    }
}

async fn wc() -> Result<(), String> {
    let (mut input, read) = stdin::read_via_stream();
    let mut count = Count::default();
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (result, bytes) = input.read(buffer).await;
        count.add(&bytes);
        if result == StreamResult::Dropped {
            break;
        }
        buffer = bytes;
        buffer.clear();
    }
    read.await
        .map_err(|code| format!("cannot read standard input: {code:?}"))?;
    console_p3::print(count.to_string())
        .await
        .map_err(|code| format!("cannot write standard output: {code:?}"))
}

wasip3::cli::command::export!(Wc);
