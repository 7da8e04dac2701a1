//! Calls of guests by guests that run on the caller's stack: the callee is entered by plain calls, and never comes to need the caller's memory while it runs
//! ([`Needs::nested`](super::Needs)).

use super::direct::{DirectResult, fail, goes_on};
use super::end::give_up;
use super::lower::caller_goes_on;
use super::park::Running;
use super::plain::enter;
use super::result::Kept;
use super::{Entry, From, FromGuest};
use crate::baton::{Baton, Blocked};
use crate::call::canon::CanonOptions;
use crate::call::enter::return_isolate;
use crate::call::guest::{GuestCall, Pending};
use crate::error::bug;
use anyhow::{Context as _, Result};
use tidegate_core::abi::{
    FlatReader, FlatWriter, LowerContext, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS, Val, lift_result_val, lower_result_val,
};
use tidegate_core::runtime::{Called, Lends, ThreadId, WaitableId};
use tidegate_core::types::FuncTypeIdx;
use tidegate_engine::{Cx, Flow, Isolate};

/// Why a call ended in a trap.
enum Failed {
    /// The arguments could not be passed.
    ToPass(anyhow::Error),
    ToRun(anyhow::Error),
}

impl GuestCall {
    /// Runs a task that has started until control comes back. `cx` is the caller's isolate.
    pub(super) fn run_nested(
        &self,
        cx: &mut Cx<'_, Baton>,
        slots: &mut [u64],
        called: Called,
        subtask: WaitableId,
        caller: ThreadId,
    ) -> Result<Flow<Blocked>> {
        let concurrent = &mut cx.data_mut().concurrent;
        let index = concurrent.direct.len();
        concurrent.direct.push(if self.callee.returns_number {
            DirectResult::Open
        } else {
            DirectResult::Keep(Some(Kept::boxed(lift_result_val)), false)
        });
        concurrent
            .tasks
            .begin(called.task, &self.callee, From::Direct(index));
        let running = Running {
            thread: called.thread,
            task: called.task,
            instance: self.callee.options.instance,
            isolate: self.callee.options.isolate,
            entry: Entry::Lifted,
            suspendable: false,
        };
        let mut pending = Pending::default();
        let mut isolate = match self.callee.take_isolate(cx.data_mut()) {
            Ok(isolate) => isolate,
            Err(error) => return Err(fail(cx.data_mut(), running, error)),
        };
        let result = self.callee.with_slots(|values| {
            let mut callee = isolate.cx();
            self.params_across(cx, &mut callee, called.task, slots, values, &mut pending)
                .map_err(Failed::ToPass)?;
            let lends = std::mem::take(&mut pending.lends);
            callee.data_mut().state.lend(subtask, lends);
            enter(&mut callee, running, self.callee.core, values).map_err(Failed::ToRun)
        });
        // What was called meanwhile has taken its own away.
        let results = &mut isolate.data_mut().concurrent.direct;
        results.truncate(index + 1);
        let result = result.map(|()| results.pop());
        let returned = match result {
            Ok(Some(direct)) => {
                self.hand_back(cx, &mut isolate, called, slots, &mut pending, direct)
            }
            Ok(None) => Err(anyhow::anyhow!(bug("a call has no place for its result"))),
            Err(failed) => {
                isolate.data_mut().concurrent.direct.pop();
                *cx.data_mut() = return_isolate(isolate, running.isolate);
                return Err(match failed {
                    Failed::ToRun(error) => fail(cx.data_mut(), running, error),
                    Failed::ToPass(error) => {
                        let (baton, started) = (cx.data_mut(), (called.task, called.thread));
                        baton.concurrent.tasks.remove(called.task);
                        give_up(baton, &self.callee, started, None, &error);
                        error
                    }
                });
            }
        };
        *cx.data_mut() = return_isolate(isolate, running.isolate);
        let from = match returned? {
            true => From::Nobody,
            false => From::Guest(Box::new(FromGuest {
                call: self.clone(),
                slots: [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS],
                pending,
                subtask: Some(subtask),
                result: None,
            })),
        };
        goes_on(cx.data_mut(), called, from);
        caller_goes_on(cx, slots, caller, subtask, self.site.async_)
    }

    /// Hands the result to the caller, if the task has returned. The baton is in the callee's isolate, before and after.
    fn hand_back(
        &self,
        cx: &mut Cx<'_, Baton>,
        isolate: &mut Isolate<Baton>,
        called: Called,
        slots: &mut [u64],
        pending: &mut Pending,
        result: DirectResult,
    ) -> Result<bool> {
        let site = &self.site;
        *cx.data_mut() = isolate.data_mut().take();
        let mut flat = [0; 1];
        let returned = match result {
            DirectResult::Word(word) => self
                .result_from(
                    cx,
                    &mut isolate.cx(),
                    called.task,
                    &[word],
                    &mut flat,
                    pending,
                )
                .map(|()| true),
            DirectResult::Keep(keep, true) => {
                let keep = keep.context(bug("a result is gone"));
                keep.and_then(|keep| Kept::<Option<Val>, _>::fetch_as(keep, lift_result_val))
                    .and_then(|val| {
                        let out = pending.out;
                        lower_result_into(
                            cx,
                            &site.options,
                            site.ty,
                            site.async_,
                            val.as_ref(),
                            out,
                        )
                    })
                    .map(|word| flat = [word])
                    .map(|()| true)
            }
            _ => Ok(false),
        };
        *isolate.data_mut() = cx.data_mut().take();
        let returned = returned?;
        if returned
            && !site.async_
            && let Some(slot) = slots.first_mut()
        {
            *slot = flat[0];
        }
        Ok(returned)
    }
}

/// Lowers a result into a caller; gives the flat result, 0 if there is none.
fn lower_result_into(
    cx: &mut Cx<'_, Baton>,
    options: &CanonOptions,
    ty: FuncTypeIdx,
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
