//! The built-ins that may park their caller or let other code run.

use super::park::{Request, Run, Then};
use super::{WorkKey, cancel};
use crate::baton::{Baton, Blocked};
use crate::call::builtins::copies::{self, CopyBuiltin};
use crate::call::builtins::{Definitions, deliver};
use crate::call::canon::CanonOptions;
use crate::call::items;
use crate::error::bug;
use crate::stream;
use anyhow::{Context, Result};
use tidegate_core::plan::Canon;
use tidegate_core::runtime::{
    CancelStep, CopyStep, Fair, SubtaskCancelStep, ThreadId, ThreadStep, WaitStep,
};
use tidegate_engine::{BlockingHostFn, Cx, Flow};

type Body = BlockingHostFn<Baton>;

/// Makes the body of a built-in, if it is one of those.
pub(crate) fn blocking(
    cx: &mut Cx<'_, Baton>,
    canon: &Canon,
    options: &CanonOptions,
    definitions: &Definitions,
) -> Option<Body> {
    let instance = options.instance;
    if let Some(body) = copies::copy(cx, canon, options, false) {
        return Some(Box::new(move |mut cx, slots| {
            let thread = cx.data_mut().state.current_thread();
            let step = body.begin(&mut cx, slots)?;
            match go_on(&mut cx, step, &body)? {
                CopyStep::Return(value) => returns(slots, value),
                _ => blocked(&mut cx, thread, None),
            }
        }));
    }
    if let Some(body) = copies::cancel(cx, canon, options) {
        return Some(Box::new(move |mut cx, slots| {
            let thread = cx.data_mut().state.current_thread();
            match body.begin(&mut cx, slots)? {
                CancelStep::Return(value) => returns(slots, value),
                CancelStep::Block => blocked(&mut cx, thread, None),
                CancelStep::Host(turn) => {
                    stream::ask(&mut cx, turn.shared, turn.side)?;
                    match cx.data_mut().state.finish_cancel_turn(turn)? {
                        CancelStep::Return(value) => returns(slots, value),
                        _ => blocked(&mut cx, thread, None),
                    }
                }
            }
        }));
    }
    Some(match *canon {
        Canon::WaitableSetWait { cancellable, .. } => {
            let memory = definitions.memory?;
            Box::new(move |mut cx, slots| {
                let state = &mut cx.data_mut().state;
                let (thread, set) = (state.current_thread(), slots[0] as u32);
                match state.waitable_set_wait(instance, cancellable, set, &mut Fair)? {
                    WaitStep::Return(event) => {
                        deliver(&mut cx, memory, slots, event)?;
                        Ok(Flow::Return)
                    }
                    WaitStep::Block => blocked(&mut cx, thread, Some(memory)),
                }
            })
        }
        Canon::SubtaskCancel { async_ } => Box::new(move |mut cx, slots| {
            let state = &mut cx.data_mut().state;
            let thread = state.current_thread();
            match state.subtask_cancel(instance, async_, slots[0] as u32, &mut Fair)? {
                SubtaskCancelStep::Return(value) => returns(slots, value),
                SubtaskCancelStep::Block => blocked(&mut cx, thread, None),
                SubtaskCancelStep::Run(subtask, resumed) => {
                    let thread = thread.context(bug("a guest runs without a thread"))?;
                    let then = Then::Cancelled {
                        caller: thread,
                        subtask,
                        async_,
                    };
                    let request = Request::Run {
                        thread,
                        run: Box::new(Run::Thread(resumed)),
                        then,
                    };
                    Ok(Flow::Block(Blocked::Request(cx.data_mut().take(), request)))
                }
                SubtaskCancelStep::Host(subtask, number) => {
                    cancel(&mut cx, WorkKey::from_number(number))?;
                    match cx.data_mut().state.finish_subtask_cancel(subtask, async_)? {
                        SubtaskCancelStep::Return(value) => returns(slots, value),
                        _ => blocked(&mut cx, thread, None),
                    }
                }
            }
        }),
        Canon::ThreadSuspend { cancellable } => {
            switching(move |cx, _| Ok(cx.data_mut().state.thread_suspend(instance, cancellable)?))
        }
        Canon::ThreadYield { cancellable } => switching(move |cx, _| {
            Ok(cx
                .data_mut()
                .state
                .thread_yield(instance, cancellable, &mut Fair)?)
        }),
        Canon::ThreadSuspendThenResume { cancellable } => switching(move |cx, args| {
            let (state, index) = (&mut cx.data_mut().state, args[0] as u32);
            Ok(state.thread_suspend_then_resume(instance, cancellable, index, &mut Fair)?)
        }),
        Canon::ThreadYieldThenResume { cancellable } => switching(move |cx, args| {
            let (state, index) = (&mut cx.data_mut().state, args[0] as u32);
            Ok(state.thread_yield_then_resume(instance, cancellable, index, &mut Fair)?)
        }),
        Canon::ThreadSuspendThenPromote { cancellable } => switching(move |cx, args| {
            let (state, index) = (&mut cx.data_mut().state, args[0] as u32);
            Ok(state.thread_suspend_then_promote(instance, cancellable, index, &mut Fair)?)
        }),
        Canon::ThreadYieldThenPromote { cancellable } => switching(move |cx, args| {
            let (state, index) = (&mut cx.data_mut().state, args[0] as u32);
            Ok(state.thread_yield_then_promote(instance, cancellable, index, &mut Fair)?)
        }),
        _ => return None,
    })
}

/// Goes on with a read or write until it returns, or blocks.
///
/// # Errors
/// What the guest traps with.
pub(super) fn go_on(
    cx: &mut Cx<'_, Baton>,
    mut step: CopyStep,
    body: &CopyBuiltin,
) -> Result<CopyStep> {
    loop {
        step = match step {
            CopyStep::Return(_) | CopyStep::Block => return Ok(step),
            CopyStep::Copy(copy) => {
                let bytes = items::pass(cx, body.options(), &copy)?;
                cx.data_mut().state.finish_copy(copy, bytes)?
            }
            CopyStep::Host(turn) => stream::serve(cx, turn, body.options())?,
        };
    }
}

fn returns(slots: &mut [u64], value: u32) -> Result<Flow<Blocked>> {
    if let Some(slot) = slots.first_mut() {
        *slot = value.into();
    }
    Ok(Flow::Return)
}

/// Parks the stack: its thread has blocked.
fn blocked(
    cx: &mut Cx<'_, Baton>,
    thread: Option<ThreadId>,
    memory: Option<tidegate_engine::Memory>,
) -> Result<Flow<Blocked>> {
    let thread = thread.context(bug("a guest runs without a thread"))?;
    Ok(Flow::Block(Blocked::Request(
        cx.data_mut().take(),
        Request::Blocked { thread, memory },
    )))
}

/// A built-in that may let another thread run.
fn switching(
    f: impl Fn(&mut Cx<'_, Baton>, &[u64]) -> Result<ThreadStep> + Send + Sync + 'static,
) -> Body {
    Box::new(move |mut cx, slots| {
        let thread = cx.data_mut().state.current_thread();
        match f(&mut cx, slots)? {
            ThreadStep::Return(value) => returns(slots, value),
            ThreadStep::Block => blocked(&mut cx, thread, None),
            ThreadStep::Switch(resumed) => {
                let thread = thread.context(bug("a guest runs without a thread"))?;
                let resumed = Box::new(resumed);
                let request = Request::Switch { thread, resumed };
                Ok(Flow::Block(Blocked::Request(cx.data_mut().take(), request)))
            }
        }
    })
}
