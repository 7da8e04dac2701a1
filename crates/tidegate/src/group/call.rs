//! Accompanied calls: the host passes the values, the adapter calls.

use crate::baton::Baton;
use crate::call::enter::{Entered, Slots};
use crate::call::guest::{GuestCall, Pending};
use crate::concurrent::call_trapped;
use crate::error::bug;
use anyhow::{Context as _, Error, Result};
use std::sync::Arc;
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::InstanceId;
use tidegate_engine::Cx;

/// An accompanied call that is under way.
pub(crate) struct AccompaniedCall {
    isolate: usize,
    caller: InstanceId,
    callee: InstanceId,
    entered: Entered,
    pending: Pending,
}

impl AccompaniedCall {
    /// The isolate that it is in.
    pub(super) fn isolate(&self) -> usize {
        self.isolate
    }

    /// Ends a call that trapped.
    pub(crate) fn end_trapped(mut self, baton: &mut Baton, error: &Error) {
        call_trapped(baton, self.entered.task(), self.callee, error);
        baton.state.give_back(self.caller, &mut self.pending.lends);
    }
}

/// Passes the arguments: `slots` hold the lowered function's parameters, and then the lifted one's.
pub(super) fn begin(
    call: &Arc<GuestCall>,
    cx: &mut Cx<'_, Baton>,
    slots: &mut [u64],
) -> Result<()> {
    let (caller, callee) = (call.site.options.instance, call.callee.options.instance);
    cx.data_mut().state.check_call(caller, callee)?;
    let mut pending = Pending::default();
    let mut values: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
    let entered = call
        .callee
        .enter(cx, Some(caller), &mut values, |cx, task, params| {
            call.params_within(cx, task, slots, params, &mut pending)
        });
    match entered {
        Ok(entered) => {
            let count = call.callee.flat_params;
            slots[..count].copy_from_slice(&values[..count]);
            cx.data_mut().accompanied.push(AccompaniedCall {
                isolate: call.callee.options.isolate,
                caller,
                callee,
                entered,
                pending,
            });
            Ok(())
        }
        Err(error) => {
            cx.data_mut().state.give_back(caller, &mut pending.lends);
            Err(error)
        }
    }
}

/// Passes the result: `slots` hold the lifted function's results, and then the lowered one's.
pub(super) fn end(call: &Arc<GuestCall>, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<()> {
    let under_way = cx.data_mut().accompanied.pop();
    let AccompaniedCall {
        caller,
        entered,
        mut pending,
        ..
    } = under_way.context(bug("a call ends that never began"))?;
    let mut values: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
    let count = call.callee.flat_results;
    values[..count].copy_from_slice(&slots[..count]);
    let result = call
        .callee
        .finish(cx, entered, &values, Ok(()), |cx, task, results| {
            call.result_within(cx, task, results, slots, &mut pending)
        });
    cx.data_mut().state.give_back(caller, &mut pending.lends);
    result
}
