//! Calls by the host of functions that are entered by plain calls: made at once, on the host's own stack. Only one that does not return at once is
//! left to the driver.

use super::drive;
use super::end::end_trapped;
use super::host::{Call, HostCall, begin, next_number};
use super::park::Running;
use super::plain::enter;
use super::result::{Keep, Kept};
use super::{CallData, Entry, From};
use crate::baton::{Baton, HomeGuard, Runtime};
use crate::call::canon::Callee;
use crate::call::enter::return_isolate;
use crate::call::host::{LiftResults, LowerArgs, call_plain};
use crate::interrupt::{self, Scope};
use anyhow::Result;
use std::marker::PhantomData;
use std::sync::Arc;
use tidegate_core::abi::{FlatReader, FlatWriter};
use tidegate_core::runtime::{CallSpec, Called, Fair, HOST, Lends, TaskId, TaskState};
use tidegate_engine::Cx;

/// The result of a call that runs on its caller's stack.
pub(crate) enum DirectResult {
    /// None yet; it will be a number, or nothing.
    Open,
    /// A number as the guest returned it, or anything if the function has no result. It needs no lifting at once, as it refers to nothing and any word is one.
    Word(u64),
    /// One that is lifted when the guest returns it, and whether it has been.
    Keep(Option<Box<dyn Keep>>, bool),
}

/// How a call by the host began.
pub(crate) enum Begin<R, L, F> {
    /// It has ended already.
    Ended(Result<R>),
    /// The driver goes on with it.
    Drive(Driven<R, L, F>),
}

/// A call by the host that the driver goes on with, or begins.
pub(crate) struct Driven<R, L, F> {
    number: u64,
    /// `None` once the arguments were lowered.
    lower: Option<L>,
    lends: Lends,
    /// Once it has begun.
    task: Option<TaskId>,
    scope: Scope,
    result: PhantomData<fn() -> (R, F)>,
}

/// Begins a call of a function in a component that uses async.
#[inline]
pub(crate) fn begin_call<R, L, F>(
    place: &mut Baton,
    callee: &Arc<Callee>,
    lower: L,
    lift: F,
) -> Begin<R, L, F>
where
    R: Send + 'static,
    L: LowerArgs,
    F: LiftResults<R> + Send + 'static,
{
    // What was asked of the call is met by the driver, which can stand still.
    let asked = |place: &Baton| {
        let control = place.control.as_ref();
        control.is_some_and(|control| control.is_pending())
    };
    if callee.suspendable || asked(place) {
        let scope = Scope::enter(place);
        let number = next_number(place);
        return Begin::Drive(Driven::new(
            place,
            number,
            Kept::boxed(lift),
            Some(lower),
            scope,
        ));
    }
    if !callee.lift.async_type() {
        return Begin::Ended(call_plain(place, callee, lower, lift));
    }
    let scope = Scope::enter(place);
    let number = next_number(place);
    let spec = CallSpec {
        callee: callee.options.instance,
        lift: callee.lift,
        from: Err(number),
    };
    match place.state.call(spec, &mut Fair) {
        Err(trap) => Begin::Ended(Err(trap.into())),
        Ok(called) if called.started => run(place, callee, number, called, lower, lift, scope),
        Ok(called) => {
            let data = CallData {
                callee: callee.clone(),
                from: From::Host(number),
            };
            place.concurrent.tasks.insert(called.task, data);
            let mut driven = Driven::new(place, number, Kept::boxed(lift), Some(lower), scope);
            driven.task = Some(called.task);
            Begin::Drive(driven)
        }
    }
}

/// Runs a call that has started until control comes back.
#[inline]
fn run<R, L, F>(
    place: &mut Baton,
    callee: &Arc<Callee>,
    number: u64,
    called: Called,
    lower: L,
    lift: F,
    scope: Scope,
) -> Begin<R, L, F>
where
    R: Send + 'static,
    L: LowerArgs,
    F: LiftResults<R> + Send + 'static,
{
    let mut lift = Some(lift);
    let concurrent = &mut place.concurrent;
    let index = concurrent.direct.len();
    concurrent.direct.push(if callee.returns_number {
        DirectResult::Open
    } else {
        DirectResult::Keep(lift.take().map(Kept::boxed), false)
    });
    concurrent
        .tasks
        .begin(called.task, callee, From::Direct(index));
    let running = Running {
        thread: called.thread,
        task: called.task,
        instance: callee.options.instance,
        isolate: callee.options.isolate,
        entry: Entry::Lifted,
        suspendable: false,
    };
    let mut lends = Lends::default();
    let result = callee.take_isolate(place).and_then(|mut isolate| {
        let result = callee.with_slots(|slots| {
            let mut cx = isolate.cx();
            let ty = callee.func_type_idx()?;
            callee
                .options
                .lower(&mut cx, Some(called.task), &mut lends, |cx| {
                    lower(cx, ty, &mut FlatWriter::new(slots))
                })?;
            enter(&mut cx, running, callee.core, slots)?;
            lift_word(&mut cx, callee, index, &mut lift)
        });
        *place = return_isolate(isolate, running.isolate);
        result
    });
    // What was called meanwhile has taken its own away.
    place.concurrent.direct.truncate(index + 1);
    let kept = place.concurrent.direct.pop();
    let ended = match (result, kept) {
        (Err(error), _) => Err(fail(place, running, error)),
        (Ok(Some(value)), _) => Ok(value),
        (Ok(None), Some(DirectResult::Keep(keep, true))) => Kept::<R, F>::fetch(keep),
        (Ok(None), kept) => {
            let keep = match kept {
                Some(DirectResult::Keep(keep, _)) => keep,
                _ => lift.take().map(Kept::boxed),
            };
            goes_on(place, called, From::Host(number));
            place.concurrent.host.insert(number, HostCall::new(keep));
            return Begin::Drive(Driven {
                number,
                lower: None,
                lends,
                task: Some(called.task),
                scope,
                result: PhantomData,
            });
        }
    };
    place.state.give_back(HOST, &mut lends);
    goes_on(place, called, From::Nobody);
    Begin::Ended(interrupt::explain(place.control.as_deref(), ended))
}

