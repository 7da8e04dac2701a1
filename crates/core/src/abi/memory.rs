//! Access to linear memory.

use crate::trap::Trap;

/// A part of a linear memory whose bounds and alignment have been checked. Memories never shrink, so it stays good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestRange {
    start: usize,
    length: usize,
}

impl GuestRange {
    /// Checks that `length` bytes at `pointer` lie in memory, and then are aligned. `what` names them in the trap.
    ///
    /// # Errors
    /// [`Trap::Unaligned`], then [`Trap::OutOfBounds`].
    #[inline]
    pub fn check(
        memory: &[u8],
        pointer: u64,
        length: u64,
        align: u32,
        what: &'static str,
    ) -> Result<Self, Trap> {
        if pointer & (u64::from(align) - 1) != 0 {
            return Err(Trap::Unaligned { pointer, align });
        }
        match pointer.checked_add(length) {
            // Both fit `usize`, as the memory's length does.
            Some(end) if end <= memory.len() as u64 => Ok(Self {
                start: pointer as usize,
                length: length as usize,
            }),
            _ => Err(Trap::OutOfBounds {
                what,
                pointer,
                length,
                memory: memory.len() as u64,
            }),
        }
    }

    /// Where it begins.
    #[inline]
    pub fn start(self) -> usize {
        self.start
    }

    /// Its length in bytes.
    #[inline]
    pub fn length(self) -> usize {
        self.length
    }

    /// Its first `length` bytes, or all of it if that is less.
    pub(super) fn first(self, length: usize) -> Self {
        Self {
            length: self.length.min(length),
            ..self
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When the memory is another than the one that was checked.
    #[inline]
    pub fn bytes(self, memory: &[u8]) -> anyhow::Result<&[u8]> {
        bytes(memory, self.start, self.length)
    }
}

/// `length` bytes at `start`.
///
/// # Errors
/// [`Trap::OutOfBounds`].
#[inline]
pub fn bytes(memory: &[u8], start: usize, length: usize) -> anyhow::Result<&[u8]> {
    match memory.get(start..).and_then(|rest| rest.get(..length)) {
        Some(bytes) => Ok(bytes),
        None => Err(outside(memory.len(), start, length)),
    }
}

/// `length` bytes at `start`, to be written.
///
/// # Errors
/// [`Trap::OutOfBounds`].
#[inline]
pub fn bytes_mut(memory: &mut [u8], start: usize, length: usize) -> anyhow::Result<&mut [u8]> {
    let all = memory.len();
    match memory
        .get_mut(start..)
        .and_then(|rest| rest.get_mut(..length))
    {
        Some(bytes) => Ok(bytes),
        None => Err(outside(all, start, length)),
    }
}

/// Loads `N` bytes.
///
/// # Errors
/// [`Trap::OutOfBounds`].
#[inline]
pub fn load<const N: usize>(memory: &[u8], at: usize) -> anyhow::Result<[u8; N]> {
    match memory.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) => Ok(*bytes),
        None => Err(outside(memory.len(), at, N)),
    }
}

/// Stores `N` bytes.
///
/// # Errors
/// [`Trap::OutOfBounds`].
#[inline]
pub fn store<const N: usize>(memory: &mut [u8], at: usize, bytes: [u8; N]) -> anyhow::Result<()> {
    let all = memory.len();
    match memory.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        Some(slot) => {
            *slot = bytes;
            Ok(())
        }
        None => Err(outside(all, at, N)),
    }
}

/// Loads an unsigned integer of `size` bytes: 1, 2, 4 or 8.
///
/// # Errors
/// [`Trap::OutOfBounds`].
#[inline]
pub fn load_uint(memory: &[u8], at: usize, size: u32) -> anyhow::Result<u64> {
    Ok(match size {
        1 => u64::from(u8::from_le_bytes(load(memory, at)?)),
        2 => u64::from(u16::from_le_bytes(load(memory, at)?)),
        4 => u64::from(u32::from_le_bytes(load(memory, at)?)),
        _ => u64::from_le_bytes(load(memory, at)?),
    })
}

/// Stores the low `size` bytes of an integer: 1, 2, 4 or 8.
///
/// # Errors
/// [`Trap::OutOfBounds`].
#[inline]
pub fn store_uint(memory: &mut [u8], at: usize, value: u64, size: u32) -> anyhow::Result<()> {
    match size {
        1 => store(memory, at, (value as u8).to_le_bytes()),
        2 => store(memory, at, (value as u16).to_le_bytes()),
        4 => store(memory, at, (value as u32).to_le_bytes()),
        _ => store(memory, at, value.to_le_bytes()),
    }
}

#[cold]
fn outside(memory: usize, start: usize, length: usize) -> anyhow::Error {
    Trap::OutOfBounds {
        what: "value",
        pointer: start as u64,
        length: length as u64,
        memory: memory as u64,
    }
    .into()
}
