//! Readable ends that the host holds, and how they come and go.

use super::{InstanceId, PayloadId, SharedId, SharedKind, Side, State};
use crate::trap::Trap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A readable end that the host holds: its name, which is never used again.
///
/// It is a name only, that may be copied; it means nothing any more once the end was given to a guest, taken or dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HostReader {
    shared: SharedId,
    /// Unlike the index, of no other stream in any store.
    number: u64,
}

impl HostReader {
    /// The stream or future, as long as the host [holds](State::holds) it.
    pub fn shared(self) -> SharedId {
        self.shared
    }
}

/// The host does not hold this readable end (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {} reader was closed, piped or given to a guest before, or it belongs to another store", .0.name())]
pub struct ReaderGone(pub SharedKind);

impl State {
    /// The host holds the readable end from now on: one of a stream or future that it made, or that was lifted.
    pub fn hold_reader(&mut self, shared: SharedId) -> HostReader {
        static NUMBERS: AtomicU64 = AtomicU64::new(1);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        self.shared[shared.0].held = number;
        HostReader { shared, number }
    }

    /// Whether the host holds this readable end.
    pub fn holds(&self, reader: HostReader) -> bool {
        self.shared
            .get(reader.shared.0)
            .is_some_and(|shared| shared.held == reader.number)
    }

    /// The host holds the readable end no more: it is on its way.
    ///
    /// # Errors
    /// [`ReaderGone`].
    pub fn take_reader(
        &mut self,
        kind: SharedKind,
        reader: HostReader,
    ) -> Result<SharedId, ReaderGone> {
        let gone = ReaderGone(kind);
        let shared = self.shared.get_mut(reader.shared.0).ok_or(gone)?;
        if shared.held != reader.number || shared.kind != kind {
            return Err(gone);
        }
        shared.held = 0;
        Ok(reader.shared)
    }

    /// Gives the readable end to an instance, as a stream or future of this element type.
    ///
    /// # Errors
    /// [`ReaderGone`]; the element type is another one; [`Trap`]s of [`lower_readable`](Self::lower_readable). The host still holds the end then,
    /// unless the instance is unusable.
    pub fn give_reader(
        &mut self,
        instance: InstanceId,
        kind: SharedKind,
        payload: PayloadId,
        reader: HostReader,
    ) -> anyhow::Result<u32> {
        let id = self.take_reader(kind, reader)?;
        let shared = &mut self.shared[id.0];
        if shared.payload == PayloadId::UNSETTLED {
            shared.payload = payload;
        } else if shared.payload != payload {
            shared.held = reader.number;
            anyhow::bail!(
                "the {} came from a guest with another element type than the function takes",
                kind.name()
            );
        }
        self.lower_readable(instance, id).map_err(|trap| {
            if trap != Trap::Poisoned {
                self.shared[id.0].held = reader.number;
            }
            trap.into()
        })
    }

    /// The ends of the host whose other end went with an instance that trapped, or on its way to one that had. Each is to be [dropped](Self::drop_side).
    #[inline]
    pub fn take_unheard(&mut self) -> Vec<(SharedId, Side)> {
        match self.unheard.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut self.unheard),
        }
    }
}
