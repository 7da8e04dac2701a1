//! What a component's plan tells of its use of async.

use crate::isolation::IsolatePlan;
use tidegate_core::plan::{Canon, OptionsIdx, Plan, Trampoline};
use tidegate_core::types::FuncTypeIdx;

/// Whether a component uses async: some function's type is `async`, or a built-in of the async half is imported.
pub(crate) fn uses_async(plan: &Plan) -> bool {
    let async_type = |ty: FuncTypeIdx| plan.types.func(ty).async_;
    plan.lifts.iter().any(|lift| async_type(lift.ty))
        || plan
            .trampolines
            .iter()
            .any(|trampoline| match &trampoline.canon {
                Canon::Lower { ty, options, .. } => {
                    async_type(*ty) || plan.options[options.index()].async_
                }
                Canon::ResourceNew(_)
                | Canon::ResourceDrop(_)
                | Canon::ResourceRep(_)
                | Canon::ContextGet { .. }
                | Canon::ContextSet { .. }
                | Canon::BackpressureInc
                | Canon::BackpressureDec
                | Canon::ErrorContextNew { .. }
                | Canon::ErrorContextDebugMessage { .. }
                | Canon::ErrorContextDrop
                | Canon::ThreadIndex => false,
                _ => true,
            })
}

/// Why several stacks of an isolate may be parked at the same time, if they may.
pub(crate) fn needs_several_stacks(plan: &Plan, isolate: &IsolatePlan) -> Option<&'static str> {
    let trampolines = || {
        let of_isolate = |t: &&Trampoline| isolate.instances.contains(&t.instance);
        plan.trampolines.iter().filter(of_isolate)
    };
    let switches = trampolines().any(|trampoline| {
        matches!(
            trampoline.canon,
            Canon::ThreadNewIndirect { .. }
                | Canon::ThreadSuspend { .. }
                | Canon::ThreadSuspendThenResume { .. }
                | Canon::ThreadYieldThenResume { .. }
                | Canon::ThreadSuspendThenPromote { .. }
                | Canon::ThreadYieldThenPromote { .. }
        )
    });
    let is_sync = |options: &OptionsIdx| !plan.options[options.index()].async_;
    let blocks = trampolines().any(|trampoline| match &trampoline.canon {
        Canon::Lower { ty, options, .. } => plan.types.func(*ty).async_ && is_sync(options),
        Canon::StreamRead { options, .. }
        | Canon::StreamWrite { options, .. }
        | Canon::FutureRead { options, .. }
        | Canon::FutureWrite { options, .. } => is_sync(options),
        Canon::StreamCancelRead { async_, .. }
        | Canon::StreamCancelWrite { async_, .. }
        | Canon::FutureCancelRead { async_, .. }
        | Canon::FutureCancelWrite { async_, .. }
        | Canon::SubtaskCancel { async_ } => !async_,
        Canon::WaitableSetWait { .. } | Canon::ThreadYield { .. } => true,
        _ => false,
    });
    let keeps_stack = plan.lifts.iter().any(|lift| {
        isolate.instances.contains(&lift.instance)
            && plan.types.func(lift.ty).async_
            && plan.options[lift.options.index()].callback.is_none()
    });
    if switches {
        Some("its threads switch among themselves")
    } else if isolate.instances.len() > 1 {
        Some("its instances call each other both ways while they wait")
    } else if blocks && keeps_stack {
        Some("its tasks keep their stacks while they wait")
    } else {
        None
    }
}
