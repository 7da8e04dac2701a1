//! What both adapters do with linear memories, in the same words: the engines' interfaces to them are alike.

use std::ops::Range;

use crate::trap::{Trap, TrapCode};

/// The methods of an adapter's `Cx` for memories.
macro_rules! memories {
    () => {
        pub(crate) fn memory_type(&self, memory: Memory) -> MemoryType {
            convert::memory_type(&own!(MemoryInner, memory.0).ty(&self.0))
        }

        pub(crate) fn memory_size(&self, memory: Memory) -> u64 {
            own!(MemoryInner, memory.0).size(&self.0)
        }

        pub(crate) fn memory_grow(&mut self, memory: Memory, pages: u64) -> Option<u64> {
            own!(MemoryInner, memory.0).grow(&mut self.0, pages).ok()
        }

        pub(crate) fn copy(
            &mut self,
            (target, target_offset): (Memory, u64),
            (source, source_offset): (Memory, u64),
            len: u64,
        ) -> anyhow::Result<()> {
            let (target, source) = (own!(MemoryInner, target.0), own!(MemoryInner, source.0));
            let from = crate::memories::range(source.data(&self.0), source_offset, len)?;
            let to = crate::memories::range(target.data(&self.0), target_offset, len)?;
            if source.data_ptr(&self.0) == target.data_ptr(&self.0) {
                target.data_mut(&mut self.0).copy_within(from, to.start);
                return Ok(());
            }
            let from = std::ptr::from_ref(&source.data(&self.0)[from]);
            let to = &mut target.data_mut(&mut self.0)[to];
            // SAFETY: memories that do not begin at the same place do not overlap, so `from` is still what it was. Nothing has run
            // since it was taken that could move or shrink its memory.
            to.copy_from_slice(unsafe { &*from });
            Ok(())
        }
    };
}
pub(crate) use memories;

/// A range of a memory, which it is checked to be within.
pub(crate) fn range(memory: &[u8], offset: u64, len: u64) -> Result<Range<usize>, Trap> {
    let bounds = || {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(len).ok()?)?;
        (end <= memory.len()).then_some(start..end)
    };
    bounds().ok_or(Trap::new(TrapCode::MemoryOutOfBounds))
}
