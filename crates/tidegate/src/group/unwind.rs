//! What a trap in a group leaves behind.

use crate::baton::Baton;
use crate::concurrent::instance_unusable;
use anyhow::Error;
use tidegate_core::runtime::{InstanceId, TaskId};
use tidegate_engine::{Cx, Global};

/// The members of a group, with the globals that say whether they were entered by adapters.
pub(crate) struct Flags {
    pub(crate) members: Box<[(InstanceId, Global)]>,
}

/// The call of an instance that runs as a task has trapped: ends the accompanied calls above it, which are of the same isolate.
pub(crate) fn unwind(
    cx: &mut Cx<'_, Baton>,
    isolate: usize,
    (task, instance): (TaskId, InstanceId),
    error: &Error,
) {
    let baton = cx.data_mut();
    while !baton.state.is_innermost(task, instance) {
        match baton.accompanied.pop_if(|call| call.isolate() == isolate) {
            Some(call) => call.end_trapped(baton, error),
            None => break,
        }
    }
}

/// A call into an isolate has trapped. Makes those of its instances unusable that adapters had entered: they stood between that call and the trap.
pub(crate) fn settle(cx: &mut Cx<'_, Baton>, isolate: usize, error: &Error) {
    let Some(flags) = cx.data().groups.get(&isolate).cloned() else {
        return;
    };
    for &(instance, entered) in &flags.members {
        // The globals hold numbers and can be set.
        if cx.global_get(entered).is_ok_and(|entered| entered != 0) {
            instance_unusable(cx.data_mut(), instance, error);
        } else if cx.data().state.instance(instance).poisoned {
            let _ = cx.global_set(entered, 1);
        }
    }
}
