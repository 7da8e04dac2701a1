//! Functions that the host defines, with the types of the store and of the parameters erased.

use super::waiting::call_waiting;
use crate::baton::{Baton, Blocked, Home};
use crate::call::canon::CallSite;
use crate::concurrent::{Begun, FunctionId, Signal, call_host_function};
use crate::{Accessor, Result, StoreContextMut, Val};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tidegate_core::abi::{
    FlatReader, FlatWriter, LiftContext, LiftParams, LowerContext, LowerResult,
    MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS, TypeContext,
    TypeMismatch, lift_param_vals, lower_result_val,
};
use tidegate_core::runtime::{Lends, State, SubtaskState, TaskId};
use tidegate_core::types::{FuncType, FuncTypeIdx};
use tidegate_engine::{BlockingHostFn, Cx, Flow, HostFn};

pub(super) type Check =
    Box<dyn Fn(&FuncType, &TypeContext<'_>) -> Result<(), TypeMismatch> + Send + Sync>;
/// Makes the core function of a call site.
pub(super) type Define = Box<dyn Fn(Arc<CallSite>) -> HostFn<Baton> + Send + Sync>;
/// Makes that of one that may wait.
pub(super) type DefineWaiting = Box<dyn Fn(Arc<CallSite>) -> BlockingHostFn<Baton> + Send + Sync>;
/// What a function that runs beside others returns.
pub(crate) type PinFuture<'a, R> = Pin<Box<dyn Future<Output = Result<R>> + Send + 'a>>;

type BoxFuture<'a, R> = Box<dyn Future<Output = Result<R>> + Send + 'a>;

/// The destructor of a resource that the host implements: given the representation.
pub(crate) enum HostDtor {
    /// It never waits.
    Sync(DtorCall),
    /// It may wait.
    Waiting(Box<dyn Fn(Baton, u32) -> DtorFuture + Send + Sync>),
}

type DtorCall = Box<dyn Fn(&mut Baton, u32) -> Result<()> + Send + Sync>;

/// A destructor that waits: it has the baton, and gives it back.
pub(crate) type DtorFuture = Pin<Box<dyn Future<Output = (Baton, Result<()>)> + Send>>;

impl HostDtor {
    pub(crate) fn sync<T, F>(func: F) -> Self
    where
        T: Send + 'static,
        F: Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync + 'static,
    {
        Self::Sync(Box::new(move |baton, rep| {
            func(StoreContextMut::new(baton), rep)
        }))
    }

    pub(crate) fn waiting<T, F>(func: F) -> Self
    where
        T: Send + 'static,
        F: for<'a> Fn(StoreContextMut<'a, T>, u32) -> BoxFuture<'a, ()> + Send + Sync + 'static,
    {
        let func = Arc::new(func);
        Self::Waiting(Box::new(move |mut baton, rep| {
            let func = func.clone();
            Box::pin(async move {
                let result = Pin::from(func(StoreContextMut::new(&mut baton), rep)).await;
                (baton, result)
            })
        }))
    }

    /// Whether it may wait.
    pub(crate) fn may_wait(&self) -> bool {
        matches!(self, Self::Waiting(_))
    }
}

/// A function of the host.
pub(crate) struct HostFunc {
    pub(super) check: Check,
    pub(crate) body: Body,
}

/// How a host function is called.
pub(crate) enum Body {
    /// It never waits.
    Sync(Define),
    /// It may wait, and so needs a stack that can be parked.
    Waiting(DefineWaiting),
    /// It may wait while others run.
    Concurrent(DefineWaiting),
}

