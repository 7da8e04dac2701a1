//! Code of an isolate whose one stack is parked: it runs on top of what is parked, and is parked there itself where it must wait.
//!
//! Whatever came last must be the first to go on, and is: such code is a function whose type is not `async`, as tasks that keep their stacks run one at a time
//! in compiled isolates. Its instance is entered until it has returned, so that meanwhile nothing else of the instance starts, goes on or is told to
//! end, also where a host function that it waits for drives the store.

use super::driver::{At, Outcome};
use super::end::trapped;
use super::park::Running;
use super::step::{Ended, Paused, end_of, follows, run_once};
use super::{Args, Parked, Request};
use crate::baton::{Baton, Blocked};
use crate::call::enter::Slots;
use crate::error::bug;
use crate::interrupt;
use anyhow::{Result, anyhow};
use std::task::Context;
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::trap::Trap;
use tidegate_engine::{Cx, Func, Resume, TopCall};

/// A call on top of a parked stack. What it leaves serves the next one.
pub(crate) struct OnTop {
    /// Until it begins.
    baton: Baton,
    running: Running,
    func: Func,
    slots: Slots,
    /// Once it has ended.
    ended: Option<Result<Ended>>,
}

impl OnTop {
    fn new(running: Running, func: Func) -> Self {
        Self {
            baton: Baton::default(),
            running,
            func,
            slots: [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS],
            ended: None,
        }
    }
}

impl TopCall<Baton> for OnTop {
    fn begin(&mut self, mut cx: Cx<'_, Baton>) -> Func {
        *cx.data_mut() = self.baton.take();
        self.func
    }

    fn slots(&mut self) -> &mut [u64] {
        &mut self.slots
    }

    fn end(mut self: Box<Self>, mut cx: Cx<'_, Baton>, result: Result<()>) -> Blocked {
        let results = &self.slots[..self.func.results()];
        let ended = result.and_then(|()| end_of(&mut cx, self.running, results));
        self.ended = Some(ended);
        Blocked::Request(cx.data_mut().take(), Request::Ended(self))
    }
}

/// Runs core code in an isolate that is not idle: on top of its parked stack, as far as it goes without waiting.
///
/// # Errors
/// It must be waited for something.
pub(super) fn enter(
    at: At<'_>,
    baton: &mut Baton,
    running: Running,
    func: Func,
    args: &Args,
    cx: &mut Context<'_>,
) -> Result<Outcome, Paused> {
    let stacks = &mut baton.concurrent.parked;
    let below = stacks.in_isolate(running.isolate);
    let Some((thread, mut parked)) =
        below.and_then(|thread| Some((thread, stacks.remove(thread)?)))
    else {
        return Ok(trapped(baton, running, Trap::CannotEnter.into()).into());
    };
    parked.cover(thread, running);
    let spare = parked.spare.take();
    let mut call = spare.unwrap_or_else(|| Box::new(OnTop::new(running, func)));
    (call.baton, call.running, call.func) = (baton.take(), running, func);
    call.slots[..args.len()].copy_from_slice(args);
    run_once(at, baton, parked, None, Resume::Call(call), cx)
}

/// Such a call has ended: what it was on top of is parked again, as it was before.
pub(super) fn ended(
    (home, level, interrupts): At<'_>,
    baton: &mut Baton,
    mut parked: Box<Parked>,
    mut call: Box<OnTop>,
) -> Outcome {
    if baton.is_away() {
        // Whatever it was lost with has ended.
        *baton = home.reclaim(level);
    }
    let (running, ended) = (call.running, call.ended.take());
    parked.spare = Some(call);
    if let Some(thread) = parked.uncover() {
        baton.concurrent.parked.insert(thread, parked);
    }
    let ended = ended.unwrap_or_else(|| Err(anyhow!(bug("a call has not ended"))));
    follows(baton, running, interrupt::explain(interrupts, ended))
}
