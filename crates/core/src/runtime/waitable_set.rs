//! Waitable sets.

use super::{
    Chooser, Event, Handle, InstanceId, State, ThreadId, WaitableId, WaitableSetId,
    chooser::Choice, limits,
};
use crate::trap::Trap;
use std::collections::VecDeque;

/// A set of waitables. A waitable knows the set that it is in; the set knows its members by number only.
#[derive(Debug, Default)]
pub(super) struct WaitableSet {
    /// How many waitables are in it.
    pub members: u32,
    /// Exactly the members that have an event, in the order in which the events became pending.
    pub pending: VecDeque<WaitableId>,
    /// The threads that wait for an event: the specification's `num_waiting`.
    pub waiters: Vec<ThreadId>,
}

impl WaitableSet {
    /// A member has no event any more, or is no member any more.
    #[inline]
    pub(super) fn forget(&mut self, id: WaitableId) {
        if self.pending.front() == Some(&id) {
            self.pending.pop_front();
        } else {
            self.pending.retain(|&other| other != id);
        }
    }
}

impl State {
    pub(super) fn new_waitable_set(&mut self) -> Result<WaitableSetId, Trap> {
        limits::check(
            self.waitable_sets.len(),
            self.limits.waitable_sets,
            "waitable sets",
            "max-waitable-sets",
        )?;
        Ok(WaitableSetId(
            self.waitable_sets.insert(WaitableSet::default()),
        ))
    }

    /// The set behind a handle.
    #[inline]
    pub(super) fn set_at(&self, instance: InstanceId, index: u32) -> Result<WaitableSetId, Trap> {
        match self.instance(instance).handles.get(index)? {
            Handle::WaitableSet(id) => Ok(*id),
            other => Err(other.mismatch(index, "waitable set")),
        }
    }

    /// `WaitableSet.get_pending_event`; there is one.
    pub(super) fn take_event(
        &mut self,
        set: WaitableSetId,
        chooser: &mut dyn Chooser,
    ) -> Result<Event, Trap> {
        let pending = &mut self.waitable_sets[set.0].pending;
        let position = if chooser.takes_first() || pending.len() < 2 {
            0
        } else {
            chooser
                .choose(Choice::Event(pending.make_contiguous()))
                .min(pending.len() - 1)
        };
        match pending.get(position).copied() {
            Some(waitable) => self.deliver(waitable),
            None => Ok(Event::NONE),
        }
    }
}
