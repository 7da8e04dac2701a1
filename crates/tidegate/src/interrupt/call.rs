//! Calls that can be paused.

use super::{InterruptHandle, Suspension};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How a call came back.
#[derive(Debug)]
pub enum Outcome<F: Future> {
    /// It ended.
    Ended(F::Output),
    /// It stands still, and can go on.
    Paused(PausedCall<F>),
}

/// A call that stands still. Dropping it ends the call: what it had entered cannot be used any more, the store can.
#[must_use = "dropping it ends the call"]
pub struct PausedCall<F> {
    call: Pin<Box<F>>,
    guard: PauseGuard,
    suspension: Suspension,
}

impl<F: Future> PausedCall<F> {
    /// Has it go on from where it stopped, until it ends or is paused again.
    pub fn resume(self) -> Interruptible<F> {
        let Self {
            call, mut guard, ..
        } = self;
        guard.armed = false;
        let handle = guard.handle.clone();
        handle.resume();
        Interruptible::new(call, handle)
    }

    /// Where it stopped.
    pub fn suspension(&self) -> &Suspension {
        &self.suspension
    }
}

impl<F> std::fmt::Debug for PausedCall<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PausedCall")
            .field("suspension", &self.suspension)
            .finish_non_exhaustive()
    }
}

/// The request to pause ends with the paused call.
struct PauseGuard {
    handle: InterruptHandle,
    armed: bool,
}

impl Drop for PauseGuard {
    fn drop(&mut self) {
        if self.armed {
            self.handle.resume();
        }
    }
}

/// A call that runs until it ends or is paused. See [`InterruptHandle::run`].
#[must_use = "futures do nothing unless polled"]
pub struct Interruptible<F> {
    /// `None` once it has ended or was given out.
    call: Option<Pin<Box<F>>>,
    handle: InterruptHandle,
}

impl<F: Future> Interruptible<F> {
    pub(super) fn new(call: Pin<Box<F>>, handle: InterruptHandle) -> Self {
        Self {
            call: Some(call),
            handle,
        }
    }
}

impl<F: Future> Future for Interruptible<F> {
    type Output = Outcome<F>;

    /// # Panics
    /// It was polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<F>> {
        let Some(mut call) = self.call.take() else {
            panic!("polled after it was ready");
        };
        if let Poll::Ready(output) = call.as_mut().poll(cx) {
            return Poll::Ready(Outcome::Ended(output));
        }
        match self.handle.suspension() {
            Some(suspension) => Poll::Ready(Outcome::Paused(PausedCall {
                call,
                guard: PauseGuard {
                    handle: self.handle.clone(),
                    armed: true,
                },
                suspension,
            })),
            None => {
                self.call = Some(call);
                Poll::Pending
            }
        }
    }
}
