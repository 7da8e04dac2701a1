//! `canon lower` of host functions that run beside others.

use super::deliver::{reachable, visit};
use super::park::Request;
use super::signal::Signal;
use super::spare::FunctionId;
use super::work::{HostWork, WorkKey};
use crate::baton::{Baton, Blocked, Home, in_turn};
use crate::call::canon::CallSite;
use crate::error::bug;
use crate::link::{HostCall, HostResult};
use anyhow::{Context as _, Result, bail};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tidegate_core::runtime::{Fair, LowerStep, ThreadId, WaitableId};
use tidegate_engine::{Cx, Flow, Job};

pin_project_lite::pin_project! {
    /// A call of a host function by a guest: its arguments were lifted, and its future is there. What it leaves serves the next call of the function.
    pub(crate) struct HostFunction<K, R, F> {
        function: FunctionId,
        site: Arc<CallSite>,
        signal: Arc<Signal>,
        // What the future is made with and gives back in the end.
        kit: Option<K>,
        #[pin]
        future: Option<F>,
        // `None` once it has ended.
        call: Option<HostCall>,
        // Once it goes on beside others.
        caller: Option<Caller>,
        // What it gave, until the caller's stack goes on, or its memory can be had.
        result: Option<Result<R>>,
    }
}

/// Who waits for a host function.
#[derive(Clone, Copy)]
enum Caller {
    /// A guest that has the subtask; the call's name among the host's work.
    Subtask(WaitableId, WorkKey),
    /// A thread that is parked in the call.
    Thread(ThreadId),
}

/// A call that has begun, but for its future.
pub(crate) struct Begun<'a> {
    pub(crate) function: FunctionId,
    pub(crate) call: &'a mut HostCall,
}

/// A call is over, and its future gone.
#[inline]
fn recycle<K, R, F>(place: &mut Baton, function: Pin<Box<HostFunction<K, R, F>>>)
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Send + 'static,
{
    // Its own and the accessor's: nobody else knows the signal.
    if Arc::strong_count(&function.signal) == 2 && function.signal.is_untouched() {
        place.concurrent.spares.put(function.function, function);
    }
}

/// Runs a host function as far as it gets. If it must wait, its caller gets a subtask or waits for it; where neither can be, since the function's
/// type is not `async`, the caller's stack parks and holds the store, as for functions that wait by themselves.
///
/// `make` makes what `run` makes a future of, and which the future gives back: it is used again and again.
#[inline(always)]
pub(crate) fn call_host_function<K, R, F>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    begun: Begun<'_>,
    make: impl FnOnce(Home, Arc<Signal>) -> K,
    run: impl FnOnce(K) -> F,
) -> Result<Flow<Blocked>>
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Future<Output = (K, Result<R>)> + Send + 'static,
{
    let Begun { function: id, call } = begun;
    let baton = cx.data_mut();
    let spare = baton.concurrent.spares.take::<HostFunction<K, R, F>>(id);
    let mut function = spare.unwrap_or_else(|| {
        Box::pin(HostFunction {
            function: id,
            site: site.clone(),
            signal: Arc::default(),
            kit: None,
            future: None,
            call: None,
            caller: None,
            result: None,
        })
    });
    let mut parts = function.as_mut().project();
    if !Arc::ptr_eq(parts.site, site) {
        *parts.site = site.clone();
    }
    let kit = match parts.kit.take() {
        Some(kit) => kit,
        None => make(baton.home(), parts.signal.clone()),
    };
    parts.future.set(Some(run(kit)));
    // If it has to wait, it is polled again with a waker of its own.
    let polled = in_turn(baton, || {
        let mut context = Context::from_waker(Waker::noop());
        poll_future(parts.future.as_mut(), &mut context)
    });
    if let Poll::Ready((kit, result)) = polled {
        parts.future.set(None);
        *parts.kit = Some(kit);
        recycle(cx.data_mut(), function);
        call.end(cx, site, slots, result)?;
        return Ok(Flow::Return);
    }
    *parts.call = Some(std::mem::take(call));
    if site.async_type && site.options.shared.component.is_concurrent() {
        go_on_beside(cx, site, slots, function)
    } else {
        Ok(hold(cx, site, function))
    }
}

