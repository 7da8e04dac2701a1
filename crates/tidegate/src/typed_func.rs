//! Functions that components export, called with Rust values.

use crate::baton::HomeGuard;
use crate::call::host::{call_plain, call_suspendable};
use crate::concurrent::{Begin, ConcurrentCall, LaterArgs, begin_call};
use crate::interrupt::{block_on, block_on_within};
use crate::{Accessor, AsContextMut, Func, HasData, Result};
use std::marker::PhantomData;
use tidegate_core::abi::{FlatWriter, LiftResult, LowerContext, LowerParams, MAX_FLAT_PARAMS};
use tidegate_core::types::FuncTypeIdx;

/// A [`Func`] whose type has been checked: `P` is a tuple of parameters, `R` is `()` or a tuple of one result.
pub struct TypedFunc<P, R> {
    func: Func,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        Self::new(self.func.clone())
    }
}

impl<P, R> TypedFunc<P, R> {
    pub(crate) fn new(func: Func) -> Self {
        Self {
            func,
            types: PhantomData,
        }
    }

    /// The function without its types.
    pub fn func(&self) -> &Func {
        &self.func
    }
}

impl<P: LowerParams + Send + Sync, R: LiftResult + Send + 'static> TypedFunc<P, R> {
    /// Calls it. Should the guest wait, this thread waits.
    ///
    /// # Errors
    /// The guest's trap: its instance cannot be used again then.
    pub fn call(&self, mut store: impl AsContextMut, params: P) -> Result<R> {
        let callee = &self.func.callee;
        if callee.is_concurrent() {
            let place = store.as_context_mut().slot;
            self.func.check_store(place)?;
            let mut opened = None;
            let callee = self.func.entered(place, &mut opened)?;
            let lower = |cx: &mut LowerContext<'_>, ty, dst: &mut FlatWriter<'_>| {
                lower(&params, cx, ty, dst)
            };
            return match begin_call(place, callee, lower, R::lift_result) {
                Begin::Ended(result) => result,
                Begin::Drive(call) => {
                    block_on_within(place.control.clone(), call.finish(place, callee))
                }
            };
        }
        if callee.suspendable {
            let control = store.as_context_mut().slot.control.clone();
            return block_on(control, self.call_async(store, params));
        }
        let place = store.as_context_mut().slot;
        self.func.check_store(place)?;
        call_plain(
            place,
            callee,
            |cx, ty, dst| lower(&params, cx, ty, dst),
            R::lift_result,
        )
    }

    /// Calls it, waiting where the guest waits.
    ///
    /// The future may be dropped. A task in whose function nothing is under way but waits that the Component Model knows of is cancelled, when the store is driven
    /// again (`subtask.cancel`): it learns of it and may clean up, and its instance stays usable. Otherwise, which is in the middle of a call of a host
    /// function that holds the store or of code that was interrupted, the guest is ended where it is, and its instance cannot be used again. The store stays
    /// usable.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_async(&self, mut store: impl AsContextMut, params: P) -> Result<R> {
        let callee = &self.func.callee;
        let place = store.as_context_mut().slot;
        self.func.check_store(place)?;
        let mut opened = None;
        if callee.is_concurrent() {
            let callee = self.func.entered(place, &mut opened)?;
            let lower = |cx: &mut LowerContext<'_>, ty, dst: &mut FlatWriter<'_>| {
                lower(&params, cx, ty, dst)
            };
            return match begin_call(place, callee, lower, R::lift_result) {
                Begin::Ended(result) => result,
                Begin::Drive(call) => call.finish(place, callee).await,
            };
        }
        if !callee.suspendable {
            return call_plain(
                place,
                callee,
                |cx, ty, dst| lower(&params, cx, ty, dst),
                R::lift_result,
            );
        }
        let callee = self.func.entered(place, &mut opened)?;
        let mut guard = HomeGuard::new(place);
        let baton = guard.take();
        let call = call_suspendable(
            baton,
            callee,
            |cx, ty, dst| lower(&params, cx, ty, dst),
            R::lift_result,
        );
        let (baton, result) = call.await;
        guard.put(baton);
        result
    }
}

impl<P: LowerParams + Send + 'static, R: LiftResult + Send + 'static> TypedFunc<P, R> {
    /// Calls it beside other calls. The future goes on while the store is driven, by [`run_concurrent`](crate::StoreContextMut::run_concurrent); dropping it
    /// cancels the call.
    ///
    /// # Errors
    /// The guest's trap; [`CallCancelled`](crate::CallCancelled); a function of another store; [`StoreInUse`](crate::StoreInUse).
    pub fn call_concurrent<T: Send + 'static, D: HasData>(
        &self,
        accessor: &Accessor<T, D>,
        params: P,
    ) -> ConcurrentCall<R> {
        let args: LaterArgs = Box::new(move |cx, ty, dst| lower(&params, cx, ty, dst));
        ConcurrentCall::new(accessor, &self.func, args, R::lift_result)
    }
}

#[inline]
fn lower<P: LowerParams>(
    params: &P,
    cx: &mut LowerContext<'_>,
    ty: FuncTypeIdx,
    dst: &mut FlatWriter<'_>,
) -> Result<()> {
    params.lower_params(cx, ty, MAX_FLAT_PARAMS, dst)
}

impl<P, R> std::fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TypedFunc").finish_non_exhaustive()
    }
}
