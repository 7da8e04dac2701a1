//! How host functions fail: with an error of the interface, or with a trap.

use tidegate::{ResourceTableError, StoreInUse};

use crate::{fs, io, net};

/// An error of the interface, which the guest sees, or a trap, which ends it.
#[derive(Debug)]
pub enum Fault<E> {
    /// The guest sees this.
    Error(E),
    /// The guest broke a rule, or holds a handle that leads nowhere.
    Trap(tidegate::Error),
}

/// How stream operations fail.
pub type StreamFault = Fault<io::StreamError>;
/// How filesystem operations fail.
pub type FsFault = Fault<fs::ErrorCode>;
/// How network operations fail.
pub type NetFault = Fault<net::ErrorCode>;

impl<E> From<ResourceTableError> for Fault<E> {
    fn from(error: ResourceTableError) -> Self {
        Self::Trap(error.into())
    }
}

impl From<io::StreamError> for StreamFault {
    fn from(error: io::StreamError) -> Self {
        match error {
            io::StreamError::Misuse(misuse) => Self::Trap(misuse.into()),
            other => Self::Error(other),
        }
    }
}

impl From<fs::ErrorCode> for FsFault {
    fn from(code: fs::ErrorCode) -> Self {
        Self::Error(code)
    }
}

impl From<net::ErrorCode> for NetFault {
    fn from(code: net::ErrorCode) -> Self {
        Self::Error(code)
    }
}

/// What the runtime fails with, no guest can make up for.
impl<E> From<tidegate::Error> for Fault<E> {
    fn from(error: tidegate::Error) -> Self {
        Self::Trap(error)
    }
}

impl<E> From<StoreInUse> for Fault<E> {
    fn from(error: StoreInUse) -> Self {
        Self::Trap(error.into())
    }
}

impl From<net::SendError> for NetFault {
    fn from(error: net::SendError) -> Self {
        match error {
            net::SendError::Code(code) => Self::Error(code),
            misuse @ net::SendError::BeyondPermit { .. } => Self::Trap(misuse.into()),
        }
    }
}
