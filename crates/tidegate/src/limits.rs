//! What a store may take.

use tidegate_core::abi::DEFAULT_LIFTED_BYTES;

use crate::ConcurrencyLimits;

/// The limits of a store. Reaching one is a trap or an error that names it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// What each isolate may take: memory, tables, core instances.
    pub isolate: tidegate_engine::Limits,
    /// Bytes of host memory that the values of one call may take when they are lifted. Default: 512 MiB.
    pub max_lifted_bytes: usize,
    /// Handles, tasks, threads, ends of streams and the like that the instances of the store may have.
    pub concurrency: ConcurrencyLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            isolate: tidegate_engine::Limits::default(),
            max_lifted_bytes: DEFAULT_LIFTED_BYTES,
            concurrency: ConcurrencyLimits::default(),
        }
    }
}
