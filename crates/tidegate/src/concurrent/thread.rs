//! Running a thread as the state says: its task starts, its callback is called, its parked stack goes on.

use super::accessor_call;
use super::driver::Outcome;
use super::end::{refuse, trapped};
use super::go_on::fail;
use super::host::{HostGoal, entry};
use super::park::Running;
use super::step::call_back;
use super::{CallData, Entry, From, Run, With};
use crate::baton::Baton;
use crate::call::guest::GuestCall;
use crate::error::bug;
use anyhow::{Context as _, Error, Result, anyhow};
use tidegate_core::runtime::{Action, Event, Resumed, ThreadId};
use tidegate_engine::Func;

/// Runs a thread as the state says.
pub(super) fn thread(
    baton: &mut Baton,
    resumed: Resumed,
    goal: &mut (dyn HostGoal + Send),
) -> Outcome {
    let Resumed { thread, action } = resumed;
    let outcome = match action {
        Action::StartTask => start_task(baton, thread, goal),
        Action::StartThread => start_thread(baton, thread),
        Action::Callback(event) => callback(baton, thread, event),
        Action::Return(_) | Action::Event(_) | Action::Returned(_) | Action::HostReturned => {
            let with = reply(baton, thread, &action);
            Ok(Outcome::Run(Run::Resume { thread, with }, None))
        }
        Action::Trap(trap) => {
            let error = match baton.concurrent.cause() {
                Some(cause) => anyhow!(trap).context(cause.to_owned()),
                None => trap.into(),
            };
            if baton.concurrent.parked.contains(thread) {
                Ok(fail(thread, error))
            } else {
                Err((thread, error))
            }
        }
    };
    match outcome {
        Ok(outcome) => outcome,
        Err((thread, error)) => {
            let task = baton.state.thread_task(thread);
            let instance = baton.state.task_instance(task);
            let running = Running {
                thread,
                task,
                instance,
                isolate: 0,
                entry: Entry::Lifted,
                suspendable: true,
            };
            trapped(baton, running, error).into()
        }
    }
}

/// Whether an action is that the host call returns which the thread is blocked in.
pub(super) fn returns(action: &Action) -> bool {
    matches!(
        action,
        Action::Return(_) | Action::Event(_) | Action::Returned(_) | Action::HostReturned
    )
}

/// What a thread's parked stack is resumed with by such an action.
pub(super) fn reply(baton: &mut Baton, thread: ThreadId, action: &Action) -> With {
    let concurrent = &mut baton.concurrent;
    match *action {
        Action::Return(value) => With::Value(value.into()),
        Action::Event(event) => {
            let parked = concurrent.parked.get(thread);
            With::Event(parked.and_then(|parked| parked.memory), event)
        }
        Action::Returned(subtask) => With::Value(concurrent.returned.remove(subtask).unwrap_or(0)),
        Action::HostReturned => match concurrent.deliveries.remove(thread) {
            Some(done) => With::Result(done),
            None => With::Trap(anyhow!(bug("a host function has left no result"))),
        },
        _ => With::Trap(anyhow!(bug("a thread that is not blocked goes on"))),
    }
}

/// What runs on a thread that is to call its callback, and the callback.
fn callback_of(baton: &mut Baton, thread: ThreadId) -> Result<(Running, Func), Error> {
    let task = baton.state.thread_task(thread);
    let callee = &baton.concurrent.task(task)?.callee;
    let callback = callee
        .callback
        .with_context(|| bug("a task without a callback waits for one"))?;
    let running = Running {
        thread,
        task,
        instance: callee.options.instance,
        isolate: callee.options.isolate,
        entry: Entry::Callback,
        suspendable: callee.suspendable,
    };
    Ok((running, callback))
}

type Started = Result<Outcome, (ThreadId, Error)>;

fn start_task(baton: &mut Baton, thread: ThreadId, goal: &mut (dyn HostGoal + Send)) -> Started {
    let task = baton.state.thread_task(thread);
    let at = |error| (thread, error);
    let data: &CallData = baton.concurrent.task(task).map_err(at)?;
    let callee = data.callee.clone();
    let args = match data.from {
        From::Host(number) if goal.owns(number) => goal.lower(baton, number, &callee, task),
        From::Host(number) => accessor_call::args(baton, number, &callee, task),
        From::Guest(_) => match GuestCall::start_later(baton, task) {
            Err(error) if refuse(baton, &callee, task, &error) => {
                baton.concurrent.host_errors.push(error);
                return Ok(Outcome::Back);
            }
            args => args,
        },
        From::Direct(_) | From::Nobody | From::Dropped => {
            Err(anyhow!(bug("a call that runs starts later")))
        }
    };
    let args = args.map_err(at)?;
    Ok(Outcome::Run(entry(&callee, thread, task, args), None))
}

fn start_thread(baton: &mut Baton, thread: ThreadId) -> Started {
    let task = baton.state.thread_task(thread);
    let instance = baton.state.task_instance(task);
    let (isolate, func, arg) = baton
        .concurrent
        .new_threads
        .remove(thread)
        .context(bug("a new thread has no function"))
        .map_err(|error| (thread, error))?;
    let running = Running {
        thread,
        task,
        instance,
        isolate,
        entry: Entry::Explicit,
        // Isolates with explicit threads are not entered by plain calls.
        suspendable: true,
    };
    Ok(Outcome::Run(
        Run::Core {
            running,
            func,
            args: [arg].as_slice().into(),
        },
        None,
    ))
}

fn callback(baton: &mut Baton, thread: ThreadId, event: Event) -> Started {
    let (running, callback) = callback_of(baton, thread).map_err(|error| (thread, error))?;
    Ok(Outcome::Run(call_back(running, callback, event), None))
}
