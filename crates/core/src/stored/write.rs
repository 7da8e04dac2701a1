//! Writing.

use super::{MAX_DEPTH, Stored};
use std::collections::HashMap;
use std::sync::Arc;

/// Takes what is to be stored.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    /// The names so far.
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    depth: u32,
    /// Something was met that the bytes have no form for.
    pub unknown: bool,
}

impl Writer {
    /// What was written after `head`, with the names in between; `None` if not all of it could be.
    pub fn finish(self, head: &impl Stored) -> Option<Vec<u8>> {
        let mut out = Writer::default();
        head.write(&mut out);
        out.number(self.names.len() as u64);
        self.names.iter().for_each(|name| out.text(name));
        out.out.extend_from_slice(&self.out);
        (!self.unknown).then_some(out.out)
    }

    pub fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.out.extend_from_slice(text.as_bytes());
    }

    pub fn list<T: Stored>(&mut self, list: &[T]) {
        if self.depth == MAX_DEPTH {
            self.unknown = true;
            return;
        }
        self.depth += 1;
        self.number(list.len() as u64);
        list.iter().for_each(|item| item.write(self));
        self.depth -= 1;
    }

    pub fn name(&mut self, name: &Arc<str>) {
        let next = self.names.len() as u32;
        let number = *self.numbers.entry(name.clone()).or_insert(next);
        if number == next {
            self.names.push(name.clone());
        }
        self.number(number.into());
    }
}
