//! What goes with a trap: the instance, its parked stacks, what the host had under way for it, the calls that it owed a result.

use super::From;
use super::driver::Trapped;
use super::host::end_call;
use super::park::Running;
use super::work::{self, WorkKey};
use crate::baton::Baton;
use crate::call::canon::Callee;
use crate::stream;
use anyhow::{Error, anyhow};
use tidegate_core::runtime::{InstanceId, Poisoned, TaskId, ThreadId};
use tidegate_core::trap::Trap;

/// A thread trapped: its instance becomes unusable.
#[cold]
pub(super) fn trapped(baton: &mut Baton, running: Running, error: Error) -> Trapped {
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
    clean(baton, poisoned, call, &error);
    Trapped { error, call }
}

/// A call that is no task of the driver's trapped, or code on its behalf, such as `realloc`, that runs as `task`: its instance becomes unusable.
#[cold]
pub(crate) fn call_trapped(baton: &mut Baton, task: TaskId, instance: InstanceId, error: &Error) {
    let first = !baton.state.instance(instance).poisoned;
    let poisoned = baton.state.trapped_call(task, instance);
    became_unusable(baton, instance, first, poisoned, None, error);
}

/// Calls of an instance have ended with a trap somewhere below them: it becomes unusable.
#[cold]
pub(crate) fn instance_unusable(baton: &mut Baton, instance: InstanceId, error: &Error) {
    let first = !baton.state.instance(instance).poisoned;
    let poisoned = baton.state.poison(instance);
    became_unusable(baton, instance, first, poisoned, None, error);
}

fn became_unusable(
    baton: &mut Baton,
    instance: InstanceId,
    first: bool,
    poisoned: Poisoned,
    own: Option<u64>,
    error: &Error,
) {
    if first {
        let causes = &mut baton.concurrent.causes;
        causes.push((instance, format!("{error:#}")));
    }
    clean(baton, poisoned, own, error);
}

/// The arguments of a call that has begun could not be passed. That is not the callee's fault, so that it stays usable, unless handles that it was to
/// borrow are in its table already, or its own `realloc` trapped or lied. `own` is the call, if it is the host's.
pub(super) fn give_up(
    baton: &mut Baton,
    callee: &Callee,
    (task, thread): (TaskId, ThreadId),
    own: Option<u64>,
    error: &Error,
) {
    let instance = callee.options.instance;
    if is_usable(baton, callee, task, error) {
        let state = &mut baton.state;
        state.finish_return(task);
        let ended = match callee.lift.async_type() {
            true => state.exit_thread(),
            false => state.end_sync_call(task),
        };
        if ended.is_ok() {
            return;
        }
    }
    let first = !baton.state.instance(instance).poisoned;
    let poisoned = baton.state.trapped(thread, instance);
    became_unusable(baton, instance, first, poisoned, own, error);
}

/// The same for a call of a guest that had waited to start: the caller traps when it learns of it. Gives whether the callee stays usable.
pub(super) fn refuse(baton: &mut Baton, callee: &Callee, task: TaskId, error: &Error) -> bool {
    let refused =
        is_usable(baton, callee, task, error) && baton.state.refuse_arguments(task).is_ok();
    if refused {
        baton.concurrent.tasks.remove(task);
    }
    refused
}

fn is_usable(baton: &Baton, callee: &Callee, task: TaskId, error: &Error) -> bool {
    let state = &baton.state;
    let lied = matches!(error.downcast_ref(), Some(Trap::BadRealloc(_)));
    !lied && !state.instance(callee.options.instance).poisoned && state.check_borrows(task).is_ok()
}

/// The future that ran guests was dropped midway: what had been entered is unusable.
pub(crate) fn end_entered(baton: &mut Baton) {
    // Their callers were entered as well, and are dropped.
    baton.concurrent.sync_results.clear();
    baton.accompanied.clear();
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
pub(crate) fn clean(baton: &mut Baton, poisoned: Poisoned, own: Option<u64>, error: &Error) {
    for thread in poisoned.threads {
        if let Some(parked) = baton.concurrent.parked.remove(thread) {
            // Its isolate may go with it, which only that instance used.
            drop(parked);
        }
        baton.concurrent.new_threads.remove(thread);
        if let Some(mut done) = baton.concurrent.deliveries.remove(thread) {
            done.as_mut().abandon(baton);
        }
    }
    for task in poisoned.unstarted {
        baton.concurrent.tasks.remove(task);
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
