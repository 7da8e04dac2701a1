//! `canon lower` of host functions that run beside others.

use super::deliver::visit;
use super::park::Request;
use super::signal::Signal;
use super::work::HostWork;
use crate::baton::{Baton, Blocked, at_home};
use crate::call::canon::CallSite;
use crate::error::bug;
use crate::link::HostCall;
use anyhow::{Context as _, Result};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tidegate_core::abi::{FlatReader, FlatWriter, LowerContext};
use tidegate_core::runtime::{Fair, LowerStep, ThreadId, WaitableId};
use tidegate_core::types::FuncTypeIdx;
use tidegate_engine::{Cx, Flow, Job};

/// Lowers the result of a host function.
pub(crate) type LowerFn<R> = fn(
    &R,
    &mut LowerContext<'_>,
    FuncTypeIdx,
    usize,
    &mut FlatReader<'_>,
    &mut FlatWriter<'_>,
) -> Result<()>;

pin_project_lite::pin_project! {
    /// A call of a host function by a guest: its arguments were lifted, and its future is there.
    pub(crate) struct HostFunction<R, F> {
        // `None` once it has ended.
        call: Option<HostCall>,
        #[pin]
        future: F,
        signal: Option<Arc<Signal>>,
        lower: LowerFn<R>,
        // Once a subtask stands for it.
        caller: Option<Caller>,
    }
}

/// Who waits for a host function.
struct Caller {
    site: Arc<CallSite>,
    subtask: WaitableId,
    /// The thread that is parked in the call, if it is synchronous.
    waiter: Option<ThreadId>,
}

impl<R, F: Future<Output = Result<R>> + Send> HostFunction<R, F> {
    pub(crate) fn new(
        call: HostCall,
        future: F,
        signal: Arc<Signal>,
        lower: LowerFn<R>,
    ) -> Pin<Box<Self>> {
        Box::pin(Self {
            call: Some(call),
            future,
            signal: Some(signal),
            lower,
            caller: None,
        })
    }
}

/// The most signals that are kept for later calls.
const SPARE_SIGNALS: usize = 64;

/// A signal for a call that begins.
pub(crate) fn new_signal(place: &mut Baton) -> Arc<Signal> {
    place.concurrent.signals.pop().unwrap_or_default()
}

/// A call is over, and its future gone.
fn recycle(place: &mut Baton, mut signal: Arc<Signal>) {
    let signals = &mut place.concurrent.signals;
    if signals.len() < SPARE_SIGNALS
        && let Some(unused) = Arc::get_mut(&mut signal)
    {
        *unused = Signal::default();
        signals.push(signal);
    }
}

/// Runs a host function as far as it gets. If it must wait, its caller gets a subtask or waits for it; where neither can be, since the function's
/// type is not `async`, the caller's stack parks and holds the store, as for functions that wait by themselves.
pub(crate) fn call_host_function<R, F>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    mut function: Pin<Box<HostFunction<R, F>>>,
) -> Result<Flow<Blocked>>
where
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    // If it has to wait, it is polled again with a waker of its own.
    let polled = at_home(cx.data_mut(), || {
        let mut context = Context::from_waker(Waker::noop());
        function.as_mut().project().future.poll(&mut context)
    });
    if let Poll::Ready(result) = polled {
        let parts = function.as_mut().project();
        let (call, signal, lower) = (parts.call.take(), parts.signal.take(), *parts.lower);
        drop(function);
        if let Some(signal) = signal {
            recycle(cx.data_mut(), signal);
        }
        let call = call.context(bug("a call has ended twice"))?;
        call.end(cx, site, slots, result, lower)?;
        return Ok(Flow::Return);
    }
    let shared = &site.options.shared;
    if site.func_type().async_ && shared.component.is_concurrent() {
        as_subtask(cx, site, slots, function)
    } else {
        Ok(hold(cx, site, function))
    }
}

