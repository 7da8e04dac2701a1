//! `canon lower` of guest functions, in components that use async.

use super::deliver::visit_from;
use super::end::give_up;
use super::{Args, CallData, Entry, From, FromGuest, Request, Run, Then};
use crate::baton::{Baton, Blocked};
use crate::call::enter::Slots;
use crate::call::guest::{GuestCall, Pending};
use crate::concurrent::park::{Running, SyncCaller};
use crate::link::CoreBody;
use anyhow::{Context as _, Result};
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::{
    CallSpec, Fair, Lends, LowerStep, State, TaskId, ThreadId, WaitableId,
};
use tidegate_engine::{Cx, Flow};

impl GuestCall {
    /// What the core function does, which parks its caller.
    pub(crate) fn lowered_body(self) -> CoreBody {
        CoreBody::Blocking(Box::new(move |mut cx, slots| self.lowered(&mut cx, slots)))
    }

    fn lowered(&self, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>> {
        if self.callee.lift.async_type() {
            self.lowered_async(cx, slots)
        } else if self.callee.nested {
            self.call_across(cx, slots).map(|()| Flow::Return)
        } else if cx.can_block() {
            self.lowered_sync(cx, slots)
        } else {
            // A caller that was entered by a plain call cannot be parked. Neither can its callee block.
            let within = self.site.options.isolate == self.callee.options.isolate;
            let called = match within {
                true => self.call_within(cx, slots),
                false => self.call_across(cx, slots),
            };
            called.map(|()| Flow::Return)
        }
    }

    /// A call of a function whose type is not `async`.
    fn lowered_sync(&self, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>> {
        let state = &mut cx.data_mut().state;
        let caller = current_thread(state)?;
        state.check_may_leave(self.site.options.instance)?;
        let task = state.begin_sync_call(
            self.callee.options.instance,
            Some(self.site.options.instance),
        )?;
        let thread = current_thread(state)?;
        let mut from = self.origin(slots, None);
        let args = match self.pass_args(cx, task, &mut from) {
            Ok(args) => args,
            Err(error) => {
                give_up(cx.data_mut(), &self.callee, (task, thread), None, &error);
                return Err(error);
            }
        };
        Ok(self.run(
            cx,
            task,
            thread,
            caller,
            from,
            args,
            Then::Sync {
                caller: SyncCaller::Guest(caller),
                task,
                instance: self.callee.options.instance,
            },
        ))
    }

    /// A call of an `async` function.
    fn lowered_async(&self, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>> {
        let state = &mut cx.data_mut().state;
        let caller = state.current_thread();
        if !self.site.async_ {
            let (from, to) = (self.site.options.instance, self.callee.options.instance);
            state.check_call(from, to)?;
            state.check_sync_lower(from)?;
        }
        let spec = CallSpec {
            callee: self.callee.options.instance,
            lift: self.callee.lift,
            from: Ok(self.site.options.instance),
        };
        let called = state.call(spec, &mut Fair)?;
        let (Some(subtask), Some(caller)) = (called.subtask, caller) else {
            anyhow::bail!(crate::error::bug("a guest calls without a thread"));
        };
        if called.started && self.callee.nested {
            return self.run_nested(cx, slots, called, subtask, caller);
        }
        let mut from = self.origin(slots, called.subtask);
        let Some(thread) = called.started.then_some(called.thread) else {
            let callee = self.callee.clone();
            let data = CallData {
                callee,
                from: From::Guest(Box::new(from)),
            };
            cx.data_mut().concurrent.tasks.insert(called.task, data);
            // A caller that cannot be parked goes on first, as the specification has it.
            if self.parks
                && let Some(resumed) = cx.data_mut().state.make_way(subtask, &mut Fair)
            {
                let request = Request::Run {
                    thread: caller,
                    run: Box::new(Run::Thread(resumed)),
                    then: Then::Lowered {
                        caller,
                        subtask,
                        async_: self.site.async_,
                    },
                };
                return Ok(Flow::Block(Blocked::Request(cx.data_mut().take(), request)));
            }
            return caller_goes_on(cx, slots, caller, subtask, self.site.async_);
        };
        let args = match self.pass_args(cx, called.task, &mut from) {
            Ok(args) => args,
            Err(error) => {
                let started = (called.task, thread);
                give_up(cx.data_mut(), &self.callee, started, None, &error);
                return Err(error);
            }
        };
        let then = Then::Lowered {
            caller,
            subtask,
            async_: self.site.async_,
        };
        Ok(self.run(cx, called.task, thread, caller, from, args, then))
    }

    fn origin(&self, slots: &[u64], subtask: Option<WaitableId>) -> FromGuest {
        let mut kept: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
        let length = slots.len().min(kept.len());
        kept[..length].copy_from_slice(&slots[..length]);
        FromGuest {
            call: self.clone(),
            slots: kept,
            pending: Pending::default(),
            subtask,
            result: None,
        }
    }

    /// Passes the arguments, and gives the callee's flat ones. `cx` is the caller's isolate.
    fn pass_args(
        &self,
        cx: &mut Cx<'_, Baton>,
        task: TaskId,
        from: &mut FromGuest,
    ) -> Result<Args> {
        let mut params: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
        let (caller, callee) = (self.site.options.isolate, self.callee.options.isolate);
        if caller == callee {
            self.params_within(cx, task, &from.slots, &mut params, &mut from.pending)?;
        } else {
            visit_from(cx, callee, |cx, callee| {
                self.params_across(
                    cx,
                    callee,
                    task,
                    &from.slots,
                    &mut params,
                    &mut from.pending,
                )
            })?;
        }
        if let Some(subtask) = from.subtask {
            let lends = std::mem::take(&mut from.pending.lends);
            cx.data_mut().state.lend(subtask, lends);
        }
        Ok(params[..self.callee.flat_params].into())
    }

    /// Parks the caller, for the driver to run the callee.
    #[expect(clippy::too_many_arguments, reason = "the parts of a call")]
    fn run(
        &self,
        cx: &mut Cx<'_, Baton>,
        task: TaskId,
        thread: ThreadId,
        caller: ThreadId,
        from: FromGuest,
        args: Args,
        then: Then,
    ) -> Flow<Blocked> {
        let data = CallData {
            callee: self.callee.clone(),
            from: From::Guest(Box::new(from)),
        };
        cx.data_mut().concurrent.tasks.insert(task, data);
        let running = Running {
            thread,
            task,
            instance: self.callee.options.instance,
            isolate: self.callee.options.isolate,
            entry: Entry::Lifted,
            suspendable: self.callee.suspendable,
        };
        let run = Run::Core {
            running,
            func: self.callee.core,
            args,
        };
        Flow::Block(Blocked::Request(
            cx.data_mut().take(),
            Request::Run {
                thread: caller,
                run: Box::new(run),
                then,
            },
        ))
    }

    /// Passes the arguments of a call that had to wait, now that it may start. Gives the callee's flat ones.
    pub(super) fn start_later(place: &mut Baton, task: TaskId) -> Result<Args> {
        let Some(mut data) = place.concurrent.tasks.remove(task) else {
            anyhow::bail!(crate::error::bug("a task has no call"));
        };
        let From::Guest(from) = &mut data.from else {
            anyhow::bail!(crate::error::bug("a call of the host starts as a guest's"));
        };
        let caller = from.call.site.options.isolate;
        let call = from.call.clone();
        let result = super::deliver::visit(place, caller, |cx| call.pass_args(cx, task, from));
        place.concurrent.tasks.insert(task, data);
        result
    }

    /// Gives back what a synchronous call has borrowed.
    pub(super) fn end_sync(place: &mut Baton, from: &mut FromGuest) {
        let mut lends: Lends = std::mem::take(&mut from.pending.lends);
        place
            .state
            .give_back(from.call.site.options.instance, &mut lends);
    }
}

/// The thread whose code runs: there is one wherever a guest calls.
pub(super) fn current_thread(state: &State) -> Result<ThreadId> {
    state
        .current_thread()
        .context(crate::error::bug("a guest calls without a thread"))
}

/// Control has come back from a call, or it waits to start: its caller goes on, or waits for it. A flat result is in `slots` already.
pub(super) fn caller_goes_on(
    cx: &mut Cx<'_, Baton>,
    slots: &mut [u64],
    caller: ThreadId,
    subtask: WaitableId,
    async_: bool,
) -> Result<Flow<Blocked>> {
    let state = &mut cx.data_mut().state;
    match state.lower_returned(subtask, async_, &mut Fair)? {
        LowerStep::Return(_) if !async_ => Ok(Flow::Return),
        LowerStep::Return(code) => {
            slots[0] = code.into();
            Ok(Flow::Return)
        }
        LowerStep::Block => {
            let request = Request::Blocked {
                thread: caller,
                memory: None,
            };
            Ok(Flow::Block(Blocked::Request(cx.data_mut().take(), request)))
        }
    }
}
