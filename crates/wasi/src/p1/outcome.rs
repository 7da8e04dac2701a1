//! What a call of a WASI function comes to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use super::types::Errno;
use crate::fs::ErrorCode;
use crate::io::{OffThread, Readiness};

/// What a call comes to. See [`Function::call`](super::Function::call).
pub enum Outcome {
    /// The function is done; give the guest this `errno`, 0 for success.
    Done(u32),
    /// The guest asked to end with this status (`proc_exit`, `proc_raise`).
    Exit(u32),
    /// The function would have to wait. Park the guest until this is ready, then call again with
    /// the same arguments.
    Wait(Readiness),
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done(errno) => f.debug_tuple("Done").field(errno).finish(),
            Self::Exit(status) => f.debug_tuple("Exit").field(status).finish(),
            Self::Wait(_) => f.write_str("Wait(..)"),
        }
    }
}

/// The guest trapped in a WASI function.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trap {
    /// A pointer leads out of the guest's memory. Nothing was done.
    #[error(
        "`{function}` was given {len} bytes at address {pointer:#x}, which are not all within the \
         guest's memory of {size:#x} bytes"
    )]
    OutOfBounds {
        /// The function that was called.
        function: &'static str,
        /// Where the bytes begin.
        pointer: u32,
        /// How many there should be.
        len: u64,
        /// The size of the guest's memory, in bytes.
        size: usize,
    },
    /// The host's source of randomness failed, and a program must not go on without.
    #[error("`random_get` failed: the host's source of randomness is not available")]
    Random(#[source] std::io::Error),
}

/// Why a function does not simply return success.
pub(super) enum Stop {
    Errno(Errno),
    Exit(u32),
    Wait(Readiness),
    Fault { pointer: u32, len: u64 },
    Random(std::io::Error),
}

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Errno(errno) => write!(f, "{errno:?}"),
            Self::Exit(status) => write!(f, "Exit({status})"),
            Self::Wait(_) => f.write_str("Wait"),
            Self::Fault { pointer, len } => write!(f, "Fault({pointer:#x}, {len})"),
            Self::Random(error) => write!(f, "Random({error})"),
        }
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<ErrorCode> for Stop {
    fn from(code: ErrorCode) -> Self {
        Self::Errno(code.into())
    }
}

/// Lets others run: the executor goes round once before this is ready. The runtime looks once before
/// it parks the guest, so it takes two looks to get as far as the executor.
pub(super) fn let_others_run() -> Readiness {
    let mut looks = 0;
    Box::pin(std::future::poll_fn(move |cx| {
        if looks == 2 {
            return Poll::Ready(());
        }
        looks += 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }))
}

/// What a function must remember until it is called again after a wait.
///
/// It counts only for the call that waited: when that call was given up, by an embedder that
/// dropped it or a guest that was terminated, its wait never ended, and the next call starts anew.
#[derive(Debug, Default)]
pub(super) struct Resume {
    kept: Option<(Progress, Arc<AtomicBool>)>,
}

/// How far a function had come.
#[derive(Debug, Clone)]
pub(super) enum Progress {
    /// `poll_oneoff` began at this time of the monotonic clock, in nanoseconds.
    Poll { started: u64 },
    /// `random_get` or `sock_recv` has stored this many bytes.
    Filled { bytes: usize },
    /// What a read did not find in the page cache was brought there.
    Fetched,
    /// A device was asked to keep what was written.
    Synced(Arc<OffThread<Result<(), ErrorCode>>>),
    /// `sched_yield` has let others run.
    Yielded,
}

impl Resume {
    /// Waits, and remembers `progress` for when the wait has ended.
    pub(super) fn wait(&mut self, progress: Progress, readiness: Readiness) -> Stop {
        let ended = Arc::new(AtomicBool::new(false));
        self.kept = Some((progress, Arc::clone(&ended)));
        Stop::Wait(Box::pin(async move {
            readiness.await;
            ended.store(true, Ordering::Release);
        }))
    }

    /// What the call that waited had come to, if this is its continuation.
    pub(super) fn take(&mut self) -> Option<Progress> {
        let (progress, ended) = self.kept.take()?;
        ended.load(Ordering::Acquire).then_some(progress)
    }
}
