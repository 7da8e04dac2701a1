//! `canon lift`: entering a lifted function, directly or on a stack of its own.
//!
//! A call has three parts: its arguments are lowered into the callee, core code runs, its results are lifted out. The first and the last are the
//! caller's business (the host's, or another guest's) and come as closures over the callee's [`Cx`].

use super::canon::Callee;
use crate::baton::{Baton, Blocked, Waiting};
use crate::concurrent::{Reply, Request, With, call_trapped};
use crate::group::{settle, unwind};
use crate::interrupt;
use anyhow::{Error, Result};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Poll, ready};
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::{Fair, InstanceId, TaskId};
use tidegate_core::trap::Trap;
use tidegate_engine::{Cx, EngineError, Isolate, Resume, Stack, Step};

/// Core values of a call that is kept: its parameters, then its results. The one slot more is for the pointer through which results come.
pub(crate) type Slots = [u64; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];

/// A call that has entered its callee, with its arguments lowered.
///
/// One word, and not the thread beside it: what is returned in two halves and read as a whole waits for both to reach memory.
#[must_use = "an entered instance must be left"]
#[derive(Clone, Copy)]
pub(crate) struct Entered(TaskId);

impl Entered {
    #[inline]
    pub(crate) fn task(self) -> TaskId {
        self.0
    }
}

/// The most core values of a call that gets by with a small array: zeroing and moving a large one would cost as much as the call.
const FEW: usize = 4;

impl Callee {
    /// Runs `f` with room for the core values of one call.
    #[inline(always)]
    pub(crate) fn with_slots<R>(&self, f: impl FnOnce(&mut [u64]) -> R) -> R {
        let count = self.flat_params.max(self.flat_results);
        let (mut few, mut many): ([u64; FEW], Slots);
        f(if count <= FEW {
            few = [0; FEW];
            &mut few[..count]
        } else {
            many = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
            &mut many[..count]
        })
    }

