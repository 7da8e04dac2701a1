//! Counts lines, words and bytes of a text that comes in pieces: the same for every generation of WASI.

use std::fmt;

/// How much is read at a time.
pub const BUFFER: usize = 64 * 1024;

/// What was counted so far.
#[derive(Default)]
pub struct Count {
    lines: u64,
    words: u64,
    bytes: u64,
    in_word: bool,
}

impl Count {
    /// Counts the next piece; a word may go on in the one after it.
    pub fn add(&mut self, piece: &[u8]) {
        let mut in_word = self.in_word;
        for &byte in piece {
            let space = byte == b' ' || (b'\t'..=b'\r').contains(&byte);
            self.lines += u64::from(byte == b'\n');
            self.words += u64::from(!space && !in_word);
            in_word = !space;
        }
        self.in_word = in_word;
        self.bytes += piece.len() as u64;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.lines, self.words, self.bytes)
    }
}
