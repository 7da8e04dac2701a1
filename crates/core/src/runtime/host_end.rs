//! Ends of streams and futures that the host holds.
//!
//! A host end has no buffer and never waits: it is asked when the guest at the other end acts ([`HostTurn`]), and may act later by itself. What
//! it can do is to serve the read or write that the guest has waiting, in parts if it likes.

use super::{
    CopyResult, CopySide, CopyState, CopyStep, PayloadId, Pending, SharedId, SharedKind, Side,
    State, WaitableId, buffer::CopyCall, shared::completed,
};
use crate::trap::Trap;

/// The guest's read or write waits for a host end, which is to be asked now. Afterwards go on with
/// [`finish_host_turn`](State::finish_host_turn).
#[must_use = "ask the host end, then go on with the built-in"]
#[derive(Debug)]
pub struct HostTurn {
    /// The stream or future.
    pub shared: SharedId,
    /// The end that the host holds.
    pub side: Side,
    pub(super) call: CopyCall,
}

/// What the guest at the other end offers: room for items to come, or items to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The guest's buffer; items are moved at its `progress`.
    pub guest: CopySide,
    /// Whether the guest wants its buffer back: answer soon, with [`CopyResult::Cancelled`] if nothing else is to be said.
    pub cancelling: bool,
    /// Whether the guest was told already that its read or write has ended, and will know once it looks. More can be moved until then.
    pub told: bool,
}

impl Offer {
    /// How many items can be moved. 0 means that the guest asks whether its next read or write would have to wait.
    pub fn remaining(&self) -> u32 {
        self.guest.buffer.remaining()
    }
}

impl State {
    /// Makes a stream or future both of whose ends the host holds. The element type may be [unsettled](PayloadId::UNSETTLED) until the readable
    /// end is [given](Self::give_reader) to a guest.
    pub fn host_new(&mut self, kind: SharedKind, payload: PayloadId) -> SharedId {
        self.new_shared(kind, payload)
    }

    /// The host's end is there and wants to be asked from now on. Gives whether there is something to ask about already.
    pub fn host_attach(&mut self, id: SharedId, side: Side) -> bool {
        let shared = &mut self.shared[id.0];
        shared.host[side as usize] = true;
        self.host_offer(id, side).is_some() || self.shared[id.0].dropped
    }

    /// The host's end does not want to be asked any more, as when a readable end goes on to another guest.
    pub fn host_detach(&mut self, id: SharedId, side: Side) {
        self.shared[id.0].host[side as usize] = false;
    }

    /// Whether the other end is gone.
    #[inline]
    pub fn host_peer_dropped(&self, id: SharedId) -> bool {
        self.shared.get(id.0).is_none_or(|shared| shared.dropped)
    }

    /// What the guest offers to the host's end; `None` while it does not read or write.
    #[inline]
    pub fn host_offer(&self, id: SharedId, side: Side) -> Option<Offer> {
        let pending = self.shared.get(id.0)?.pending?;
        let waitable = self.waitables.get(pending.0)?;
        let end = waitable.end().filter(|end| end.side == side.other())?;
        Some(Offer {
            guest: CopySide {
                instance: waitable.instance,
                buffer: end.buffer,
            },
            cancelling: end.state == CopyState::CancellingCopy,
            told: waitable.pending.is_some(),
        })
    }

    /// The guest's end whose read or write waits for the host's on `side`.
    #[inline]
    fn host_pending(&self, id: SharedId, side: Side) -> Option<WaitableId> {
        let pending = self.shared.get(id.0)?.pending?;
        (self.end(pending).side == side.other()).then_some(pending)
    }

    /// The host's end has moved `count` items (`bytes` bytes) to or from the guest's buffer, no more than were [offered](Self::host_offer).
    ///
    /// With `complete`, the guest learns of it; without, its read or write goes on, as a consumer wishes that holds back the writer.
    pub fn host_moved(&mut self, id: SharedId, side: Side, count: u32, bytes: u64, complete: bool) {
        let Some(pending) = self.host_pending(id, side) else {
            return;
        };
        let end = self.end_mut(pending);
        let count = count.min(end.buffer.remaining());
        end.buffer.progress += count;
        let shared = &mut self.shared[id.0];
        shared.flow.count_copy(count, bytes);
        let kind = shared.kind;
        if complete {
            match kind {
                SharedKind::Stream => self.set_pending(pending, completed(true)),
                SharedKind::Future => self.notify_pending(id, completed(false)),
            }
        }
    }

    /// When it was asked, the host's end has moved `count` items (`bytes` bytes), and the guest may go on:
    /// [`host_moved`](Self::host_moved) and [`finish_host_turn`](Self::finish_host_turn) in one.
    ///
    /// # Errors
    /// Those of [`finish_host_turn`](Self::finish_host_turn).
    pub fn finish_moved(
        &mut self,
        turn: HostTurn,
        count: u32,
        bytes: u64,
    ) -> Result<CopyStep, Trap> {
        if let Some(returned) = self.finish_moved_at_once(&turn, count, bytes) {
            return Ok(CopyStep::Return(returned));
        }
        self.host_moved(turn.shared, turn.side, count, bytes, true);
        self.finish_host_turn(turn)
    }

    /// Ends the guest's read or write: it is completed (with the items moved so far, perhaps none: the host's end is ready), or cancelled as
    /// the guest wanted.
    pub fn host_complete(&mut self, id: SharedId, side: Side, result: CopyResult) {
        if self.host_pending(id, side).is_some() {
            self.notify_pending(
                id,
                Pending::Copy {
                    result,
                    reclaim: false,
                },
            );
        }
    }
}
