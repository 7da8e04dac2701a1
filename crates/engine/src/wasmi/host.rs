//! Calls into guests and out of them, as words.

use wasmi::{AsContextMut, Caller, ResumableCall, StoreContextMut, Val};

use super::{
    convert::{self, Signal},
    cx::WasmiCx,
    isolate::{Blocked, FUEL, HostCall, StoreData},
};
use crate::{
    cx::{Cx, CxInner},
    error::EngineError,
    handles::{Func, FuncInner},
    host_type::HostType,
    instance_pre::{NO_LOCAL, SharedFunc},
    interrupt::Asked,
    isolate::IsolateData,
    signature::Signature,
    stack::{BlockingHostFn, Flow, HostFn},
};

/// Values that a call passes without an allocation.
const FEW: usize = 8;

/// Calls a guest function. Parameters are at the front of `slots` and results come there.
pub(super) fn call<D: IsolateData>(
    store: StoreContextMut<'_, StoreData<D>>,
    func: wasmi::Func,
    signature: &Signature,
    slots: &mut [u64],
) -> Result<(), wasmi::Error> {
    let (params, results) = (
        usize::from(signature.params),
        usize::from(signature.results),
    );
    let mut few = [const { Val::I32(0) }; FEW];
    let mut many;
    let values = if params + results <= FEW {
        &mut few[..params + results]
    } else {
        many = vec![Val::I32(0); params + results];
        &mut many[..]
    };
    let (inputs, outputs) = values.split_at_mut(params);
    for (index, input) in inputs.iter_mut().enumerate() {
        *input = convert::to_val(signature.param(index), slots[index]);
    }
    if store.data().metered {
        call_metered(store, func, inputs, outputs)?;
    } else {
        func.call(store, inputs, outputs)?;
    }
    from_vals(outputs, slots);
    Ok(())
}

/// A call that cannot be suspended, but ended.
fn call_metered<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    func: wasmi::Func,
    inputs: &[Val],
    outputs: &mut [Val],
) -> Result<(), wasmi::Error> {
    let mut ended = func.call_resumable(store.as_context_mut(), inputs, outputs)?;
    loop {
        match ended {
            ResumableCall::Finished => return Ok(()),
            ResumableCall::HostTrap(call) => return Err(call.into_host_error()),
            ResumableCall::OutOfFuel(call) => {
                match store.data_mut().asked() {
                    Asked::End => return Err(wasmi::TrapCode::OutOfFuel.into()),
                    Asked::Yield => store.data().ask_yield(),
                    Asked::Nothing => {}
                }
                store.set_fuel(FUEL.saturating_add(call.required_fuel()))?;
                ended = call.resume(store.as_context_mut(), outputs)?;
            }
        }
    }
}

/// Words from values, all of which are numbers.
pub(super) fn from_vals(values: &[Val], slots: &mut [u64]) {
    for (slot, value) in slots.iter_mut().zip(values) {
        *slot = convert::from_val(value).unwrap_or(0);
    }
}

#[inline]
fn cx<'a, D: IsolateData>(caller: &'a mut Caller<'_, StoreData<D>>) -> Cx<'a, D> {
    Cx {
        inner: CxInner::Wasmi(WasmiCx(caller.as_context_mut())),
    }
}

/// Runs a host function with the words of its parameters, and gives those of its results to the engine.
fn host_call(
    signature: Signature,
    params: &[Val],
    results: &mut [Val],
    call: impl FnOnce(&mut [u64]) -> Result<(), wasmi::Error>,
) -> Result<(), wasmi::Error> {
    let mut slots = [0u64; Signature::MAX];
    from_vals(params, &mut slots);
    call(&mut slots[..signature.slots()])?;
    for (index, result) in results.iter_mut().enumerate() {
        *result = convert::to_val(signature.result(index), slots[index]);
    }
    Ok(())
}

pub(super) fn host_func<D: IsolateData>(
    store: StoreContextMut<'_, StoreData<D>>,
    ty: &HostType,
    signature: Signature,
    func: HostFn<D>,
) -> Result<wasmi::Func, EngineError> {
    let engine_ty = convert::engine_func_type(ty.ty())?;
    Ok(wasmi::Func::new(
        store,
        engine_ty,
        move |mut caller: Caller<'_, StoreData<D>>, params: &[Val], results: &mut [Val]| {
            host_call(signature, params, results, |slots| {
                func(cx(&mut caller), slots).map_err(convert::to_engine)
            })
        },
    ))
}

pub(super) fn blocking_host_func<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    ty: &HostType,
    signature: Signature,
    func: BlockingHostFn<D>,
) -> Result<wasmi::Func, EngineError> {
    let engine_ty = convert::engine_func_type(ty.ty())?;
    store.data_mut().suspendable = true;
    Ok(wasmi::Func::new(
        store,
        engine_ty,
        move |mut caller: Caller<'_, StoreData<D>>, params: &[Val], results: &mut [Val]| {
            host_call(signature, params, results, |slots| {
                let flow = func(cx(&mut caller), slots);
                may_block(&mut caller, signature, slots, flow)
            })
        },
    ))
}

/// Makes a shared host function in a store that has what it is to find.
pub(super) fn shared_func<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    func: &SharedFunc,
) -> Result<Func, EngineError> {
    let signature = func.ty.signature()?;
    let engine_ty = convert::engine_func_type(func.ty.ty())?;
    let local = store.data().local.clone().ok_or(NO_LOCAL)?;
    let number = func.number;
    store.data_mut().suspendable |= func.blocks;
    let inner = if func.blocks {
        wasmi::Func::new(
            store,
            engine_ty,
            move |mut caller: Caller<'_, StoreData<D>>, params: &[Val], results: &mut [Val]| {
                host_call(signature, params, results, |slots| {
                    let flow = D::call_blocking(cx(&mut caller), &local, number, slots);
                    may_block(&mut caller, signature, slots, flow)
                })
            },
        )
    } else {
        wasmi::Func::new(
            store,
            engine_ty,
            move |mut caller: Caller<'_, StoreData<D>>, params: &[Val], results: &mut [Val]| {
                host_call(signature, params, results, |slots| {
                    D::call(cx(&mut caller), &local, number, slots).map_err(convert::to_engine)
                })
            },
        )
    };
    Ok(Func {
        inner: FuncInner::Wasmi(inner),
        signature,
    })
}

/// Ends a call of a function that may block, or has it block.
fn may_block<D: IsolateData>(
    caller: &mut Caller<'_, StoreData<D>>,
    signature: Signature,
    slots: &[u64],
    flow: anyhow::Result<Flow<D::Block>>,
) -> Result<(), wasmi::Error> {
    let payload = match flow.map_err(convert::to_engine)? {
        Flow::Return => return Ok(()),
        Flow::Block(payload) => payload,
    };
    let data = caller.data_mut();
    if !data.may_block {
        return Err(convert::to_engine(EngineError::CannotBlock.into()));
    }
    data.blocked = Some(Blocked {
        payload,
        host_call: HostCall {
            signature,
            slots: slots.to_vec(),
        },
    });
    Err(wasmi::Error::host(Signal::Blocked))
}
