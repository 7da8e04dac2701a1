//! Running one stack until it parks or ends, and what follows from that.

use super::driver::{At, Outcome};
use super::end::trapped;
use super::park::Running;
use super::{Entry, From, Parked, Reply, Request, Run, With};
use super::{on_top, plain};
use crate::baton::{Baton, Blocked, Home, Level, Runtime, Waiting};
use crate::call::enter::{idle_isolate, return_isolate, take_isolate};
use crate::call::guest::GuestCall;
use crate::error::bug;
use crate::interrupt;
use anyhow::{Result, anyhow};
use std::future::poll_fn;
use std::task::{Context, Poll};
use tidegate_core::runtime::{CallbackStep, Event, Fair, TaskId, ThreadId};
use tidegate_engine::{Cx, Func, Isolate, Resume, Stack, Step};

/// Runs something on a stack of its own, as far as that goes without waiting.
///
/// # Errors
/// It must be waited for something.
pub(super) fn step(
    at: At<'_>,
    baton: &mut Baton,
    run: Run,
    cx: &mut Context<'_>,
) -> Result<Outcome, Paused> {
    let (running, stack) = match run {
        Run::Core {
            running,
            func,
            args,
        } => {
            if baton.isolates[running.isolate].is_none() {
                return on_top::enter(at, baton, running, func, &args, cx);
            }
            match Stack::call(func, &args) {
                Ok(stack) => (running, stack),
                Err(error) => return Ok(trapped(baton, running, error.into()).into()),
            }
        }
        Run::Stack { running, stack } => (running, stack),
        Run::Resume { thread, with } => return resume(at, baton, thread, with, cx),
        Run::Thread(_) => {
            let error = anyhow!(bug("a thread runs on no stack"));
            return Ok(Outcome::Trapped(error.into()));
        }
    };
    match take_isolate(baton, running.isolate) {
        Ok(isolate) => {
            let parked = Box::new(Parked::new(stack, running));
            run_once(at, baton, parked, Some(isolate), Resume::Continue, cx)
        }
        Err(error) => Ok(trapped(baton, running, error).into()),
    }
}

/// Resumes a parked stack, as far as it goes without waiting.
///
/// # Errors
/// It must be waited for something.
#[inline(always)]
pub(super) fn resume(
    at: At<'_>,
    baton: &mut Baton,
    thread: ThreadId,
    with: With,
    cx: &mut Context<'_>,
) -> Result<Outcome, Paused> {
    let Some(parked) = baton.concurrent.parked.remove(thread) else {
        let error = anyhow!(bug("a parked stack is gone"));
        return Ok(Outcome::Trapped(error.into()));
    };
    let (isolate, on_stack) = match idle_isolate(baton, parked.running.isolate) {
        Some(isolate) => (Some(isolate), Baton::default()),
        // In the stack.
        None => (None, baton.take()),
    };
    let reply = Resume::Reply(Reply {
        baton: on_stack,
        with,
    });
    run_once(at, baton, parked, isolate, reply, cx)
}

/// Runs a stack until it parks, ends or must be waited for. `isolate` is its isolate, unless that is in the stack. The baton comes back to its place, unless
/// it is with what is waited for.
#[inline(always)]
pub(super) fn run_once(
    at: At<'_>,
    baton: &mut Baton,
    mut parked: Box<Parked>,
    mut isolate: Option<Isolate<Baton>>,
    resume: Resume<Baton>,
    cx: &mut Context<'_>,
) -> Result<Outcome, Paused> {
    let (home, level, interrupts) = at;
    match interrupt::run(interrupts, &mut parked.stack, &mut isolate, cx, resume) {
        Step::Blocked(Blocked::Request(back, request)) => {
            *baton = back;
            Ok(requested(at, baton, parked, isolate, request))
        }
        Step::Blocked(Blocked::Waiting(waiting)) => Err(Paused {
            parked,
            isolate,
            waiting: Some(waiting),
        }),
        Step::Yielded => Err(Paused {
            parked,
            isolate,
            waiting: None,
        }),
        Step::Done(result) => {
            let result = interrupt::explain(interrupts, result);
            let Some(isolate) = isolate else {
                return Ok(lost(baton, home, level, parked, result));
            };
            Ok(ended(baton, isolate, &parked.stack, parked.running, result))
        }
    }
}