impl Body {
    /// A function that never waits. One function is made for each call site, which it knows: a call looks nothing up.
    pub(super) fn sync<F>(call: F) -> Self
    where
        F: Fn(&mut Cx<'_, Baton>, &CallSite, &mut [u64]) -> Result<()> + Send + Sync + 'static,
    {
        let call = Arc::new(call);
        Self::Sync(Box::new(move |site| {
            let call = call.clone();
            Box::new(move |mut cx, slots| call(&mut cx, &site, slots))
        }))
    }
}

/// The same for a function that may wait.
pub(super) fn define_waiting<F>(call: F) -> DefineWaiting
where
    F: Fn(&mut Cx<'_, Baton>, &Arc<CallSite>, &mut [u64]) -> Result<Flow<Blocked>>
        + Send
        + Sync
        + 'static,
{
    let call = Arc::new(call);
    Box::new(move |site| {
        let call = call.clone();
        Box::new(move |mut cx, slots| call(&mut cx, &site, slots))
    })
}

impl HostFunc {
    /// Checks it against the type that its importer gives it.
    pub(crate) fn check(&self, ty: &FuncType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        (self.check)(ty, cx)
    }

    /// A typed function.
    pub(crate) fn sync<T, F, P, R>(func: F) -> Self
    where
        T: Send + 'static,
        F: Fn(StoreContextMut<'_, T>, P) -> Result<R> + Send + Sync + 'static,
        P: LiftParams + 'static,
        R: LowerResult + 'static,
    {
        let call = move |cx: &mut Cx<'_, Baton>, site: &CallSite, slots: &mut [u64]| {
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, P::lift_params)?;
            let result = func(StoreContextMut::new(cx.data_mut()), params);
            call.end(cx, site, slots, result)
        };
        Self {
            check: typecheck::<P, R>(),
            body: Body::sync(call),
        }
    }

    /// A typed function that returns a future.
    pub(crate) fn waiting<T, F, P, R>(func: F) -> Self
    where
        T: Send + 'static,
        F: for<'a> Fn(StoreContextMut<'a, T>, P) -> BoxFuture<'a, R> + Send + Sync + 'static,
        P: LiftParams + Send + 'static,
        R: LowerResult + Send + 'static,
    {
        let (func, function) = (Arc::new(func), FunctionId::next());
        let define = define_waiting(move |cx, site, slots| {
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, P::lift_params)?;
            let begun = Begun {
                function,
                call: &mut call,
            };
            let make = || func.clone();
            call_waiting(cx, site, slots, begun, make, |func, mut baton| async move {
                let result = Pin::from(func(StoreContextMut::new(&mut baton), params)).await;
                (func, baton, result)
            })
        });
        Self {
            check: typecheck::<P, R>(),
            body: Body::Waiting(define),
        }
    }

    /// A typed function that runs beside others.
    pub(crate) fn concurrent<T, F, P, R>(func: F) -> Self
    where
        T: Send + 'static,
        F: Fn(&Accessor<T>, P) -> PinFuture<'_, R> + Send + Sync + 'static,
        P: LiftParams + Send + 'static,
        R: LowerResult + Send + 'static,
    {
        let (func, function) = (Arc::new(func), FunctionId::next());
        let define = define_waiting(move |cx, site, slots| {
            check_sync_lower(cx, site)?;
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, P::lift_params)?;
            let begun = Begun {
                function,
                call: &mut call,
            };
            let make = |home, signal| Kit::new(home, signal, &func);
            call_host_function(cx, site, slots, begun, make, |kit| run(kit, params))
        });
        Self {
            check: typecheck::<P, R>(),
            body: Body::Concurrent(define),
        }
    }

    /// A function over dynamic values that runs beside others.
    pub(crate) fn dynamic_concurrent<T, F>(func: F) -> Self
    where
        T: Send + 'static,
        F: Fn(&Accessor<T>, Vec<Val>) -> PinFuture<'_, Option<Val>> + Send + Sync + 'static,
    {
        let (func, function) = (Arc::new(func), FunctionId::next());
        let define = define_waiting(move |cx, site, slots| {
            check_sync_lower(cx, site)?;
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, lift_param_vals)?;
            let begun = Begun {
                function,
                call: &mut call,
            };
            let make = |home, signal| Kit::new(home, signal, &func);
            call_host_function(cx, site, slots, begun, make, |kit| async move {
                let (kit, result) = run(kit, params).await;
                (kit, result.map(DynamicResult))
            })
        });
        Self {
            check: Box::new(|_, _| Ok(())),
            body: Body::Concurrent(define),
        }
    }

    /// A function over dynamic values.
    pub(crate) fn dynamic<T, F>(func: F) -> Self
    where
        T: Send + 'static,
        F: Fn(StoreContextMut<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    {
        let call = move |cx: &mut Cx<'_, Baton>, site: &CallSite, slots: &mut [u64]| {
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, lift_param_vals)?;
            let mut results = DynamicResult::new(site.func_type());
            let result = func(
                StoreContextMut::new(cx.data_mut()),
                &params,
                results.slots(),
            );
            call.end(cx, site, slots, result.map(|()| results))
        };
        Self {
            check: Box::new(|_, _| Ok(())),
            body: Body::sync(call),
        }
    }

    /// A function over dynamic values that returns a future.
    pub(crate) fn dynamic_waiting<T, F>(func: F) -> Self
    where
        T: Send + 'static,
        F: for<'a> Fn(StoreContextMut<'a, T>, &'a [Val], &'a mut [Val]) -> BoxFuture<'a, ()>
            + Send
            + Sync
            + 'static,
    {
        let (func, function) = (Arc::new(func), FunctionId::next());
        let define = define_waiting(move |cx, site, slots| {
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, lift_param_vals)?;
            let mut results = DynamicResult::new(site.func_type());
            let begun = Begun {
                function,
                call: &mut call,
            };
            let make = || func.clone();
            call_waiting(cx, site, slots, begun, make, |func, mut baton| async move {
                let store = StoreContextMut::new(&mut baton);
                let result = Pin::from(func(store, &params, results.slots())).await;
                (func, baton, result.map(|()| results))
            })
        });
        Self {
            check: Box::new(|_, _| Ok(())),
            body: Body::Waiting(define),
        }
    }
}

