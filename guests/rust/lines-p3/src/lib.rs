//! `lines-p3 WORD`: prints the lines of standard input that contain WORD, with their numbers: WASI 0.3.

use std::io::Write;

use console_p3::{Arguments, outcome};
use wasip3::cli::{stdin, stdout};
use wasip3::wit_bindgen::rt::async_support::{StreamReader, StreamResult, StreamWriter};

const BUFFER: usize = 64 * 1024;

struct Lines;

impl wasip3::exports::cli::run::Guest for Lines {
    async fn run() -> Result<(), ()> {
        outcome(lines().await).await
    }
}

async fn lines() -> Result<(), String> {
    let word: String = Arguments::new().next("word to look for")?;
    let (input, read) = stdin::read_via_stream();
    let (writer, reader) = wasip3::wit_stream::new();
    let written = stdout::write_via_stream(reader);
    filter(word.as_bytes(), input, writer).await;
    written
        .await
        .map_err(|code| format!("cannot write standard output: {code:?}"))?;
    read.await
        .map_err(|code| format!("cannot read standard input: {code:?}"))
}

async fn filter(word: &[u8], mut from: StreamReader<u8>, mut to: StreamWriter<u8>) {
    let mut number = 0u64;
    // What was read and not looked at: the beginning of a line whose end is yet to come.
    let mut text = Vec::new();
    loop {
        text.reserve(BUFFER);
        let seen = text.len();
        let (result, read) = from.read(text).await;
        text = read;
        let ended = result == StreamResult::Dropped;
        let whole = match text[seen..].iter().rposition(|&byte| byte == b'\n') {
            Some(at) => seen + at + 1,
            None if ended => text.len(),
            None => 0,
        };
        let whole = if ended { text.len() } else { whole };
        let mut chosen = Vec::new();
        for line in text[..whole].split_inclusive(|&byte| byte == b'\n') {
            number += 1;
            if contains(line, word) {
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let _ = write!(chosen, "{number}:");
                chosen.extend_from_slice(line);
                chosen.push(b'\n');
            }
        }
        text.drain(..whole);
        if !to.write_all(chosen).await.is_empty() || ended {
            return;
        }
    }
}

fn contains(line: &[u8], word: &[u8]) -> bool {
    word.is_empty() || line.windows(word.len()).any(|part| part == word)
}

wasip3::cli::command::export!(Lines);