/// Lifts a number that was returned.
#[inline]
fn lift_word<R, F: LiftResults<R>>(
    cx: &mut Cx<'_, Baton>,
    callee: &Callee,
    index: usize,
    lift: &mut Option<F>,
) -> Result<Option<R>> {
    let Some(DirectResult::Word(word)) = cx.data_mut().concurrent.direct.get(index) else {
        return Ok(None);
    };
    let words = [*word];
    let Some(lift) = lift.take() else {
        return Ok(None);
    };
    let ty = callee.func_type_idx()?;
    let lifted = callee.options.lift(cx, &mut Lends::default(), None, |cx| {
        lift(
            cx,
            ty,
            callee.max_flat_results(),
            &mut FlatReader::new(&words),
        )
    });
    lifted.map(Some)
}

/// The task may go on, no longer on its caller's stack.
#[inline]
pub(super) fn goes_on(runtime: &mut Runtime, called: Called, from: From) {
    if let Some(data) = runtime.concurrent.tasks.get_mut(called.task) {
        data.from = from;
    }
}

/// A call that ran on its caller's stack trapped; gives the error.
#[cold]
pub(super) fn fail(place: &mut Baton, running: Running, error: anyhow::Error) -> anyhow::Error {
    let (baton, trapped) = end_trapped(place.take(), running, error);
    *place = baton;
    match trapped {
        super::driver::Outcome::Trapped(trapped) => trapped.error,
        // It gives nothing else.
        _ => anyhow::anyhow!(crate::error::bug("a trap was lost")),
    }
}

/// Nobody waits for a call any more. If it waits to start, it never will: its arguments are gone.
fn give_up(baton: &mut Baton, task: TaskId, number: u64) {
    let data = baton.concurrent.tasks.get(task);
    if data.is_some_and(|data| matches!(data.from, From::Host(of) if of == number))
        && baton.state.has_task(task)
        && baton.state.task_state(task) == TaskState::Initial
    {
        // A task that has not started has no thread to tell.
        let _ = baton.state.request_cancellation(task, None, &mut Fair);
        baton.concurrent.tasks.remove(task);
    }
}

impl<R, L, F> Driven<R, L, F> {
    fn new(
        place: &mut Baton,
        number: u64,
        keep: Box<dyn Keep>,
        lower: Option<L>,
        scope: Scope,
    ) -> Self {
        place
            .concurrent
            .host
            .insert(number, HostCall::new(Some(keep)));
        Self {
            number,
            lower,
            lends: Lends::default(),
            task: None,
            scope,
            result: PhantomData,
        }
    }
}

impl<R, L, F> Driven<R, L, F>
where
    R: Send + 'static,
    L: LowerArgs + Send,
    F: LiftResults<R> + Send + 'static,
{
    /// Drives the store until the call has returned.
    pub(crate) async fn finish(self, place: &mut Baton, callee: &Arc<Callee>) -> Result<R> {
        let mut guard = HomeGuard::within(place, self.scope);
        let mut baton = guard.take();
        let mut goal = Call {
            number: self.number,
            lower: self.lower,
            lends: self.lends,
            first: self.task.is_none(),
        };
        let begun = match self.task {
            Some(task) => Ok((task, None)),
            None => begin(&mut baton, callee, self.number, |baton, task| {
                goal.lower_args(baton, callee, task)
            })
            .map(|begun| (begun.task, begun.run)),
        };
        let driven;
        match begun {
            Ok((task, first)) => {
                (baton, driven) = drive(baton, first, &mut goal).await;
                if driven.is_err() {
                    give_up(&mut baton, task, self.number);
                }
            }
            Err(error) => driven = Err(error),
        }
        baton.state.give_back(HOST, &mut goal.lends);
        let call = baton.concurrent.host.remove(&self.number);
        guard.put(baton);
        let (keep, outcome) = call.map_or((None, None), |call| (call.keep, call.outcome));
        outcome.unwrap_or(driven)?;
        Kept::<R, F>::fetch(keep)
    }
}
