//! Items on their way from a producer.

use bytes::{Buf, Bytes, BytesMut};
use std::collections::VecDeque;
use std::vec;

/// Holds items that a producer has made and the reader has not taken.
pub trait WriteBuffer<T>: Send + 'static {
    /// The next items, as far as they lie side by side: none only if there are none at all.
    fn remaining(&self) -> &[T];

    /// Drops the first `count` items, which are at most as many as [remain](Self::remaining).
    fn skip(&mut self, count: usize);

    /// Takes out the first `count` items, which are at most as many as [remain](Self::remaining).
    fn take(&mut self, count: usize, into: &mut Vec<T>);
}

/// Taking from the front moves what is behind: for many items [`VecDeque`] is faster, into which a `Vec` turns without copying.
impl<T: Send + 'static> WriteBuffer<T> for Vec<T> {
    fn remaining(&self) -> &[T] {
        self
    }

    fn skip(&mut self, count: usize) {
        self.drain(..count.min(self.len()));
    }

    fn take(&mut self, count: usize, into: &mut Vec<T>) {
        into.extend(self.drain(..count.min(self.len())));
    }
}

/// A vector's items, of which those that were taken are not there any more: unlike a [`Vec`], it does not move the rest when a reader takes a
/// part.
#[derive(Debug)]
pub struct VecBuffer<T>(vec::IntoIter<T>);

impl<T> From<Vec<T>> for VecBuffer<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items.into_iter())
    }
}

impl<T> Default for VecBuffer<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: Send + 'static> WriteBuffer<T> for VecBuffer<T> {
    fn remaining(&self) -> &[T] {
        self.0.as_slice()
    }

    fn skip(&mut self, count: usize) {
        if let Some(last) = count.checked_sub(1) {
            self.0.nth(last);
        }
    }

    fn take(&mut self, count: usize, into: &mut Vec<T>) {
        into.extend(self.0.by_ref().take(count));
    }
}

impl<T: Send + 'static> WriteBuffer<T> for VecDeque<T> {
    fn remaining(&self) -> &[T] {
        match self.as_slices() {
            ([], behind) => behind,
            (front, _) => front,
        }
    }

    fn skip(&mut self, count: usize) {
        self.drain(..count.min(self.len()));
    }

    fn take(&mut self, count: usize, into: &mut Vec<T>) {
        into.extend(self.drain(..count.min(self.len())));
    }
}

impl<T: Send + 'static> WriteBuffer<T> for Option<T> {
    fn remaining(&self) -> &[T] {
        self.as_slice()
    }

    fn skip(&mut self, count: usize) {
        if count > 0 {
            *self = None;
        }
    }

    fn take(&mut self, count: usize, into: &mut Vec<T>) {
        if count > 0 {
            into.extend(Option::take(self));
        }
    }
}

impl WriteBuffer<u8> for Bytes {
    fn remaining(&self) -> &[u8] {
        self
    }

    fn skip(&mut self, count: usize) {
        self.advance(count.min(self.len()));
    }

    fn take(&mut self, count: usize, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.split_to(count.min(self.len())));
    }
}

impl WriteBuffer<u8> for BytesMut {
    fn remaining(&self) -> &[u8] {
        self
    }

    fn skip(&mut self, count: usize) {
        self.advance(count.min(self.len()));
    }

    fn take(&mut self, count: usize, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.split_to(count.min(self.len())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_taken_in_parts() {
        let mut buffer = VecBuffer::from(vec!["a", "b", "c", "d"]);
        buffer.skip(0);
        assert_eq!(buffer.remaining(), ["a", "b", "c", "d"]);
        buffer.skip(1);
        let mut taken = Vec::new();
        buffer.take(2, &mut taken);
        assert_eq!(taken, ["b", "c"]);
        assert_eq!(buffer.remaining(), ["d"]);
        buffer.skip(5);
        assert!(buffer.remaining().is_empty());
    }
}
