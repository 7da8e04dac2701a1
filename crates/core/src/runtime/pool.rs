//! A table for what comes and goes with every call.

use std::ops::{Index, IndexMut};

/// Like a [`Slab`](super::slab::Slab), but an item stays where it is when it is discarded, and is overwritten in place when its index is used
/// again. A synchronous call makes and discards a task and a thread; moving them in and out would cost more than all the rest of it.
#[derive(Debug)]
pub(super) struct Pool<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    live: bool,
    item: T,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Pool<T> {
    pub(super) fn insert(&mut self, item: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Slot { live: true, item };
            return index;
        }
        self.slots.push(Slot { live: true, item });
        (self.slots.len() - 1) as u32
    }

    /// The index that [`revive`](Self::revive) would use.
    #[inline]
    pub(super) fn next_free(&self) -> Option<u32> {
        self.free.last().copied()
    }

    /// Brings the item that was discarded last back to life, as it was left.
    #[inline]
    pub(super) fn revive(&mut self) -> Option<&mut T> {
        let index = self.free.pop()?;
        let slot = self.slots.get_mut(index as usize)?;
        slot.live = true;
        Some(&mut slot.item)
    }

    /// Ends an item.
    #[inline]
    pub(super) fn discard(&mut self, index: u32) {
        if let Some(slot) = self.slots.get_mut(index as usize)
            && slot.live
        {
            slot.live = false;
            self.free.push(index);
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let slot = self.slots.get(index as usize)?;
        slot.live.then_some(&slot.item)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let slot = self.slots.get_mut(index as usize)?;
        slot.live.then_some(&mut slot.item)
    }

    /// How many items there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.live)
            .map(|(index, slot)| (index as u32, &slot.item))
    }
}

impl<T> Index<u32> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        self.get(index).expect("an index is dropped with its item")
    }
}

impl<T> IndexMut<u32> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index)
            .expect("an index is dropped with its item")
    }
}
