//! Memories that several isolates have at the same time.

use std::{
    fmt,
    sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering},
};

use crate::{
    config::{Engine, EngineInner},
    error::EngineError,
    trap::{Trap, TrapCode},
    types::MemoryType,
};

/// How many bytes are copied at once.
const WORD: usize = 8;

/// A linear memory that isolates on any threads can share. Cheap to clone; it lives until the last of them is gone.
///
/// To import it, an isolate must be told of it first: [`Cx::add_shared_memory`](crate::Cx::add_shared_memory). Limits of
/// isolates do not count it.
#[derive(Clone)]
pub struct SharedMemory {
    pub(crate) inner: ::wasmtime::SharedMemory,
}

impl SharedMemory {
    /// A new one, of zeros. Its address space is reserved up to its maximum, but taken only as it grows.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] on wasmi, where the engine was not set up for
    /// [`threads`](crate::EngineConfig::threads), or where the type is not that of a shared memory.
    pub fn new(engine: &Engine, ty: &MemoryType) -> Result<Self, EngineError> {
        let EngineInner::Wasmtime(inner) = &engine.inner else {
            return Err(EngineError::Unsupported(
                "this engine has no shared memories".into(),
            ));
        };
        crate::wasmtime::shared_memory(inner, ty).map(|inner| Self { inner })
    }

    /// Its size in bytes, which other threads may have made larger by the time this returns.
    pub fn size(&self) -> usize {
        self.inner.data_size()
    }

    /// Copies bytes out, from `offset` on. Other threads may be writing there: each byte is one that was there at some time during the copy.
    ///
    /// # Errors
    /// A [`Trap`] of [`TrapCode::MemoryOutOfBounds`]; nothing is copied then.
    pub fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Trap> {
        let start = self.checked(offset, bytes.len())?;
        let head = bytes.len().min(start.align_offset(WORD));
        let (head, rest) = bytes.split_at_mut(head);
        let mut at = start;
        for byte in head {
            // SAFETY: `checked` has found all of `bytes.len()` bytes from `start` on to be within the memory, which neither moves nor
            // shrinks while `self` is there; `at` counts them. All accesses to them are atomic, or those of compiled guests.
            *byte = unsafe { AtomicU8::from_ptr(at) }.load(Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        let (words, tail) = rest.as_chunks_mut::<WORD>();
        for word in words {
            // SAFETY: as above, and `at` is aligned: `head` went up to where it is.
            let value = unsafe { AtomicU64::from_ptr(at.cast()) }.load(Ordering::Relaxed);
            *word = value.to_ne_bytes();
            at = at.wrapping_add(WORD);
        }
        for byte in tail {
            // SAFETY: as for `head`.
            *byte = unsafe { AtomicU8::from_ptr(at) }.load(Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        Ok(())
    }

    /// Copies bytes in, from `offset` on.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Trap> {
        let start = self.checked(offset, bytes.len())?;
        let head = bytes.len().min(start.align_offset(WORD));
        let (head, rest) = bytes.split_at(head);
        let mut at = start;
        for byte in head {
            // SAFETY: see `read`.
            unsafe { AtomicU8::from_ptr(at) }.store(*byte, Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        let (words, tail) = rest.as_chunks::<WORD>();
        for word in words {
            // SAFETY: see `read`.
            unsafe { AtomicU64::from_ptr(at.cast()) }
                .store(u64::from_ne_bytes(*word), Ordering::Relaxed);
            at = at.wrapping_add(WORD);
        }
        for byte in tail {
            // SAFETY: see `read`.
            unsafe { AtomicU8::from_ptr(at) }.store(*byte, Ordering::Relaxed);
            at = at.wrapping_add(1);
        }
        Ok(())
    }

    /// Loads an `i32` as `i32.atomic.load` does.
    ///
    /// # Errors
    /// A [`Trap`] of [`TrapCode::UnalignedAtomic`] or [`TrapCode::MemoryOutOfBounds`].
    pub fn atomic_load32(&self, offset: u64) -> Result<u32, Trap> {
        let at = self.aligned(offset, 4)?;
        // SAFETY: within the memory (see `read`) and aligned, which `aligned` has checked.
        let value = unsafe { AtomicU32::from_ptr(at.cast()) }.load(Ordering::SeqCst);
        Ok(u32::from_le(value))
    }

    /// Loads an `i64` as `i64.atomic.load` does.
    ///
    /// # Errors
    /// As [`atomic_load32`](Self::atomic_load32).
    pub fn atomic_load64(&self, offset: u64) -> Result<u64, Trap> {
        let at = self.aligned(offset, 8)?;
        // SAFETY: within the memory (see `read`) and aligned, which `aligned` has checked.
        let value = unsafe { AtomicU64::from_ptr(at.cast()) }.load(Ordering::SeqCst);
        Ok(u64::from_le(value))
    }

    /// Checks an address as `memory.atomic.notify` does.
    ///
    /// # Errors
    /// As [`atomic_load32`](Self::atomic_load32).
    pub fn check_atomic(&self, offset: u64) -> Result<(), Trap> {
        self.aligned(offset, 4).map(|_| ())
    }

    /// Where an atomic access of so many bytes goes.
    fn aligned(&self, offset: u64, len: usize) -> Result<*mut u8, Trap> {
        // Memories begin at the start of a page, so that an aligned offset is an aligned address.
        if !offset.is_multiple_of(len as u64) {
            return Err(Trap::new(TrapCode::UnalignedAtomic));
        }
        self.checked(offset, len)
    }

    /// Where a range of the memory begins.
    fn checked(&self, offset: u64, len: usize) -> Result<*mut u8, Trap> {
        let cells = self.inner.data();
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(len)?))
            .and_then(|range| cells.get(range));
        match range {
            // A pointer to the cells of all of the memory, not just of the first.
            Some(range) => Ok(range.as_ptr().cast_mut().cast()),
            None => Err(Trap::new(TrapCode::MemoryOutOfBounds)),
        }
    }

    /// Whether the two are one memory.
    pub fn same(&self, other: &Self) -> bool {
        std::ptr::eq(self.inner.data().as_ptr(), other.inner.data().as_ptr())
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory")
            .field("size", &self.size())
            .finish()
    }
}
