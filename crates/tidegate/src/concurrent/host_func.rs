//! `canon lower` of host functions that run beside others.

use super::deliver::visit;
use super::park::Request;
use super::signal::Signal;
use super::work::HostWork;
use crate::baton::{Baton, Blocked, at_home};
use crate::call::canon::CallSite;
use crate::call::enter::{return_isolate, take_isolate};
use crate::error::bug;
use crate::link::HostCall;
use anyhow::{Context as _, Error, Result};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use tidegate_core::abi::{FlatReader, FlatWriter, LowerContext};
use tidegate_core::runtime::{Fair, LowerStep, ThreadId, WaitableId};
use tidegate_core::types::FuncTypeIdx;
use tidegate_engine::{Cx, Flow, Job};

/// Lowers the result of a host function.
pub(crate) type LowerResult<R> = fn(
    &R,
    &mut LowerContext<'_>,
    FuncTypeIdx,
    usize,
    &mut FlatReader<'_>,
    &mut FlatWriter<'_>,
) -> Result<()>;

/// A call of a host function by a guest: its arguments were lifted, and its future is there.
pub(crate) struct HostFunction<R> {
    pub(crate) call: HostCall,
    pub(crate) future: Pin<Box<dyn Future<Output = Result<R>> + Send>>,
    pub(crate) signal: Arc<Signal>,
    pub(crate) lower: LowerResult<R>,
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
pub(crate) fn call_host_function<R: Send + 'static>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    mut function: HostFunction<R>,
) -> Result<Flow<Blocked>> {
    // If it has to wait, it is polled again with a waker of its own.
    let polled = at_home(cx.data_mut(), || {
        let mut context = Context::from_waker(Waker::noop());
        function.future.as_mut().poll(&mut context)
    });
    if let Poll::Ready(result) = polled {
        let HostFunction {
            call,
            future,
            signal,
            lower,
        } = function;
        drop(future);
        recycle(cx.data_mut(), signal);
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
fn as_subtask<R: Send + 'static>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    mut function: HostFunction<R>,
) -> Result<Flow<Blocked>> {
    let baton = cx.data_mut();
    let thread = baton.state.current_thread();
    let key = baton.concurrent.work.next_key();
    let called = baton.state.host_call(site.options.instance, key.number());
    let subtask = match called {
        Ok(subtask) => subtask,
        Err(trap) => {
            function.call.give_back(cx, site);
            return Err(trap.into());
        }
    };
    baton.state.lend(subtask, function.call.take_lends());
    // A caller whose stack waits takes the result when it goes on.
    let waiter = thread.filter(|_| !site.async_);
    baton.concurrent.work.insert(Box::pin(UnderWay {
        site: site.clone(),
        call: Some(function.call),
        future: function.future,
        signal: function.signal,
        lower: function.lower,
        subtask,
        waiter,
    }));
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
fn hold<R: Send + 'static>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    function: HostFunction<R>,
) -> Flow<Blocked> {
    let mut baton = cx.data_mut().take();
    let site = site.clone();
    Flow::Block(Blocked::waiting(async move {
        let HostFunction {
            call,
            mut future,
            lower,
            ..
        } = function;
        let result = poll_fn(|cx| at_home(&mut baton, || future.as_mut().poll(cx))).await;
        let job: Job<Baton> = Box::new(move |mut cx, slots| {
            *cx.data_mut() = baton;
            call.end(&mut cx, &site, slots, result, lower)?;
            Ok(Flow::Return)
        });
        job
    }))
}

/// A host function that a subtask stands for.
struct UnderWay<R> {
    site: Arc<CallSite>,
    /// `None` once it has ended.
    call: Option<HostCall>,
    future: Pin<Box<dyn Future<Output = Result<R>> + Send>>,
    signal: Arc<Signal>,
    lower: LowerResult<R>,
    subtask: WaitableId,
    /// The thread that is parked in the call, if it is synchronous.
    waiter: Option<ThreadId>,
}

impl<R: Send + 'static> UnderWay<R> {
    /// Takes what the function gave to its caller, which learns of it later.
    fn finish(&mut self, place: &mut Baton, result: Result<R>) {
        let Some(call) = self.call.take() else {
            return;
        };
        let (site, lower) = (self.site.clone(), self.lower);
        if let Some(thread) = self.waiter {
            let borrows = call.borrows();
            let delivery: Job<Baton> = Box::new(move |mut cx, slots| {
                call.end(&mut cx, &site, slots, result, lower)?;
                Ok(Flow::Return)
            });
            place
                .concurrent
                .deliveries
                .insert(thread, (borrows, delivery));
            place.state.host_call_resolved(self.subtask, true);
            return;
        }
        let isolate = site.options.isolate;
        let end = move |cx: &mut Cx<'_, Baton>| {
            // An asynchronous call's results go by way of memory.
            call.end(cx, &site, &mut [0; 1], result, lower)
        };
        let lowered = match take_isolate(place, isolate) {
            Ok(mut idle) => {
                let lowered = end(&mut idle.cx());
                *place = return_isolate(idle, isolate);
                lowered
            }
            Err(_) => visit(place, isolate, Box::new(end)),
        };
        self.resolve(place, lowered);
    }

    fn resolve(&self, place: &mut Baton, lowered: Result<()>) {
        match lowered {
            Ok(()) => place.state.host_call_resolved(self.subtask, true),
            Err(error) => self.fail(place, error),
        }
    }

    /// The caller traps, as soon as it learns of it.
    fn fail(&self, place: &mut Baton, error: Error) {
        place.concurrent.host_errors.push(error);
        place.state.host_call_failed(self.subtask);
    }
}

impl<R: Send + 'static> HostWork for UnderWay<R> {
    fn poll(mut self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()> {
        let result = ready!(at_home(place, || self.future.as_mut().poll(cx)));
        self.finish(place, result);
        Poll::Ready(())
    }

    fn cancel(
        mut self: Pin<&mut Self>,
        cx: &mut Cx<'_, Baton>,
        context: &mut Context<'_>,
    ) -> Result<Poll<()>> {
        self.signal.request();
        if self.signal.is_watched() {
            let polled = at_home(cx.data_mut(), || self.future.as_mut().poll(context));
            let Poll::Ready(result) = polled else {
                return Ok(Poll::Pending);
            };
            let Some(call) = self.call.take() else {
                return Ok(Poll::Ready(()));
            };
            call.end(cx, &self.site, &mut [0; 1], result, self.lower)?;
            self.resolve(cx.data_mut(), Ok(()));
        } else {
            self.as_mut().abandon(cx.data_mut());
            let place = cx.data_mut();
            place.state.host_call_resolved(self.subtask, false);
        }
        Ok(Poll::Ready(()))
    }

    fn abandon(mut self: Pin<&mut Self>, place: &mut Baton) {
        if let Some(call) = self.call.take() {
            call.abandon(&mut place.state);
        }
    }
}
