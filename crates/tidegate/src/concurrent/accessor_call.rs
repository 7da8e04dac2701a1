//! Calls of guest functions by accessors: many at a time.

use super::host::{By, First, HostCall, LaterArgs, begin, end_call, lower_args, next_number};
use super::result::Told;
use super::slot::Slot;
use super::work::{Asked, WorkHandle};
use super::{Args, Run, Then};
use crate::baton::Baton;
use crate::call::canon::Callee;
use crate::call::host::LiftResults;
use crate::error::bug;
use crate::{Accessor, Func, HasData, StoreInUse};
use anyhow::{Context as _, Result, bail};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tidegate_core::runtime::{Fair, Lends, TaskId};

/// A call of a guest function that runs beside others, as a future of its result.
///
/// It goes on while the store is driven, whether this is polled or not. Dropping it cancels the guest's task, as the specification has it
/// (`subtask.cancel`): the guest learns of it and may clean up; its instance and the store stay usable.
#[must_use = "dropping it cancels the call"]
pub struct ConcurrentCall<R>(Call<R>);

enum Call<R> {
    UnderWay {
        slot: Arc<Slot<R>>,
        work: WorkHandle,
        number: u64,
    },
    /// It could not begin.
    Failed(Option<anyhow::Error>),
}

/// A call was cancelled before it returned: by the host, which is [`ConcurrentCall::cancel`], and the guest confirmed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the call was cancelled before it returned")]
pub struct CallCancelled;

impl<R: Send + 'static> ConcurrentCall<R> {
    /// Registers a call, for the driver to begin it.
    pub(crate) fn new<T: Send + 'static, D: HasData>(
        accessor: &Accessor<T, D>,
        func: &Func,
        args: LaterArgs,
        lift: impl LiftResults<R> + Send + 'static,
    ) -> Self {
        match Self::register(accessor, func, args, lift) {
            Ok(call) => Self(call),
            Err(error) => Self(Call::Failed(Some(error))),
        }
    }

    fn register<T: Send + 'static, D: HasData>(
        accessor: &Accessor<T, D>,
        func: &Func,
        args: LaterArgs,
        lift: impl LiftResults<R> + Send + 'static,
    ) -> Result<Call<R>> {
        let mut lent = accessor.home().lend().ok_or(StoreInUse)?;
        let baton = &mut lent.baton;
        func.check_store(baton)?;
        let callee = func.open(baton)?;
        let number = next_number(baton);
        let slot = Arc::new(Slot::default());
        baton.concurrent.host.insert(
            number,
            HostCall {
                keep: Some(Told::boxed(slot.clone(), lift)),
                lends: Lends::default(),
                task: None,
                by: By::Accessor {
                    callee,
                    args: Some(args),
                },
            },
        );
        let work = baton.concurrent.work.handle();
        work.ask(Asked::Start(number));
        Ok(Call::UnderWay { slot, work, number })
    }
}

impl<R> ConcurrentCall<R> {
    /// Asks the guest to come to an end. Then wait for the call: it gives a result if the guest returned all the same, and otherwise
    /// [`CallCancelled`] once the guest has confirmed. Does nothing to a call that has ended.
    pub fn cancel(&self) {
        if let Call::UnderWay { slot, work, number } = &self.0
            && !slot.is_done()
        {
            work.ask(Asked::Cancel(*number));
        }
    }
}

impl<R> Future for ConcurrentCall<R> {
    type Output = Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<R>> {
        match &mut self.0 {
            Call::UnderWay { slot, work, .. } => slot.poll(cx, work.known()),
            Call::Failed(error) => Poll::Ready(Err(error.take().unwrap_or_else(|| {
                anyhow::anyhow!("a future was polled again after it was ready")
            }))),
        }
    }
}

impl<R> Drop for ConcurrentCall<R> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<R> std::fmt::Debug for ConcurrentCall<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConcurrentCall").finish_non_exhaustive()
    }
}

/// Does what is asked of the driver; gives what is to be run for it.
pub(super) fn asked(baton: &mut Baton) -> Option<(Run, Option<Then>)> {
    while let Some(asked) = baton.concurrent.work.next_asked() {
        let run = match asked {
            Asked::Start(number) => start(baton, number),
            Asked::Cancel(number) => cancel(baton, number).map(|run| (run, None)),
            Asked::Abort(key) => {
                super::work::abandon(baton, key);
                None
            }
        };
        if run.is_some() {
            return run;
        }
    }
    None
}

fn start(baton: &mut Baton, number: u64) -> First {
    let By::Accessor { callee, .. } = &baton.concurrent.host.get(number)?.by else {
        return None;
    };
    let callee = callee.clone();
    begin(baton, &callee, number, |baton, task| {
        args(baton, number, &callee, task)
    })
    .unwrap_or_else(|error| {
        end_call(baton, number, Err(error));
        None
    })
}

/// Lowers the arguments of a call that may start now; gives the flat ones.
pub(super) fn args(baton: &mut Baton, number: u64, callee: &Callee, task: TaskId) -> Result<Args> {
    let call = baton.concurrent.host.get_mut(number);
    let Some(By::Accessor { args, .. }) = call.map(|call| &mut call.by) else {
        bail!("the call was dropped before it started");
    };
    let args = args.take().context(bug("arguments are lowered twice"))?;
    lower_args(baton, callee, number, task, args)
}

fn cancel(baton: &mut Baton, number: u64) -> Option<Run> {
    let Some(task) = baton.concurrent.host.get(number)?.task else {
        end_call(baton, number, Err(CallCancelled.into()));
        return None;
    };
    let resumed = baton.state.request_cancellation(task, None, &mut Fair);
    if !baton.state.has_task(task) {
        // It had not started.
        baton.concurrent.tasks.remove(task);
        end_call(baton, number, Err(CallCancelled.into()));
    }
    resumed.map(Run::Thread)
}
