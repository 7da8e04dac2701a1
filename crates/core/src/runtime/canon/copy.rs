//! What `{stream,future}.{new,read,write,cancel-read,cancel-write,drop-readable,drop-writable}` have in common.

use super::super::{
    Copy, CopyCall, CopyEnd, CopyResult, CopyState, GuestBuffer, HostTurn, InstanceId, Offence,
    Parked, PayloadId, Pending, SharedId, SharedKind, Side, State, Until, WaitableId,
    shared::{Met, completed},
};
use super::BLOCKED;
use crate::trap::Trap;

/// What a `read` or `write` does.
#[must_use]
#[derive(Debug)]
pub enum CopyStep {
    /// It returns this: the result, for a stream with the number of items in the upper 28 bits; or [`BLOCKED`].
    Return(u32),
    /// The thread waits for the other end; its caller goes on.
    Block,
    /// Perform the copy, then go on with [`finish_copy`](State::finish_copy).
    Copy(Copy),
    /// Ask the host's end, then go on with [`finish_host_turn`](State::finish_host_turn).
    Host(HostTurn),
}

/// What a `cancel-read` or `cancel-write` does.
#[must_use]
#[derive(Debug)]
pub enum CancelStep {
    /// It returns this, as the `read` or `write` would; or [`BLOCKED`].
    Return(u32),
    /// The thread waits for the host's end to let go; its caller goes on.
    Block,
    /// Tell the host's end, which may [complete or cancel](State::host_complete) the operation now or later; then go on with
    /// [`finish_cancel_turn`](State::finish_cancel_turn).
    Host(HostTurn),
}

/// Which built-in is executed, on what.
#[derive(Clone, Copy)]
pub(super) struct EndCall {
    pub name: &'static str,
    pub instance: InstanceId,
    pub kind: SharedKind,
    pub side: Side,
    pub payload: PayloadId,
    pub index: u32,
}

impl State {
    /// `{stream,future}.new`: both ends, the readable one in the low half.
    pub(super) fn new_ends(
        &mut self,
        instance: InstanceId,
        kind: SharedKind,
        payload: PayloadId,
    ) -> Result<u64, Trap> {
        self.check_may_leave(instance)?;
        let shared = self.new_shared(kind, payload);
        let readable = self.add_end(instance, shared, Side::Readable);
        let writable = self.add_end(instance, shared, Side::Writable);
        // After a limit was hit the instance is poisoned, and drops the end that was made, if any.
        for (end, side) in [(&readable, Side::Readable), (&writable, Side::Writable)] {
            if end.is_err() {
                let _ = self.drop_side(shared, side);
            }
        }
        Ok(u64::from(readable?) | u64::from(writable?) << 32)
    }

    fn end_of(&self, call: EndCall) -> Result<WaitableId, Trap> {
        self.check_may_leave(call.instance)?;
        self.end_at(
            call.name,
            call.instance,
            call.index,
            call.kind,
            call.side,
            call.payload,
        )
    }

    /// `{stream,future}.{read,write}`.
    pub(super) fn copy(
        &mut self,
        call: EndCall,
        async_: bool,
        buffer: GuestBuffer,
    ) -> Result<CopyStep, Trap> {
        self.begin_copy(call, async_, buffer)
            .map_err(|trap| self.sync_trap(call.instance, async_, trap))
    }

    fn begin_copy(
        &mut self,
        call: EndCall,
        async_: bool,
        buffer: GuestBuffer,
    ) -> Result<CopyStep, Trap> {
        let id = self.end_of(call)?;
        match self.end(id).state {
            CopyState::Idle => {}
            CopyState::Done => return Err(done(call).at(call.name)),
            CopyState::Copying | CopyState::CancellingCopy => {
                return Err(Offence::Concurrent.at(call.name));
            }
        }
        if self.waitables[id.0].set.is_some() && !async_ {
            return Err(Offence::SyncWhileInSet.at(call.name));
        }
        let buffer = buffer.check()?;
        let end = self.end_mut(id);
        end.state = CopyState::Copying;
        end.buffer = buffer;
        let shared = end.shared;
        let copy_call = CopyCall { end: id, async_ };
        match self.meet(id)? {
            Met::Done => self.copy_met(copy_call),
            Met::Host => Ok(CopyStep::Host(HostTurn {
                shared,
                side: call.side.other(),
                call: copy_call,
            })),
            Met::Copy { other, count } => {
                let (source, target) = match call.side {
                    Side::Readable => (other, id),
                    Side::Writable => (id, other),
                };
                Ok(CopyStep::Copy(Copy {
                    source: self.copy_side(source),
                    target: self.copy_side(target),
                    count,
                    payload: call.payload,
                    shared,
                    call: copy_call,
                }))
            }
        }
    }

    /// The copy was performed; `bytes` is what it moved, for the counters.
    ///
    /// # Errors
    /// [`Offence::PeerTrapped`] if the end is gone, because its instance trapped meanwhile.
    pub fn finish_copy(&mut self, copy: Copy, bytes: u64) -> Result<CopyStep, Trap> {
        let id = copy.call.end;
        let shared = &mut self.shared[copy.shared.0];
        shared.flow.bytes += bytes;
        if let Some(other) = shared.pending {
            self.copied(id, other, copy.count);
        }
        self.check_still_there(id)?;
        // An event that came meanwhile gives way to this one, as in any case in which it was not delivered; there is no need to make one to deliver it at once.
        if self.waitables[id.0].pending.is_some() {
            self.copy_done(id, completed(false));
            return self.copy_met(copy.call);
        }
        let event = self.deliver_copy(id, CopyResult::Completed, false);
        Ok(CopyStep::Return(event.payload))
    }

