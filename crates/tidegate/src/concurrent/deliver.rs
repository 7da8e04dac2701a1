//! Getting at an isolate whose stack is parked, and handing results to callers.

use super::host::end_call;
use super::result::Keep;
use super::{CallData, DirectResult, From, FromGuest, Request};
use crate::baton::{Baton, Blocked};
use crate::call::canon::CanonOptions;
use crate::call::enter::{return_isolate, take_isolate};
use crate::call::guest::GuestCall;
use crate::error::bug;
use anyhow::{Context as _, Result, anyhow, bail};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use tidegate_core::abi::{
    FlatReader, FlatWriter, LiftContext, LowerContext, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_RESULTS,
    Val, lift_result_val, lower_result_val,
};
use tidegate_core::runtime::{Lends, TaskId, ThreadId};
use tidegate_engine::{Cx, Flow, Job, Resume, Step};

/// What is done in an isolate that is not the current one; it finds the baton in it.
pub(crate) type Visit = Box<dyn FnOnce(&mut Cx<'_, Baton>) -> Result<()> + Send>;

/// Does something in an isolate that does not run: it is idle, or its stack is parked.
///
/// # Errors
/// What `f` gives; or the isolate cannot be had.
pub(crate) fn visit(place: &mut Baton, isolate: usize, f: Visit) -> Result<()> {
    if place.isolates[isolate].is_some() {
        let mut idle = take_isolate(place, isolate)?;
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

/// Whether an isolate can be [visited](visit) now.
pub(crate) fn reachable(place: &Baton, isolate: usize) -> bool {
    place.isolates[isolate].is_some() || place.concurrent.parked.in_isolate(isolate).is_some()
}

pub(super) fn visit_parked(place: &mut Baton, thread: ThreadId, f: Visit) -> Result<()> {
    let mut parked = place
        .concurrent
        .parked
        .remove(thread)
        .context(bug("a parked stack is gone"))?;
    let baton = place.take();
    let outcome = Arc::new(Mutex::new(None));
    let told = outcome.clone();
    let job: Job<Baton> = Box::new(move |mut cx, _| {
        *cx.data_mut() = baton;
        let result = f(&mut cx);
        *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        Ok(Flow::Block(Blocked::Request(
            cx.data_mut().take(),
            Request::Visited,
        )))
    });
    let mut context = Context::from_waker(Waker::noop());
    match parked.stack.run(&mut None, &mut context, Resume::Job(job)) {
        Step::Blocked(Blocked::Request(baton, _)) => *place = baton,
        _ => bail!(bug("a stack that was visited did not park again")),
    }
    place.concurrent.parked.insert(thread, parked);
    let result = outcome
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    result.context(bug("a visit was not made"))?
}

impl FromGuest {
    /// Hands the result of `callee`, whose isolate `cx` is, to the caller.
    fn result(&mut self, cx: &mut Cx<'_, Baton>, task: TaskId, words: &[u64]) -> Result<()> {
        let (caller, callee) = (
            self.call.site.options.isolate,
            self.call.callee.options.isolate,
        );
        let mut slots = [0; 1];
        if caller == callee {
            self.call
                .result_within(cx, task, words, &mut slots, &mut self.pending)?;
        } else if cx.data_mut().isolates[caller].is_some() {
            let mut isolate = take_isolate(cx.data_mut(), caller)?;
            let result = self.call.result_from(
                &mut isolate.cx(),
                cx,
                task,
                words,
                &mut slots,
                &mut self.pending,
            );
            *cx.data_mut() = return_isolate(isolate, caller);
            result?;
        } else {
            slots[0] = self.result_by_way_of_host(cx, words)?;
        }
        self.result = Some(slots[0]);
        Ok(())
    }

    /// The same when both run or are parked: by way of host values.
    fn result_by_way_of_host(&mut self, cx: &mut Cx<'_, Baton>, words: &[u64]) -> Result<u64> {
        let GuestCall { site, callee, .. } = self.call.clone();
        let ty = callee.func_type_idx()?;
        let max_flat = callee.max_flat_results();
        let val = callee.options.lift(cx, &mut Lends::default(), None, |cx| {
            lift_result_val(cx, ty, max_flat, &mut FlatReader::new(words))
        })?;
        let out = self.pending.out;
        let flat = Arc::new(Mutex::new(0));
        let told = flat.clone();
        let isolate = site.options.isolate;
        let f: Visit = Box::new(move |cx| {
            let word =
                lower_result_into(cx, &site.options, site.ty, site.async_, val.as_ref(), out)?;
            *told.lock().unwrap_or_else(PoisonError::into_inner) = word;
            Ok(())
        });
        visit(cx.data_mut(), isolate, f)?;
        let flat = *flat.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(flat)
    }
}

/// Lowers a result into a caller; gives the flat result, 0 if there is none.
pub(super) fn lower_result_into(
    cx: &mut Cx<'_, Baton>,
    options: &CanonOptions,
    ty: tidegate_core::types::FuncTypeIdx,
    async_: bool,
    val: Option<&Val>,
    out: Option<u64>,
) -> Result<u64> {
    let max_flat = if async_ {
        MAX_FLAT_ASYNC_RESULTS
    } else {
        MAX_FLAT_RESULTS
    };
    let mut slots = [0; 1];
    options.lower(
        cx,
        None,
        &mut Lends::default(),
        |cx: &mut LowerContext<'_>| {
            let mut out = FlatReader::new(out.as_slice());
            lower_result_val(
                val,
                cx,
                ty,
                max_flat,
                &mut out,
                &mut FlatWriter::new(&mut slots),
            )
        },
    )?;
    Ok(slots[0])
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
                let Some(mut keep) = calls.get_mut(&number).and_then(|call| call.keep.take())
                else {
                    // Nobody waits for it any more.
                    return Ok(());
                };
                let lifted = self.lift(cx, options, &mut *keep, words);
                if let Some(call) = cx.data_mut().concurrent.host.get_mut(&number) {
                    call.keep = Some(keep);
                }
                lifted?;
                end_call(cx.data_mut(), number, Ok(()));
                Ok(())
            }
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
