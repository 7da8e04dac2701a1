//! Where a consumer wants its items.

use bytes::BytesMut;

/// Takes the items that a consumer [reads](super::Source::read).
pub trait ReadBuffer<T> {
    /// How many items it takes: chosen by the host, never by a guest.
    fn remaining_capacity(&self) -> usize;

    /// Takes items, at most as many as there is room for.
    fn extend(&mut self, items: Vec<T>);
}

/// Takes as many items as fit without growing.
impl<T> ReadBuffer<T> for Vec<T> {
    fn remaining_capacity(&self) -> usize {
        self.capacity() - self.len()
    }

    fn extend(&mut self, mut items: Vec<T>) {
        self.append(&mut items);
    }
}

/// Takes one item, if there is none yet.
impl<T> ReadBuffer<T> for Option<T> {
    fn remaining_capacity(&self) -> usize {
        usize::from(self.is_none())
    }

    fn extend(&mut self, items: Vec<T>) {
        if let Some(item) = items.into_iter().next() {
            *self = Some(item);
        }
    }
}

/// Takes as many bytes as fit without growing.
impl ReadBuffer<u8> for BytesMut {
    fn remaining_capacity(&self) -> usize {
        self.capacity() - self.len()
    }

    fn extend(&mut self, items: Vec<u8>) {
        self.extend_from_slice(&items);
    }
}
