//! The guest's memory: every pointer is checked before anything happens.
//!
//! A memory that is shared with other threads is never borrowed: what is read is copied out first, and what is to be written
//! is put together apart and copied in when the call ends.

use std::borrow::Cow;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

use tidegate::module::{GuestMemory, SharedMemory};

use super::outcome::Stop;
use super::types::Errno;

/// The most buffers one call may name, as POSIX's `IOV_MAX`.
const IOVECS_MAX: u32 = 1024;

/// How many of them are used: the rest is left to the next call, as after any short transfer.
const IOVECS_USED: usize = 16;

/// The longest path in bytes. No host takes a longer one, so nothing more is looked at.
const PATH_MAX: u32 = 4095;

/// How many bytes of buffers one call uses: a guest that is copying cannot be interrupted, and this takes up to half a millisecond.
const OWN_USED: usize = 1 << 20;

/// How many bytes of buffers in a shared memory one call uses, as they are copied once more.
const SHARED_USED: usize = 64 << 10;

/// The guest's memory during one call. Alignment does not matter.
pub(super) struct Memory<'a>(Backing<'a>);

enum Backing<'a> {
    Own(&'a mut [u8]),
    Shared(Shared<'a>),
}

struct Shared<'a> {
    memory: &'a SharedMemory,
    /// As it was when the call began; it never shrinks.
    size: usize,
    /// What may be written when the call ends.
    staged: Vec<Staged>,
}

/// Bytes that were given out to be written to. Only those that have changed are written, so that nothing is undone that other threads wrote.
struct Staged {
    start: usize,
    before: Box<[u8]>,
    bytes: Box<[u8]>,
}

impl Shared<'_> {
    /// Copies a range out that was found to be within memory.
    fn copy(&self, range: Range<usize>) -> Box<[u8]> {
        let mut bytes = vec![0; range.len()].into_boxed_slice();
        self.read(range.start, &mut bytes);
        bytes
    }

    fn read(&self, start: usize, bytes: &mut [u8]) {
        // The range was checked against `size`.
        let _ = self.memory.read(start as u64, bytes);
    }

    fn stage(&mut self, range: Range<usize>) -> &mut [u8] {
        let before = self.copy(range.clone());
        let index = self.staged.len();
        self.staged.push(Staged {
            start: range.start,
            bytes: before.clone(),
            before,
        });
        &mut self.staged[index].bytes
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        for staged in &self.staged {
            let mut rest = 0;
            let differs = |index: usize| staged.before[index] != staged.bytes[index];
            while let Some(first) = (rest..staged.bytes.len()).find(|index| differs(*index)) {
                let end = (first..staged.bytes.len())
                    .find(|index| !differs(*index))
                    .unwrap_or(staged.bytes.len());
                let start = (staged.start + first) as u64;
                // The range was checked against `size`.
                let _ = self.memory.write(start, &staged.bytes[first..end]);
                rest = end;
            }
        }
    }
}

/// A place for `N` bytes that was found to be within memory.
#[derive(Clone, Copy)]
pub(super) struct Slot<const N: usize> {
    at: usize,
}

impl<'a> Memory<'a> {
    pub(super) fn new(memory: impl Into<GuestMemory<'a>>) -> Self {
        Self(match memory.into() {
            GuestMemory::Own(bytes) => Backing::Own(bytes),
            GuestMemory::Shared(memory) => Backing::Shared(Shared {
                memory,
                size: memory.size(),
                staged: Vec::new(),
            }),
        })
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        match &self.0 {
            Backing::Own(bytes) => bytes.len(),
            Backing::Shared(shared) => shared.size,
        }
    }

    /// Checks that `len` bytes at `pointer` are within memory.
    pub(super) fn range(&self, pointer: u32, len: u64) -> Result<Range<usize>, Stop> {
        let fault = Stop::Fault { pointer, len };
        let (Ok(start), Ok(len)) = (usize::try_from(pointer), usize::try_from(len)) else {
            return Err(fault);
        };
        match start.checked_add(len) {
            Some(end) if end <= self.size() => Ok(start..end),
            _ => Err(fault),
        }
    }

    /// Checks a pointer to a result.
    pub(super) fn slot<const N: usize>(&self, pointer: u32) -> Result<Slot<N>, Stop> {
        let range = self.range(pointer, N as u64)?;
        Ok(Slot { at: range.start })
    }

    /// Stores a result.
    pub(super) fn put<const N: usize>(&mut self, slot: Slot<N>, value: [u8; N]) {
        // The slot was checked against this memory, which does not change size during a call.
        match &mut self.0 {
            Backing::Own(bytes) => bytes[slot.at..slot.at + N].copy_from_slice(&value),
            Backing::Shared(shared) => {
                let _ = shared.memory.write(slot.at as u64, &value);
            }
        }
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> Cow<'_, [u8]> {
        match &self.0 {
            Backing::Own(bytes) => Cow::Borrowed(&bytes[range]),
            Backing::Shared(shared) => Cow::Owned(shared.copy(range).into_vec()),
        }
    }