    /// The host's end was asked, and has served the read or write or not.
    ///
    /// # Errors
    /// [`Offence::PeerTrapped`] if the host dropped the writable end of a future without a value; [`Trap::Poisoned`] if the instance has become unusable.
    pub fn finish_host_turn(&mut self, turn: HostTurn) -> Result<CopyStep, Trap> {
        self.copy_met(turn.call)
    }

    fn copy_met(&mut self, call: CopyCall) -> Result<CopyStep, Trap> {
        let id = call.end;
        self.check_still_there(id)?;
        if self.waitables[id.0].pending.is_some() {
            return Ok(CopyStep::Return(self.deliver(id)?.payload));
        }
        self.count_stall(id);
        if call.async_ {
            return Ok(CopyStep::Return(BLOCKED));
        }
        let thread = self.current()?;
        self.wait_for_pending_event(thread, id, Until::Event(id), Parked::Copy(id));
        Ok(CopyStep::Block)
    }

    /// What a host does when it is asked may make the guest's instance unusable, and its ends with it.
    fn check_still_there(&self, id: WaitableId) -> Result<(), Trap> {
        match self.waitables.get(id.0) {
            Some(waitable) if waitable.end().is_some_and(CopyEnd::copying) => Ok(()),
            _ => Err(Trap::Poisoned),
        }
    }

    fn count_stall(&mut self, id: WaitableId) {
        let (side, shared) = (self.end(id).side, self.end(id).shared);
        self.shared[shared.0].flow.count_stall(side);
    }

    /// `{stream,future}.{cancel-read,cancel-write}`.
    pub(super) fn cancel_copy(&mut self, call: EndCall, async_: bool) -> Result<CancelStep, Trap> {
        self.begin_cancel(call, async_)
            .map_err(|trap| self.sync_trap(call.instance, async_, trap))
    }

    fn begin_cancel(&mut self, call: EndCall, async_: bool) -> Result<CancelStep, Trap> {
        let id = self.end_of(call)?;
        let waitable = &self.waitables[id.0];
        if self.end(id).state != CopyState::Copying {
            return Err(Offence::NotCopying.at(call.name));
        }
        if waitable.waiter.is_some() || (waitable.set.is_some() && !async_) {
            return Err(Offence::SyncWhileInSet.at(call.name));
        }
        let pending = waitable.pending;
        let shared_id = self.end(id).shared;
        self.end_mut(id).state = CopyState::CancellingCopy;
        if let Some(Pending::Copy {
            result: CopyResult::Completed,
            reclaim,
        }) = pending
        {
            if call.kind == SharedKind::Stream && !self.rules.completed_despite_cancel {
                self.waitables[id.0].pending = Some(Pending::Copy {
                    result: CopyResult::Cancelled,
                    reclaim,
                });
            }
        } else if pending.is_none() {
            if self.shared[shared_id.0].host[call.side.other() as usize] {
                return Ok(CancelStep::Host(HostTurn {
                    shared: shared_id,
                    side: call.side.other(),
                    call: CopyCall { end: id, async_ },
                }));
            }
            self.notify_pending(
                shared_id,
                Pending::Copy {
                    result: CopyResult::Cancelled,
                    reclaim: false,
                },
            );
        }
        self.cancelled(CopyCall { end: id, async_ })
    }

    /// The host's end was told that the read or write is cancelled.
    ///
    /// # Errors
    /// [`Offence::PeerTrapped`] if the host dropped the writable end of a future without a value; [`Trap::Poisoned`] if the instance has become unusable.
    pub fn finish_cancel_turn(&mut self, turn: HostTurn) -> Result<CancelStep, Trap> {
        self.cancelled(turn.call)
    }

    fn cancelled(&mut self, call: CopyCall) -> Result<CancelStep, Trap> {
        let id = call.end;
        self.check_still_there(id)?;
        if self.waitables[id.0].pending.is_some() {
            return Ok(CancelStep::Return(self.deliver(id)?.payload));
        }
        if call.async_ {
            return Ok(CancelStep::Return(BLOCKED));
        }
        let thread = self.current()?;
        self.wait_for_pending_event(thread, id, Until::Event(id), Parked::Copy(id));
        Ok(CancelStep::Block)
    }

    /// `{stream,future}.{drop-readable,drop-writable}`.
    pub(super) fn drop_end(&mut self, call: EndCall) -> Result<Option<(SharedId, Side)>, Trap> {
        let id = self.end_of(call)?;
        let end = self.end(id);
        let what = call.kind.name();
        if call.kind == SharedKind::Future
            && call.side == Side::Writable
            && end.state != CopyState::Done
        {
            return Err(Offence::FutureNotWritten.at(call.name));
        }
        if end.copying() {
            let action = match call.side {
                Side::Readable => "remove",
                Side::Writable => "drop",
            };
            return Err(Offence::Busy { action, what }.at(call.name));
        }
        let shared = end.shared;
        self.instance_mut(call.instance)
            .handles
            .remove(call.index)?;
        self.remove_waitable(id);
        let tell_host = self.drop_side(shared, call.side);
        Ok(tell_host.then_some((shared, call.side.other())))
    }
}

/// Why an end that is done cannot be read or written.
fn done(call: EndCall) -> Offence {
    match (call.kind, call.side) {
        (SharedKind::Stream, Side::Readable) => Offence::ReadAfterEnd,
        (SharedKind::Stream, Side::Writable) => Offence::WriteAfterEnd,
        (SharedKind::Future, Side::Readable) => Offence::SecondRead,
        (SharedKind::Future, Side::Writable) => Offence::SecondWrite,
    }
}
