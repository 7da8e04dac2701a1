//! Where the result of something under way is left for the future that waits for it.

use super::watch::{Known, KnownWaker};
use anyhow::Result;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

/// A result that one side gives and the other waits for. The first result counts.
pub(crate) struct Slot<R>(Mutex<Progress<R>>);

enum Progress<R> {
    /// Not there yet; who waits for it, if anybody.
    Open(Option<KnownWaker>),
    /// There, and not fetched.
    Done(Result<R>),
    /// Fetched.
    Over,
}

impl<R> Default for Slot<R> {
    fn default() -> Self {
        Self(Mutex::new(Progress::Open(None)))
    }
}

impl<R> Slot<R> {
    fn lock(&self) -> MutexGuard<'_, Progress<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the result, unless there was one.
    pub(crate) fn put(&self, result: Result<R>) {
        let mut progress = self.lock();
        if let Progress::Open(waker) = &mut *progress {
            let waker = waker.take();
            *progress = Progress::Done(result);
            drop(progress);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Whether the result was given.
    pub(crate) fn is_done(&self) -> bool {
        !matches!(*self.lock(), Progress::Open(_))
    }

    /// Fetches the result. Whoever waits for it is known to the store that gives it.
    pub(super) fn poll(&self, cx: &mut Context<'_>, known: &Arc<Known>) -> Poll<Result<R>> {
        let mut progress = self.lock();
        match std::mem::replace(&mut *progress, Progress::Over) {
            Progress::Done(result) => Poll::Ready(result),
            Progress::Open(_) => {
                *progress = Progress::Open(Some(Known::keep(known, cx.waker())));
                Poll::Pending
            }
            Progress::Over => Poll::Ready(Err(anyhow::anyhow!(
                "a future was polled again after it was ready"
            ))),
        }
    }
}
