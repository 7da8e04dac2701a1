//! Producers and consumers that do not keep their contract.

use std::any::type_name;

/// A producer or consumer of the embedder's broke a rule of its contract. The guest at the other end traps with this as the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host's `{who}` broke the contract of {what}: {rule}")]
pub struct Breach {
    /// The Rust type that broke it.
    pub who: &'static str,
    /// The trait whose contract it is.
    pub what: &'static str,
    /// The rule.
    pub rule: Rule,
}

/// A rule of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// `Completed` means that something was moved.
    #[error(
        "it returned `Completed` without an item although it could move some: move at least one, or keep the waker and return `Pending`"
    )]
    CompletedWithoutItem,
    /// `Pending` means that nothing was written.
    #[error("it returned `Pending` after it had written: return `Completed`")]
    PendingAfterWriting,
    /// `Cancelled` is an answer.
    #[error("it returned `Cancelled` although `finish` was false")]
    CancelledUnasked,
    /// No more is written than there is room for.
    #[error("it marked {marked} bytes as written where there was room for {room}")]
    WroteTooMuch {
        /// What it marked.
        marked: usize,
        /// What there was.
        room: usize,
    },
    /// No more is read than there is.
    #[error("it marked {marked} bytes as read where there were {offered}")]
    ReadTooMuch {
        /// What it marked.
        marked: usize,
        /// What there was.
        offered: usize,
    },
    /// A future has a value.
    #[error("it returned no value although `finish` was false: a future's reader was promised one")]
    NoValue,
    /// A future's value is taken.
    #[error("it returned `Ready` without taking the value although `finish` was false")]
    ValueNotTaken,
}

impl Rule {
    pub(super) fn broken_by<T: ?Sized>(self, what: &'static str) -> Breach {
        Breach {
            who: type_name::<T>(),
            what,
            rule: self,
        }
    }
}
