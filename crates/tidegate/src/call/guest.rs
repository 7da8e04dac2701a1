//! Calls from guest to guest: values move from memory to memory.

use super::canon::{CallSite, Callee, CanonOptions};
use super::enter::{Entered, Slots, return_isolate};
use super::host::on_stack;
use super::memories::{Across, Within};
use crate::baton::{Baton, Blocked};
use crate::concurrent::{reachable, visit_from};
use crate::group::Door;
use crate::link::CoreBody;
use anyhow::Result;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tidegate_core::abi::{
    FlatReader, FlatWriter, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, Program, Side, Transfer,
    TransferContext, transfer_params, transfer_result,
};
use tidegate_core::plan::{Lift, Options, OptionsIdx, Plan};
use tidegate_core::runtime::{Lends, TaskId};
use tidegate_core::trap::Trap;
use tidegate_core::types::FuncTypeIdx;
use tidegate_engine::{Cx, Flow, HostFn, Isolate, Job};

/// How the values of one lowered function move: compiled once per component.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) params: Program,
    pub(crate) result: Option<Program>,
}

impl Programs {
    /// For a function lowered with some options and a type, and lifted with others.
    pub(crate) fn new(
        plan: &Plan,
        lowered: (FuncTypeIdx, OptionsIdx),
        lift: &Lift,
    ) -> Result<Self> {
        let side = |options: OptionsIdx| {
            let options: &Options = &plan.options[options.index()];
            Side {
                memory64: options.memory64,
                encoding: options.encoding,
                async_: options.async_,
            }
        };
        let caller = (&plan.types, lowered.0, side(lowered.1));
        let callee = (&plan.types, lift.ty, side(lift.options));
        Ok(Self {
            params: Program::params(caller, callee)?,
            result: Program::result(callee, caller)?,
        })
    }
}

/// A lowered function and the function behind it.
#[derive(Clone)]
pub(crate) struct GuestCall {
    pub(crate) site: Arc<CallSite>,
    pub(crate) callee: Arc<Callee>,
    pub(crate) programs: Arc<Programs>,
    /// Whether the caller runs on a stack of its own, which can be parked.
    pub(crate) parks: bool,
}

/// What the caller of a call that is under way keeps.
#[derive(Default)]
pub(crate) struct Pending {
    /// What the callee has borrowed.
    pub(crate) lends: Lends,
    /// The word that follows the parameters, if any: where results go that do not fit flat.
    pub(crate) out: Option<u64>,
}

impl GuestCall {
    /// What the core function does, which parks its caller if `blocks`. `door` is what adapters know of whether the caller may leave.
    pub(crate) fn body(self, blocks: bool, door: Option<Door>) -> CoreBody {
        if blocks {
            CoreBody::Blocking(Box::new(move |mut cx, slots| {
                self.call_waiting(&mut cx, slots)
            }))
        } else if self.site.options.isolate == self.callee.options.isolate {
            let call: HostFn<Baton> =
                Box::new(move |mut cx, slots| self.call_within(&mut cx, slots));
            CoreBody::Plain(Door::guard(door, call))
        } else {
            CoreBody::Plain(Box::new(move |mut cx, slots| {
                self.call_across(&mut cx, slots)
            }))
        }
    }

