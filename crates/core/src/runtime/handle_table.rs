//! The table of an instance's handles.

use super::{ErrorContext, ResourceHandle, WaitableId, WaitableSetId};
use crate::trap::Trap;

/// What a handle stands for.
#[derive(Debug)]
pub enum Handle {
    /// A resource, owned or borrowed.
    Resource(ResourceHandle),
    /// A call of an import that had not resolved when it returned to its caller.
    Subtask(WaitableId),
    /// The end of a stream that items are read from.
    ReadableStream(WaitableId),
    /// The end of a stream that items are written to.
    WritableStream(WaitableId),
    /// The end of a future that its value is read from.
    ReadableFuture(WaitableId),
    /// The end of a future that its value is written to.
    WritableFuture(WaitableId),
    /// A set of waitables to wait for.
    WaitableSet(WaitableSetId),
    /// An error context.
    ErrorContext(ErrorContext),
}

impl Handle {
    /// The kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Handle::Resource(_) => "resource",
            Handle::Subtask(_) => "subtask",
            Handle::ReadableStream(_) => "readable end of a stream",
            Handle::WritableStream(_) => "writable end of a stream",
            Handle::ReadableFuture(_) => "readable end of a future",
            Handle::WritableFuture(_) => "writable end of a future",
            Handle::WaitableSet(_) => "waitable set",
            Handle::ErrorContext(_) => "error context",
        }
    }

    /// The trap for using this handle, found at `index`, where something else is expected.
    pub(super) fn mismatch(&self, index: u32, expected: &'static str) -> Trap {
        Trap::WrongHandle {
            index,
            expected,
            found: self.kind(),
        }
    }
}

/// A table whose indices a guest knows: the specification's `Table`. Index 0 is never used; a freed index is the next to be used again.
#[derive(Debug)]
pub struct Table<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    limit: u32,
    names: &'static Names,
}

/// What the items of a table are called in messages, and the option that raises their limit.
pub type Names = (&'static str, &'static str);

/// The handles of a component instance.
pub type HandleTable = Table<Handle>;

impl HandleTable {
    /// What handles are called.
    pub const NAMES: &'static Names = &("handles", "max-handles");
}

impl Default for HandleTable {
    fn default() -> Self {
        Self::new(Self::MAX_INDEX, Self::NAMES)
    }
}

impl<T> Table<T> {
    /// The largest index that the Canonical ABI allows.
    pub const MAX_INDEX: u32 = (1 << 28) - 1;

    /// A table for at most `limit` items.
    pub fn new(limit: u32, names: &'static Names) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            limit: limit.min(Self::MAX_INDEX),
            names,
        }
    }

    /// Adds an item and gives its index.
    ///
    /// # Errors
    /// [`Trap::Limit`] when the table is full.
    #[inline(always)]
    pub fn add(&mut self, item: T) -> Result<u32, Trap> {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(item);
            return Ok(index);
        }
        self.add_new(item)
    }

    /// The same where no index is free.
    #[cold]
    fn add_new(&mut self, item: T) -> Result<u32, Trap> {
        if self.slots.is_empty() {
            // Most instances have one thread at a time.
            self.slots.reserve_exact(2);
            self.slots.push(None);
        }
        let index = self.slots.len() as u32;
        if index > self.limit {
            let (what, option) = *self.names;
            return Err(Trap::Limit {
                what,
                limit: self.limit.into(),
                option,
            });
        }
        self.slots.push(Some(item));
        Ok(index)
    }

    /// Adds an item at an index that was used before, if there is one.
    #[inline]
    pub(super) fn add_reused(&mut self, item: T) -> Option<u32> {
        let index = self.free.pop()?;
        *self.slots.get_mut(index as usize)? = Some(item);
        Some(index)
    }

    /// The item at an index, if there is one.
    #[inline]
    pub(super) fn find(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.as_ref()
    }

    /// The item at an index.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`].
    #[inline]
    pub fn get(&self, index: u32) -> Result<&T, Trap> {
        self.slots
            .get(index as usize)
            .and_then(Option::as_ref)
            .ok_or_else(|| unknown(index))
    }

    /// The item at an index.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`].
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Result<&mut T, Trap> {
        self.slots
            .get_mut(index as usize)
            .and_then(Option::as_mut)
            .ok_or_else(|| unknown(index))
    }

    /// Removes and gives the item at an index.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`].
    #[inline]
    pub fn remove(&mut self, index: u32) -> Result<T, Trap> {
        let item = self
            .slots
            .get_mut(index as usize)
            .and_then(Option::take)
            .ok_or_else(|| unknown(index))?;
        self.free.push(index);
        Ok(item)
    }

    /// Removes and gives the item at an index, if there is one: [`remove`](Self::remove) without a word for what is wrong.
    #[inline]
    pub(super) fn remove_known(&mut self, index: u32) -> Option<T> {
        let item = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(item)
    }

    /// Every item with its index, in the order of the indices.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| Some((index as u32, slot.as_ref()?)))
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        // Slot 0 exists as soon as any other does, and is never filled or freed.
        self.slots.len().saturating_sub(1) - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Empties the table and gives what was in it.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = T> + use<T> {
        self.free.clear();
        std::mem::take(&mut self.slots).into_iter().flatten()
    }
}

/// Apart, so that a look-up that finds its item makes no trap and drops none.
#[cold]
fn unknown(index: u32) -> Trap {
    Trap::UnknownHandle { index }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<char> {
        Table::new(3, &("letters", "max-letters"))
    }

    #[test]
    fn index_zero_is_never_given_out() {
        assert_eq!(table().add('a'), Ok(1));
        assert_eq!(table().get(0), Err(Trap::UnknownHandle { index: 0 }));
    }

    #[test]
    fn the_index_freed_last_is_used_first() {
        let mut table = table();
        for letter in ['a', 'b', 'c'] {
            table.add(letter).unwrap();
        }
        table.remove(1).unwrap();
        table.remove(3).unwrap();
        assert_eq!(table.add('d'), Ok(3));
        assert_eq!(table.add('e'), Ok(1));
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn a_full_table_traps_by_name() {
        let mut table = table();
        for letter in ['a', 'b', 'c'] {
            table.add(letter).unwrap();
        }
        let trap = table.add('d').unwrap_err();
        assert_eq!(
            trap.to_string(),
            "limit reached: 3 letters (option `max-letters`)"
        );
        table.remove(2).unwrap();
        assert_eq!(table.add('d'), Ok(2));
    }
}
