//! Where a producer puts its items.

use super::WriteBuffer;
use crate::AsContextMut;
use std::io;

/// How many items, or bytes, the host keeps at most between two ends of its own, and lifts at most at once: 65,536.
pub const MAX_CHUNK: usize = 64 * 1024;

/// Where a [producer](super::StreamProducer) puts its items: the reader's buffer.
pub struct Destination<'a, T, B> {
    pub(super) room: Room<'a, T>,
    pub(super) buffer: &'a mut B,
}

/// What the reader offers.
pub(super) enum Room<'a, T> {
    /// The read of a guest.
    Guest {
        /// How many items it takes.
        items: usize,
        /// Its memory, if items are bytes.
        bytes: &'a mut [u8],
        /// How many bytes were written there.
        written: &'a mut usize,
    },
    /// An end of the host.
    Host(&'a mut Chunk<T>),
}

impl<T> Room<'_, T> {
    fn reborrow(&mut self) -> Room<'_, T> {
        match self {
            Room::Guest {
                items,
                bytes,
                written,
            } => Room::Guest {
                items: *items,
                bytes,
                written,
            },
            Room::Host(chunk) => Room::Host(chunk),
        }
    }
}

/// Items between two ends of the host that were written directly.
pub(super) struct Chunk<T> {
    /// Written or not.
    pub(super) items: Vec<T>,
    /// The first that was not read.
    pub(super) start: usize,
    /// The first that was not written.
    pub(super) end: usize,
}

impl<T> Default for Chunk<T> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            start: 0,
            end: 0,
        }
    }
}

impl<T> Chunk<T> {
    /// Begins at the front again, if everything was read.
    pub(super) fn rewind(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }
}

impl<T: Send + 'static> WriteBuffer<T> for Chunk<T> {
    fn remaining(&self) -> &[T] {
        self.items.get(self.start..self.end).unwrap_or_default()
    }

    fn skip(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    fn take(&mut self, count: usize, into: &mut Vec<T>) {
        let end = self.end.min(self.start + count);
        into.extend(self.items.drain(self.start..end));
        self.end -= end - self.start;
    }
}

impl<T, B: WriteBuffer<T> + Default> Destination<'_, T, B> {
    /// How many items the reader takes now; 0 if it only asks whether it would wait. `None` if an end of the host reads, which takes any number.
    pub fn remaining(&self) -> Option<usize> {
        match &self.room {
            Room::Guest { items, written, .. } => Some(items.saturating_sub(**written)),
            Room::Host(_) => None,
        }
    }

    /// Puts items there, in place of what was put there before in this call. They come after bytes that were written [directly](Self::as_direct).
    pub fn set_buffer(&mut self, buffer: B) {
        *self.buffer = buffer;
    }

    /// Takes back what was put there in this call; or an empty buffer, to be filled anew.
    pub fn take_buffer(&mut self) -> B {
        std::mem::take(self.buffer)
    }
}

impl<T, B> Destination<'_, T, B> {
    /// The same for a shorter time.
    pub fn reborrow(&mut self) -> Destination<'_, T, B> {
        Destination {
            room: self.room.reborrow(),
            buffer: self.buffer,
        }
    }
}

impl<'a, B> Destination<'a, u8, B> {
    /// The reader's own memory: bytes that are written there are copied no more. If an end of the host reads, it is a buffer of `capacity` bytes, but at
    /// most [`MAX_CHUNK`].
    ///
    /// It is empty if the reader only asks whether it would wait.
    pub fn as_direct(self, store: impl AsContextMut, capacity: usize) -> DirectDestination<'a> {
        // Guests cannot run, and so move their memory, as long as whoever holds the store is the producer.
        let _ = store;
        let room = match self.room {
            Room::Guest { bytes, written, .. } => Direct::Guest { bytes, written },
            Room::Host(chunk) => {
                chunk.reserve(capacity);
                Direct::Host(chunk)
            }
        };
        DirectDestination { room }
    }
}

impl Chunk<u8> {
    fn reserve(&mut self, capacity: usize) {
        let length = self.end.saturating_add(capacity).min(MAX_CHUNK);
        if self.items.len() < length {
            self.items.resize(length, 0);
        }
    }
}

/// The memory of a reader of bytes.
pub struct DirectDestination<'a> {
    room: Direct<'a>,
}

enum Direct<'a> {
    Guest {
        bytes: &'a mut [u8],
        written: &'a mut usize,
    },
    Host(&'a mut Chunk<u8>),
}

impl DirectDestination<'_> {
    /// What was not written yet. The bytes that are there mean nothing.
    pub fn remaining(&mut self) -> &mut [u8] {
        match &mut self.room {
            Direct::Guest { bytes, written } => bytes.get_mut(**written..).unwrap_or_default(),
            Direct::Host(chunk) => {
                let end = chunk.end;
                chunk.items.get_mut(end..).unwrap_or_default()
            }
        }
    }

    /// Says that the first `count` bytes of [`remaining`](Self::remaining) are written. More than there are is a breach of the contract.
    pub fn mark_written(&mut self, count: usize) {
        let written = match &mut self.room {
            Direct::Guest { written, .. } => &mut **written,
            Direct::Host(chunk) => &mut chunk.end,
        };
        *written = written.saturating_add(count);
    }
}

impl io::Write for DirectDestination<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.remaining();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        self.mark_written(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
