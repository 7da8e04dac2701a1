//! Calls by the host of functions in components that use async.

use super::deliver::visit;
use super::end::give_up;
use super::park::{Running, SyncCaller};
use super::result::Keep;
use super::{Args, CallData, Entry, From, Run, Then};
use crate::baton::Baton;
use crate::call::canon::Callee;
use crate::call::enter::Slots;
use crate::call::host::LowerArgs;
use crate::error::bug;
use anyhow::{Context, Error, Result};
use std::sync::Arc;
use tidegate_core::abi::{FlatWriter, LowerContext, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::{CallSpec, Fair, HOST, Lends, TaskId, ThreadId};
use tidegate_core::types::FuncTypeIdx;

/// Lowers the arguments of a call that may start later.
pub(crate) type LaterArgs =
    Box<dyn FnOnce(&mut LowerContext<'_>, FuncTypeIdx, &mut FlatWriter<'_>) -> Result<()> + Send>;

/// A call by the host that has not ended, or whose outcome has not been fetched.
pub(crate) struct HostCall {
    /// Where its result goes; `None` while it is being lifted.
    pub(crate) keep: Option<Box<dyn Keep>>,
    /// How the call ended, if nobody was to be told.
    pub(crate) outcome: Option<Result<()>>,
    /// What the callee has borrowed.
    pub(crate) lends: Lends,
    /// A call that an accessor makes.
    pub(crate) accessors: Option<AccessorCall>,
}

impl HostCall {
    /// One that somebody drives.
    pub(super) fn new(keep: Option<Box<dyn Keep>>) -> Self {
        Self {
            keep,
            outcome: None,
            lends: Lends::default(),
            accessors: None,
        }
    }
}

/// What a call has that an accessor makes.
pub(crate) struct AccessorCall {
    pub(crate) callee: Arc<Callee>,
    /// `None` once they were lowered.
    pub(crate) args: Option<LaterArgs>,
    /// Once it has begun.
    pub(crate) task: Option<TaskId>,
}

/// Ends a call, unless it has ended before.
pub(crate) fn end_call(baton: &mut Baton, number: u64, result: Result<()>) {
    let calls = &mut baton.concurrent.host;
    let Some(call) = calls.get_mut(&number) else {
        return;
    };
    if call.accessors.is_none() {
        call.outcome.get_or_insert(result);
        return;
    }
    let Some(mut call) = calls.remove(&number) else {
        return;
    };
    baton.state.give_back(HOST, &mut call.lends);
    if let Some(keep) = call.keep {
        keep.end(result);
    }
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
    pub(super) lends: Lends,
    /// Whether the call itself has not given control back yet.
    pub(super) first: bool,
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
        lower_args(baton, callee, task, &mut self.lends, lower)
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
        baton
            .concurrent
            .host
            .get(&self.number)
            .is_none_or(|call| call.outcome.is_some())
    }

    fn waits(&self) -> bool {
        false
    }

    fn owns(&self, number: u64) -> bool {
        number == self.number
    }

    fn trapped(&mut self, baton: &mut Baton, error: Error, own: bool) {
        let Some(call) = baton.concurrent.host.get_mut(&self.number) else {
            return;
        };
        let tells = match &call.outcome {
            None => self.first || own,
            Some(Ok(())) => self.first,
            // The same trap, told of without what kind of error it was.
            Some(Err(_)) => true,
        };
        if tells {
            call.outcome = Some(Err(error));
        }
    }
}

/// Lowers arguments into the callee, whose isolate is idle or parked. Gives the flat ones.
pub(super) fn lower_args(
    baton: &mut Baton,
    callee: &Callee,
    task: TaskId,
    lends: &mut Lends,
    lower: impl LowerArgs,
) -> Result<Args> {
    let (options, ty) = (&callee.options, callee.func_type_idx()?);
    let mut params: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
    let lower = |cx: &mut LowerContext<'_>| lower(cx, ty, &mut FlatWriter::new(&mut params));
    visit(baton, options.isolate, |cx| {
        options.lower(cx, Some(task), lends, lower)
    })?;
    Ok(params[..callee.flat_params].into())
}

/// A call by the host that has begun.
pub(super) struct Begun {
    pub(super) task: TaskId,
    /// What the driver runs now, unless the call must wait to start.
    pub(super) run: Option<(Run, Option<Then>)>,
}

/// Begins a call. `args` gives its flat arguments, if it need not wait.
pub(super) fn begin(
    baton: &mut Baton,
    callee: &Arc<Callee>,
    number: u64,
    args: impl FnOnce(&mut Baton, TaskId) -> Result<Args>,
) -> Result<Begun> {
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
    let Some(thread) = thread else {
        return Ok(Begun { task, run: None });
    };
    match args(baton, task) {
        Ok(args) => Ok(Begun {
            task,
            run: Some((entry(callee, thread, task, args), then)),
        }),
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
