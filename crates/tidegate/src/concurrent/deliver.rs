//! Getting at an isolate whose stack is parked, and handing results to callers.

use super::host::end_call;
use super::result::Keep;
use super::{CallData, DirectResult, From, FromGuest};
use crate::baton::Baton;
use crate::call::canon::{Callee, CanonOptions};
use crate::call::enter::{idle_isolate, return_isolate};
use crate::error::bug;
use crate::stream;
use anyhow::{Context as _, Result, anyhow, bail};
use tidegate_core::abi::{FlatReader, LiftContext, lift_result_val};
use tidegate_core::runtime::{Lends, TaskId, ThreadId};
use tidegate_engine::Cx;

/// Does something in an isolate that does not run: it is idle, or its stack is parked. `f` finds the baton there.
///
/// # Errors
/// What `f` gives; or the isolate cannot be had.
pub(crate) fn visit<R>(
    place: &mut Baton,
    isolate: usize,
    f: impl FnOnce(&mut Cx<'_, Baton>) -> Result<R>,
) -> Result<R> {
    if let Some(mut idle) = idle_isolate(place, isolate) {
        let result = f(&mut idle.cx());
        *place = return_isolate(idle, isolate);
        return result;
    }
    let thread = place
        .concurrent
        .parked
        .in_isolate(isolate)
        .context("an isolate is in use by a call that holds the store")?;
    visit_parked(place, thread, f)
}

/// The same for an isolate other than the current one, `cx`, which `f` may use as well. The baton is in the other one meanwhile.
pub(crate) fn visit_from<R>(
    cx: &mut Cx<'_, Baton>,
    isolate: usize,
    f: impl FnOnce(&mut Cx<'_, Baton>, &mut Cx<'_, Baton>) -> Result<R>,
) -> Result<R> {
    let mut baton = cx.data_mut().take();
    let result = visit(&mut baton, isolate, |other| f(cx, other));
    *cx.data_mut() = baton;
    result
}

/// Whether an isolate can be [visited](visit) now.
pub(crate) fn reachable(place: &Baton, isolate: usize) -> bool {
    place.isolates[isolate].is_some() || place.concurrent.parked.in_isolate(isolate).is_some()
}

#[cold]
fn visit_parked<R>(
    place: &mut Baton,
    thread: ThreadId,
    f: impl FnOnce(&mut Cx<'_, Baton>) -> Result<R>,
) -> Result<R> {
    let mut parked = place
        .concurrent
        .parked
        .remove(thread)
        .context(bug("a parked stack is gone"))?;
    let mut baton = place.take();
    let visited = parked.stack.visit(|mut cx| {
        *cx.data_mut() = baton.take();
        let result = f(&mut cx);
        baton = cx.data_mut().take();
        result
    });
    *place = baton;
    place.concurrent.parked.insert(thread, parked);
    visited?
}

impl FromGuest {
    /// Hands the result of `callee`, whose isolate `cx` is, to the caller.
    fn result(&mut self, cx: &mut Cx<'_, Baton>, task: TaskId, words: &[u64]) -> Result<()> {
        let (caller, callee) = (
            self.call.site.options.isolate,
            self.call.callee.options.isolate,
        );
        let mut slots = [0; 1];
        let site = &self.call.site.options;
        if cx.data_mut().state.instance(site.instance).poisoned {
            return lose(cx, &self.call.callee, words);
        }
        if caller == callee {
            self.call
                .result_within(cx, task, words, &mut slots, &mut self.pending)?;
        } else {
            visit_from(cx, caller, |cx, caller| {
                self.call
                    .result_from(caller, cx, task, words, &mut slots, &mut self.pending)
            })?;
        }
        self.result = Some(slots[0]);
        Ok(())
    }
}

/// A result comes too late for its caller, whose instance has become unusable: the callee has given it away all the same.
#[cold]
fn lose(cx: &mut Cx<'_, Baton>, callee: &Callee, words: &[u64]) -> Result<()> {
    let (ty, max_flat) = (callee.func_type_idx()?, callee.max_flat_results());
    let val = callee.options.lift(cx, &mut Lends::default(), None, |cx| {
        lift_result_val(cx, ty, max_flat, &mut FlatReader::new(words))
    })?;
    match val {
        Some(val) => stream::close_all(cx.data_mut(), &val),
        None => Ok(()),
    }
}

impl CallData {
    /// Hands the result of a task, whose isolate `cx` is, to whoever called. `options` are those of the lift, or of `task.return`.
    pub(crate) fn result(
        &mut self,
        cx: &mut Cx<'_, Baton>,
        options: &CanonOptions,
        task: TaskId,
        words: &[u64],
    ) -> Result<()> {
        match &mut self.from {
            From::Guest(from) => from.result(cx, task, words),
            From::Host(number) => {
                let number = *number;
                let calls = &mut cx.data_mut().concurrent.host;
                let Some(mut keep) = calls.get_mut(number).and_then(|call| call.keep.take()) else {
                    // Nobody waits for it any more.
                    return Ok(());
                };
                let lifted = self.lift(cx, options, &mut *keep, words);
                if let Some(call) = cx.data_mut().concurrent.host.get_mut(number) {
                    call.keep = Some(keep);
                }
                lifted?;
                end_call(cx.data_mut(), number, Ok(()));
                Ok(())
            }
            From::Dropped => Ok(()),
            From::Nobody => Err(anyhow!(bug("a call returns twice"))),
            From::Direct(index) => {
                let index = *index;
                let results = &mut cx.data_mut().concurrent.direct;
                if let Some(result @ DirectResult::Open) = results.get_mut(index) {
                    *result = DirectResult::Word(words.first().copied().unwrap_or(0));
                    return Ok(());
                }
                let Some(DirectResult::Keep(keep, _)) = results.get_mut(index) else {
                    bail!(bug("a call has no place for its result"));
                };
                let mut taken = keep.take().context(bug("a call returns twice"))?;
                self.lift(cx, options, &mut *taken, words)?;
                cx.data_mut().concurrent.direct[index] = DirectResult::Keep(Some(taken), true);
                Ok(())
            }
        }
    }

    /// Lifts the result of a call by the host.
    fn lift(
        &self,
        cx: &mut Cx<'_, Baton>,
        options: &CanonOptions,
        keep: &mut dyn Keep,
        words: &[u64],
    ) -> Result<()> {
        let (ty, max_flat) = (self.callee.func_type_idx()?, self.callee.max_flat_results());
        options.lift(
            cx,
            &mut Lends::default(),
            None,
            |cx: &mut LiftContext<'_>| keep.lift(cx, ty, max_flat, &mut FlatReader::new(words)),
        )
    }
}