/// Makes a subtask of the call. It may fail only before that is known to the guest.
fn as_subtask<R, F>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    mut function: Pin<Box<HostFunction<R, F>>>,
) -> Result<Flow<Blocked>>
where
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    let parts = function.as_mut().project();
    let baton = cx.data_mut();
    let thread = baton.state.current_thread();
    let key = baton.concurrent.work.next_key();
    let called = baton.state.host_call(site.options.instance, key.number());
    let subtask = match called {
        Ok(subtask) => subtask,
        Err(trap) => {
            if let Some(call) = parts.call.take() {
                call.give_back(cx, site);
            }
            return Err(trap.into());
        }
    };
    if let Some(call) = parts.call {
        baton.state.lend(subtask, call.take_lends());
    }
    // A caller whose stack waits takes the result when it goes on.
    *parts.caller = Some(Caller {
        site: site.clone(),
        subtask,
        waiter: thread.filter(|_| !site.async_),
    });
    baton.concurrent.work.insert(function);
    match baton
        .state
        .lower_returned(subtask, site.async_, &mut Fair)?
    {
        LowerStep::Return(code) => {
            slots[0] = code.into();
            Ok(Flow::Return)
        }
        LowerStep::Block => {
            let thread = thread.context(bug("a guest calls without a thread"))?;
            let request = Request::Blocked {
                thread,
                memory: None,
            };
            Ok(Flow::Block(Blocked::Request(cx.data_mut().take(), request)))
        }
    }
}

/// Parks the caller's stack, and with it the store, until the function is done.
fn hold<R, F>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    mut function: Pin<Box<HostFunction<R, F>>>,
) -> Flow<Blocked>
where
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    let mut baton = cx.data_mut().take();
    let site = site.clone();
    Flow::Block(Blocked::waiting(async move {
        let result =
            poll_fn(|cx| at_home(&mut baton, || function.as_mut().project().future.poll(cx))).await;
        let job: Job<Baton> = Box::new(move |mut cx, slots| {
            *cx.data_mut() = baton;
            let parts = function.as_mut().project();
            let call = parts.call.take().context(bug("a call has ended twice"))?;
            call.end(&mut cx, &site, slots, result, *parts.lower)?;
            Ok(Flow::Return)
        });
        job
    }))
}

impl<R: Send + 'static, F: Future<Output = Result<R>> + Send> HostFunction<R, F> {
    /// Takes what the function gave to its caller, which learns of it later.
    fn finish(self: Pin<&mut Self>, place: &mut Baton, result: Result<R>) {
        let parts = self.project();
        let (Some(call), Some(caller)) = (parts.call.take(), parts.caller.take()) else {
            return;
        };
        let Caller {
            site,
            subtask,
            waiter,
        } = caller;
        let lower = *parts.lower;
        if let Some(thread) = waiter {
            // It takes the result when it goes on.
            let borrows = call.borrows();
            let delivery: Job<Baton> = Box::new(move |mut cx, slots| {
                call.end(&mut cx, &site, slots, result, lower)?;
                Ok(Flow::Return)
            });
            place
                .concurrent
                .deliveries
                .insert(thread, (borrows, delivery));
            place.state.host_call_resolved(subtask, true);
            return;
        }
        let isolate = site.options.isolate;
        let lowered = visit(place, isolate, |cx| {
            // An asynchronous call's results go by way of memory.
            call.end(cx, &site, &mut [0; 1], result, lower)
        });
        match lowered {
            Ok(()) => place.state.host_call_resolved(subtask, true),
            Err(error) => {
                // The caller traps, as soon as it learns of it.
                place.concurrent.host_errors.push(error);
                place.state.host_call_failed(subtask);
            }
        }
    }
}

impl<R, F> HostWork for HostFunction<R, F>
where
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send,
{
    fn poll(mut self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()> {
        let future = self.as_mut().project().future;
        let result = ready!(at_home(place, || future.poll(cx)));
        self.finish(place, result);
        Poll::Ready(())
    }

    fn cancel(
        mut self: Pin<&mut Self>,
        cx: &mut Cx<'_, Baton>,
        context: &mut Context<'_>,
    ) -> Result<Poll<()>> {
        let parts = self.as_mut().project();
        let watched = parts.signal.as_ref().is_some_and(|signal| {
            signal.request();
            signal.is_watched()
        });
        if watched {
            let polled = at_home(cx.data_mut(), || parts.future.poll(context));
            let Poll::Ready(result) = polled else {
                return Ok(Poll::Pending);
            };
            let (Some(call), Some(caller)) = (parts.call.take(), parts.caller.take()) else {
                return Ok(Poll::Ready(()));
            };
            // Only a call that came back as a subtask can be cancelled: its results go by way of memory.
            call.end(cx, &caller.site, &mut [0; 1], result, *parts.lower)?;
            cx.data_mut().state.host_call_resolved(caller.subtask, true);
        } else if let Some(subtask) = parts.caller.as_ref().map(|caller| caller.subtask) {
            self.abandon(cx.data_mut());
            cx.data_mut().state.host_call_resolved(subtask, false);
        }
        Ok(Poll::Ready(()))
    }

    fn abandon(self: Pin<&mut Self>, place: &mut Baton) {
        if let Some(call) = self.project().call.take() {
            call.abandon(&mut place.state);
        }
    }
}