    pub(super) fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        match &mut self.0 {
            Backing::Own(bytes) => &mut bytes[range],
            Backing::Shared(shared) => shared.stage(range),
        }
    }

    /// Reads `N` bytes at `pointer`.
    pub(super) fn load<const N: usize>(&self, pointer: u32) -> Result<[u8; N], Stop> {
        let slot = self.slot::<N>(pointer)?;
        let mut value = [0; N];
        match &self.0 {
            Backing::Own(bytes) => value.copy_from_slice(&bytes[slot.at..slot.at + N]),
            Backing::Shared(shared) => shared.read(slot.at, &mut value),
        }
        Ok(value)
    }

    /// A path: UTF-8, and no longer than any host takes.
    pub(super) fn path(&self, pointer: u32, len: u32) -> Result<Cow<'_, str>, Stop> {
        let range = self.range(pointer, len.into())?;
        if len > PATH_MAX {
            return Err(Errno::NameTooLong.into());
        }
        match self.bytes(range) {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).ok(),
            Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).ok(),
        }
        .ok_or_else(|| Errno::Ilseq.into())
    }

    /// A list of `count` buffers at `pointer`, all of them within memory.
    ///
    /// Fails with `inval` beyond [`IOVECS_MAX`] buffers, or when their lengths do not add up to a
    /// number of 32 bits.
    pub(super) fn iovecs(&self, pointer: u32, count: u32) -> Result<Iovecs, Stop> {
        let list = self.range(pointer, u64::from(count) * 8)?;
        if count > IOVECS_MAX {
            return Err(Errno::Inval.into());
        }
        let mut iovecs = Iovecs::default();
        let mut total = 0u32;
        let mut room = match &self.0 {
            Backing::Own(_) => OWN_USED,
            Backing::Shared(_) => SHARED_USED,
        };
        for iovec in self.bytes(list).chunks_exact(8) {
            let (at, len) = iovec.split_at(4);
            let len = le_u32(len);
            let mut range = self.range(le_u32(at), len.into())?;
            total = total.checked_add(len).ok_or(Errno::Inval)?;
            let used = range.len().min(room);
            // Once a buffer is cut short, the transfer is.
            room = if used < range.len() { 0 } else { room - used };
            range.end = range.start + used;
            iovecs.push(range);
        }
        Ok(iovecs)
    }

    /// The buffers to write from.
    pub(super) fn gather(&self, iovecs: &Iovecs) -> Gathered<'_> {
        Gathered(std::array::from_fn(|index| {
            self.bytes(iovecs.ranges[index].clone())
        }))
    }

    /// The buffers to read into. Where they overlap, only the first is given; the others are empty.
    pub(super) fn slices_mut(&mut self, iovecs: &Iovecs) -> [IoSliceMut<'_>; IOVECS_USED] {
        let mut slices: [&mut [u8]; IOVECS_USED] = std::array::from_fn(|_| &mut [][..]);
        let bytes = match &mut self.0 {
            Backing::Own(bytes) => bytes,
            Backing::Shared(shared) => {
                let first = shared.staged.len();
                for range in iovecs.ranges() {
                    shared.stage(range.clone());
                }
                for (slice, staged) in slices.iter_mut().zip(&mut shared.staged[first..]) {
                    *slice = &mut staged.bytes;
                }
                return slices.map(IoSliceMut::new);
            }
        };
        let mut order: [usize; IOVECS_USED] = std::array::from_fn(|index| index);
        let order = &mut order[..iovecs.used];
        order.sort_unstable_by_key(|index| iovecs.ranges[*index].start);
        let overlap = order
            .windows(2)
            .any(|pair| iovecs.ranges[pair[0]].end > iovecs.ranges[pair[1]].start);
        if overlap {
            slices[0] = &mut bytes[iovecs.ranges[0].clone()];
        } else {
            let mut rest = &mut **bytes;
            let mut passed = 0;
            for index in order.iter().copied() {
                let range = &iovecs.ranges[index];
                let (_, from) = rest.split_at_mut(range.start - passed);
                let (slice, after) = from.split_at_mut(range.len());
                slices[index] = slice;
                rest = after;
                passed = range.end;
            }
        }
        slices.map(IoSliceMut::new)
    }
}

/// The contents of buffers.
pub(super) struct Gathered<'a>([Cow<'a, [u8]>; IOVECS_USED]);

