//! Why stacks park, and what they wait for.

use super::Baton;
use crate::concurrent::{Request, With};
use crate::error::bug;
use anyhow::{Context as _, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tidegate_engine::{Cx, Flow, Job};

/// What a blocked stack waits for, which has the baton.
pub(crate) trait Waits: Send {
    /// Ready when the stack can go on.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// The host function that waits, as it was imported, if it has a name.
    fn function(&self) -> Option<Arc<str>>;

    /// Ends the blocked host call, or blocks it again: in its context, as a [`Job`] does. It was ready.
    ///
    /// # Errors
    /// What the host call ends with.
    fn end(self: Pin<Box<Self>>, cx: Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>>;
}

pin_project_lite::pin_project! {
    /// A future that gives what to do in the blocked host call.
    struct ByJob<F> {
        #[pin]
        future: F,
        function: Option<Arc<str>>,
        job: Option<Job<Baton>>,
    }
}

impl<F: Future<Output = Job<Baton>> + Send> Waits for ByJob<F> {
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let parts = self.project();
        *parts.job = Some(ready!(parts.future.poll(cx)));
        Poll::Ready(())
    }

    fn function(&self) -> Option<Arc<str>> {
        self.function.clone()
    }

    fn end(
        mut self: Pin<Box<Self>>,
        cx: Cx<'_, Baton>,
        slots: &mut [u64],
    ) -> Result<Flow<Blocked>> {
        let job = self.as_mut().project().job.take();
        job.with_context(|| bug("a wait has ended without what it was for"))?(cx, slots)
    }
}

/// What a blocked stack waits for; `None` once it was ready.
pub(crate) struct Waiting(Option<Pin<Box<dyn Waits>>>);

impl Waiting {
    /// The host function that waits, as it was imported, if it has a name and was not ready.
    pub(crate) fn function(&self) -> Option<Arc<str>> {
        self.0.as_ref()?.function()
    }
}

impl Future for Waiting {
    type Output = With;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<With> {
        if let Some(waits) = &mut self.0 {
            ready!(waits.as_mut().poll(cx));
        }
        match self.0.take() {
            Some(waited) => Poll::Ready(With::Waited(waited)),
            None => Poll::Pending,
        }
    }
}

/// Why a stack parks.
pub(crate) enum Blocked {
    /// The host is at work for it, and holds the store.
    Waiting(Waiting),
    /// It hands the store to the driver, with a request.
    Request(Baton, Request),
}

impl Blocked {
    /// Waiting for a future, which has the baton.
    pub(crate) fn waiting(future: impl Future<Output = Job<Baton>> + Send + 'static) -> Self {
        Self::waiting_in(None, future)
    }

    /// The same for a host function, which may have a name.
    pub(crate) fn waiting_in(
        function: Option<Arc<str>>,
        future: impl Future<Output = Job<Baton>> + Send + 'static,
    ) -> Self {
        Self::waiting_pinned(Box::pin(ByJob {
            future,
            function,
            job: None,
        }))
    }

    /// The same for what has its place.
    pub(crate) fn waiting_pinned(waits: Pin<Box<dyn Waits>>) -> Self {
        Self::Waiting(Waiting(Some(waits)))
    }
}
