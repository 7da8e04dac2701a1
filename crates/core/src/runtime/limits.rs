//! What one store may hold, so that no guest can make the host's memory grow without bound.

use crate::trap::Trap;

/// The limits of a store. Exceeding one is a trap that names the limit and the option which raises it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Handles in the table of one instance; an entry takes about 40 bytes. 1,000,000 unless set; at most 2^28 - 1.
    pub handles: u32,
    /// Tasks of the store, running or waiting to start; about 100 bytes each. 200,000 unless set.
    pub tasks: u32,
    /// Threads of the store, without what their stacks take; about 120 bytes each. 200,000 unless set.
    pub threads: u32,
    /// Subtasks and ends of streams and futures in the store; about 120 bytes each. 500,000 unless set.
    pub waitables: u32,
    /// Waitable sets of the store; about 80 bytes each. 200,000 unless set.
    pub waitable_sets: u32,
    /// Bytes of one error context's debug message; what is longer is cut. 4,096 unless set.
    pub error_context_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handles: 1_000_000,
            tasks: 200_000,
            threads: 200_000,
            waitables: 500_000,
            waitable_sets: 200_000,
            error_context_bytes: 4096,
        }
    }
}

/// Checks that one more fits.
pub(super) fn check(
    count: usize,
    limit: u32,
    what: &'static str,
    option: &'static str,
) -> Result<(), Trap> {
    if count < limit as usize {
        return Ok(());
    }
    Err(Trap::Limit {
        what,
        limit: limit.into(),
        option,
    })
}