impl Gathered<'_> {
    pub(super) fn slices(&self) -> [IoSlice<'_>; IOVECS_USED] {
        std::array::from_fn(|index| IoSlice::new(&self.0[index]))
    }
}

/// The first buffers of a list that hold anything, all within memory.
#[derive(Debug, Default)]
pub(super) struct Iovecs {
    ranges: [Range<usize>; IOVECS_USED],
    used: usize,
}

impl Iovecs {
    fn push(&mut self, range: Range<usize>) {
        if !range.is_empty() && self.used < IOVECS_USED {
            self.ranges[self.used] = range;
            self.used += 1;
        }
    }

    /// The buffers, in order, none of them empty.
    pub(super) fn ranges(&self) -> &[Range<usize>] {
        &self.ranges[..self.used]
    }

    /// How many bytes the buffers hold together.
    pub(super) fn total(&self) -> usize {
        self.ranges().iter().map(Range::len).sum()
    }

    /// The buffers without the first `bytes` bytes.
    pub(super) fn skip(&self, mut bytes: usize) -> Self {
        let mut rest = Self::default();
        for range in self.ranges() {
            let skipped = bytes.min(range.len());
            bytes -= skipped;
            rest.push(range.start + skipped..range.end);
        }
        rest
    }
}

fn le_u32(bytes: &[u8]) -> u32 {
    let mut array = [0; 4];
    array.copy_from_slice(bytes);
    u32::from_le_bytes(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory that begins with the given list of buffers.
    fn with_iovecs(list: &[(u32, u32)]) -> Vec<u8> {
        let mut bytes: Vec<u8> = list
            .iter()
            .flat_map(|(at, len)| [at.to_le_bytes(), len.to_le_bytes()])
            .flatten()
            .collect();
        bytes.resize(65536, 0);
        bytes
    }

    #[test]
    fn buffers_in_any_order_are_split_without_overlap() {
        let mut bytes = with_iovecs(&[(300, 3), (100, 2), (200, 0), (102, 1)]);
        let mut memory = Memory::new(&mut *bytes);
        let iovecs = memory.iovecs(0, 4).unwrap_or_default();
        assert_eq!(iovecs.total(), 6);
        let mut slices = memory.slices_mut(&iovecs);
        slices[0].copy_from_slice(b"abc");
        slices[1].copy_from_slice(b"de");
        slices[2].copy_from_slice(b"f");
        drop(memory);
        assert_eq!(&bytes[100..103], b"def");
        assert_eq!(&bytes[300..303], b"abc");
    }

    #[test]
    fn overlapping_buffers_are_used_one_at_a_time() {
        let mut bytes = with_iovecs(&[(300, 10), (305, 10)]);
        let mut memory = Memory::new(&mut *bytes);
        let iovecs = memory.iovecs(0, 2).unwrap_or_default();
        let slices = memory.slices_mut(&iovecs);
        assert_eq!((slices[0].len(), slices[1].len()), (10, 0));
    }

    #[test]
    fn lists_that_lie_are_refused_before_anything_is_used() {
        let outside = with_iovecs(&[(0, 1), (65535, 2)]);
        let beyond = with_iovecs(&[(u32::MAX, u32::MAX)]);
        for (mut bytes, pointer, count) in [
            (outside.clone(), 0, 2),
            (beyond, 0, 1),
            (outside.clone(), 65532, 1),
            (outside, 8, u32::MAX),
        ] {
            let memory = Memory::new(&mut *bytes);
            assert!(matches!(
                memory.iovecs(pointer, count),
                Err(Stop::Fault { .. })
            ));
        }
        let mut many = with_iovecs(&[]);
        let memory = Memory::new(&mut *many);
        assert!(memory.iovecs(0, 1024).is_ok());
        assert!(matches!(
            memory.iovecs(0, 1025),
            Err(Stop::Errno(Errno::Inval))
        ));
    }

    #[test]
    fn one_call_uses_a_mebibyte() {
        let mut bytes = with_iovecs(&[(0x20_0000, 0xf_fff0), (100, 30), (300, 5)]);
        bytes.resize(3 << 20, 0);
        let memory = Memory::new(&mut *bytes);
        let iovecs = memory.iovecs(0, 3).unwrap_or_default();
        assert_eq!(iovecs.total(), 1 << 20);
        assert_eq!(iovecs.ranges().last(), Some(&(100..116)));
    }

    #[test]
    fn skipping_goes_across_buffers() {
        let mut bytes = with_iovecs(&[(300, 4), (400, 4)]);
        let memory = Memory::new(&mut *bytes);
        let iovecs = memory.iovecs(0, 2).unwrap_or_default();
        assert_eq!(iovecs.skip(5).ranges().first(), Some(&(401..404)));
        assert_eq!(iovecs.skip(8).ranges(), []);
    }
}