fn poll_future<F: Future>(future: Pin<&mut Option<F>>, cx: &mut Context<'_>) -> Poll<F::Output> {
    match future.as_pin_mut() {
        Some(future) => future.poll(cx),
        // It has ended: nothing is to come any more.
        None => Poll::Pending,
    }
}

/// Has the call go on beside others: it becomes a subtask, or its caller's stack parks.
#[inline(never)]
fn go_on_beside<K, R, F>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    mut function: Pin<Box<HostFunction<K, R, F>>>,
) -> Result<Flow<Blocked>>
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Future<Output = (K, Result<R>)> + Send + 'static,
{
    let parts = function.as_mut().project();
    let baton = cx.data_mut();
    let runtime = &mut **baton;
    let key = runtime.concurrent.work.next_key();
    if !site.async_ {
        let thread = runtime.state.block_in_host_call(key.number())?;
        *parts.caller = Some(Caller::Thread(thread));
        runtime.concurrent.work.insert(function);
        let request = Request::Blocked {
            thread,
            memory: None,
        };
        return Ok(Flow::Block(Blocked::Request(baton.take(), request)));
    }
    let called = runtime.state.host_call(site.options.instance, key.number());
    let subtask = match called {
        Ok(subtask) => subtask,
        Err(trap) => {
            if let Some(mut call) = parts.call.take() {
                call.give_back(cx, site);
            }
            return Err(trap.into());
        }
    };
    if let Some(call) = parts.call {
        runtime.state.lend(subtask, call.take_lends());
    }
    *parts.caller = Some(Caller::Subtask(subtask, key));
    runtime.concurrent.work.insert(function);
    match baton.state.lower_returned(subtask, true, &mut Fair)? {
        LowerStep::Return(code) => {
            slots[0] = code.into();
            Ok(Flow::Return)
        }
        LowerStep::Block => bail!(bug("an asynchronous call blocks")),
    }
}

/// Parks the caller's stack, and with it the store, until the function is done.
#[inline(never)]
fn hold<K, R, F>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    mut function: Pin<Box<HostFunction<K, R, F>>>,
) -> Flow<Blocked>
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Future<Output = (K, Result<R>)> + Send + 'static,
{
    let mut baton = cx.data_mut().take();
    let site = site.clone();
    Flow::Block(Blocked::waiting(async move {
        let result = poll_fn(|cx| function.as_mut().poll_in_turn(&mut baton, cx)).await;
        let job: Job<Baton> = Box::new(move |mut cx, slots| {
            *cx.data_mut() = baton;
            let parts = function.as_mut().project();
            let call = parts.call.take();
            let mut call = call.with_context(|| bug("a call has ended twice"))?;
            recycle(cx.data_mut(), function);
            call.end(&mut cx, &site, slots, result)?;
            Ok(Flow::Return)
        });
        job
    }))
}