/// What the future of a concurrent function is made with, for one call after another.
struct Kit<T: Send + 'static, F> {
    accessor: Accessor<T>,
    func: Arc<F>,
}

impl<T: Send + 'static, F> Kit<T, F> {
    /// In a box, as it is moved into each future and out again.
    fn new(home: Home, signal: Arc<Signal>, func: &Arc<F>) -> Box<Self> {
        // It does nothing but by a call.
        home.add_idle();
        Box::new(Self {
            accessor: Accessor::new(home, Some(signal)),
            func: func.clone(),
        })
    }
}

impl<T: Send + 'static, F> Drop for Kit<T, F> {
    fn drop(&mut self) {
        self.accessor.home().remove_idle();
    }
}

/// One call of a concurrent function. A block rather than an `async fn`, which would move its parameters once more.
#[allow(clippy::manual_async_fn)]
fn run<T, F, P, R>(
    kit: Box<Kit<T, F>>,
    params: P,
) -> impl Future<Output = (Box<Kit<T, F>>, Result<R>)> + Send
where
    T: Send + 'static,
    F: Fn(&Accessor<T>, P) -> PinFuture<'_, R> + Send + Sync + 'static,
    P: Send,
    R: Send,
{
    async move {
        let result = (kit.func)(&kit.accessor, params).await;
        (kit, result)
    }
}

/// A synchronous call of an `async` function must be one that may block, whether it will or not.
#[inline]
fn check_sync_lower(cx: &mut Cx<'_, Baton>, site: &CallSite) -> Result<()> {
    if site.async_type && !site.async_ {
        let (state, instance) = (&mut cx.data_mut().state, site.options.instance);
        state.check_may_leave(instance)?;
        state.check_sync_lower(instance)?;
    }
    Ok(())
}

pub(super) fn typecheck<P: LiftParams, R: LowerResult>() -> Check {
    Box::new(|ty, cx| {
        P::typecheck_params(ty, cx)?;
        R::typecheck_result(ty, cx)
    })
}

/// What a host function gives, as it is lowered into its caller.
pub(crate) trait HostResult {
    /// Lowers it: see [`LowerResult::lower_result`].
    ///
    /// # Errors
    /// As there.
    fn lower(
        &self,
        cx: &mut LowerContext<'_>,
        ty: FuncTypeIdx,
        max_flat: usize,
        out: &mut FlatReader<'_>,
        dst: &mut FlatWriter<'_>,
    ) -> Result<()>;
}

impl<R: LowerResult> HostResult for R {
    #[inline]
    fn lower(
        &self,
        cx: &mut LowerContext<'_>,
        ty: FuncTypeIdx,
        max_flat: usize,
        out: &mut FlatReader<'_>,
        dst: &mut FlatWriter<'_>,
    ) -> Result<()> {
        self.lower_result(cx, ty, max_flat, out, dst)
    }
}

/// The results of a function over dynamic values: none or one.
struct DynamicResult(Option<Val>);

impl DynamicResult {
    fn new(ty: &FuncType) -> Self {
        Self(ty.result.map(|_| Val::Bool(false)))
    }

    fn slots(&mut self) -> &mut [Val] {
        self.0.as_mut_slice()
    }
}

