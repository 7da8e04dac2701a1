//! Functions that components export, called with dynamic values.

use crate::baton::{Baton, HomeGuard};
use crate::call::canon::Callee;
use crate::call::host::{LowerArgs, call_plain, call_suspendable};
use crate::concurrent::{Begin, ConcurrentCall, LaterArgs, begin_call};
use crate::interrupt::{block_on, block_on_within};
use crate::link::Reexport;
use crate::{Accessor, AsContextMut, Error, HasData, Result, TypedFunc, Val};
use anyhow::bail;
use std::sync::Arc;
use tidegate_core::abi::{
    FlatWriter, LiftResult, LowerContext, LowerParams, MAX_FLAT_PARAMS, TypeContext,
    lift_result_val, lower_param_vals,
};
use tidegate_core::types::{FuncType, Types};

/// A function that a component instance exports. Cheap to clone; it belongs to its instance's store.
#[derive(Clone)]
pub struct Func {
    /// What is called; of a function of the host's, one of its doors, which others may use.
    pub(crate) callee: Arc<Callee>,
    /// If its component exports it as it was imported.
    pub(crate) reexport: Option<Arc<Reexport>>,
}

/// A function of another store was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the function belongs to another store than the one that it was called with")]
pub struct WrongStore;

impl Func {
    /// Its type, and the types that its parts refer to.
    pub fn ty(&self) -> (&FuncType, &Types) {
        let types = self.callee.options.shared.types();
        // Every function that is exported was lifted with a type.
        (
            self.callee
                .func_type()
                .expect("an exported function has a type"),
            types,
        )
    }

    /// Checks that parameters and result are of these Rust types, after which calls need no checks.
    ///
    /// # Errors
    /// [`TypeMismatch`](tidegate_core::abi::TypeMismatch).
    pub fn typed<P: LowerParams, R: LiftResult>(&self) -> Result<TypedFunc<P, R>> {
        let shared = &self.callee.options.shared;
        let cx = TypeContext {
            types: shared.types(),
            resource_kinds: &shared.kinds,
        };
        let ty = self.callee.func_type()?;
        P::typecheck_params(ty, &cx)?;
        R::typecheck_result(ty, &cx)?;
        Ok(TypedFunc::new(self.clone()))
    }

    /// Calls it. `results` must have as many elements as the function has results: none or one. Should the guest wait, this thread waits.
    ///
    /// # Errors
    /// Values that do not fit the type, or the guest's trap: its instance cannot be used again then.
    pub fn call(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let place = store.as_context_mut().slot;
        self.check(place, results)?;
        let mut opened = None;
        let result = if self.callee.is_concurrent() {
            let callee = self.entered(place, &mut opened)?;
            match begin_call(place, callee, lower(params), lift_result_val) {
                Begin::Ended(result) => result?,
                Begin::Drive(call) => {
                    block_on_within(place.control.clone(), call.finish(place, callee))?
                }
            }
        } else if self.callee.suspendable {
            let control = place.control.clone();
            block_on(control, self.call_on_stack(place, params))?
        } else {
            call_plain(place, &self.callee, lower(params), lift_result_val)?
        };
        assign(results, result);
        Ok(())
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
    pub async fn call_async(
        &self,
        mut store: impl AsContextMut,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<()> {
        let place = store.as_context_mut().slot;
        self.check(place, results)?;
        let mut opened = None;
        let result = if self.callee.is_concurrent() {
            let callee = self.entered(place, &mut opened)?;
            match begin_call(place, callee, lower(params), lift_result_val) {
                Begin::Ended(result) => result?,
                Begin::Drive(call) => call.finish(place, callee).await?,
            }
        } else {
            self.call_on_stack(place, params).await?
        };
        assign(results, result);
        Ok(())
    }

    /// Calls it beside other calls; the result is `None` if the function has none. As [`TypedFunc::call_concurrent`].
    ///
    /// # Errors
    /// As there, and values that do not fit the type.
    pub fn call_concurrent<T: Send + 'static, D: HasData>(
        &self,
        accessor: &Accessor<T, D>,
        params: Vec<Val>,
    ) -> ConcurrentCall<Option<Val>> {
        let args: LaterArgs =
            Box::new(move |cx, ty, dst| lower_param_vals(&params, cx, ty, MAX_FLAT_PARAMS, dst));
        ConcurrentCall::new(accessor, self, args, lift_result_val)
    }

    async fn call_on_stack(&self, place: &mut Baton, params: &[Val]) -> Result<Option<Val>> {
        let mut opened = None;
        let callee = self.entered(place, &mut opened)?;
        let mut guard = HomeGuard::new(place);
        let call = call_suspendable(guard.take(), callee, lower(params), lift_result_val);
        let (baton, result) = call.await;
        guard.put(baton);
        result
    }

    fn check(&self, place: &Baton, results: &[Val]) -> Result<()> {
        self.check_store(place)?;
        let expected = usize::from(self.callee.func_type()?.result.is_some());
        if results.len() != expected {
            bail!(
                "the function has {expected} results, but there is room for {}",
                results.len()
            );
        }
        Ok(())
    }

    /// What a call enters.
    pub(crate) fn open(&self, place: &mut Baton) -> Result<Arc<Callee>> {
        match &self.reexport {
            None => Ok(self.callee.clone()),
            Some(reexport) => reexport.open(place),
        }
    }

    /// The same, borrowed; `opened` keeps it meanwhile.
    #[inline]
    pub(crate) fn entered<'a>(
        &'a self,
        place: &mut Baton,
        opened: &'a mut Option<Arc<Callee>>,
    ) -> Result<&'a Arc<Callee>> {
        match &self.reexport {
            None => Ok(&self.callee),
            Some(reexport) => Ok(opened.insert(reexport.open(place)?)),
        }
    }

    #[inline]
    pub(crate) fn check_store(&self, place: &Baton) -> Result<(), Error> {
        if place.id == self.callee.options.shared.store {
            Ok(())
        } else {
            Err(WrongStore.into())
        }
    }
}

fn lower(params: &[Val]) -> impl LowerArgs {
    |cx: &mut LowerContext<'_>, ty, dst: &mut FlatWriter<'_>| {
        lower_param_vals(params, cx, ty, MAX_FLAT_PARAMS, dst)
    }
}

fn assign(results: &mut [Val], result: Option<Val>) {
    if let (Some(slot), Some(result)) = (results.first_mut(), result) {
        *slot = result;
    }
}

impl std::fmt::Debug for Func {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Func").finish_non_exhaustive()
    }
}