    /// A call within one isolate.
    pub(crate) fn call_within(&self, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<()> {
        let site = &self.site.options;
        cx.data_mut()
            .state
            .check_call(site.instance, self.callee.options.instance)?;
        let mut pending = Pending::default();
        let result = self.callee.with_slots(|values| {
            let from = Some(site.instance);
            let entered = self.callee.enter(cx, from, values, |cx, task, params| {
                self.params_within(cx, task, slots, params, &mut pending)
            })?;
            self.callee.run(cx, entered, values, |cx, task, results| {
                self.result_within(cx, task, results, slots, &mut pending)
            })
        });
        cx.data_mut()
            .state
            .give_back(site.instance, &mut pending.lends);
        result
    }

    /// A call into another isolate, on the caller's stack.
    ///
    /// # Errors
    /// A trap, its own or one that the callee has ended with.
    pub(crate) fn call_across(&self, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<()> {
        let site = &self.site.options;
        cx.data_mut()
            .state
            .check_call(site.instance, self.callee.options.instance)?;
        let target = self.callee.options.isolate;
        if !reachable(cx.data(), target) {
            return Err(Trap::CannotEnter.into());
        }
        let mut pending = Pending::default();
        let result = visit_from(cx, target, |cx, callee| {
            self.callee.with_slots(|values| {
                let entered = self.enter_across(cx, callee, slots, values, &mut pending)?;
                self.callee
                    .run(callee, entered, values, |callee, task, results| {
                        self.result_across(cx, callee, task, results, slots, &mut pending)
                    })
            })
        });
        cx.data_mut()
            .state
            .give_back(site.instance, &mut pending.lends);
        result
    }

    /// A call into another isolate that runs on a stack of its own, and parks the caller while the callee is parked.
    fn call_waiting(&self, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>> {
        cx.data_mut()
            .state
            .check_call(self.site.options.instance, self.callee.options.instance)?;
        let mut isolate = self.callee.take_isolate(cx.data_mut())?;
        let mut pending = Pending::default();
        let mut values: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
        let entered = self.enter_across(cx, &mut isolate.cx(), slots, &mut values, &mut pending);
        let entered = match entered {
            Ok(entered) => entered,
            Err(error) => {
                self.back(cx, isolate, pending);
                return Err(error);
            }
        };
        let call = self.clone();
        run_parked(
            cx,
            slots,
            self.callee.clone(),
            isolate,
            values,
            move |cx, slots, ran| {
                let Ran {
                    mut isolate,
                    values,
                    result,
                } = ran;
                let result = call.callee.finish(
                    &mut isolate.cx(),
                    entered,
                    &values,
                    result,
                    |callee, task, results| {
                        call.result_across(cx, callee, task, results, slots, &mut pending)
                    },
                );
                call.back(cx, isolate, pending);
                result
            },
        )
    }

    fn enter_across(
        &self,
        caller: &mut Cx<'_, Baton>,
        callee: &mut Cx<'_, Baton>,
        slots: &[u64],
        values: &mut [u64],
        pending: &mut Pending,
    ) -> Result<Entered> {
        let from = Some(self.site.options.instance);
        self.callee
            .enter(callee, from, values, |callee, task, params| {
                self.params_across(caller, callee, task, slots, params, pending)
            })
    }

    /// Passes the arguments of a call within one isolate.
    pub(crate) fn params_within(
        &self,
        cx: &mut Cx<'_, Baton>,
        task: TaskId,
        slots: &[u64],
        params: &mut [u64],
        pending: &mut Pending,
    ) -> Result<()> {
        let mut x = Within::new(cx, &self.site.options, &self.callee.options);
        self.pass_params(&mut x, task, slots, params, pending)
    }

    /// Passes the result of a call within one isolate.
    pub(crate) fn result_within(
        &self,
        cx: &mut Cx<'_, Baton>,
        task: TaskId,
        results: &[u64],
        slots: &mut [u64],
        pending: &mut Pending,
    ) -> Result<()> {
        let mut x = Within::new(cx, &self.callee.options, &self.site.options);
        self.pass_result(&mut x, task, results, slots, pending)
    }

    /// Passes the arguments of a call into another isolate, which has the baton.
    pub(crate) fn params_across(
        &self,
        caller: &mut Cx<'_, Baton>,
        callee: &mut Cx<'_, Baton>,
        task: TaskId,
        slots: &[u64],
        params: &mut [u64],
        pending: &mut Pending,
    ) -> Result<()> {
        let (from, to) = (&self.site.options, &self.callee.options);
        let mut x = Across::new((caller.reborrow(), from), (callee.reborrow(), to));
        self.pass_params(&mut x, task, slots, params, pending)
    }

    /// Passes the result, for which the baton goes to the caller's isolate: its `realloc` may run.
    fn result_across(
        &self,
        caller: &mut Cx<'_, Baton>,
        callee: &mut Cx<'_, Baton>,
        task: TaskId,
        results: &[u64],
        slots: &mut [u64],
        pending: &mut Pending,
    ) -> Result<()> {
        *caller.data_mut() = callee.data_mut().take();
        let result = self.result_from(caller, callee, task, results, slots, pending);
        *callee.data_mut() = caller.data_mut().take();
        result
    }

    /// Passes the result of a call into another isolate, when the caller's has the baton.
    pub(crate) fn result_from(
        &self,
        caller: &mut Cx<'_, Baton>,
        callee: &mut Cx<'_, Baton>,
        task: TaskId,
        results: &[u64],
        slots: &mut [u64],
        pending: &mut Pending,
    ) -> Result<()> {
        let (from, to) = (&self.callee.options, &self.site.options);
        let mut x = Across::new((callee.reborrow(), from), (caller.reborrow(), to));
        self.pass_result(&mut x, task, results, slots, pending)
    }

    /// Gives the callee's isolate back, and to the caller what it lent.
    fn back(&self, cx: &mut Cx<'_, Baton>, isolate: Isolate<Baton>, mut pending: Pending) {
        *cx.data_mut() = return_isolate(isolate, self.callee.options.isolate);
        cx.data_mut()
            .state
            .give_back(self.site.options.instance, &mut pending.lends);
    }

    fn pass_params(
        &self,
        x: &mut impl Transfer,
        task: TaskId,
        slots: &[u64],
        params: &mut [u64],
        pending: &mut Pending,
    ) -> Result<()> {
        let (caller, callee) = (&self.site.options, &self.callee.options);
        let mut src = FlatReader::new(slots);
        let mut cx = context(caller, callee, &mut pending.lends, task);
        transfer_params(
            &self.programs.params,
            &mut cx,
            x,
            &mut src,
            &mut FlatWriter::new(params),
        )?;
        pending.out = src.rest().first().copied();
        Ok(())
    }

    fn pass_result(
        &self,
        x: &mut impl Transfer,
        task: TaskId,
        results: &[u64],
        slots: &mut [u64],
        pending: &mut Pending,
    ) -> Result<()> {
        let Some(program) = &self.programs.result else {
            return Ok(());
        };
        // Results hold no borrows, so the callee lends nothing.
        let mut lends = Lends::default();
        let mut cx = context(&self.callee.options, &self.site.options, &mut lends, task);
        let mut src = FlatReader::new(results);
        let mut out = FlatReader::new(pending.out.as_slice());
        transfer_result(
            program,
            &mut cx,
            x,
            &mut src,
            &mut out,
            &mut FlatWriter::new(slots),
        )
    }
}

fn context<'a>(
    source: &'a CanonOptions,
    target: &'a CanonOptions,
    lends: &'a mut Lends,
    task: TaskId,
) -> TransferContext<'a> {
    TransferContext {
        source: source.instance,
        source_types: source.shared.types(),
        source_resources: &source.shared.resources,
        lends,
        target: target.instance,
        target_resources: &target.shared.resources,
        task,
    }
}

/// Core code of a callee that has run on a stack of its own.
pub(super) struct Ran {
    pub(super) isolate: Isolate<Baton>,
    pub(super) values: Slots,
    pub(super) result: Result<()>,
}

/// Runs a callee on a stack of its own; when it is through, now or after parking the caller, `finish` ends the call in the caller's context. It
/// puts the baton, which is in the callee's isolate, back into the caller's.
pub(super) fn run_parked(
    cx: &mut Cx<'_, Baton>,
    slots: &mut [u64],
    callee: Arc<Callee>,
    isolate: Isolate<Baton>,
    mut values: Slots,
    finish: impl FnOnce(&mut Cx<'_, Baton>, &mut [u64], Ran) -> Result<()> + Send + 'static,
) -> Result<Flow<Blocked>> {
    let mut future = Box::pin(async move {
        let (isolate, result) = on_stack(isolate, &callee, &mut values).await;
        Ran {
            isolate,
            values,
            result,
        }
    });
    // Whoever runs the caller's stack polls the future again at once with a waker of its own.
    if let Poll::Ready(ran) = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        finish(cx, slots, ran)?;
        return Ok(Flow::Return);
    }
    Ok(Flow::Block(Blocked::waiting(async move {
        let ran = future.await;
        let job: Job<Baton> = Box::new(move |mut cx, slots| {
            finish(&mut cx, slots, ran)?;
            Ok(Flow::Return)
        });
        job
    })))
}
