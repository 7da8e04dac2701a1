//! Host functions that hold the store while they wait: the caller's stack parks.

use super::{HostCall, HostResult};
use crate::baton::{Baton, Blocked, Waits};
use crate::call::canon::CallSite;
use crate::concurrent::{Begun, FunctionId};
use crate::error::bug;
use anyhow::{Context as _, Result};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tidegate_engine::{Cx, Flow};

pin_project_lite::pin_project! {
    /// A call of a host function. What it leaves serves the next call of the function.
    struct Awaited<K, R, F> {
        function: FunctionId,
        site: Arc<CallSite>,
        // What the future is made with and gives back in the end.
        kit: Option<K>,
        #[pin]
        future: Option<F>,
        // `None` once it has ended.
        call: Option<HostCall>,
        // What the future gave, with the store.
        ended: Option<(Baton, Result<R>)>,
    }
}

/// Runs a host function as far as it gets. If it must wait, the caller's stack parks.
///
/// `make` makes what `run` makes a future of, with the store, and which the future gives back: it is used again and again.
#[inline(always)]
pub(super) fn call_waiting<K, R, F>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    begun: Begun<'_>,
    make: impl FnOnce() -> K,
    run: impl FnOnce(K, Baton) -> F,
) -> Result<Flow<Blocked>>
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Future<Output = (K, Baton, Result<R>)> + Send + 'static,
{
    let Begun { function, call } = begun;
    let spares = &mut cx.data_mut().concurrent.spares;
    let spare = spares.take::<Awaited<K, R, F>>(function);
    let mut awaited = spare.unwrap_or_else(|| {
        Box::pin(Awaited {
            function,
            site: site.clone(),
            kit: None,
            future: None,
            call: None,
            ended: None,
        })
    });
    let mut parts = awaited.as_mut().project();
    if !Arc::ptr_eq(parts.site, site) {
        *parts.site = site.clone();
    }
    let kit = parts.kit.take().unwrap_or_else(make);
    parts.future.set(Some(run(kit, cx.data_mut().take())));
    // Whoever runs the stack polls the future again at once with a waker of its own.
    let mut context = Context::from_waker(Waker::noop());
    if Waits::poll(awaited.as_mut(), &mut context).is_ready() {
        let ended = awaited.as_mut().project().ended.take();
        let (baton, result) = ended.with_context(|| bug("a call has ended twice"))?;
        *cx.data_mut() = baton;
        cx.data_mut().concurrent.spares.put(function, awaited);
        call.end(cx, site, slots, result)?;
        return Ok(Flow::Return);
    }
    *awaited.as_mut().project().call = Some(std::mem::take(call));
    Ok(Flow::Block(Blocked::waiting_pinned(awaited)))
}

impl<K, R, F> Waits for Awaited<K, R, F>
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Future<Output = (K, Baton, Result<R>)> + Send + 'static,
{
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut parts = self.project();
        let Some(future) = parts.future.as_mut().as_pin_mut() else {
            // It has ended.
            return Poll::Ready(());
        };
        let (kit, baton, result) = ready!(future.poll(cx));
        parts.future.set(None);
        *parts.kit = Some(kit);
        *parts.ended = Some((baton, result));
        Poll::Ready(())
    }

    fn function(&self) -> Option<Arc<str>> {
        self.site.name.clone()
    }

    fn end(
        mut self: Pin<Box<Self>>,
        mut cx: Cx<'_, Baton>,
        slots: &mut [u64],
    ) -> Result<Flow<Blocked>> {
        let parts = self.as_mut().project();
        let (ended, call) = (parts.ended.take(), parts.call.take());
        let (baton, result) = ended.with_context(|| bug("a call has ended twice"))?;
        *cx.data_mut() = baton;
        let mut call = call.with_context(|| bug("a call has ended twice"))?;
        call.end(&mut cx, parts.site, slots, result)?;
        let function = *parts.function;
        cx.data_mut().concurrent.spares.put(function, self);
        Ok(Flow::Return)
    }
}
