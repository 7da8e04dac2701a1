//! Who waits at which address, in the order in which they began: `memory.atomic.wait` and `memory.atomic.notify` without time or threads.

use std::collections::BTreeMap;

/// Those who wait, each with a `W`. It grows with their number, not with that of addresses ever used.
#[derive(Debug)]
pub(super) struct Waiters<W> {
    /// By address, then by age.
    waiting: BTreeMap<Place, W>,
    next: u64,
}

/// Names one of those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    address: u64,
    age: u64,
}

impl<W> Default for Waiters<W> {
    fn default() -> Self {
        Self {
            waiting: BTreeMap::new(),
            next: 0,
        }
    }
}

impl<W> Waiters<W> {
    /// Somebody begins to wait. Whoever calls has compared the value in memory, and is not interrupted by a [`notify`](Self::notify) in between.
    pub(super) fn wait(&mut self, address: u64, waiter: W) -> Place {
        let place = Place {
            address,
            age: self.next,
        };
        // At one a nanosecond the numbers last for centuries.
        self.next += 1;
        self.waiting.insert(place, waiter);
        place
    }

    /// Somebody who still waits.
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut W> {
        self.waiting.get_mut(&place)
    }

    /// Somebody waits no longer; `None` if they were notified before.
    pub(super) fn leave(&mut self, place: Place) -> Option<W> {
        self.waiting.remove(&place)
    }

    /// Notifies at most `count` of those who wait at an address, those first who have waited longest.
    pub(super) fn notify(&mut self, address: u64, count: u32) -> Vec<W> {
        let mut notified = Vec::new();
        while notified.len() < count as usize {
            let first = Place { address, age: 0 };
            let Some((&place, _)) = self.waiting.range(first..).next() else {
                break;
            };
            if place.address != address {
                break;
            }
            notified.extend(self.waiting.remove(&place));
        }
        notified
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_waited_longest_are_notified_first() {
        let mut waiters = Waiters::default();
        for name in ["a", "b", "c"] {
            waiters.wait(8, name);
        }
        assert_eq!(waiters.notify(8, 2), ["a", "b"]);
        waiters.wait(8, "d");
        assert_eq!(waiters.notify(8, u32::MAX), ["c", "d"]);
        assert!(waiters.notify(8, 1).is_empty());
    }

    #[test]
    fn other_addresses_are_left_alone() {
        let mut waiters = Waiters::default();
        waiters.wait(0, "low");
        waiters.wait(4, "mid");
        waiters.wait(u64::MAX, "high");
        assert_eq!(waiters.notify(4, 10), ["mid"]);
        assert!(waiters.notify(2, 10).is_empty());
        assert_eq!(waiters.notify(u64::MAX, 10), ["high"]);
        assert_eq!(waiters.notify(0, 10), ["low"]);
    }

    #[test]
    fn who_left_is_not_notified_and_who_was_notified_cannot_leave() {
        let mut waiters = Waiters::default();
        let a = waiters.wait(0, "a");
        let b = waiters.wait(0, "b");
        assert_eq!(waiters.leave(a), Some("a"));
        assert_eq!(waiters.notify(0, 2), ["b"]);
        assert_eq!(waiters.leave(b), None);
        assert_eq!(waiters.get_mut(b), None);
    }

    #[test]
    fn notifying_nobody_is_possible() {
        let mut waiters = Waiters::default();
        waiters.wait(0, ());
        assert!(waiters.notify(0, 0).is_empty());
        assert_eq!(waiters.len(), 1);
    }

    #[test]
    fn a_million_addresses_leave_nothing_behind() {
        let mut waiters = Waiters::default();
        for address in 0..1_000_000 {
            let place = waiters.wait(address * 4, ());
            if address % 2 == 0 {
                waiters.leave(place);
            } else {
                assert_eq!(waiters.notify(address * 4, 1).len(), 1);
            }
            assert_eq!(waiters.len(), 0);
        }
    }
}