impl<K, R, F> HostFunction<K, R, F>
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Future<Output = (K, Result<R>)> + Send + 'static,
{
    /// Gives the future its turn. When it is ready, it makes way for the next one.
    fn poll_in_turn(
        self: Pin<&mut Self>,
        place: &mut Baton,
        cx: &mut Context<'_>,
    ) -> Poll<Result<R>> {
        let mut parts = self.project();
        let (kit, result) = ready!(in_turn(place, || poll_future(parts.future.as_mut(), cx)));
        parts.future.set(None);
        *parts.kit = Some(kit);
        Poll::Ready(result)
    }

    /// Takes what the function gave to its caller, which learns of it later. Pending if the caller's memory cannot be had: its code is further up the call
    /// stack, in a host function that drives the store.
    fn finish(self: Pin<&mut Self>, place: &mut Baton) -> Poll<()> {
        let parts = self.project();
        let (subtask, key) = match *parts.caller {
            None => return Poll::Ready(()),
            Some(Caller::Thread(thread)) => {
                // It takes the result when it goes on.
                place.state.host_call_returned(thread);
                return Poll::Ready(());
            }
            Some(Caller::Subtask(subtask, key)) => (subtask, key),
        };
        let site = &*parts.site;
        if !reachable(place, site.options.isolate) {
            place.concurrent.work.defer(key);
            return Poll::Pending;
        }
        let (Some(mut call), Some(result)) = (parts.call.take(), parts.result.take()) else {
            return Poll::Ready(());
        };
        let lowered = visit(place, site.options.isolate, |cx| {
            // An asynchronous call's results go by way of memory.
            call.end(cx, site, &mut [0; 1], result)
        });
        match lowered {
            Ok(()) => place.state.host_call_resolved(subtask, true),
            Err(error) => {
                // The caller traps, as soon as it learns of it.
                place.concurrent.host_errors.push(error);
                place.state.host_call_failed(subtask);
            }
        }
        Poll::Ready(())
    }
}

impl<K, R, F> HostWork for HostFunction<K, R, F>
where
    K: Send + 'static,
    R: HostResult + Send + 'static,
    F: Future<Output = (K, Result<R>)> + Send + 'static,
{
    fn poll(mut self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()> {
        if self.result.is_none() {
            let result = ready!(self.as_mut().poll_in_turn(place, cx));
            *self.as_mut().project().result = Some(result);
        }
        self.finish(place)
    }

    fn done(mut self: Pin<Box<Self>>, place: &mut Baton) {
        match self.as_mut().project().caller.take() {
            Some(Caller::Thread(thread)) => place.concurrent.deliveries.insert(thread, self),
            _ => recycle(place, self),
        }
    }

    fn deliver(mut self: Pin<Box<Self>>, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<()> {
        let parts = self.as_mut().project();
        let (call, result) = (parts.call.take(), parts.result.take());
        let (Some(mut call), Some(result)) = (call, result) else {
            bail!(bug("a call has ended twice"));
        };
        call.end(cx, parts.site, slots, result)?;
        recycle(cx.data_mut(), self);
        Ok(())
    }

    fn cancel(
        mut self: Pin<&mut Self>,
        cx: &mut Cx<'_, Baton>,
        context: &mut Context<'_>,
    ) -> Result<Poll<()>> {
        let parts = self.as_mut().project();
        parts.signal.request();
        let result = match parts.result.take() {
            // It has returned, and waited for the caller's memory.
            Some(result) => result,
            None if parts.signal.is_watched() => {
                match self.as_mut().poll_in_turn(cx.data_mut(), context) {
                    Poll::Ready(result) => result,
                    Poll::Pending => return Ok(Poll::Pending),
                }
            }
            None => {
                if let Some(Caller::Subtask(subtask, _)) = *parts.caller {
                    self.abandon(cx.data_mut());
                    cx.data_mut().state.host_call_resolved(subtask, false);
                }
                return Ok(Poll::Ready(()));
            }
        };
        let parts = self.project();
        let (Some(mut call), Some(Caller::Subtask(subtask, _))) =
            (parts.call.take(), parts.caller.take())
        else {
            return Ok(Poll::Ready(()));
        };
        // Only a call that came back as a subtask can be cancelled: its results go by way of memory.
        call.end(cx, parts.site, &mut [0; 1], result)?;
        cx.data_mut().state.host_call_resolved(subtask, true);
        Ok(Poll::Ready(()))
    }

    fn abandon(self: Pin<&mut Self>, place: &mut Baton) {
        if let Some(call) = self.project().call.take() {
            call.abandon(&mut place.state);
        }
    }
}