/// A stack that waits, or has yielded; not parked.
pub(super) struct Paused {
    parked: Box<Parked>,
    /// Its isolate, unless that is in the stack.
    isolate: Option<Isolate<Baton>>,
    /// What it waits for; `None` if it has yielded.
    waiting: Option<Waiting>,
}

/// Waits for what a stack waits for, and runs it on until it parks or ends. The baton comes to its place.
pub(super) async fn run_on(at: At<'_>, baton: &mut Baton, mut paused: Paused) -> Outcome {
    let (_, _, interrupts) = at;
    loop {
        let stack = &mut paused.parked.stack;
        let mut resume = match paused.waiting.take() {
            Some(waiting) => Resume::Reply(Reply {
                with: interrupt::wait(interrupts, stack, waiting).await,
                baton: Baton::default(),
            }),
            None => {
                interrupt::yielded(interrupts, stack).await;
                Resume::Continue
            }
        };
        let mut run = Some(paused);
        let ran = poll_fn(|cx| {
            // Polled once.
            let resume = std::mem::replace(&mut resume, Resume::Continue);
            Poll::Ready(run.take().map(
                |Paused {
                     parked, isolate, ..
                 }| { run_once(at, baton, parked, isolate, resume, cx) },
            ))
        });
        match ran.await {
            Some(Err(again)) => paused = again,
            Some(Ok(outcome)) => return outcome,
            None => return Outcome::Trapped(anyhow!(bug("a stack is run twice")).into()),
        }
    }
}

/// A stack has parked: does what it asks for. `place` is its isolate, unless that is in the stack.
fn requested(
    at: At<'_>,
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
            baton.concurrent.parked.insert(thread, parked);
            return Outcome::Back;
        }
        Request::Run { thread, run, then } => (thread, Outcome::Run(*run, Some(then))),
        Request::Switch { thread, resumed } => (thread, Outcome::Run(Run::Thread(*resumed), None)),
        Request::Ended(call) => return on_top::ended(at, baton, parked, call),
    };
    baton.concurrent.parked.insert(thread, parked);
    outcome
}

/// A stack ended and kept its isolate, which no engine should do: its instance is lost, and the baton comes home as the stack is dropped.
#[cold]
fn lost(
    baton: &mut Baton,
    home: &Home,
    level: Level,
    parked: Box<Parked>,
    result: Result<()>,
) -> Outcome {
    let running = parked.running;
    drop(parked);
    let error = match result {
        Ok(()) => anyhow!(bug("a stack kept its isolate")),
        Err(error) => error.context(bug("a stack kept its isolate")),
    };
    *baton = home.reclaim(level);
    trapped(baton, running, error).into()
}

/// A stack has run to its end.
fn ended(
    baton: &mut Baton,
    mut isolate: Isolate<Baton>,
    stack: &Stack<Baton>,
    running: Running,
    result: Result<()>,
) -> Outcome {
    let result = result.and_then(|()| match running.entry {
        Entry::Start => end_start(isolate.data_mut(), running, stack),
        _ => end_of(&mut isolate.cx(), running, stack.results()),
    });
    *baton = return_isolate(isolate, running.isolate);
    follows(baton, running, result)
}

/// Goes on when core code has ended.
pub(super) fn follows(baton: &mut Baton, running: Running, result: Result<Ended>) -> Outcome {
    match result {
        Ok(Ended::Back) => Outcome::Back,
        Ok(Ended::Callback(callback, event)) => {
            Outcome::Run(call_back(running, callback, event), None)
        }
        Err(error) => trapped(baton, running, error).into(),
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
        let packed = results.first().copied().unwrap_or(0);
        return match callback_returned(runtime, running.task, packed)? {
            CallbackStep::Exit | CallbackStep::Block => Ok(Ended::Back),
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

/// The core function of a task with a callback, or that callback, has returned.
#[inline(always)]
pub(super) fn callback_returned(
    runtime: &mut Runtime,
    task: TaskId,
    packed: u64,
) -> Result<CallbackStep> {
    let step = runtime.state.callback_returned(packed as u32, &mut Fair)?;
    if step == CallbackStep::Exit {
        end_task(runtime, task);
    }
    Ok(step)
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
    let args: &[u64] = &plain::callback_args(&event);
    Run::Core {
        running,
        func: callback,
        args: args.into(),
    }
}
