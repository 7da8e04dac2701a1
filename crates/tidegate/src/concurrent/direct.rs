//! Calls by the host of functions that are entered by plain calls: made at once, on the host's own stack. Only one that does not return at once is
//! left to the driver.

use super::drive;
use super::end::trapped;
use super::host::{By, Call, HostCall, begin, leave_call, next_number};
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
use tidegate_core::runtime::{CallSpec, Called, Fair, HOST, Lends};
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
    begun: bool,
    /// `None` once the arguments were lowered.
    lower: Option<L>,
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
        let call = HostCall::driven(Some(Kept::boxed(lift)), Lends::default(), None);
        return Begin::Drive(Driven::new(place, number, call, Some(lower), scope));
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
            let keep = Some(Kept::boxed(lift));
            let call = HostCall::driven(keep, Lends::default(), Some(called.task));
            Begin::Drive(Driven::new(place, number, call, Some(lower), scope))
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
            let call = HostCall::driven(keep, lends, Some(called.task));
            return Begin::Drive(Driven::new(place, number, call, None, scope));
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
    trapped(place, running, error).error
}

impl<R, L, F> Driven<R, L, F> {
    fn new(place: &mut Baton, number: u64, call: HostCall, lower: Option<L>, scope: Scope) -> Self {
        let begun = call.task.is_some();
        place.concurrent.host.insert(number, call);
        Self {
            number,
            begun,
            lower,
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
    /// Drives the store until the call has returned. Should this be dropped, the call's task is cancelled.
    pub(crate) async fn finish(self, place: &mut Baton, callee: &Arc<Callee>) -> Result<R> {
        let number = self.number;
        let mut guard = HomeGuard::for_call(place, self.scope, number);
        let mut baton = guard.take();
        let mut goal = Call {
            number,
            lower: self.lower,
            first: !self.begun,
            looked: None,
        };
        let first = match self.begun {
            true => Ok(None),
            false => begin(&mut baton, callee, number, |baton, task| {
                goal.lower_args(baton, callee, task)
            }),
        };
        let driven;
        match first {
            Ok(first) => (baton, driven) = drive(baton, first, &mut goal).await,
            Err(error) => driven = Err(error),
        }
        let ended = take_ended(&mut baton, number);
        guard.put(baton);
        let (keep, outcome) = match ended {
            Some((call, outcome)) => (call.keep, outcome),
            None => (None, driven),
        };
        outcome?;
        Kept::<R, F>::fetch(keep)
    }
}

/// Fetches how a call has ended, and what has its result. Otherwise nobody waits for it any more.
fn take_ended(baton: &mut Baton, number: u64) -> Option<(HostCall, Result<()>)> {
    let call = baton.concurrent.host.get_mut(number)?;
    let By::Driver(outcome) = &mut call.by else {
        return None;
    };
    let Some(outcome) = outcome.take() else {
        leave_call(baton, number);
        return None;
    };
    let mut call = baton.concurrent.host.remove(number)?;
    baton.state.give_back(HOST, &mut call.lends);
    Some((call, outcome))
}
