//! Destructors of guests in components that use async: calls of functions whose type is not `async`, which may call other instances, and wait.

use super::host::next_number;
use super::lower::current_thread;
use super::park::{Running, SyncCaller};
use super::start::SyncCall;
use super::{CallData, Entry, From, Request, Run, Then, drive};
use crate::baton::{Baton, Blocked};
use crate::call::canon::{Callee, CanonOptions};
use anyhow::Result;
use std::sync::Arc;
use tidegate_core::runtime::InstanceId;
use tidegate_engine::{Cx, Flow};

/// Has a destructor run, and parks the guest that drops the resource. `cx` is its isolate.
pub(crate) fn call_destructor(
    cx: &mut Cx<'_, Baton>,
    site: &CanonOptions,
    dtor: &Arc<Callee>,
    rep: u64,
) -> Result<Flow<Blocked>> {
    let baton = cx.data_mut();
    let thread = current_thread(&baton.state)?;
    let (run, then) = begin(
        baton,
        dtor,
        rep,
        Some(site.instance),
        SyncCaller::Guest(thread),
    )?;
    let request = Request::Run {
        thread,
        run: Box::new(run),
        then,
    };
    Ok(Flow::Block(Blocked::Request(baton.take(), request)))
}

/// The same for a resource that the host drops.
pub(crate) async fn destroy(mut baton: Baton, dtor: &Arc<Callee>, rep: u64) -> (Baton, Result<()>) {
    let number = next_number(&mut baton);
    let begun = begin(&mut baton, dtor, rep, None, SyncCaller::Host(number));
    let (run, then) = match begun {
        Ok(begun) => begun,
        Err(error) => return (baton, Err(error)),
    };
    let mut goal = SyncCall::new(number);
    let driven;
    (baton, driven) = drive(baton, Some((run, Some(then))), &mut goal).await;
    (baton, driven.and(goal.result()))
}

fn begin(
    baton: &mut Baton,
    dtor: &Arc<Callee>,
    rep: u64,
    from: Option<InstanceId>,
    caller: SyncCaller,
) -> Result<(Run, Then)> {
    let instance = dtor.options.instance;
    let task = baton.state.begin_sync_call(instance, from)?;
    let thread = current_thread(&baton.state)?;
    let data = CallData {
        callee: dtor.clone(),
        from: From::Dropped,
    };
    baton.concurrent.tasks.insert(task, data);
    let running = Running {
        thread,
        task,
        instance,
        isolate: dtor.options.isolate,
        entry: Entry::Lifted,
        suspendable: dtor.suspendable,
    };
    let run = Run::Core {
        running,
        func: dtor.core,
        args: [rep].as_slice().into(),
    };
    let then = Then::Sync {
        caller,
        task,
        instance,
    };
    Ok((run, then))
}
