//! Start functions in components that use async: what they call may be another instance's, and runs on stacks of its own.

use super::end::clean;
use super::host::{HostGoal, next_number};
use super::park::{Running, SyncCaller};
use super::{Args, Entry, Run, Then, drive};
use crate::baton::Baton;
use crate::call::canon::Callee;
use crate::error::bug;
use anyhow::{Context as _, Error, Result, bail};
use tidegate_core::runtime::{InstanceId, TaskId};
use tidegate_engine::{Instance, Stack};

/// Instantiates a core module of `instance` in its isolate, and runs whatever the start function calls. It may not wait, just like a function whose
/// type is not `async`.
pub(crate) async fn start(
    mut baton: Baton,
    instance: InstanceId,
    isolate: usize,
    stack: Stack<Baton>,
) -> (Baton, Result<Instance>) {
    let task = match baton.state.begin_sync_call(instance, None) {
        Ok(task) => task,
        Err(trap) => return (baton, Err(trap.into())),
    };
    let Some(thread) = baton.state.current_thread() else {
        return (baton, Err(Error::msg(bug("a call has no thread"))));
    };
    let running = Running {
        thread,
        task,
        instance,
        isolate,
        entry: Entry::Start,
        suspendable: true,
    };
    let number = next_number(&mut baton);
    let then = Then::Sync {
        caller: SyncCaller::Host(number),
        task,
        instance,
    };
    let mut goal = SyncCall::new(number);
    let first = Some((Run::Stack { running, stack }, Some(then)));
    let driven;
    (baton, driven) = drive(baton, first, &mut goal).await;
    let made = driven.and(goal.result()).and_then(|()| {
        let made = baton.concurrent.started.take();
        made.context(bug("a start function ended without an instance"))
    });
    if let Err(error) = &made {
        // One that blocked has not ended by itself.
        let poisoned = baton.state.poison(instance);
        clean(&mut baton, poisoned, None, error);
    }
    (baton, made)
}

/// A call of a function whose type is not `async`, and which gives nothing: by the time control comes back it has returned, or trapped.
pub(super) struct SyncCall {
    /// The call, among those of the host.
    number: u64,
    result: Result<()>,
}

impl SyncCall {
    pub(super) fn new(number: u64) -> Self {
        Self {
            number,
            result: Ok(()),
        }
    }

    /// How it has ended.
    pub(super) fn result(self) -> Result<()> {
        self.result
    }
}

impl HostGoal for SyncCall {
    fn lower(&mut self, _: &mut Baton, _: u64, _: &Callee, _: TaskId) -> Result<Args> {
        bail!(bug("a call that has begun takes its arguments again"))
    }

    fn reached(&mut self, _: &mut Baton) -> bool {
        true
    }

    fn waits(&self) -> bool {
        false
    }

    fn owns(&self, number: u64) -> bool {
        number == self.number
    }

    fn trapped(&mut self, _: &mut Baton, error: Error, _: bool) {
        self.result = Err(error);
    }
}
