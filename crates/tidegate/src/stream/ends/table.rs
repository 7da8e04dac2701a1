//! Which ends the host holds.

use super::HostEnd;
use crate::concurrent::WorkKey;
use crate::stream::guard::Closer;
use std::task::Waker;
use tidegate_core::runtime::{SharedId, Side};

/// The ends that the host holds, by stream or future.
#[derive(Default)]
pub(crate) struct HostEnds {
    slots: Vec<[Slot; 2]>,
    /// Ends that were woken while their guest could not be reached.
    deferred: Vec<(SharedId, Side)>,
    /// Closes what guards have dropped.
    pub(in crate::stream) closer: Option<Closer>,
}

#[derive(Default)]
struct Slot {
    end: Place,
    /// By what it is woken.
    work: Option<WorkKey>,
}

/// Where an end is.
#[derive(Default)]
enum Place {
    /// There is none.
    #[default]
    None,
    Here(Held),
    /// It is being asked.
    Away,
}

/// An end that can be asked, with the waker that it is asked with.
pub(in crate::stream) struct Held {
    pub(in crate::stream) end: Box<dyn HostEnd>,
    pub(in crate::stream) waker: Waker,
    /// Whether it has returned `Pending` to somebody who waits.
    pub(in crate::stream) waits: bool,
}

impl HostEnds {
    fn slot(&mut self, shared: SharedId, side: Side) -> &mut Slot {
        let index = shared.0 as usize;
        if self.slots.len() <= index {
            // Numbers of streams and futures are dense: freed ones are used again.
            self.slots.resize_with(index + 1, Default::default);
        }
        &mut self.slots[index][side as usize]
    }

    /// Adds an end.
    pub(super) fn insert(&mut self, shared: SharedId, side: Side, held: Held, work: WorkKey) {
        let slot = self.slot(shared, side);
        slot.end = Place::Here(held);
        slot.work = Some(work);
    }

    /// Whether there is an end, be it being asked.
    pub(in crate::stream) fn contains(&self, shared: SharedId, side: Side) -> bool {
        self.slots
            .get(shared.0 as usize)
            .is_some_and(|slots| !matches!(slots[side as usize].end, Place::None))
    }

    /// Whether the end is being asked.
    pub(super) fn is_away(&self, shared: SharedId, side: Side) -> bool {
        self.slots
            .get(shared.0 as usize)
            .is_some_and(|slots| matches!(slots[side as usize].end, Place::Away))
    }

    /// Takes an end out, to be asked, or for good.
    pub(in crate::stream) fn take(&mut self, shared: SharedId, side: Side) -> Option<Held> {
        let slot = self.slot(shared, side);
        match std::mem::take(&mut slot.end) {
            Place::Here(held) => {
                slot.end = Place::Away;
                Some(held)
            }
            other => {
                slot.end = other;
                None
            }
        }
    }

    /// Puts an end back that was asked; gives it if it was removed meanwhile.
    pub(in crate::stream) fn put_back(
        &mut self,
        shared: SharedId,
        side: Side,
        held: Held,
    ) -> Option<Held> {
        let slot = self.slot(shared, side);
        if let Place::Away = slot.end {
            slot.end = Place::Here(held);
            return None;
        }
        Some(held)
    }

    /// By what an end is woken.
    pub(super) fn work(&self, shared: SharedId, side: Side) -> Option<WorkKey> {
        self.slots.get(shared.0 as usize)?[side as usize].work
    }

    /// Notes that an end was woken while its guest could not be reached.
    pub(super) fn defer(&mut self, shared: SharedId, side: Side) {
        self.deferred.push((shared, side));
    }

    /// The ends that were deferred.
    pub(super) fn take_deferred(&mut self) -> Vec<(SharedId, Side)> {
        std::mem::take(&mut self.deferred)
    }

    /// Removes an end; gives it, unless it is being asked, and by what it was woken.
    pub(super) fn remove(
        &mut self,
        shared: SharedId,
        side: Side,
    ) -> (Option<Held>, Option<WorkKey>) {
        let slot = std::mem::take(self.slot(shared, side));
        match slot.end {
            Place::Here(held) => (Some(held), slot.work),
            _ => (None, slot.work),
        }
    }
}
