//! Where a consumer wants its items.

use crate::Result;
use bytes::BytesMut;

/// Takes the items that a consumer [reads](super::Source::read).
pub trait ReadBuffer<T> {
    /// How many items it takes: chosen by the host, never by a guest.
    fn remaining_capacity(&self) -> usize;

    /// Takes the items that `add` adds to a vector, at most as many as there is room for.
    ///
    /// # Errors
    /// Those of `add`.
    fn extend(&mut self, add: &mut dyn FnMut(&mut Vec<T>) -> Result<()>) -> Result<()>;
}

/// Takes as many items as fit without growing.
impl<T> ReadBuffer<T> for Vec<T> {
    fn remaining_capacity(&self) -> usize {
        self.capacity() - self.len()
    }

    fn extend(&mut self, add: &mut dyn FnMut(&mut Vec<T>) -> Result<()>) -> Result<()> {
        add(self)
    }
}

/// Takes one item, if there is none yet.
impl<T> ReadBuffer<T> for Option<T> {
    fn remaining_capacity(&self) -> usize {
        usize::from(self.is_none())
    }

    fn extend(&mut self, add: &mut dyn FnMut(&mut Vec<T>) -> Result<()>) -> Result<()> {
        let mut items = Vec::new();
        add(&mut items)?;
        if let Some(item) = items.pop() {
            *self = Some(item);
        }
        Ok(())
    }
}

/// Takes as many bytes as fit without growing.
impl ReadBuffer<u8> for BytesMut {
    fn remaining_capacity(&self) -> usize {
        self.capacity() - self.len()
    }

    fn extend(&mut self, add: &mut dyn FnMut(&mut Vec<u8>) -> Result<()>) -> Result<()> {
        let mut items = Vec::new();
        add(&mut items)?;
        self.extend_from_slice(&items);
        Ok(())
    }
}