    /// Enters the callee's instance and lowers the arguments into `slots`.
    ///
    /// # Errors
    /// The instance cannot be entered, or what `lower` gives. The instance has been left then.
    #[inline]
    pub(crate) fn enter(
        &self,
        cx: &mut Cx<'_, Baton>,
        caller: Option<InstanceId>,
        slots: &mut [u64],
        lower: impl FnOnce(&mut Cx<'_, Baton>, TaskId, &mut [u64]) -> Result<()>,
    ) -> Result<Entered> {
        let state = &mut cx.data_mut().state;
        let task = state.begin_sync_call(self.options.instance, caller)?;
        let entered = Entered(task);
        match lower(cx, task, slots) {
            Ok(()) => Ok(entered),
            Err(error) => {
                self.give_up(cx, entered, &error);
                Err(error)
            }
        }
    }

    /// Leaves an instance whose arguments could not be lowered. That is not the instance's fault, so that it stays usable, unless handles
    /// that it was to borrow are in its table already, or its own `realloc` trapped or lied.
    #[cold]
    fn give_up(&self, cx: &mut Cx<'_, Baton>, entered: Entered, error: &Error) {
        let state = &mut cx.data_mut().state;
        let lied = matches!(error.downcast_ref(), Some(Trap::BadRealloc(_)));
        let usable = !lied
            && !state.instance(self.options.instance).poisoned
            && state.check_borrows(entered.task()).is_ok();
        if usable {
            state.finish_return(entered.task());
            if state.end_sync_call(entered.task()).is_ok() {
                return;
            }
        }
        self.trapped(cx, entered, error);
    }

    /// Runs core code on the caller's stack with the arguments in `slots`, lifts the results, which come there, and leaves.
    ///
    /// # Errors
    /// The trap that ended the callee, or what `lift` gives. The instance has been left, and is unusable.
    #[inline]
    pub(crate) fn run<R>(
        &self,
        cx: &mut Cx<'_, Baton>,
        entered: Entered,
        slots: &mut [u64],
        lift: impl FnOnce(&mut Cx<'_, Baton>, TaskId, &[u64]) -> Result<R>,
    ) -> Result<R> {
        let result = cx.call(self.core, slots);
        self.finish(cx, entered, slots, result, lift)
    }

    /// Lifts the results of core code that has run, which are in `slots`, runs `post-return`, and leaves.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    #[inline]
    pub(crate) fn finish<R>(
        &self,
        cx: &mut Cx<'_, Baton>,
        entered: Entered,
        slots: &[u64],
        result: Result<()>,
        lift: impl FnOnce(&mut Cx<'_, Baton>, TaskId, &[u64]) -> Result<R>,
    ) -> Result<R> {
        let result = result.and_then(|()| {
            cx.data_mut().state.begin_return(entered.task())?;
            let value = lift(cx, entered.task(), &slots[..self.flat_results])?;
            cx.data_mut().state.finish_return(entered.task());
            if let Some(post_return) = self.post_return {
                self.run_post_return(cx, post_return, slots)?;
            }
            cx.data_mut().state.end_sync_call(entered.task())?;
            Ok(value)
        });
        if let Err(error) = &result {
            self.trapped(cx, entered, error);
        }
        result
    }

    /// Enters the instance, lowers the arguments into `slots`, runs core code, lifts the results and leaves: for [quiet](Callee::quiet) calls by the host.
    ///
    /// # Errors
    /// As [`enter`](Self::enter) and [`run`](Self::run).
    #[inline]
    pub(crate) fn run_quietly<R>(
        &self,
        cx: &mut Cx<'_, Baton>,
        slots: &mut [u64],
        lower: impl FnOnce(&mut Cx<'_, Baton>, &mut [u64]) -> Result<()>,
        lift: impl FnOnce(&mut Cx<'_, Baton>, &[u64]) -> Result<R>,
    ) -> Result<R> {
        let instance = self.options.instance;
        cx.data_mut().state.begin_quiet_call(instance)?;
        if let Err(error) = lower(cx, slots) {
            self.give_up_quietly(cx, &error);
            return Err(error);
        }
        let result = cx.call(self.core, slots).and_then(|()| {
            if cx.data_mut().state.instance(instance).poisoned {
                return Err(Trap::Poisoned.into());
            }
            let value = lift(cx, &slots[..self.flat_results])?;
            if let Some(post_return) = self.post_return {
                self.run_post_return(cx, post_return, slots)?;
            }
            cx.data_mut().state.end_quiet_call(instance)?;
            Ok(value)
        });
        if let Err(error) = &result {
            self.trapped(cx, Entered(TaskId::NONE), error);
        }
        result
    }

    /// As [`give_up`](Self::give_up).
    #[cold]
    fn give_up_quietly(&self, cx: &mut Cx<'_, Baton>, error: &Error) {
        let lied = matches!(error.downcast_ref(), Some(Trap::BadRealloc(_)));
        let state = &mut cx.data_mut().state;
        if lied || state.end_quiet_call(self.options.instance).is_err() {
            self.trapped(cx, Entered(TaskId::NONE), error);
        }
    }

    /// Runs `post-return` with the flat results, during which the instance may not be left.
    pub(crate) fn run_post_return(
        &self,
        cx: &mut Cx<'_, Baton>,
        func: tidegate_engine::Func,
        results: &[u64],
    ) -> Result<()> {
        let instance = self.options.instance;
        let mut slots: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
        slots[..self.flat_results].copy_from_slice(&results[..self.flat_results]);
        cx.data_mut().state.instance_mut(instance).may_leave = false;
        self.options
            .close(cx, |cx| cx.call(func, &mut slots[..self.flat_results]))?;
        cx.data_mut().state.instance_mut(instance).may_leave = true;
        Ok(())
    }

    #[cold]
    fn trapped(&self, cx: &mut Cx<'_, Baton>, entered: Entered, error: &Error) {
        let options = &self.options;
        unwind(
            cx,
            options.isolate,
            (entered.task(), options.instance),
            error,
        );
        call_trapped(cx.data_mut(), entered.task(), options.instance, error);
        settle(cx, options.isolate, error);
    }

    /// Takes the callee's isolate, with the baton inside.
    ///
    /// # Errors
    /// The isolate runs further up the call chain, or ended with a call that was dropped.
    #[inline]
    pub(crate) fn take_isolate(&self, baton: &mut Baton) -> Result<Isolate<Baton>> {
        take_isolate(baton, self.options.isolate)
    }
}

/// Takes an isolate out of the baton and puts the baton in it.
#[inline]
pub(crate) fn take_isolate(baton: &mut Baton, index: usize) -> Result<Isolate<Baton>> {
    idle_isolate(baton, index).ok_or_else(|| Trap::CannotEnter.into())
}

/// The same for whoever knows what to do if the isolate is in use, as when its stack is parked.
#[inline]
pub(crate) fn idle_isolate(baton: &mut Baton, index: usize) -> Option<Isolate<Baton>> {
    let mut isolate = baton.isolates[index].take()?;
    *isolate.data_mut() = baton.take();
    Some(isolate)
}

/// Undoes [`take_isolate`]; gives the baton.
#[inline(always)]
pub(crate) fn return_isolate(mut isolate: Isolate<Baton>, index: usize) -> Baton {
    let mut baton = isolate.data_mut().take();
    baton.isolates[index] = Some(isolate);
    baton
}

/// Runs a stack to its end. The baton is in the isolate when it begins and when it ends; while the stack is parked, it is with what
/// the stack waits for.
pub(crate) async fn run_stack(
    mut isolate: Isolate<Baton>,
    stack: &mut Stack<Baton>,
) -> (Isolate<Baton>, Result<()>) {
    let control = isolate.data().control.clone();
    let control = control.as_deref();
    if let Err(error) = interrupt::begin(control, isolate.data_mut()).await {
        return (isolate, Err(error));
    }
    let mut place = Some(isolate);
    let mut resume = Resume::Continue;
    let mut waits: Option<Waiting> = None;
    loop {
        // Goes on by itself as long as stacks only wait and nobody interrupts them: one frame to come back to, as returns from a stack are slow ones.
        let step = poll_fn(|cx| {
            loop {
                if let Some(waiting) = &mut waits {
                    let with = ready!(Pin::new(waiting).poll(cx));
                    waits = None;
                    let baton = Baton::default();
                    resume = Resume::Reply(Reply { baton, with });
                }
                let resume = std::mem::replace(&mut resume, Resume::Continue);
                match interrupt::run(control, stack, &mut place, cx, resume) {
                    Step::Blocked(Blocked::Waiting(waiting)) if control.is_none() => {
                        waits = Some(waiting);
                    }
                    step => return Poll::Ready(step),
                }
            }
        })
        .await;
        match step {
            Step::Done(result) => {
                // A stack that is done has put its isolate back.
                let isolate = place
                    .take()
                    .expect("a finished stack gives its isolate back");
                return (isolate, interrupt::explain(control, result));
            }
            Step::Blocked(Blocked::Waiting(waiting)) => {
                let with = interrupt::wait(control, stack, waiting).await;
                let baton = Baton::default();
                resume = Resume::Reply(Reply { baton, with });
            }
            Step::Blocked(Blocked::Request(mut baton, request)) => {
                let error = match request {
                    Request::Blocked { thread, .. } => {
                        let task = baton.state.thread_task(thread);
                        match baton.state.sync_next(task, &mut Fair) {
                            Err(trap) => trap.into(),
                            Ok(_) => EngineError::CannotBlock.into(),
                        }
                    }
                    _ => EngineError::CannotBlock.into(),
                };
                let with = With::Trap(error);
                resume = Resume::Reply(Reply { baton, with });
            }
            Step::Yielded => interrupt::yielded(control, stack).await,
        }
    }
}
