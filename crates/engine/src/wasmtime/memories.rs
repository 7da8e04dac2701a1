//! Where memories are: found once, and again after one of the store's has grown. The engine's own way there is eight loads, each of which waits for the
//! one before.

use std::{
    ops::Deref,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

/// A memory, and a number that no other handle in the process has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberedMemory {
    inner: wasmtime::Memory,
    number: u64,
}

impl NumberedMemory {
    pub(super) fn new(inner: wasmtime::Memory) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(NOBODY + 1);
        Self {
            inner,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl Deref for NumberedMemory {
    type Target = wasmtime::Memory;

    fn deref(&self) -> &wasmtime::Memory {
        &self.inner
    }
}

/// The number that no memory has.
const NOBODY: u64 = 0;

/// How many memories are remembered: those whose numbers come to the same place take turns.
const PLACES: u64 = 8;

/// Where the memories of a store are that were looked for last.
pub(super) struct Places {
    places: [Place; PLACES as usize],
    /// How often a memory of the store had asked to grow by then: what was found before the last time is not there any more.
    growths: u64,
}

#[derive(Clone, Copy)]
struct Place {
    number: u64,
    base: *mut u8,
    length: usize,
}

// SAFETY: it is only said where something is. Who looks there has the store, without which nobody gets at its memories.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Default for Places {
    fn default() -> Self {
        let nowhere = Place {
            number: NOBODY,
            base: ptr::null_mut(),
            length: 0,
        };
        Self {
            places: [nowhere; PLACES as usize],
            growths: 0,
        }
    }
}

impl Places {
    /// Where a memory is, and its length in bytes, if that is known. `growths` is how often a memory of the store has asked to grow.
    #[inline(always)]
    pub(super) fn find(&self, memory: &NumberedMemory, growths: u64) -> Option<(*mut u8, usize)> {
        let place = &self.places[(memory.number % PLACES) as usize];
        let known = place.number == memory.number && self.growths == growths;
        known.then_some((place.base, place.length))
    }

    /// Remembers where a memory is.
    pub(super) fn note(
        &mut self,
        memory: &NumberedMemory,
        base: *mut u8,
        length: usize,
        growths: u64,
    ) {
        if self.growths != growths {
            *self = Self {
                growths,
                ..Self::default()
            };
        }
        self.places[(memory.number % PLACES) as usize] = Place {
            number: memory.number,
            base,
            length,
        };
    }
}
