//! What a guest can do wrong with the async half of the Canonical ABI.

use crate::trap::Trap;

/// A rule of the async half that a guest broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Offence {
    /// A function whose type is not `async` waited, and nothing else in its instance could go on.
    #[error(
        "cannot block a synchronous task before returning: no other thread of its instance is ready (deadlock detected: event loop cannot make further progress)"
    )]
    BlockedSync,
    /// The last thread of a task ended before the task was resolved.
    #[error("the task's last thread ended, but `task.return` or `task.cancel` was never called")]
    NotResolved,
    /// A task was resolved twice.
    #[error("the task has already returned a value or been cancelled")]
    AlreadyResolved,
    /// `task.cancel` without a cancellation that was delivered.
    #[error("the task's cancellation was not requested and delivered, or it is resolved already")]
    NotCancelled,
    /// `task.return` or `task.cancel` in a function lifted without the `async` option.
    #[error("only a function lifted with the `async` option may do this")]
    SyncLift,
    /// `task.return` of a type that is not the function's result type.
    #[error("the type returned is not the result type of the function called")]
    WrongResultType,
    /// `task.return` with another memory or string encoding than the function was lifted with.
    #[error("memory and string encoding must be those that the function was lifted with")]
    WrongReturnOptions,
    /// A callback gave a code that does not exist.
    #[error("unsupported callback code: {0}")]
    CallbackCode(u32),
    /// The backpressure counter left its range.
    #[error("the backpressure counter must stay between 0 and 65535")]
    BackpressureRange,
    /// A waitable in a set was waited for synchronously, or one that is waited for was joined to a set.
    #[error("waitable cannot be used synchronously while added to a waitable set")]
    SyncWhileInSet,
    /// A waitable set was dropped that is not empty.
    #[error("cannot drop waitable set that waitables are joined to")]
    SetNotEmpty,
    /// A waitable set was dropped that is being waited on.
    #[error("cannot drop waitable set with waiters")]
    SetHasWaiters,
    /// A subtask was dropped too early.
    #[error("cannot drop a subtask which has not yet resolved")]
    SubtaskNotResolved,
    /// A subtask was cancelled after its end was reported.
    #[error("cannot cancel a subtask whose end has been reported")]
    SubtaskResolveDelivered,
    /// A subtask was cancelled twice.
    #[error("the subtask's cancellation has already been requested")]
    SubtaskAlreadyCancelled,
    /// A lift or drop of an end whose read or write is under way.
    #[error("cannot {action} busy {what}")]
    Busy {
        /// What was attempted.
        action: &'static str,
        /// Stream or future.
        what: &'static str,
    },
    /// A read or write of an end whose read or write is under way.
    #[error("cannot have concurrent operations active on a future/stream")]
    Concurrent,
    /// A read of a stream that is known to have ended.
    #[error("cannot read from stream after being notified that the writable end dropped")]
    ReadAfterEnd,
    /// A write to a stream whose reader is known to be gone.
    #[error("cannot write to stream after being notified that the readable end dropped")]
    WriteAfterEnd,
    /// A second read of a future.
    #[error("cannot read from future after previous read succeeded")]
    SecondRead,
    /// A second write to a future.
    #[error(
        "cannot write to future after previous write succeeded or readable end dropped: a second value is one too many"
    )]
    SecondWrite,
    /// A stream that is known to have ended was given away.
    #[error("cannot lift stream after being notified that the writable end dropped")]
    LiftAfterEnd,
    /// A future that was read was given away.
    #[error("cannot lift future after previous read succeeded")]
    LiftAfterRead,
    /// An end was given away that is in a waitable set.
    #[error("cannot lift {what} while it's in a waitable set")]
    LiftInSet {
        /// Stream or future.
        what: &'static str,
    },
    /// A stream or future is of another element type.
    #[error("the element type of the stream or future is another one")]
    WrongElementType,
    /// A writable end of a future was dropped that no value was written to.
    #[error("cannot drop future write end without first writing a value")]
    FutureNotWritten,
    /// A read and a write of the same instance met, and the items are not numbers.
    #[error("cannot read from and write to intra-component {what}")]
    IntraComponentCopy {
        /// Stream or future.
        what: &'static str,
    },
    /// A read or write was cancelled that is not under way.
    #[error("no read or write is under way that could be cancelled")]
    NotCopying,
    /// A buffer of more items than the Canonical ABI allows.
    #[error(
        "a buffer of {length} items: at most {} are allowed",
        super::Buffer::MAX_LENGTH
    )]
    BufferTooLong {
        /// Its length in items.
        length: u64,
    },
    /// A thread was resumed that is not suspended.
    #[error("the thread is not suspended")]
    NotSuspended,
    /// The other side of a call, stream or future is in an instance that trapped.
    #[error("the instance on the other side trapped")]
    PeerTrapped,
}

impl Offence {
    /// The trap for this offence, committed in a built-in or the like.
    pub(super) fn at(self, builtin: &'static str) -> Trap {
        Trap::Builtin {
            builtin,
            reason: self,
        }
    }
}
