//! Running a thread as the state says: its task starts, its callback is called, its parked stack goes on.

use super::accessor_call;
use super::driver::Outcome;
use super::end::{end_trapped, refuse};
use super::go_on::{fail, resume_with, with_baton};
use super::host::{HostGoal, entry};
use super::park::Running;
use super::step::call_back;
use super::{CallData, Entry, From, Run};
use crate::baton::Baton;
use crate::call::guest::GuestCall;
use crate::error::bug;
use anyhow::{Context as _, Error, Result, anyhow};
use tidegate_core::runtime::{Action, Event, Resumed, ThreadId};

/// Runs a thread as the state says.
pub(super) fn thread(
    mut baton: Baton,
    resumed: Resumed,
    goal: &mut (dyn HostGoal + Send),
) -> (Baton, Outcome) {
    let Resumed { thread, action } = resumed;
    let outcome = match action {
        Action::StartTask => start_task(&mut baton, thread, goal),
        Action::StartThread => start_thread(&mut baton, thread),
        Action::Callback(event) => callback(&mut baton, thread, event),
        Action::Return(value) => Ok(resume_with(thread, value.into())),
        Action::Event(event) => {
            let memory = baton
                .concurrent
                .parked
                .get(thread)
                .and_then(|parked| parked.memory);
            Ok(Outcome::Run(
                Run::Resume {
                    thread,
                    job: with_baton(Box::new(move |cx, slots| match memory {
                        Some(memory) => crate::call::builtins::deliver(cx, memory, slots, event),
                        None => Err(anyhow!(bug("an event has no memory"))),
                    })),
                },
                None,
            ))
        }
        Action::Returned(subtask) => {
            if let Some((_, job)) = baton.concurrent.deliveries.remove(thread) {
                return (baton, Outcome::Run(Run::Resume { thread, job }, None));
            }
            let result = baton.concurrent.returned.remove(subtask).unwrap_or(0);
            Ok(resume_with(thread, result))
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
        Ok(outcome) => (baton, outcome),
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
            end_trapped(baton, running, error)
        }
    }
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
        From::Direct(_) | From::Nobody => Err(anyhow!(bug("a call that runs starts later"))),
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
    let task = baton.state.thread_task(thread);
    let callee = &baton
        .concurrent
        .task(task)
        .map_err(|error| (thread, error))?
        .callee;
    let Some(callback) = callee.callback else {
        return Err((
            thread,
            anyhow!(bug("a task without a callback waits for one")),
        ));
    };
    let running = Running {
        thread,
        task,
        instance: callee.options.instance,
        isolate: callee.options.isolate,
        entry: Entry::Callback,
        suspendable: callee.suspendable,
    };
    Ok(Outcome::Run(call_back(running, callback, event), None))
}
