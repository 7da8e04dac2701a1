//! Running code of isolates that are entered by plain calls: nothing that they import can block in the middle of it.

use super::Entry;
use super::driver::Trapped;
use super::end::trapped;
use super::park::Running;
use super::step::{Ended, end_of};
use crate::baton::Baton;
use crate::call::enter::{Slots, return_isolate, take_isolate};
use crate::interrupt::{self, Control};
use anyhow::Result;
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::Event;
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
    let mut ended = end_of(cx, running, &slots[..func.results()])?;
    let running = Running {
        entry: Entry::Callback,
        ..running
    };
    while let Ended::Callback(callback, event) = ended {
        let mut slots = callback_args(event);
        cx.call(callback, &mut slots)?;
        ended = end_of(cx, running, &slots[..1])?;
    }
    Ok(())
}

/// The arguments of a callback.
pub(super) fn callback_args(event: Event) -> [u64; 3] {
    [event.code as u64, event.index.into(), event.payload.into()]
}
