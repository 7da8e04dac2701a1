//! What a component's plan tells of its use of async, and of the stacks that its code needs.

use crate::isolation::{IsolatePlan, Isolation};
use tidegate_core::plan::{
    Canon, Export, FuncDef, InstanceIdx, Lift, OptionsIdx, Plan, Resource, Trampoline,
};
use tidegate_core::types::FuncTypeIdx;

/// Whether a component uses async: some function's type is `async`, or a built-in of the async half is imported.
pub(crate) fn uses_async(plan: &Plan) -> bool {
    let async_type = |ty: FuncTypeIdx| plan.types.func(ty).async_;
    plan.lifts.iter().any(|lift| async_type(lift.ty))
        || reexports_async(&plan.exports, plan)
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

/// Whether an `async` function is exported as it was imported.
fn reexports_async(exports: &[(Box<str>, Export)], plan: &Plan) -> bool {
    exports.iter().any(|(_, export)| match export {
        Export::Func {
            def: FuncDef::Import(_),
            ty,
        } => plan.types.func(*ty).async_,
        Export::Instance(exports) => reexports_async(exports, plan),
        _ => false,
    })
}

/// How an isolate may be entered, as far as its component tells. What else may block is found when it is linked: host functions that wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    /// Why its code runs on a stack of its own: something that it imports may block in the middle of it, or have other code run meanwhile.
    pub(crate) stack: Option<&'static str>,
    /// Whether its functions may run while their caller's code is on the native stack: they never come to need the caller's memory meanwhile, as they
    /// reach neither streams nor futures, nor the host, which might call anybody.
    pub(crate) nested: bool,
}

impl Needs {
    /// What the isolates of a plan need. Those that are called come first.
    pub(crate) fn of(plan: &Plan, isolation: &Isolation) -> Box<[Self]> {
        let mut needs: Vec<Self> = Vec::with_capacity(isolation.isolates.len());
        for isolate in &isolation.isolates {
            let trampolines = || {
                let of_isolate = |t: &&Trampoline| isolate.instances.contains(&t.instance);
                plan.trampolines.iter().filter(of_isolate)
            };
            // An instance's callees are in its own isolate or one that is called, and so before it.
            let callee = |instance: InstanceIdx| {
                let index = isolation.of_instance[instance.index()]?;
                needs.get(index).copied()
            };
            let stack = trampolines().find_map(|trampoline| needs_stack(plan, trampoline, &callee));
            let stack = stack.or_else(|| cancels_guests(plan, trampolines()));
            let nested = stack.is_none() && trampolines().all(|t| stays_within(plan, t, &callee));
            needs.push(Self { stack, nested });
        }
        needs.into()
    }
}

/// Why a core function that a canonical definition makes needs a stack that can be parked.
fn needs_stack(
    plan: &Plan,
    trampoline: &Trampoline,
    callee: &impl Fn(InstanceIdx) -> Option<Needs>,
) -> Option<&'static str> {
    let is_sync = |options: &OptionsIdx| !plan.options[options.index()].async_;
    match &trampoline.canon {
        Canon::Lower { ty, options, .. } if plan.types.func(*ty).async_ && is_sync(options) => {
            Some("it calls `async` functions synchronously")
        }
        Canon::Lower {
            func: FuncDef::Lift(lift),
            ..
        } => match callee(plan.lifts[lift.index()].instance) {
            Some(needs) if needs.nested => None,
            Some(_) => Some("it calls instances that may need its memory meanwhile"),
            None => Some("its instances call each other"),
        },
        Canon::StreamRead { options, .. }
        | Canon::StreamWrite { options, .. }
        | Canon::FutureRead { options, .. }
        | Canon::FutureWrite { options, .. }
            if is_sync(options) =>
        {
            Some("it reads or writes streams or futures synchronously")
        }
        Canon::StreamCancelRead { async_, .. }
        | Canon::StreamCancelWrite { async_, .. }
        | Canon::FutureCancelRead { async_, .. }
        | Canon::FutureCancelWrite { async_, .. }
        | Canon::SubtaskCancel { async_ }
            if !async_ =>
        {
            Some("it cancels synchronously")
        }
        Canon::WaitableSetWait { .. } => Some("it calls `waitable-set.wait`"),
        Canon::ThreadYield { .. } => Some("it calls `thread.yield`"),
        Canon::ThreadNewIndirect { .. }
        | Canon::ThreadResumeLater
        | Canon::ThreadSuspend { .. }
        | Canon::ThreadSuspendThenResume { .. }
        | Canon::ThreadYieldThenResume { .. }
        | Canon::ThreadSuspendThenPromote { .. }
        | Canon::ThreadYieldThenPromote { .. } => Some("its tasks have several threads"),
        _ => None,
    }
}

/// A cancelled task of another instance runs before its caller goes on.
fn cancels_guests<'a>(
    plan: &Plan,
    trampolines: impl Iterator<Item = &'a Trampoline>,
) -> Option<&'static str> {
    let (mut cancels, mut calls) = (false, false);
    for trampoline in trampolines {
        match &trampoline.canon {
            Canon::SubtaskCancel { .. } => cancels = true,
            Canon::Lower {
                func: FuncDef::Lift(lift),
                ..
            } => calls |= plan.types.func(plan.lifts[lift.index()].ty).async_,
            _ => {}
        }
    }
    (cancels && calls).then_some("it cancels calls of other instances")
}

/// Whether a canonical definition leads neither to the host nor to streams and futures.
fn stays_within(
    plan: &Plan,
    trampoline: &Trampoline,
    callee: &impl Fn(InstanceIdx) -> Option<Needs>,
) -> bool {
    let nested = |instance: InstanceIdx| callee(instance).is_some_and(|needs| needs.nested);
    match &trampoline.canon {
        Canon::Lower {
            func: FuncDef::Lift(lift),
            ..
        } => nested(plan.lifts[lift.index()].instance),
        Canon::ResourceDrop(resource) => match plan.resources[resource.index()] {
            Resource::Defined { instance, .. } => {
                instance == trampoline.instance || nested(instance)
            }
            Resource::Imported(_) => false,
        },
        Canon::ResourceNew(_)
        | Canon::ResourceRep(_)
        | Canon::TaskReturn { .. }
        | Canon::TaskCancel
        | Canon::ContextGet { .. }
        | Canon::ContextSet { .. }
        | Canon::BackpressureInc
        | Canon::BackpressureDec
        | Canon::SubtaskCancel { .. }
        | Canon::SubtaskDrop
        | Canon::ErrorContextNew { .. }
        | Canon::ErrorContextDebugMessage { .. }
        | Canon::ErrorContextDrop
        | Canon::WaitableSetNew
        | Canon::WaitableSetPoll { .. }
        | Canon::WaitableSetDrop
        | Canon::WaitableJoin
        | Canon::ThreadIndex => true,
        _ => false,
    }
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
    let lifts = || {
        let of_isolate = |lift: &&Lift| isolate.instances.contains(&lift.instance);
        plan.lifts.iter().filter(of_isolate)
    };
    let is_async = |lift: &Lift| plan.types.func(lift.ty).async_;
    let keeps_stack = lifts().any(|lift| {
        let options = &plan.options[lift.options.index()];
        // Of those without the `async` option one runs at a time. A function whose type is not `async` may be called meanwhile: it has returned when that one
        // goes on.
        is_async(lift) && options.async_ && options.callback.is_none()
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
