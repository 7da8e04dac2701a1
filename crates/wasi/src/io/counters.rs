//! What an endpoint has done so far.

/// Counts of one direction of one endpoint. They only grow.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// Bytes that were moved.
    pub bytes: u64,
    /// Transfers that moved at least one byte.
    pub operations: u64,
    /// Transfers that moved nothing because the other side was not ready.
    pub stalls: u64,
}

impl Counters {
    pub(crate) fn moved(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.operations += u64::from(bytes > 0);
    }

    pub(crate) fn stalled(&mut self) {
        self.stalls += 1;
    }
}
