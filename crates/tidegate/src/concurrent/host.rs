//! Calls by the host of functions in components that use async.

use super::deliver::visit;
use super::end::give_up;
use super::park::{Running, SyncCaller};
use super::result::Keep;
use super::work::Asked;
use super::{Args, CallData, Entry, From, Run, Then};
use crate::baton::Baton;
use crate::call::canon::Callee;
use crate::call::enter::Slots;
use crate::call::host::LowerArgs;
use crate::error::bug;
use anyhow::{Context, Error, Result};
use std::sync::Arc;
use tidegate_core::abi::{FlatWriter, LowerContext, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::{CallSpec, Fair, HOST, Lends, TaskId, TaskState, ThreadId};
use tidegate_core::types::FuncTypeIdx;

/// Lowers the arguments of a call that may start later.
pub(crate) type LaterArgs =
    Box<dyn FnOnce(&mut LowerContext<'_>, FuncTypeIdx, &mut FlatWriter<'_>) -> Result<()> + Send>;

/// A call by the host that has not ended, or whose outcome has not been fetched.
pub(crate) struct HostCall {
    /// Where its result goes; `None` while it is being lifted.
    pub(crate) keep: Option<Box<dyn Keep>>,
    /// What the callee has borrowed.
    pub(crate) lends: Lends,
    /// The callee's task, once the call has begun.
    pub(crate) task: Option<TaskId>,
    pub(crate) by: By,
}

/// Whose a call by the host is.
pub(crate) enum By {
    /// Of the future that drives the store, which comes back for how it ended.
    Driver(Option<Result<()>>),
    /// An accessor's.
    Accessor {
        callee: Arc<Callee>,
        /// `None` once they were lowered.
        args: Option<LaterArgs>,
    },
    /// Nobody's any more: it is being cancelled.
    Nobody,
}

impl HostCall {
    /// One that somebody drives.
    pub(super) fn driven(keep: Option<Box<dyn Keep>>, lends: Lends, task: Option<TaskId>) -> Self {
        Self {
            keep,
            lends,
            task,
            by: By::Driver(None),
        }
    }
}

/// Ends a call, unless it has ended before.
pub(crate) fn end_call(baton: &mut Baton, number: u64, result: Result<()>) {
    let calls = &mut baton.concurrent.host;
    let Some(call) = calls.get_mut(number) else {
        return;
    };
    if let By::Driver(outcome) = &mut call.by {
        outcome.get_or_insert(result);
        return;
    }
    let Some(mut call) = calls.remove(number) else {
        return;
    };
    baton.state.give_back(HOST, &mut call.lends);
    if let Some(keep) = call.keep {
        keep.end(result);
    }
}

/// The future that drove a call was dropped: its task is cancelled, when the store is driven again if it has started.
#[cold]
pub(crate) fn cancel_dropped(baton: &mut Baton, number: u64) {
    leave_call(baton, number);
    if baton.concurrent.host.get(number).is_some() {
        let work = baton.concurrent.work.handle();
        work.ask(Asked::Cancel(number));
    }
}

/// Whoever drove a call waits for it no more. It goes on if it has started, and leaves nothing when it ends.
#[cold]
pub(super) fn leave_call(baton: &mut Baton, number: u64) {
    let Some(call) = baton.concurrent.host.get_mut(number) else {
        return;
    };
    let ended = !matches!(call.by, By::Driver(None));
    call.by = By::Nobody;
    if let Some(task) = call
        .task
        .filter(|task| !ended && baton.state.has_task(*task))
    {
        if baton.state.task_state(task) != TaskState::Initial {
            return;
        }
        // A task that has not started has no thread to tell.
        let _ = baton.state.request_cancellation(task, None, &mut Fair);
        baton.concurrent.tasks.remove(task);
    }
    end_call(baton, number, Err(super::CallCancelled.into()));
}

/// A task has confirmed its cancellation: its caller, if that is the host, is told.
pub(crate) fn call_cancelled(baton: &mut Baton, task: TaskId) {
    if let Some(CallData {
        from: From::Host(number),
        ..
    }) = baton.concurrent.tasks.get(task)
    {
        let number = *number;
        end_call(baton, number, Err(super::CallCancelled.into()));
    }
}

/// A number for a call by the host, or of a host function.
pub(super) fn next_number(baton: &mut Baton) -> u64 {
    let number = baton.concurrent.next_number;
    baton.concurrent.next_number += 1;
    number
}

/// What the driver runs for.
pub(crate) trait HostGoal {
    /// Lowers the arguments of a call that had to wait before it could start; gives the flat ones.
    fn lower(
        &mut self,
        baton: &mut Baton,
        number: u64,
        callee: &Callee,
        task: TaskId,
    ) -> Result<Args>;

    /// Whether there is nothing more to wait for.
    fn reached(&mut self, baton: &mut Baton) -> bool;

    /// Whether to wait when nothing can go on, as something may come from outside. Otherwise that is a deadlock.
    fn waits(&self) -> bool;

    /// Whether this call is its own.
    fn owns(&self, number: u64) -> bool;

    /// Something trapped that no guest waits for, nor a call by an accessor; perhaps its own call.
    fn trapped(&mut self, baton: &mut Baton, error: Error, own: bool);
}

/// The end of one call.
pub(super) struct Call<L> {
    pub(super) number: u64,
    pub(super) lower: Option<L>,
    /// Whether the call itself has not given control back yet.
    pub(super) first: bool,
    /// How often the calls by the host had changed when this was looked at last.
    pub(super) looked: Option<u64>,
}

impl<L: LowerArgs> Call<L> {
    pub(super) fn lower_args(
        &mut self,
        baton: &mut Baton,
        callee: &Callee,
        task: TaskId,
    ) -> Result<Args> {
        let lower = self
            .lower
            .take()
            .context(bug("arguments are lowered twice"))?;
        lower_args(baton, callee, self.number, task, lower)
    }
}

impl<L: LowerArgs> HostGoal for Call<L> {
    fn lower(
        &mut self,
        baton: &mut Baton,
        number: u64,
        callee: &Callee,
        task: TaskId,
    ) -> Result<Args> {
        anyhow::ensure!(self.owns(number), "the call was dropped before it started");
        self.lower_args(baton, callee, task)
    }

    fn reached(&mut self, baton: &mut Baton) -> bool {
        self.first = false;
        let changes = baton.concurrent.host.changes();
        if self.looked.replace(changes) == Some(changes) {
            return false;
        }
        let call = baton.concurrent.host.get(self.number);
        call.is_none_or(|call| !matches!(call.by, By::Driver(None)))
    }

    fn waits(&self) -> bool {
        false
    }

    fn owns(&self, number: u64) -> bool {
        number == self.number
    }

    fn trapped(&mut self, baton: &mut Baton, error: Error, own: bool) {
        let call = baton.concurrent.host.get_mut(self.number);
        let Some(By::Driver(outcome)) = call.map(|call| &mut call.by) else {
            return;
        };
        let tells = match outcome {
            None => self.first || own,
            Some(Ok(())) => self.first,
            // The same trap, told of without what kind of error it was.
            Some(Err(_)) => true,
        };
        if tells {
            *outcome = Some(Err(error));
        }
    }
}

/// Lowers the arguments of a call into the callee, whose isolate is idle or parked. Gives the flat ones.
pub(super) fn lower_args(
    baton: &mut Baton,
    callee: &Callee,
    number: u64,
    task: TaskId,
    lower: impl LowerArgs,
) -> Result<Args> {
    let (options, ty) = (&callee.options, callee.func_type_idx()?);
    let mut params: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
    let mut lends = Lends::default();
    let lower = |cx: &mut LowerContext<'_>| lower(cx, ty, &mut FlatWriter::new(&mut params));
    let lowered = visit(baton, options.isolate, |cx| {
        options.lower(cx, Some(task), &mut lends, lower)
    });
    match baton.concurrent.host.get_mut(number) {
        Some(call) => call.lends = lends,
        None => baton.state.give_back(HOST, &mut lends),
    }
    lowered?;
    Ok(params[..callee.flat_params].into())
}

/// What the driver runs for a call by the host, unless that must wait to start.
pub(super) type First = Option<(Run, Option<Then>)>;

/// Begins a call. `args` gives its flat arguments, if it need not wait.
pub(super) fn begin(
    baton: &mut Baton,
    callee: &Arc<Callee>,
    number: u64,
    args: impl FnOnce(&mut Baton, TaskId) -> Result<Args>,
) -> Result<First> {
    let instance = callee.options.instance;
    let (task, thread, then) = if callee.lift.async_type() {
        let spec = CallSpec {
            callee: instance,
            lift: callee.lift,
            from: Err(number),
        };
        let called = baton.state.call(spec, &mut Fair)?;
        (called.task, called.started.then_some(called.thread), None)
    } else {
        let task = baton.state.begin_sync_call(instance, None)?;
        (
            task,
            baton.state.current_thread(),
            Some(Then::Sync {
                caller: SyncCaller::Host(number),
                task,
                instance,
            }),
        )
    };
    let data = CallData {
        callee: callee.clone(),
        from: From::Host(number),
    };
    baton.concurrent.tasks.insert(task, data);
    if let Some(call) = baton.concurrent.host.get_mut(number) {
        call.task = Some(task);
    }
    let Some(thread) = thread else {
        return Ok(None);
    };
    match args(baton, task) {
        Ok(args) => Ok(Some((entry(callee, thread, task, args), then))),
        Err(error) => {
            baton.concurrent.tasks.remove(task);
            give_up(baton, callee, (task, thread), Some(number), &error);
            Err(error)
        }
    }
}

/// The entry into a lifted function.
pub(super) fn entry(callee: &Callee, thread: ThreadId, task: TaskId, args: Args) -> Run {
    let running = Running {
        thread,
        task,
        instance: callee.options.instance,
        isolate: callee.options.isolate,
        entry: Entry::Lifted,
        suspendable: callee.suspendable,
    };
    Run::Core {
        running,
        func: callee.core,
        args,
    }
}
