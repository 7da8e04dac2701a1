//! Buffers of reads and writes, and the copies between them.

use super::{InstanceId, Offence, PayloadId, SharedId, WaitableId};
use crate::trap::Trap;

/// The buffer of a read or write, as a built-in's arguments describe it.
#[derive(Clone, Copy, Debug)]
pub struct GuestBuffer {
    /// Where the first item lies.
    pub pointer: u64,
    /// How many items it holds.
    pub length: u64,
    /// Bytes of one item in this memory; 0 if there is no element type.
    pub item_size: u32,
    /// Alignment of an item in bytes.
    pub align: u32,
    /// The size of the memory in bytes.
    pub memory: u64,
    /// A number of the driver's: the canonical options to lift or lower the items by.
    pub options: u32,
}

/// A buffer that was checked, and how much of it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buffer {
    /// Where the first item lies, done or not.
    pub pointer: u64,
    /// How many items it holds: at most [`MAX_LENGTH`](Self::MAX_LENGTH).
    pub length: u32,
    /// How many items were copied; at most the length.
    pub progress: u32,
    /// The number that the driver gave.
    pub options: u32,
}

impl Buffer {
    /// The longest buffer, in items.
    pub const MAX_LENGTH: u32 = (1 << 28) - 1;

    /// How many items are still to be copied.
    #[inline]
    pub fn remaining(&self) -> u32 {
        self.length - self.progress
    }
}

impl GuestBuffer {
    /// `BufferGuestImpl`: checks length, alignment and bounds, in this order.
    pub(super) fn check(&self) -> Result<Buffer, Trap> {
        let length = u32::try_from(self.length)
            .ok()
            .filter(|&length| length <= Buffer::MAX_LENGTH)
            .ok_or(
                Offence::BufferTooLong {
                    length: self.length,
                }
                .at("buffer"),
            )?;
        if self.item_size > 0 && length > 0 {
            if !self.pointer.is_multiple_of(self.align.max(1).into()) {
                return Err(Trap::Unaligned {
                    pointer: self.pointer,
                    align: self.align,
                });
            }
            // At most 2^28 items of less than 2^32 bytes.
            let bytes = u64::from(length) * u64::from(self.item_size);
            if self
                .pointer
                .checked_add(bytes)
                .is_none_or(|end| end > self.memory)
            {
                return Err(Trap::OutOfBounds {
                    what: "buffer",
                    pointer: self.pointer,
                    length: bytes,
                    memory: self.memory,
                });
            }
        }
        Ok(Buffer {
            pointer: self.pointer,
            length,
            progress: 0,
            options: self.options,
        })
    }
}

/// One side of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopySide {
    /// Whose memory it is.
    pub instance: InstanceId,
    /// The buffer; the copy begins at its `progress`.
    pub buffer: Buffer,
}

/// A copy of items between the buffers of two guests.
///
/// The driver performs it (lifting from one memory and lowering into the other) and then confirms it with
/// [`finish_copy`](super::State::finish_copy). If it traps, the copy is dropped together with the instance that trapped.
#[must_use = "perform the copy, then confirm it"]
#[derive(Debug)]
pub struct Copy {
    /// Where the items come from.
    pub source: CopySide,
    /// Where they go.
    pub target: CopySide,
    /// How many: at least 1.
    pub count: u32,
    /// What they are; see [`State::payload`](super::State::payload).
    pub payload: PayloadId,
    /// The stream or future.
    pub shared: SharedId,
    pub(super) call: CopyCall,
}

/// A `read` or `write` that is being executed.
#[derive(Clone, Copy, Debug)]
pub struct CopyCall {
    pub(super) end: WaitableId,
    pub(super) async_: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(pointer: u64, length: u64) -> GuestBuffer {
        GuestBuffer {
            pointer,
            length,
            item_size: 4,
            align: 4,
            memory: 64,
            options: 0,
        }
    }

    #[test]
    fn a_buffer_may_end_where_memory_ends() {
        assert!(buffer(60, 1).check().is_ok());
        assert!(matches!(
            buffer(60, 2).check(),
            Err(Trap::OutOfBounds { .. })
        ));
        assert!(matches!(
            buffer(u64::MAX - 3, 1).check(),
            Err(Trap::OutOfBounds { .. })
        ));
    }

    #[test]
    fn length_is_checked_before_alignment_and_alignment_before_bounds() {
        let trap = buffer(1, 1 << 28).check().unwrap_err();
        assert!(trap.to_string().contains("268435456 items"), "{trap}");
        assert!(matches!(
            buffer(1, 100).check(),
            Err(Trap::Unaligned { .. })
        ));
    }

    #[test]
    fn an_empty_buffer_may_lie_anywhere() {
        assert!(buffer(u64::MAX, 0).check().is_ok());
    }
}
