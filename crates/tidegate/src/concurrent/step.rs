//! Running one stack until it parks or ends, and what follows from that.

use super::deliver::visit_parked;
use super::driver::{At, Outcome};
use super::end::end_trapped;
use super::park::Running;
use super::plain;
use super::{Args, Entry, From, Parked, Reply, Request, Run, With};
use crate::baton::{Baton, Blocked, Home, Level, Runtime};
use crate::call::enter::{idle_isolate, return_isolate, take_isolate};
use crate::call::guest::GuestCall;
use crate::error::bug;
use crate::interrupt;
use anyhow::{Context as _, Result, anyhow};
use std::future::poll_fn;
use std::task::{Context, Poll};
use tidegate_core::runtime::{CallbackStep, Event, Fair, TaskId, ThreadId};
use tidegate_engine::{Cx, Func, Isolate, Resume, Stack, Step};

/// Runs something on a stack of its own.
pub(super) async fn step(at: At<'_>, mut baton: Baton, run: Run) -> (Baton, Outcome) {
    let (running, stack) = match run {
        Run::Core {
            running,
            func,
            args,
        } => {
            if baton.isolates[running.isolate].is_none() {
                return barge_in(baton, running, func, &args);
            }
            match Stack::call(func, &args) {
                Ok(stack) => (running, stack),
                Err(error) => return end_trapped(baton, running, error.into()),
            }
        }
        Run::Stack { running, stack } => (running, stack),
        Run::Resume { thread, with } => {
            let mut with = Some(with);
            let resumed = poll_fn(|cx| {
                // Polled once.
                let with = with.take().unwrap_or(With::Value(0));
                Poll::Ready(resume(at, &mut baton, thread, with, cx))
            });
            return match resumed.await {
                Ok(outcome) => (baton, outcome),
                Err(run) => run_on(at, run).await,
            };
        }
        Run::Thread(_) => {
            let error = anyhow!(bug("a thread runs on no stack"));
            return (baton, Outcome::Trapped(error.into()));
        }
    };
    match take_isolate(&mut baton, running.isolate) {
        Ok(isolate) => {
            let parked = Box::new(Parked {
                stack,
                serial: 0,
                running,
                memory: None,
            });
            let begun = Paused {
                parked,
                place: Some(isolate),
                step: None,
            };
            run_on(at, begun).await
        }
        Err(error) => end_trapped(baton, running, error),
    }
}

/// Resumes a parked stack. If it blocks or ends, gives what follows, with the baton in its place; otherwise it must be waited for something.
pub(super) fn resume(
    (_, _, interrupts): At<'_>,
    baton: &mut Baton,
    thread: ThreadId,
    with: With,
    cx: &mut Context<'_>,
) -> Result<Outcome, Paused> {
    let Some(mut parked) = baton.concurrent.parked.remove(thread) else {
        let error = anyhow!(bug("a parked stack is gone"));
        return Ok(Outcome::Trapped(error.into()));
    };
    let (mut place, on_stack) = match idle_isolate(baton, parked.running.isolate) {
        Some(isolate) => (Some(isolate), Baton::default()),
        // In the stack.
        None => (None, baton.take()),
    };
    let reply = Resume::Reply(Reply {
        baton: on_stack,
        with,
    });
    match interrupt::run(interrupts, &mut parked.stack, &mut place, cx, reply) {
        Step::Blocked(Blocked::Request(back, request)) => {
            *baton = back;
            Ok(requested(baton, parked, place, request))
        }
        step => Err(Paused {
            parked,
            place,
            step: Some(step),
        }),
    }
}

/// A stack that is to be run, or has run as far as a step; not parked.
pub(super) struct Paused {
    parked: Box<Parked>,
    /// Its isolate, with the baton inside, unless that is in the stack.
    place: Option<Isolate<Baton>>,
    /// `None` if it has not begun.
    step: Option<Step<Blocked>>,
}

