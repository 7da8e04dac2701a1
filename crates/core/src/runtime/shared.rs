//! What the two ends of a stream or future share: the rendezvous.
//!
//! There is no buffer in between. A read or write that finds the other end waiting is a copy between two buffers; otherwise it is
//! the one that waits.

use super::{
    Buffer, CopyResult, CopySide, InstanceId, Offence, PayloadId, Pending, SharedId, Side, State,
    WaitableId,
};
use crate::trap::Trap;

/// Stream or future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SharedKind {
    /// Any number of items.
    Stream,
    /// Exactly one value.
    Future,
}

impl SharedKind {
    /// The word for messages.
    pub fn name(self) -> &'static str {
        match self {
            SharedKind::Stream => "stream",
            SharedKind::Future => "future",
        }
    }
}

/// What went through a stream or future so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Items copied from one end to the other.
    pub items: u64,
    /// Their size in bytes, as far as the driver reported it.
    pub bytes: u64,
    /// Copies: how many times the two ends met.
    pub copies: u64,
    /// Reads that had to wait for a writer.
    pub read_stalls: u64,
    /// Writes that had to wait for a reader.
    pub write_stalls: u64,
}

impl Flow {
    #[inline]
    pub(super) fn count_copy(&mut self, items: u32, bytes: u64) {
        self.items += u64::from(items);
        self.bytes += bytes;
        self.copies += 1;
    }

    /// The end on this side begins to wait.
    #[inline]
    pub(super) fn count_stall(&mut self, side: Side) {
        match side {
            Side::Readable => self.read_stalls += 1,
            Side::Writable => self.write_stalls += 1,
        }
    }
}

/// A stream or future.
#[derive(Debug)]
pub(super) struct Shared {
    pub kind: SharedKind,
    pub payload: PayloadId,
    /// Whether one of the ends is gone.
    pub dropped: bool,
    /// Whether it went because its holder trapped.
    pub trapped: bool,
    /// The end whose read or write waits for the other end.
    pub pending: Option<WaitableId>,
    /// Whether the host holds the readable or writable end, and wants to be asked when the other one acts.
    pub host: [bool; 2],
    /// How many ends are left, wherever they are.
    pub ends: u8,
    /// The number of the [`HostReader`](super::HostReader) that stands for the readable end; 0 while the host does not hold it.
    pub held: u64,
    pub flow: Flow,
}

/// What a read or write came to.
#[derive(Debug)]
pub(super) enum Met {
    /// Its end has an event, or it waits.
    Done,
    /// Items are to be copied between its buffer and that of the end that waited.
    Copy { other: WaitableId, count: u32 },
    /// It waits for an end of the host, which is to be asked.
    Host,
}

impl State {
    pub(super) fn new_shared(&mut self, kind: SharedKind, payload: PayloadId) -> SharedId {
        SharedId(self.shared.insert(Shared {
            kind,
            payload,
            dropped: false,
            trapped: false,
            pending: None,
            host: [false; 2],
            ends: 2,
            held: 0,
            flow: Flow::default(),
        }))
    }

    /// What went through a stream or future.
    pub fn flow(&self, id: SharedId) -> Flow {
        self.shared[id.0].flow
    }

    /// Stream or future, and its element type.
    pub fn shared_type(&self, id: SharedId) -> (SharedKind, PayloadId) {
        let shared = &self.shared[id.0];
        (shared.kind, shared.payload)
    }

    /// `read` or `write` of the specification's shared streams and futures. The end's buffer is set.
    pub(super) fn meet(&mut self, id: WaitableId) -> Result<Met, Trap> {
        let end = self.end(id);
        let (side, shared_id, buffer) = (end.side, end.shared, end.buffer);
        let instance = self.waitables[id.0].instance;
        let shared = &self.shared[shared_id.0];
        if shared.dropped {
            self.copy_done(id, self.dropped_event(shared_id, side));
            return Ok(Met::Done);
        }
        let Some(other) = shared.pending else {
            return Ok(self.wait_for_other(id));
        };
        let other_buffer = self.end(other).buffer;
        let remaining = other_buffer.remaining();
        self.check_copy_within(instance, other, shared_id)?;
        if remaining > 0 {
            let count = remaining.min(buffer.remaining());
            if count > 0 {
                return Ok(Met::Copy { other, count });
            }
            self.copy_done(id, completed(false));
        } else if side == Side::Writable && buffer.length == 0 && other_buffer.length == 0 {
            self.copy_done(id, completed(false));
        } else {
            self.notify_pending(shared_id, completed(false));
            return Ok(self.wait_for_other(id));
        }
        Ok(Met::Done)
    }

