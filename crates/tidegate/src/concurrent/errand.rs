//! Ends of the host that were woken while the guest at the other end has its stack parked: such an end is asked on that stack, which goes on at once if the
//! state says so. To visit the stack first and to resume it afterwards would be two switches.

use super::driver::{At, Outcome};
use super::end::fail_instance;
use super::park::Request;
use super::reply::With;
use super::step::{Paused, resume};
use super::thread::{reply, returns};
use crate::baton::{Baton, Blocked, Runtime};
use crate::stream;
use anyhow::{Error, Result};
use std::task::Context;
use tidegate_core::runtime::{Action, Fair, InstanceId, Resumed, SharedId, Side, ThreadId};
use tidegate_engine::{Cx, Flow, Memory};

/// An end of the host's to be asked, of a stream or future whose other end is a guest's with a stack that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub(crate) shared: SharedId,
    pub(crate) side: Side,
}

/// The thread whose stack is parked in an isolate, if it has blocked: then nobody minds when it goes on.
pub(crate) fn waiting_stack(runtime: &Runtime, isolate: usize) -> Option<ThreadId> {
    let parked = &runtime.concurrent.parked;
    let thread = parked.in_isolate(isolate)?;
    parked.get(thread)?.blocked.then_some(thread)
}

/// What an errand came to, as the driver learns of it.
pub(crate) enum OnStack {
    /// A thread has gone on: that of the stack, or the one that was to go on first.
    WentOn,
    /// The end could not be asked, which is the fault of this instance.
    Failed(InstanceId, Error),
}

/// Runs an errand. With `goes_on`, the thread that is ready first goes on after that, if there is one: what follows is given then, as for a stack that is
/// resumed.
pub(super) fn run(
    at: At<'_>,
    baton: &mut Baton,
    errand: Errand,
    goes_on: bool,
    cx: &mut Context<'_>,
) -> Result<Option<Outcome>, Paused> {
    let Errand { shared, side } = errand;
    let offer = baton.state.host_offer(shared, side);
    let isolate = offer.and_then(|offer| baton.copies.isolate(offer.guest.buffer.options));
    let in_stack = isolate.filter(|&isolate| baton.isolates[isolate].is_none());
    let Some(thread) = in_stack.and_then(|isolate| waiting_stack(baton, isolate)) else {
        // Something else ran meanwhile: the end looks again what there is.
        stream::wake(baton, shared, side);
        return Ok(None);
    };
    let memory = (baton.concurrent.parked.get(thread)).and_then(|parked| parked.memory);
    let with = With::Ask(Ask {
        errand,
        thread,
        memory,
        goes_on,
    });
    let outcome = resume(at, baton, thread, with, cx)?;
    match baton.concurrent.on_stack.take() {
        Some(OnStack::WentOn) => Ok(Some(outcome)),
        Some(OnStack::Failed(instance, error)) => {
            fail_instance(baton, instance, error);
            Ok(None)
        }
        None => Ok(None),
    }
}

/// What a stack is resumed with to run an errand.
pub(crate) struct Ask {
    errand: Errand,
    /// Whose stack it is.
    thread: ThreadId,
    /// Where its event goes, if it waits for one.
    memory: Option<Memory>,
    goes_on: bool,
}

impl Ask {
    /// Asks the end in the context of the host call that the stack is blocked in, and goes on with that call, or blocks it again.
    pub(super) fn give(self, mut cx: Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>> {
        let Errand { shared, side } = self.errand;
        let offer = cx.data_mut().state.host_offer(shared, side);
        if let Some(offer) = offer
            && let Err(error) = stream::ask_about(&mut cx, shared, side, &offer)
        {
            // It may be the fault of another than the one whose call this is.
            let failed = OnStack::Failed(offer.guest.instance, error);
            cx.data_mut().concurrent.on_stack = Some(failed);
            return Ok(self.block(cx.data_mut(), None));
        }
        let baton = cx.data_mut();
        if !self.goes_on || baton.concurrent.work.has_asked() {
            return Ok(self.block(baton, None));
        }
        let Some(resumed) = baton.state.tick(&mut Fair) else {
            return Ok(self.block(baton, None));
        };
        baton.concurrent.work.go_on();
        baton.concurrent.on_stack = Some(OnStack::WentOn);
        if resumed.thread != self.thread || !returns(&resumed.action) {
            return Ok(self.block(baton, Some(resumed)));
        }
        let with = match resumed.action {
            Action::Event(event) => With::Event(self.memory, event),
            action => reply(baton, self.thread, &action),
        };
        with.give(cx, slots)
    }

    /// Has the stack wait on, and perhaps another thread run.
    fn block(self, baton: &mut Baton, other: Option<Resumed>) -> Flow<Blocked> {
        let Self { thread, memory, .. } = self;
        let request = match other {
            None => Request::Blocked { thread, memory },
            Some(resumed) => Request::Switch {
                thread,
                memory,
                resumed: Box::new(resumed),
            },
        };
        Flow::Block(Blocked::Request(baton.take(), request))
    }
}
