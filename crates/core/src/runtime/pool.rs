//! A table for what comes and goes with every call.

use std::ops::{Index, IndexMut};

/// Like a [`Slab`](super::slab::Slab), but an item stays where it is when it is discarded, and is overwritten in place when its index is used
/// again. A synchronous call makes and discards a task and a thread; moving them in and out would cost more than all the rest of it.
///
/// Unlike a slab's indices, names may be kept longer than their items.
#[derive(Debug)]
pub(super) struct Pool<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    /// How often an item came here or went: odd while there is one.
    generation: u32,
    item: T,
}

/// Names an item: its index in the upper half, and its place's generation. One word, as what is returned in two halves and read as a whole waits for
/// both to reach memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(u64);

impl Name {
    /// The name of nothing, ever.
    pub(super) const NONE: Self = Self((u32::MAX as u64) << 32);

    #[inline]
    fn new(index: u32, generation: u32) -> Self {
        Self(u64::from(index) << 32 | u64::from(generation))
    }

    #[inline]
    pub(super) fn index(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    fn generation(self) -> u32 {
        self.0 as u32
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.index(), self.generation())
    }
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
    pub(super) fn insert(&mut self, item: T) -> Name {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.item = item;
            slot.generation = slot.generation.wrapping_add(1);
            return Name::new(index, slot.generation);
        }
        self.slots.push(Slot {
            generation: 1,
            item,
        });
        Name::new((self.slots.len() - 1) as u32, 1)
    }

    /// The name that [`revive`](Self::revive) would give.
    #[inline]
    pub(super) fn next_free(&self) -> Option<Name> {
        let index = self.free.last().copied()?;
        let generation = self.slots.get(index as usize)?.generation;
        Some(Name::new(index, generation.wrapping_add(1)))
    }

    /// Brings the item that was discarded last back to life, as it was left.
    #[inline]
    pub(super) fn revive(&mut self) -> Option<&mut T> {
        let index = self.free.pop()?;
        let slot = self.slots.get_mut(index as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        Some(&mut slot.item)
    }

    /// Ends an item, if it has not ended.
    #[inline]
    pub(super) fn discard(&mut self, name: Name) {
        if let Some(slot) = self.slots.get_mut(name.index() as usize)
            && slot.generation == name.generation()
        {
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(name.index());
        }
    }

    // Names are of items: their generations are odd, so that none is that of a vacant place.

    #[inline]
    pub(super) fn get(&self, name: Name) -> Option<&T> {
        let slot = self.slots.get(name.index() as usize)?;
        (slot.generation == name.generation()).then_some(&slot.item)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, name: Name) -> Option<&mut T> {
        let slot = self.slots.get_mut(name.index() as usize)?;
        (slot.generation == name.generation()).then_some(&mut slot.item)
    }

    /// How many items there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Name, &T)> {
        let slots = self.slots.iter().enumerate();
        let live = slots.filter(|(_, slot)| slot.generation % 2 == 1);
        live.map(|(index, slot)| (Name::new(index as u32, slot.generation), &slot.item))
    }
}

impl<T> Index<Name> for Pool<T> {
    type Output = T;

    #[inline]
    fn index(&self, name: Name) -> &T {
        self.get(name).expect("a name is dropped with its item")
    }
}

impl<T> IndexMut<Name> for Pool<T> {
    #[inline]
    fn index_mut(&mut self, name: Name) -> &mut T {
        self.get_mut(name).expect("a name is dropped with its item")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_never_stands_for_a_later_item() {
        let mut pool = Pool::default();
        let first = pool.insert('a');
        pool.discard(first);
        let second = pool.insert('b');
        assert_eq!((second.index(), pool.get(first)), (first.index(), None));
        // Late, and without effect.
        pool.discard(first);
        assert_eq!(pool.get(second), Some(&'b'));
        pool.discard(second);
        let third = pool.next_free();
        assert_eq!(pool.revive(), Some(&mut 'b'));
        assert_eq!(third.and_then(|third| pool.get(third)), Some(&'b'));
        assert_eq!((pool.get(second), pool.len()), (None, 1));
    }
}
