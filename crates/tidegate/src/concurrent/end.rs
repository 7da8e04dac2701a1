//! What goes with a trap: the instance, its parked stacks, what the host had under way for it, the calls that it owed a result.

use super::From;
use super::driver::{Outcome, Trapped};
use super::host::end_call;
use super::park::Running;
use super::work::{self, WorkKey};
use crate::baton::Baton;
use crate::stream;
use anyhow::{Error, anyhow};
use tidegate_core::runtime::{InstanceId, Poisoned, ThreadId};

/// A thread trapped: its instance becomes unusable.
pub(super) fn end_trapped(mut baton: Baton, running: Running, error: Error) -> (Baton, Outcome) {
    let error = baton.concurrent.what_failed(error);
    let poisoned = baton.state.trapped(running.thread, running.instance);
    baton
        .concurrent
        .causes
        .push((running.instance, format!("{error:#}")));
    let data = baton.concurrent.tasks.remove(running.task);
    let call = match data.map(|data| data.from) {
        Some(From::Host(number)) => Some(number),
        _ => None,
    };
    clean(&mut baton, poisoned, call, &error);
    (baton, Outcome::Trapped(Trapped { error, call }))
}

/// A thread of a call that is no task of the driver's trapped, or code on its behalf: its instance becomes unusable. `thread` is the call's, if it has one.
#[cold]
pub(crate) fn instance_trapped(
    baton: &mut Baton,
    thread: Option<ThreadId>,
    instance: InstanceId,
    error: &Error,
) {
    let first = !baton.state.instance(instance).poisoned;
    let poisoned = match thread {
        Some(thread) => baton.state.trapped(thread, instance),
        None => baton.state.poison(instance),
    };
    if first {
        baton
            .concurrent
            .causes
            .push((instance, format!("{error:#}")));
    }
    clean(baton, poisoned, None, error);
}

/// The future that ran guests was dropped midway: what had been entered is unusable.
pub(crate) fn end_entered(baton: &mut Baton) {
    // Their callers were entered as well, and are dropped.
    baton.concurrent.sync_results.clear();
    let poisoned = baton.state.poison_entered();
    clean(
        baton,
        poisoned,
        None,
        &anyhow!("the call that was under way was dropped"),
    );
}

/// Something that the host did on behalf of a guest that waits was that guest's end: its instance becomes unusable.
pub(crate) fn fail_instance(baton: &mut Baton, instance: InstanceId, error: Error) {
    let poisoned = baton.state.poison(instance);
    baton
        .concurrent
        .causes
        .push((instance, format!("{error:#}")));
    clean(baton, poisoned, None, &error);
}

/// Cleans up after an instance became unusable. The call `own` is told by others.
pub(super) fn clean(baton: &mut Baton, poisoned: Poisoned, own: Option<u64>, error: &Error) {
    for thread in poisoned.threads {
        if let Some(parked) = baton.concurrent.parked.remove(thread) {
            // Its isolate may go with it, which only that instance used.
            drop(parked);
        }
        baton.concurrent.new_threads.remove(thread);
        if let Some((Some(borrows), _)) = baton.concurrent.deliveries.remove(thread) {
            baton.state.remove_task(borrows);
        }
    }
    stream::settle(baton);
    for number in poisoned.host_functions {
        work::abandon(baton, WorkKey::from_number(number));
    }
    for call in poisoned.calls {
        if Some(call) != own {
            end_call(baton, call, Err(anyhow!("{error:#}")));
        }
    }
}