/// Runs a function whose type is not `async` in an isolate whose one stack is parked: by a plain call on that very stack, since it may not block.
fn barge_in(mut baton: Baton, running: Running, func: Func, args: &Args) -> (Baton, Outcome) {
    const TWO_STACKS: &str = "two stacks are needed in one isolate, which compiled code cannot have (run it with the interpreter: engine `wasmi`)";

    let call = baton.concurrent.tasks.get(running.task);
    let is_sync = call.is_some_and(|data| !data.callee.lift.async_type());
    let parked = baton.concurrent.parked.in_isolate(running.isolate);
    let Some(thread) = parked.filter(|_| is_sync && running.entry == Entry::Lifted) else {
        return end_trapped(baton, running, anyhow!(TWO_STACKS));
    };
    let home = baton.home();
    let level = home.level();
    let result = visit_parked(&mut baton, thread, |cx| {
        let result = plain::enter_with(cx, running, func, args);
        if cx.data().is_away() {
            // Something would have parked the stack, and the store went with its request.
            *cx.data_mut() = home.reclaim(level);
            return result.context(TWO_STACKS);
        }
        result
    });
    match result {
        Ok(()) => (baton, Outcome::Back),
        Err(error) => end_trapped(baton, running, error),
    }
}

/// Runs a stack until it parks or ends.
pub(super) async fn run_on((home, level, interrupts): At<'_>, paused: Paused) -> (Baton, Outcome) {
    let Paused {
        mut parked,
        mut place,
        mut step,
    } = paused;
    let mut resume = Resume::Continue;
    loop {
        let now = match step.take() {
            Some(step) => step,
            None => {
                poll_fn(|cx| {
                    let resume = std::mem::replace(&mut resume, Resume::Continue);
                    let stack = &mut parked.stack;
                    Poll::Ready(interrupt::run(interrupts, stack, &mut place, cx, resume))
                })
                .await
            }
        };
        let stack = &mut parked.stack;
        match now {
            Step::Blocked(Blocked::Waiting(waiting)) => {
                let with = interrupt::wait(interrupts, stack, waiting).await;
                let baton = Baton::default();
                resume = Resume::Reply(Reply { baton, with });
            }
            Step::Yielded => interrupt::yielded(interrupts, stack).await,
            Step::Blocked(Blocked::Request(mut baton, request)) => {
                let outcome = requested(&mut baton, parked, place, request);
                return (baton, outcome);
            }
            Step::Done(result) => {
                let result = interrupt::explain(interrupts, result);
                let Some(isolate) = place.take() else {
                    return lost(home, level, parked, result);
                };
                return ended(isolate, &parked.stack, parked.running, result);
            }
        }
    }
}

/// A stack has parked: does what it asks for. `place` is its isolate, unless that is in the stack.
fn requested(
    baton: &mut Baton,
    mut parked: Box<Parked>,
    place: Option<Isolate<Baton>>,
    request: Request,
) -> Outcome {
    if let Some(isolate) = place {
        baton.isolates[parked.running.isolate] = Some(isolate);
    }
    parked.serial = baton.concurrent.parks;
    baton.concurrent.parks += 1;
    parked.memory = None;
    let (thread, outcome) = match request {
        Request::Blocked { thread, memory } => {
            parked.memory = memory;
            (thread, Outcome::Back)
        }
        Request::Run { thread, run, then } => (thread, Outcome::Run(*run, Some(then))),
        Request::Switch { thread, resumed } => (thread, Outcome::Run(Run::Thread(*resumed), None)),
    };
    baton.concurrent.parked.insert(thread, parked);
    outcome
}

/// A stack ended and kept its isolate, which no engine should do: its instance is lost, and the baton comes home as the stack is dropped.
fn lost(home: &Home, level: Level, parked: Box<Parked>, result: Result<()>) -> (Baton, Outcome) {
    let running = parked.running;
    drop(parked);
    let error = match result {
        Ok(()) => anyhow!(bug("a stack kept its isolate")),
        Err(error) => error.context(bug("a stack kept its isolate")),
    };
    end_trapped(home.reclaim(level), running, error)
}

