//! The calls by the host that are under way.

use super::host::HostCall;
use super::number_map::NumberMap;

/// Calls by the host that have not ended, or whose outcome has not been fetched, by number.
#[derive(Default)]
pub(crate) struct HostCalls {
    calls: NumberMap<HostCall>,
    changes: u64,
}

impl HostCalls {
    /// How often any of them may have changed: who waits for one looks at it again only then.
    #[inline]
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    pub(super) fn get(&self, number: u64) -> Option<&HostCall> {
        self.calls.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut HostCall> {
        self.changes += 1;
        self.calls.get_mut(&number)
    }

    pub(super) fn insert(&mut self, number: u64, call: HostCall) {
        self.changes += 1;
        self.calls.insert(number, call);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<HostCall> {
        self.changes += 1;
        self.calls.remove(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &HostCall)> {
        self.calls.iter().map(|(number, call)| (*number, call))
    }
}
