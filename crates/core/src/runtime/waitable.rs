//! Waitables: subtasks and the ends of streams and futures, as far as one can wait for them.

use super::{
    CopyEnd, CopyResult, Event, Handle, InstanceId, Offence, Parked, State, Subtask, ThreadId,
    Until, WaitableId, WaitableSetId, limits, scheduler::hint,
};
use crate::trap::Trap;

/// Something that one can wait for.
#[derive(Debug)]
pub(super) struct Waitable {
    /// The instance that holds it.
    pub instance: InstanceId,
    /// Its handle's index; 0 for a subtask that never got one.
    pub index: u32,
    /// What is to be told at the next delivery. The payload is computed only then, so that it tells of the latest progress.
    pub pending: Option<Pending>,
    /// The set that it is a member of.
    pub set: Option<WaitableSetId>,
    /// The thread that is blocked in a synchronous operation on it.
    pub waiter: Option<ThreadId>,
    pub kind: WaitableKind,
}

#[derive(Debug)]
pub(super) enum WaitableKind {
    Subtask(Subtask),
    End(CopyEnd),
}

/// An event that has not been delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// The subtask's state has changed.
    Subtask,
    /// The read or write has ended in this way. With `reclaim`, its buffer still takes part in copies until the delivery.
    Copy { result: CopyResult, reclaim: bool },
    /// The other side trapped, and there is no way to say so but a trap.
    PeerTrapped,
}

/// Whom an event concerns that was noted.
#[must_use = "whoever waits is to be told"]
pub(super) struct Noted {
    /// The set, if it knows of no earlier event.
    set: Option<WaitableSetId>,
    /// The thread that is blocked in an operation.
    waiter: Option<ThreadId>,
}

impl Waitable {
    /// Notes an event. One that was not delivered yet is replaced.
    #[inline]
    pub(super) fn note(&mut self, pending: Pending) -> Noted {
        let first = self.pending.replace(pending).is_none();
        Noted {
            set: self.set.filter(|_| first),
            waiter: self.waiter,
        }
    }
}

impl State {
    // Inlined, so that what its callers make is written where it is to be.
    #[inline(always)]
    pub(super) fn new_waitable(
        &mut self,
        instance: InstanceId,
        kind: WaitableKind,
    ) -> Result<WaitableId, Trap> {
        limits::check(
            self.waitables.len(),
            self.limits.waitables,
            "waitables",
            "max-waitables",
        )?;
        Ok(WaitableId(self.waitables.insert(Waitable {
            instance,
            index: 0,
            pending: None,
            set: None,
            waiter: None,
            kind,
        })))
    }

    /// The waitable behind a handle of any kind of waitable.
    pub(super) fn waitable_at(&self, instance: InstanceId, index: u32) -> Result<WaitableId, Trap> {
        match self.instance(instance).handles.get(index)? {
            Handle::Subtask(id)
            | Handle::ReadableStream(id)
            | Handle::WritableStream(id)
            | Handle::ReadableFuture(id)
            | Handle::WritableFuture(id) => Ok(*id),
            other => Err(other.mismatch(index, "waitable")),
        }
    }

    /// `Waitable.set_pending_event`: an event that was not delivered yet is replaced.
    pub(super) fn set_pending(&mut self, id: WaitableId, pending: Pending) {
        let noted = self.waitables[id.0].note(pending);
        self.tell(id, noted);
    }

    /// Hints at whoever waits for an event of a waitable, which has been noted.
    #[inline(always)]
    pub(super) fn tell(&mut self, id: WaitableId, Noted { set, waiter }: Noted) {
        if let Some(waiter) = waiter {
            self.hint(waiter);
        }
        if let Some(set) = set {
            self.waitable_sets[set.0].pending.push_back(id);
            self.hint_waiters(set);
        }
    }

    #[inline(always)]
    pub(super) fn hint_waiters(&mut self, set: WaitableSetId) {
        for &waiter in &self.waitable_sets[set.0].waiters {
            hint(&mut self.threads, &mut self.hints, waiter);
        }
    }

    #[inline]
    fn take_pending(&mut self, id: WaitableId) -> Option<Pending> {
        let waitable = &mut self.waitables[id.0];
        let pending = waitable.pending.take()?;
        if let Some(set) = waitable.set {
            self.waitable_sets[set.0].forget(id);
        }
        Some(pending)
    }

    /// `Waitable.get_pending_event`.
    pub(super) fn deliver(&mut self, id: WaitableId) -> Result<Event, Trap> {
        match self.take_pending(id) {
            Some(Pending::Subtask) => Ok(self.deliver_subtask(id)),
            Some(Pending::Copy { result, reclaim }) => Ok(self.deliver_copy(id, result, reclaim)),
            Some(Pending::PeerTrapped) | None => Err(Offence::PeerTrapped.at("event")),
        }
    }

    /// `Waitable.wait_for_pending_event`, which is never cancellable. The thread blocks.
    pub(super) fn wait_for_pending_event(
        &mut self,
        thread: ThreadId,
        id: WaitableId,
        until: Until,
        parked: Parked,
    ) {
        self.start_waiting(thread, until);
        debug_assert_eq!(self.waitables[id.0].waiter, Some(thread));
        self.block(thread, parked, false);
    }

    /// `Waitable.join`.
    pub(super) fn join(&mut self, id: WaitableId, set: Option<WaitableSetId>) {
        let waitable = &mut self.waitables[id.0];
        let has_event = waitable.pending.is_some();
        if let Some(old) = std::mem::replace(&mut waitable.set, set) {
            self.waitable_sets[old.0].forget(id);
            self.waitable_sets[old.0].members -= 1;
        }
        if let Some(set) = set {
            self.waitable_sets[set.0].members += 1;
            if has_event {
                self.waitable_sets[set.0].pending.push_back(id);
                self.hint_waiters(set);
            }
        }
    }

    /// `Waitable.drop`: the waitable is gone afterwards.
    pub(super) fn remove_waitable(&mut self, id: WaitableId) -> Option<Waitable> {
        self.join(id, None);
        self.waitables.remove(id.0)
    }

    /// The same for one that nobody looks at any more: it is not moved.
    pub(super) fn discard_waitable(&mut self, id: WaitableId) {
        self.join(id, None);
        self.waitables.discard(id.0);
    }
}
