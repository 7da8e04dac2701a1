//! How operations on byte streams fail.

use std::io;

use thiserror::Error;

/// The failure of a stream operation, as `wasi:io/streams` has it, plus the guest's misuse.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The operation, or an earlier one that went on in the background, failed. Reported once; from
    /// then on the stream is closed.
    #[error("the last operation failed: {0}")]
    LastOperationFailed(#[source] io::Error),
    /// The stream is closed.
    #[error("the stream is closed")]
    Closed,
    /// The guest broke a rule of the interface, which is a trap.
    #[error(transparent)]
    Misuse(#[from] Misuse),
}

/// A rule of `wasi:io/streams` that the guest broke.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum Misuse {
    /// `write` or `write-zeroes` with more bytes than `check-write` had permitted.
    #[error("a write of {len} bytes where `check-write` permitted {permit}")]
    BeyondPermit {
        /// The bytes that were to be written.
        len: u64,
        /// The bytes that were permitted.
        permit: u64,
    },
    /// `blocking-write-and-flush` or its twin with more than [`BLOCKING_WRITE_LIMIT`] bytes.
    #[error("a blocking write of {len} bytes where at most {BLOCKING_WRITE_LIMIT} are allowed")]
    BeyondBlockingLimit {
        /// The bytes that were to be written.
        len: u64,
    },
}

/// The most that `blocking-write-and-flush` takes at once, in bytes.
pub const BLOCKING_WRITE_LIMIT: u64 = 4096;
