//! The table of an instance's handles.

use super::ResourceHandle;
use crate::trap::Trap;

/// What a handle stands for.
#[derive(Debug)]
pub enum Handle {
    /// A resource, owned or borrowed.
    Resource(ResourceHandle),
}

impl Handle {
    /// The kind, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Handle::Resource(_) => "resource",
        }
    }
}

/// The handles of a component instance: the specification's `Table`. Index 0 is never used.
#[derive(Debug, Default)]
pub struct HandleTable {
    slots: Vec<Option<Handle>>,
    free: Vec<u32>,
}

impl HandleTable {
    /// The largest index that the Canonical ABI allows.
    pub const MAX_INDEX: u32 = (1 << 28) - 1;

    /// Adds a handle and gives its index.
    ///
    /// # Errors
    /// [`Trap::Limit`] when the table is full.
    pub fn add(&mut self, handle: Handle) -> Result<u32, Trap> {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(handle);
            return Ok(index);
        }
        if self.slots.is_empty() {
            self.slots.push(None);
        }
        let index = self.slots.len() as u32;
        if index > Self::MAX_INDEX {
            return Err(Trap::Limit {
                what: "handles",
                limit: Self::MAX_INDEX.into(),
                option: "max-handles",
            });
        }
        self.slots.push(Some(handle));
        Ok(index)
    }

    /// The handle at an index.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`].
    pub fn get(&self, index: u32) -> Result<&Handle, Trap> {
        self.slots
            .get(index as usize)
            .and_then(Option::as_ref)
            .ok_or(Trap::UnknownHandle { index })
    }

    /// The handle at an index.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`].
    pub fn get_mut(&mut self, index: u32) -> Result<&mut Handle, Trap> {
        self.slots
            .get_mut(index as usize)
            .and_then(Option::as_mut)
            .ok_or(Trap::UnknownHandle { index })
    }

    /// Removes and gives the handle at an index.
    ///
    /// # Errors
    /// [`Trap::UnknownHandle`].
    pub fn remove(&mut self, index: u32) -> Result<Handle, Trap> {
        let handle = self
            .slots
            .get_mut(index as usize)
            .and_then(Option::take)
            .ok_or(Trap::UnknownHandle { index })?;
        self.free.push(index);
        Ok(handle)
    }
}
