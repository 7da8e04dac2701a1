//! Destructors of resource types that guests implement, called when another guest drops a handle.

use super::canon::{Callee, CanonOptions};
use super::enter::{Entered, Slots, return_isolate, take_isolate};
use super::guest::{Ran, run_parked};
use crate::baton::{Baton, Blocked};
use anyhow::Result;
use std::sync::Arc;
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_engine::{Cx, Flow};

/// Calls the destructor of a resource type that a guest implements, by a plain call: it may not wait.
pub(crate) fn call(
    cx: &mut Cx<'_, Baton>,
    caller: &CanonOptions,
    dtor: &Callee,
    rep: u64,
) -> Result<()> {
    let target = dtor.options.isolate;
    if target == caller.isolate {
        return run(cx, caller, dtor, rep);
    }
    let mut isolate = take_isolate(cx.data_mut(), target)?;
    let result = run(&mut isolate.cx(), caller, dtor, rep);
    *cx.data_mut() = return_isolate(isolate, target);
    result
}

fn run(cx: &mut Cx<'_, Baton>, caller: &CanonOptions, dtor: &Callee, rep: u64) -> Result<()> {
    // A function that would have to wait takes the store with it, and fails.
    let home = dtor.suspendable.then(|| {
        let home = cx.data_mut().home();
        (home.level(), home)
    });
    dtor.with_slots(|values| {
        let entered = enter(cx, caller, dtor, rep, values)?;
        let result = cx.call(dtor.core, values);
        if let Some((level, home)) = home.filter(|_| cx.data_mut().is_away()) {
            *cx.data_mut() = home.reclaim(level);
        }
        dtor.finish(cx, entered, values, result, |_, _, _| Ok(()))
    })
}

fn enter(
    cx: &mut Cx<'_, Baton>,
    caller: &CanonOptions,
    dtor: &Callee,
    rep: u64,
    values: &mut [u64],
) -> Result<Entered> {
    dtor.enter(cx, Some(caller.instance), values, |_, _, values| {
        values[0] = rep;
        Ok(())
    })
}

/// Calls a destructor in another isolate that may wait.
pub(crate) fn call_waiting(
    cx: &mut Cx<'_, Baton>,
    slots: &mut [u64],
    caller: &CanonOptions,
    dtor: &Arc<Callee>,
    rep: u64,
) -> Result<Flow<Blocked>> {
    let target = dtor.options.isolate;
    let mut isolate = take_isolate(cx.data_mut(), target)?;
    let mut values: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
    let entered = match enter(&mut isolate.cx(), caller, dtor, rep, &mut values) {
        Ok(entered) => entered,
        Err(error) => {
            *cx.data_mut() = return_isolate(isolate, target);
            return Err(error);
        }
    };
    let callee = dtor.clone();
    run_parked(
        cx,
        slots,
        dtor.clone(),
        isolate,
        values,
        move |cx, _, ran| {
            let Ran {
                mut isolate,
                values,
                result,
            } = ran;
            let result =
                callee.finish(
                    &mut isolate.cx(),
                    entered,
                    &values,
                    result,
                    |_, _, _| Ok(()),
                );
            *cx.data_mut() = return_isolate(isolate, target);
            result
        },
    )
}