    /// Ends that wait in the same instance may only exchange numbers, says the specification, unless the store was told otherwise.
    fn check_copy_within(
        &self,
        instance: InstanceId,
        other: WaitableId,
        shared: SharedId,
    ) -> Result<(), Trap> {
        let shared = &self.shared[shared.0];
        if self.waitables[other.0].instance == instance
            && !self.rules.intra_component_copies
            && !self.payloads.none_or_number(shared.payload)
        {
            let what = shared.kind.name();
            return Err(Offence::IntraComponentCopy { what }.at("copy"));
        }
        Ok(())
    }

    fn wait_for_other(&mut self, id: WaitableId) -> Met {
        let (side, shared) = (self.end(id).side, self.end(id).shared);
        let shared = &mut self.shared[shared.0];
        shared.pending = Some(id);
        if shared.host[side.other() as usize] {
            Met::Host
        } else {
            Met::Done
        }
    }

    /// After `count` items were copied between the buffers of `id` and `other`, which waited: that one learns of it.
    pub(super) fn copied(&mut self, id: WaitableId, other: WaitableId, count: u32) {
        for end in [id, other] {
            self.end_mut(end).buffer.progress += count;
        }
        let shared_id = self.end(id).shared;
        let shared = &mut self.shared[shared_id.0];
        shared.flow.items += u64::from(count);
        shared.flow.copies += 1;
        match shared.kind {
            SharedKind::Stream => self.set_pending(other, completed(true)),
            SharedKind::Future => self.notify_pending(shared_id, completed(false)),
        }
    }

    /// `on_copy_done`.
    pub(super) fn copy_done(&mut self, id: WaitableId, pending: Pending) {
        self.set_pending(id, pending);
    }

    /// `reset_and_notify_pending`.
    pub(super) fn notify_pending(&mut self, shared: SharedId, pending: Pending) {
        if let Some(id) = self.shared[shared.0].pending.take() {
            self.copy_done(id, pending);
        }
    }

    /// What the end on `side` learns when the other one is gone. A future's reader was promised a value: without one it cannot go on.
    fn dropped_event(&self, shared: SharedId, side: Side) -> Pending {
        match (self.shared[shared.0].kind, side) {
            (SharedKind::Future, Side::Readable) => Pending::PeerTrapped,
            _ => Pending::Copy {
                result: CopyResult::Dropped,
                reclaim: false,
            },
        }
    }

    /// Drops an end, whoever holds it: one that is on its way, or one of the host's. Gives whether the host holds the other
    /// end and wants to know.
    #[must_use = "the host's object behind the other end is to be dropped, too"]
    pub fn drop_side(&mut self, id: SharedId, side: Side) -> bool {
        let Some(shared) = self.shared.get_mut(id.0) else {
            return false;
        };
        shared.host[side as usize] = false;
        if side == Side::Readable {
            shared.held = 0;
        }
        let tell_host = shared.host[side.other() as usize];
        if !shared.dropped {
            shared.dropped = true;
            let event = self.dropped_event(id, side.other());
            self.notify_pending(id, event);
        }
        let shared = &mut self.shared[id.0];
        shared.ends -= 1;
        if shared.ends == 0 {
            self.shared.discard(id.0);
            // The number may be used again before the host has heard.
            self.unheard.retain(|&(unheard, _)| unheard != id);
        }
        tell_host
    }

    /// One side of a copy.
    pub(super) fn copy_side(&self, id: WaitableId) -> CopySide {
        let buffer: Buffer = self.end(id).buffer;
        CopySide {
            instance: self.waitables[id.0].instance,
            buffer,
        }
    }
}

pub(super) fn completed(reclaim: bool) -> Pending {
    Pending::Copy {
        result: CopyResult::Completed,
        reclaim,
    }
}
