//! What is done when control has come back from what a caller had run: it goes on with the result, or its trap.

use super::driver::{Outcome, Trapped};
use super::end::clean;
use super::park::{SyncCaller, Waiter};
use super::{From, Run, Then, With};
use crate::baton::Baton;
use anyhow::{Error, Result, anyhow};
use tidegate_core::runtime::{
    Fair, InstanceId, LowerStep, SubtaskCancelStep, SyncStep, TaskId, ThreadId,
};
use tidegate_core::trap::Trap;

/// What is done when control has come back.
pub(super) fn go_on(baton: &mut Baton, then: Then, error: Option<Error>) -> Outcome {
    match then {
        Then::Lowered {
            caller,
            subtask,
            async_,
        } => {
            if let Some(error) = error {
                return fail(caller, error);
            }
            if let Some(resumed) = baton.state.make_way(subtask, &mut Fair) {
                return Outcome::Run(Run::Thread(resumed), Some(then));
            }
            match baton.state.lower_returned(subtask, async_, &mut Fair) {
                Ok(LowerStep::Block) => Outcome::Back,
                Ok(LowerStep::Return(_)) if !async_ => {
                    let result = baton.concurrent.returned.remove(subtask).unwrap_or(0);
                    resume_with(caller, result)
                }
                Ok(LowerStep::Return(code)) => resume_with(caller, code.into()),
                Err(trap) => fail(caller, trap.into()),
            }
        }
        Then::Cancelled {
            caller,
            subtask,
            async_,
        } => {
            if let Some(error) = error {
                return fail(caller, error);
            }
            match baton.state.finish_subtask_cancel(subtask, async_) {
                Ok(SubtaskCancelStep::Return(value)) => resume_with(caller, value.into()),
                Ok(_) => Outcome::Back,
                Err(trap) => fail(caller, trap.into()),
            }
        }
        Then::Sync {
            caller,
            task,
            instance,
        } => sync(baton, caller, task, instance, error),
    }
}

/// Control has come back to a caller that was ended meanwhile, and whose stack is gone. Whoever did that has told those that waited for it; but
/// a trap in what it called within its own instance, as a destructor, is its own as well.
#[cold]
pub(super) fn caller_ended(
    baton: &mut Baton,
    caller: ThreadId,
    waiter: Option<Waiter>,
    then: Then,
    error: Option<Error>,
) -> Outcome {
    baton.state.caller_ended(caller);
    let (Some(waiter), Then::Sync { instance, .. }, Some(error)) = (waiter, then, error) else {
        return Outcome::Back;
    };
    if waiter.instance != instance {
        return Outcome::Back;
    }
    let data = baton.concurrent.tasks.remove(waiter.task);
    let call = match data.map(|data| data.from) {
        Some(From::Host(number)) => Some(number),
        _ => None,
    };
    Outcome::Trapped(Trapped { error, call })
}

/// A call of a function whose type is not `async`: it must come to its end.
fn sync(
    baton: &mut Baton,
    caller: SyncCaller,
    task: TaskId,
    instance: InstanceId,
    error: Option<Error>,
) -> Outcome {
    let call = match caller {
        SyncCaller::Host(number) => Some(number),
        SyncCaller::Guest(_) => None,
    };
    let ended = |result: Result<u64>| match (caller, result) {
        (SyncCaller::Host(_), Ok(_)) => Outcome::Back,
        (SyncCaller::Host(_), Err(error)) => Outcome::Trapped(Trapped { error, call }),
        (SyncCaller::Guest(caller), Ok(result)) => resume_with(caller, result),
        (SyncCaller::Guest(caller), Err(error)) => fail(caller, error),
    };
    if let Some(error) = error {
        baton.concurrent.tasks.remove(task);
        return ended(Err(error));
    }
    // A task that has ended has left its call behind, with the result.
    if let Some(result) = baton.concurrent.sync_results.remove(task) {
        return ended(Ok(result));
    }
    if baton.state.instance(instance).poisoned {
        // By something else that ran meanwhile: the task went with it, and its name may be another's.
        let error = match baton.concurrent.cause_of(instance) {
            Some(cause) => anyhow!(Trap::Poisoned).context(cause.to_owned()),
            None => Trap::Poisoned.into(),
        };
        return ended(Err(error));
    }
    match baton.state.sync_next(task, &mut Fair) {
        Ok(SyncStep::Run(resumed)) => {
            let then = Then::Sync {
                caller,
                task,
                instance,
            };
            Outcome::Run(Run::Thread(resumed), Some(then))
        }
        Ok(SyncStep::Resolved) => ended(Ok(0)),
        Err(trap) => {
            let error: Error = trap.into();
            let then = Then::Sync {
                caller,
                task,
                instance,
            };
            let thread = then.caller();
            let waiter = thread.and_then(|thread| baton.concurrent.parked.waiter(thread));
            let poisoned = baton.state.poison(instance);
            clean(baton, poisoned, call, &error);
            baton.concurrent.tasks.remove(task);
            match thread {
                Some(thread) if baton.concurrent.parked.waiter(thread).is_none() => {
                    caller_ended(baton, thread, waiter, then, Some(error))
                }
                _ => ended(Err(error)),
            }
        }
    }
}

pub(super) fn resume_with(thread: ThreadId, value: u64) -> Outcome {
    let with = With::Value(value);
    Outcome::Run(Run::Resume { thread, with }, None)
}

pub(super) fn fail(thread: ThreadId, error: Error) -> Outcome {
    let with = With::Trap(error);
    Outcome::Run(Run::Resume { thread, with }, None)
}