impl HostResult for DynamicResult {
    fn lower(
        &self,
        cx: &mut LowerContext<'_>,
        ty: FuncTypeIdx,
        max_flat: usize,
        out: &mut FlatReader<'_>,
        dst: &mut FlatWriter<'_>,
    ) -> Result<()> {
        lower_result_val(self.0.as_ref(), cx, ty, max_flat, out, dst)
    }
}

/// A call from a guest to the host that is under way. It stays where it is as long as it can: what is moved soon after it was written is waited for.
#[derive(Default)]
pub(crate) struct HostCall {
    /// What the host has borrowed from the caller.
    lends: Lends,
    /// Counts the borrows that are in the host's own table; `None` if the function takes none.
    task: Option<TaskId>,
    /// The word that follows the parameters, if any: where results go that do not fit flat.
    out: Option<u64>,
}

impl HostCall {
    /// Lifts the parameters: `canon lower`, up to the call.
    #[inline(always)]
    pub(super) fn begin<P>(
        &mut self,
        cx: &mut Cx<'_, Baton>,
        site: &CallSite,
        slots: &[u64],
        lift: impl FnOnce(&mut LiftContext<'_>, FuncTypeIdx, usize, &mut FlatReader<'_>) -> Result<P>,
    ) -> Result<P> {
        let state = &mut cx.data_mut().state;
        state.check_may_leave(site.options.instance)?;
        self.task = site.borrows.then(|| state.add_task());
        let mut src = FlatReader::new(slots);
        let max_flat = if site.async_ {
            MAX_FLAT_ASYNC_PARAMS
        } else {
            MAX_FLAT_PARAMS
        };
        let memory = site.options.memory.filter(|_| !site.flat);
        let params = site
            .options
            .lift_from(memory, cx, &mut self.lends, self.task, |cx| {
                lift(cx, site.ty, max_flat, &mut src)
            });
        match params {
            Ok(params) => {
                self.out = src.rest().first().copied();
                Ok(params)
            }
            Err(error) => {
                self.give_back(cx, site);
                Err(error)
            }
        }
    }

    /// Lowers the result: the rest of `canon lower`.
    #[inline(always)]
    pub(crate) fn end<R: HostResult>(
        &mut self,
        cx: &mut Cx<'_, Baton>,
        site: &CallSite,
        slots: &mut [u64],
        result: Result<R>,
    ) -> Result<()> {
        let result = match result {
            Ok(result) => self.lower(cx, site, slots, &result),
            Err(error) => Err(error),
        };
        self.give_back(cx, site);
        result
    }

    #[inline(always)]
    fn lower<R: HostResult>(
        &mut self,
        cx: &mut Cx<'_, Baton>,
        site: &CallSite,
        slots: &mut [u64],
        result: &R,
    ) -> Result<()> {
        if let Some(task) = self.task {
            cx.data_mut().state.check_borrows(task)?;
        }
        let out = self.out;
        let max_flat = if site.async_ {
            MAX_FLAT_ASYNC_RESULTS
        } else {
            MAX_FLAT_RESULTS
        };
        site.options.lower(cx, None, &mut self.lends, |cx| {
            let mut out = FlatReader::new(out.as_slice());
            let mut dst = FlatWriter::new(slots);
            result.lower(cx, site.ty, max_flat, &mut out, &mut dst)
        })?;
        if let Some(slot) = slots.first_mut().filter(|_| site.async_) {
            *slot = SubtaskState::Returned as u64;
        }
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn give_back(&mut self, cx: &mut Cx<'_, Baton>, site: &CallSite) {
        if let Some(task) = self.task.take() {
            self.end_borrows(task, cx, site);
        }
    }

    #[inline(never)]
    fn end_borrows(&mut self, task: TaskId, cx: &mut Cx<'_, Baton>, site: &CallSite) {
        let state = &mut cx.data_mut().state;
        state.give_back(site.options.instance, &mut self.lends);
        state.remove_task(task);
    }

    /// What the host has borrowed, for somebody else to give back.
    pub(crate) fn take_lends(&mut self) -> Lends {
        std::mem::take(&mut self.lends)
    }

    /// Ends a call without a result; what was borrowed is given back by others.
    pub(crate) fn abandon(self, state: &mut State) {
        if let Some(task) = self.task {
            state.remove_task(task);
        }
    }
}
