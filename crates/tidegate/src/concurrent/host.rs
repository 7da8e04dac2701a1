//! Calls by the host of functions in components that use async.

use super::park::Running;
use super::{CallData, Entry, From, Run, Then, drive};
use crate::baton::Baton;
use crate::call::canon::Callee;
use crate::call::enter::{Slots, return_isolate, take_isolate, trapped};
use crate::call::host::{LiftResults, LowerArgs};
use crate::error::bug;
use anyhow::{Context, Error, Result};
use std::sync::{Arc, Mutex, PoisonError};
use tidegate_core::abi::{FlatReader, FlatWriter, LiftContext, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::{CallSpec, Fair, HOST, Lends, TaskId};
use tidegate_core::types::FuncTypeIdx;

/// Lifts the result of a call and keeps it for the host.
pub(crate) type KeepResult = Box<
    dyn FnOnce(&mut LiftContext<'_>, FuncTypeIdx, usize, &mut FlatReader<'_>) -> Result<()> + Send,
>;

/// A call by the host that has not been fetched.
pub(crate) struct HostCall {
    /// `None` once the result was lifted.
    pub(crate) lift: Option<KeepResult>,
    /// How the call ended.
    pub(crate) outcome: Option<Result<()>>,
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
    ) -> Result<Vec<u64>>;

    /// Whether there is nothing more to wait for.
    fn reached(&mut self, baton: &mut Baton) -> bool;

    /// Something trapped that no guest waits for.
    fn trapped(&mut self, baton: &mut Baton, error: Error);
}

/// The end of one call.
struct Call<L> {
    number: u64,
    lower: Option<L>,
    lends: Lends,
    /// Whether the call itself has not given control back yet.
    first: bool,
}

impl<L: LowerArgs> Call<L> {
    /// Lowers the arguments; the callee's isolate is idle.
    fn lower_args(&mut self, baton: &mut Baton, callee: &Callee, task: TaskId) -> Result<Vec<u64>> {
        let lower = self
            .lower
            .take()
            .context(bug("arguments are lowered twice"))?;
        let mut isolate = take_isolate(baton, callee.options.isolate)?;
        let mut params: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
        let result = callee.func_type_idx().and_then(|ty| {
            callee
                .options
                .lower(&mut isolate.cx(), task, &mut self.lends, |cx| {
                    lower(cx, ty, &mut FlatWriter::new(&mut params))
                })
        });
        *baton = return_isolate(isolate, callee.options.isolate);
        result.map(|()| params[..callee.flat_params].to_vec())
    }
}

impl<L: LowerArgs> HostGoal for Call<L> {
    fn lower(
        &mut self,
        baton: &mut Baton,
        number: u64,
        callee: &Callee,
        task: TaskId,
    ) -> Result<Vec<u64>> {
        anyhow::ensure!(
            number == self.number,
            "the call was dropped before it started"
        );
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

    fn trapped(&mut self, baton: &mut Baton, error: Error) {
        if let Some(call) = baton.concurrent.host.get_mut(&self.number)
            && (self.first || matches!(call.outcome, Some(Err(_))))
        {
            call.outcome = Some(Err(error));
        }
    }
}

/// Calls a function of a component that uses async, and runs whatever else is ready until it has returned.
pub(crate) async fn call_concurrent<R: Send + 'static>(
    mut baton: Baton,
    callee: &Arc<Callee>,
    lower: impl LowerArgs + Send,
    lift: impl LiftResults<R> + Send + 'static,
) -> (Baton, Result<R>) {
    let number = baton.concurrent.next_number;
    baton.concurrent.next_number += 1;
    let result = Arc::new(Mutex::new(None));
    let kept = result.clone();
    let keep: KeepResult = Box::new(move |cx, ty, max_flat, src| {
        let value = lift(cx, ty, max_flat, src)?;
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    });
    baton.concurrent.host.insert(
        number,
        HostCall {
            lift: Some(keep),
            outcome: None,
        },
    );
    let mut goal = Call {
        number,
        lower: Some(lower),
        lends: Lends::default(),
        first: true,
    };
    let first = begin(&mut baton, callee, &mut goal);
    let driven;
    let first = match first {
        Ok(first) => first,
        Err(error) => {
            baton.concurrent.host.remove(&number);
            baton.state.give_back(HOST, &mut goal.lends);
            return (baton, Err(error));
        }
    };
    (baton, driven) = drive(baton, first, &mut goal).await;
    baton.state.give_back(HOST, &mut goal.lends);
    let outcome = baton
        .concurrent
        .host
        .remove(&number)
        .and_then(|call| call.outcome);
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => driven,
    };
    let value = outcome.and_then(|()| {
        let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.context("the task was cancelled before it returned")
    });
    (baton, value)
}

/// Begins a call: what the driver runs first, if the call need not wait.
fn begin<L: LowerArgs>(
    baton: &mut Baton,
    callee: &Arc<Callee>,
    goal: &mut Call<L>,
) -> Result<Option<(Run, Option<Then>)>> {
    let instance = callee.options.instance;
    let (task, thread, then) = if callee.lift.async_type() {
        let spec = CallSpec {
            callee: instance,
            lift: callee.lift,
            from: Err(goal.number),
        };
        let called = baton.state.call(spec, &mut Fair)?;
        (called.task, called.started.then_some(called.thread), None)
    } else {
        let task = baton.state.begin_sync_call(instance, None)?;
        (
            task,
            baton.state.current_thread(),
            Some(Then::Sync { caller: None, task }),
        )
    };
    let data = CallData {
        callee: callee.clone(),
        from: From::Host(goal.number),
    };
    baton.concurrent.tasks.insert(task, data);
    let Some(thread) = thread else {
        return Ok(None);
    };
    match goal.lower_args(baton, callee, task) {
        Ok(args) => {
            let running = Running {
                thread,
                task,
                instance,
                isolate: callee.options.isolate,
                entry: Entry::Lifted,
            };
            Ok(Some((
                Run::Core {
                    running,
                    func: callee.core,
                    args,
                },
                then,
            )))
        }
        Err(error) => {
            baton.concurrent.tasks.remove(&task);
            trapped(&mut baton.state, Some(thread), instance);
            Err(error)
        }
    }
}