/// A stack has run to its end.
fn ended(
    mut isolate: Isolate<Baton>,
    stack: &Stack<Baton>,
    running: Running,
    result: Result<()>,
) -> (Baton, Outcome) {
    let result = result.and_then(|()| match running.entry {
        Entry::Start => end_start(isolate.data_mut(), running, stack),
        _ => end_of(&mut isolate.cx(), running, stack.results()),
    });
    let baton = return_isolate(isolate, running.isolate);
    match result {
        Ok(Ended::Back) => (baton, Outcome::Back),
        Ok(Ended::Callback(callback, event)) => (
            baton,
            Outcome::Run(call_back(running, callback, event), None),
        ),
        Err(error) => end_trapped(baton, running, error),
    }
}

/// A start function has returned.
fn end_start(baton: &mut Baton, running: Running, stack: &Stack<Baton>) -> Result<Ended> {
    baton.state.finish_return(running.task);
    baton.state.end_sync_call(running.task)?;
    baton.concurrent.started = stack.instance();
    baton.concurrent.sync_results.insert(running.task, 0);
    Ok(Ended::Back)
}

/// What follows on the return of core code.
pub(super) enum Ended {
    /// Control comes back to the thread's caller.
    Back,
    /// The callback is called.
    Callback(Func, Event),
}

/// What follows on the return of core code. `cx` is its isolate.
#[inline]
pub(super) fn end_of(cx: &mut Cx<'_, Baton>, running: Running, results: &[u64]) -> Result<Ended> {
    let runtime = &mut **cx.data_mut();
    if running.entry == Entry::Explicit {
        runtime.state.exit_thread()?;
        return Ok(Ended::Back);
    }
    let callee = &runtime.concurrent.task(running.task)?.callee;
    if let Some(callback) = callee.callback {
        let packed = results.first().copied().unwrap_or(0) as u32;
        return match runtime.state.callback_returned(packed, &mut Fair)? {
            CallbackStep::Exit => {
                end_task(runtime, running.task);
                Ok(Ended::Back)
            }
            CallbackStep::Block => Ok(Ended::Back),
            CallbackStep::Call(event) => Ok(Ended::Callback(callback, event)),
        };
    }
    if callee.lift.async_option() {
        runtime.state.exit_thread()?;
        end_task(runtime, running.task);
        return Ok(Ended::Back);
    }
    end_of_sync_lift(cx, running, results)?;
    Ok(Ended::Back)
}

/// The core function of a function lifted without `async` has returned: its results are those of the call.
fn end_of_sync_lift(cx: &mut Cx<'_, Baton>, running: Running, results: &[u64]) -> Result<()> {
    let callee = cx.data_mut().concurrent.task(running.task)?.callee.clone();
    cx.data_mut().state.begin_return(running.task)?;
    let Some(mut data) = cx.data_mut().concurrent.tasks.remove(running.task) else {
        return Err(anyhow!(bug("a task has no call")));
    };
    let passed = data.result(cx, &callee.options, running.task, results);
    cx.data_mut()
        .concurrent
        .keep_result(running.task, &mut data);
    if passed.is_err() {
        cx.data_mut().concurrent.sync_results.remove(running.task);
    }
    passed?;
    cx.data_mut().state.finish_return(running.task);
    if let Some(post_return) = callee.post_return {
        callee.run_post_return(cx, post_return, results)?;
    }
    if callee.lift.async_type() {
        cx.data_mut().state.exit_thread()?;
    } else {
        cx.data_mut().state.end_sync_call(running.task)?;
        if let From::Guest(from) = &mut data.from {
            GuestCall::end_sync(cx.data_mut(), from);
        }
    }
    Ok(())
}

/// The thread of a call has ended; its task may have others.
fn end_task(runtime: &mut Runtime, task: TaskId) {
    if !runtime.state.has_task(task) {
        runtime.concurrent.tasks.end(task);
    }
}

pub(super) fn call_back(running: Running, callback: Func, event: Event) -> Run {
    let running = Running {
        entry: Entry::Callback,
        ..running
    };
    let args: &[u64] = &plain::callback_args(event);
    Run::Core {
        running,
        func: callback,
        args: args.into(),
    }
}
