//! Telling a host function that the guest which called it wants it cancelled.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a call of a host function and the function itself share.
#[derive(Default)]
pub(crate) struct Signal {
    requested: AtomicBool,
    /// Whether anybody has ever watched it.
    watched: AtomicBool,
    /// How many [`Cancelled`] there are.
    watchers: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
}

impl Signal {
    /// Whether it is as it was made.
    #[inline]
    pub(super) fn is_untouched(&self) -> bool {
        !self.requested.load(Ordering::Relaxed) && !self.watched.load(Ordering::Relaxed)
    }

    /// Whether the function wants to know of its cancellation, and so ends by itself.
    pub(crate) fn is_watched(&self) -> bool {
        self.watchers.load(Ordering::Acquire) > 0
    }

    /// Asks the function to come to an end.
    pub(crate) fn request(&self) {
        self.requested.store(true, Ordering::Release);
        let wakers = std::mem::take(&mut *self.lock());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ready once the guest has asked for the end of the call: see [`Accessor::cancelled`](crate::Accessor::cancelled).
#[must_use = "a future does nothing unless it is awaited"]
pub struct Cancelled(Option<Arc<Signal>>);

impl Cancelled {
    pub(crate) fn new(signal: Option<Arc<Signal>>) -> Self {
        if let Some(signal) = &signal {
            signal.watched.store(true, Ordering::Relaxed);
            signal.watchers.fetch_add(1, Ordering::AcqRel);
        }
        Self(signal)
    }
}

impl Future for Cancelled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(signal) = &self.0 else {
            return Poll::Pending;
        };
        if signal.requested.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let mut wakers = signal.lock();
        if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            wakers.push(cx.waker().clone());
        }
        drop(wakers);
        // The request may have come in between.
        if signal.requested.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        if let Some(signal) = &self.0 {
            signal.watchers.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl std::fmt::Debug for Cancelled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancelled").finish_non_exhaustive()
    }
}
