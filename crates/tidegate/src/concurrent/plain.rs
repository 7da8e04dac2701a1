//! Running code of isolates that are entered by plain calls: nothing that they import can block in the middle of it.

use super::Entry;
use super::driver::Trapped;
use super::end::trapped;
use super::park::Running;
use super::step::{Ended, callback_returned, end_of};
use crate::baton::Baton;
use crate::call::enter::{Slots, idle_isolate, return_isolate, take_isolate};
use crate::interrupt::{self, Control};
use anyhow::Result;
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::{CallbackStep, Event, TaskId, ThreadId};
use tidegate_engine::{Cx, Func};

/// Runs core code, and its callback as long as there are events for it. Control comes back, or there was a trap.
pub(super) fn run(
    interrupts: Option<&Control>,
    place: &mut Baton,
    running: Running,
    func: Func,
    args: &[u64],
) -> Result<(), Trapped> {
    let result = take_isolate(place, running.isolate).and_then(|mut isolate| {
        let result = interrupt::run_plain(interrupts, || {
            enter_with(&mut isolate.cx(), running, func, args)
        });
        *place = return_isolate(isolate, running.isolate);
        result
    });
    result.map_err(|error| trapped(place, running, error))
}

/// Has the callback of a task that waited called with an event, and again as long as there is one for it at once. `None` if nothing has happened, as it is
/// not called like this.
///
/// # Errors
/// The thread's trap.
#[inline]
pub(super) fn call_back(
    interrupts: Option<&Control>,
    place: &mut Baton,
    thread: ThreadId,
    event: &Event,
) -> Option<Result<(), Trapped>> {
    let task = place.state.thread_task(thread);
    let callee = &place.concurrent.tasks.get(task)?.callee;
    let (callback, isolate, instance) = (
        callee.callback?,
        callee.options.isolate,
        callee.options.instance,
    );
    if callee.suspendable {
        return None;
    }
    let mut taken = idle_isolate(place, isolate)?;
    let result = interrupt::run_plain(interrupts, || {
        call_with_events(&mut taken.cx(), task, callback, event)
    });
    *place = return_isolate(taken, isolate);
    Some(result.map_err(|error| {
        let running = Running {
            thread,
            task,
            instance,
            isolate,
            entry: Entry::Callback,
            suspendable: false,
        };
        trapped(place, running, error)
    }))
}

/// As many core values as a callback has parameters, and one more.
const FEW: usize = 4;

/// The same in an isolate that has been taken.
pub(super) fn enter_with(
    cx: &mut Cx<'_, Baton>,
    running: Running,
    func: Func,
    args: &[u64],
) -> Result<()> {
    let (mut few, mut many): ([u64; FEW], Slots);
    let slots = if func.slots() <= FEW {
        few = [0; FEW];
        &mut few[..func.slots()]
    } else {
        many = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
        &mut many[..func.slots()]
    };
    slots[..args.len()].copy_from_slice(args);
    enter(cx, running, func, slots)
}

/// The same with the arguments in `slots`, as many as the function needs. Control comes back to the thread's
/// caller: it has exited, or waits for an event.
pub(super) fn enter(
    cx: &mut Cx<'_, Baton>,
    running: Running,
    func: Func,
    slots: &mut [u64],
) -> Result<()> {
    cx.call(func, slots)?;
    match end_of(cx, running, &slots[..func.results()])? {
        Ended::Back => Ok(()),
        Ended::Callback(callback, event) => call_with_events(cx, running.task, callback, &event),
    }
}

/// Calls a callback with an event, and with those that are there when it returns, until its thread waits or has exited.
#[inline(always)]
fn call_with_events(
    cx: &mut Cx<'_, Baton>,
    task: TaskId,
    callback: Func,
    event: &Event,
) -> Result<()> {
    let mut slots = callback_args(event);
    loop {
        cx.call(callback, &mut slots)?;
        match callback_returned(cx.data_mut(), task, slots[0])? {
            CallbackStep::Exit | CallbackStep::Block => return Ok(()),
            CallbackStep::Call(event) => slots = callback_args(&event),
        }
    }
}

/// The arguments of a callback. By reference: what was just written in parts is not moved as a whole.
#[inline]
pub(super) fn callback_args(event: &Event) -> [u64; 3] {
    [event.code as u64, event.index.into(), event.payload.into()]
}
