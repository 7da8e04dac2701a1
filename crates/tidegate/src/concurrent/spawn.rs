//! Tasks of the host that run beside guests.

use super::slot::Slot;
use super::work::{HostWork, WorkHandle, WorkKey};
use crate::baton::{Baton, in_turn};
use anyhow::Result;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Waits for a task that was spawned in a store, and can end it. The task goes on when this is dropped.
#[must_use = "the task goes on without its handle, but its result is lost"]
pub struct JoinHandle<R> {
    slot: Arc<Slot<R>>,
    work: WorkHandle,
    key: WorkKey,
}

/// The task was aborted, or its store ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task was aborted before it was done")]
pub struct Aborted;

impl<R> JoinHandle<R> {
    /// Ends the task where it waits: its future is dropped. Does nothing if it is done.
    pub fn abort(&self) {
        self.slot.put(Err(Aborted.into()));
        self.work.abort(self.key);
    }

    /// Whether the task is done or was aborted.
    pub fn is_finished(&self) -> bool {
        self.slot.is_done()
    }
}

impl<R> Future for JoinHandle<R> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        self.slot.poll(cx, self.work.known())
    }
}

impl<R> std::fmt::Debug for JoinHandle<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinHandle").finish_non_exhaustive()
    }
}

/// Adds a task to a store's work.
pub(crate) fn spawn<F>(place: &mut Baton, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let slot = Arc::new(Slot::default());
    let task = Task {
        future: Box::pin(future),
        slot: slot.clone(),
    };
    let work = &mut place.concurrent.work;
    let key = work.insert(Box::pin(task));
    JoinHandle {
        slot,
        work: work.handle(),
        key,
    }
}

struct Task<F: Future> {
    future: Pin<Box<F>>,
    slot: Arc<Slot<F::Output>>,
}

impl<F> HostWork for Task<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn poll(mut self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()> {
        let result = ready!(in_turn(place, || self.future.as_mut().poll(cx)));
        self.slot.put(Ok(result));
        Poll::Ready(())
    }
}

impl<F: Future> Drop for Task<F> {
    fn drop(&mut self) {
        self.slot.put(Err(Aborted.into()));
    }
}
