//! Words for and from the person at the terminal, as the guests of WASI 0.3 need them.

use std::str::FromStr;

use wasip3::cli::types::ErrorCode;
use wasip3::cli::{environment, stderr, stdout};
use wasip3::wit_bindgen::rt::async_support::StreamReader;

/// Prints `text` on standard output, and returns when it is there.
pub async fn print(text: String) -> Result<(), ErrorCode> {
    let (mut writer, reader) = wasip3::wit_stream::new();
    let printed = stdout::write_via_stream(reader);
    writer.write_all(text.into_bytes()).await;
    drop(writer);
    printed.await
}

/// Says on standard error what went wrong. What fails here has nowhere to be told.
pub async fn complain(text: String) {
    let (mut writer, reader): (_, StreamReader<u8>) = wasip3::wit_stream::new();
    let printed = stderr::write_via_stream(reader);
    writer.write_all(format!("{text}\n").into_bytes()).await;
    drop(writer);
    let _ = printed.await;
}

/// Ends a command as its result wants it, with the reason on standard error.
pub async fn outcome(result: Result<(), String>) -> Result<(), ()> {
    match result {
        Ok(()) => Ok(()),
        Err(reason) => {
            complain(reason).await;
            Err(())
        }
    }
}

/// The arguments behind the program's name.
pub struct Arguments(std::vec::IntoIter<String>);

impl Arguments {
    pub fn new() -> Self {
        let mut words = environment::get_arguments().into_iter();
        words.next();
        Self(words)
    }

    /// The next argument, or `default` where there is none.
    pub fn next_or<T: FromStr>(&mut self, what: &str, default: T) -> Result<T, String> {
        match self.0.next() {
            None => Ok(default),
            Some(word) => word.parse().map_err(|_| format!("`{word}` is no {what}")),
        }
    }

    /// The next argument.
    pub fn next<T: FromStr>(&mut self, what: &str) -> Result<T, String> {
        let word = self.0.next().ok_or_else(|| format!("{what} is missing"))?;
        word.parse().map_err(|_| format!("`{word}` is no {what}"))
    }

    /// What is left.
    pub fn rest(self) -> Vec<String> {
        self.0.collect()
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self::new()
    }
}
