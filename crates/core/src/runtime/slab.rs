//! A table whose owners hold the indices.

use std::ops::{Index, IndexMut};

/// Items with stable indices, which are used again after a removal.
///
/// Unlike a [`HandleTable`](super::HandleTable), whose indices guests choose, an index into a slab is only ever held by the runtime: it is
/// made by [`insert`](Self::insert) and dropped by its owner before or together with [`remove`](Self::remove). That is what lets indexing be infallible.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    #[inline(always)]
    pub(super) fn insert(&mut self, item: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(item);
            return index;
        }
        self.slots.push(Some(item));
        (self.slots.len() - 1) as u32
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<T> {
        let item = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(item)
    }

    /// Removes an item that nobody wants, without moving it.
    #[inline]
    pub(super) fn discard(&mut self, index: u32) {
        if let Some(slot @ Some(_)) = self.slots.get_mut(index as usize) {
            *slot = None;
            self.free.push(index);
        }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.as_ref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.as_mut()
    }

    /// Two items at a time.
    #[inline]
    pub(super) fn get_both_mut(&mut self, one: u32, other: u32) -> Option<(&mut T, &mut T)> {
        let indices = [one as usize, other as usize];
        let [one, other] = self.slots.get_disjoint_mut(indices).ok()?;
        Some((one.as_mut()?, other.as_mut()?))
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
            .filter_map(|(index, slot)| Some((index as u32, slot.as_ref()?)))
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        self.get(index).expect("an index is dropped with its item")
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        self.get_mut(index)
            .expect("an index is dropped with its item")
    }
}
