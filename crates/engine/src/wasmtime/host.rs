//! Calls into guests and out of them, as words.

use std::{mem::MaybeUninit, ptr::NonNull};

use wasmtime::{AsContextMut, Caller, Linker, StoreContextMut, ValRaw};

use super::{
    convert,
    cx::WasmtimeCx,
    isolate::{StoreData, begin_slice},
    stack_funcs,
};
use crate::{
    cx::{Cx, CxInner},
    error::EngineError,
    handles::{Func, FuncInner},
    host_type::HostType,
    instance_pre::{NO_LOCAL, SharedFunc},
    isolate::IsolateData,
    native_stack,
    signature::Signature,
    stack::{BlockingHostFn, Flow, HostFn, Resume, TopCall},
    types::Import,
};

/// Calls a guest function. Parameters are at the front of `slots` and results come there.
///
/// # Safety
/// `func` belongs to the store and has this signature, which is callable; `slots` are at least as many as it needs.
#[inline]
pub(super) unsafe fn call_raw<D: IsolateData>(
    store: StoreContextMut<'_, StoreData<D>>,
    func: wasmtime::Func,
    signature: &Signature,
    slots: &mut [u64],
) -> wasmtime::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe {
        if signature.slots() <= FEW {
            call_with::<D, FEW>(store, func, signature, slots)
        } else {
            call_with_many(store, func, signature, slots)
        }
    }
}

/// A function of its own, so that other calls do without room for this on their stacks.
///
/// # Safety
/// As for [`call_raw`].
#[inline(never)]
unsafe fn call_with_many<D: IsolateData>(
    store: StoreContextMut<'_, StoreData<D>>,
    func: wasmtime::Func,
    signature: &Signature,
    slots: &mut [u64],
) -> wasmtime::Result<()> {
    // SAFETY: passed on to the caller.
    unsafe { call_with::<D, { Signature::MAX }>(store, func, signature, slots) }
}

/// # Safety
/// As for [`call_raw`].
#[inline(always)]
unsafe fn call_with<D: IsolateData, const MOST: usize>(
    store: StoreContextMut<'_, StoreData<D>>,
    func: wasmtime::Func,
    signature: &Signature,
    slots: &mut [u64],
) -> wasmtime::Result<()> {
    let mut values = [const { MaybeUninit::<ValRaw>::uninit() }; MOST];
    let count = signature.slots();
    for (value, slot) in values[..count].iter_mut().zip(&*slots) {
        // All representations of `ValRaw` are little endian, so an `i32` or `f32` is read from a word's low half.
        value.write(ValRaw::u64(*slot));
    }
    let values = &mut values[..count];
    // SAFETY: the caller vouches for the signature. All of `values` is initialised, the values are numbers (any bits are a
    // valid number), and they are as many as the larger of parameters and results.
    unsafe { func.call_unchecked(store, std::ptr::from_mut(values) as *mut [ValRaw])? };
    signature.read_results(slots, |index, narrow| {
        // SAFETY: initialised above, and overwritten by the callee with a value of the result's type.
        read(unsafe { values[index].assume_init_ref() }, narrow)
    });
    Ok(())
}

/// The engine writes only as many bytes as a value has.
#[inline(always)]
fn read(value: &ValRaw, narrow: bool) -> u64 {
    if narrow {
        u64::from(value.get_u32())
    } else {
        value.get_u64()
    }
}

/// The most words of a call that gets by with a small array: zeroing a large one would cost as much as a call, and stacks of guests that wait should
/// have a page of memory, if that is enough for them.
const FEW: usize = 4;

/// Runs a host function with the words of its parameters, and gives those of its results to the engine.
#[inline(always)]
fn host_call(
    signature: Signature,
    values: &mut [MaybeUninit<ValRaw>],
    call: impl FnOnce(&mut [u64]) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    let count = signature.slots();
    if count <= FEW {
        with_slots(signature, values, &mut [0; FEW][..count], call)
    } else {
        with_many_slots(signature, values, call)
    }
}

/// A function of its own, so that other calls do without room for this on their stacks.
#[inline(never)]
fn with_many_slots(
    signature: Signature,
    values: &mut [MaybeUninit<ValRaw>],
    call: impl FnOnce(&mut [u64]) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    let slots = &mut [0; Signature::MAX][..signature.slots()];
    with_slots(signature, values, slots, call)
}

#[inline(always)]
fn with_slots(
    signature: Signature,
    values: &mut [MaybeUninit<ValRaw>],
    slots: &mut [u64],
    call: impl FnOnce(&mut [u64]) -> wasmtime::Result<()>,
) -> wasmtime::Result<()> {
    signature.read_params(slots, |index, narrow| {
        // SAFETY: the engine hands in as many initialised values of the function's type as it has parameters.
        read(unsafe { values[index].assume_init_ref() }, narrow)
    });
    call(slots)?;
    for (value, slot) in values
        .iter_mut()
        .zip(&slots[..usize::from(signature.results)])
    {
        // Little endian: see `call_raw`.
        value.write(ValRaw::u64(*slot));
    }
    Ok(())
}

#[inline(always)]
fn cx<'a, D: IsolateData>(caller: &'a mut Caller<'_, StoreData<D>>) -> Cx<'a, D> {
    Cx {
        inner: CxInner::Wasmtime(WasmtimeCx(caller.as_context_mut())),
    }
}

pub(super) fn host_func<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    ty: &HostType,
    signature: Signature,
    func: HostFn<D>,
) -> Result<wasmtime::Func, EngineError> {
    let engine_ty = ty.wasmtime(|ty| convert::engine_func_type(store.engine(), ty))?;
    let call = move |mut caller: Caller<'_, StoreData<D>>, values: &mut [MaybeUninit<ValRaw>]| {
        host_call(signature, values, |slots| {
            func(cx(&mut caller), slots).map_err(convert::to_engine)
        })
    };
    // SAFETY: `call` reads the parameters and writes the results that `signature` has, which is made from the same type.
    Ok(unsafe { wasmtime::Func::new_unchecked(&mut store, engine_ty, call) })
}

pub(super) fn blocking_host_func<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    ty: &HostType,
    signature: Signature,
    func: BlockingHostFn<D>,
) -> Result<wasmtime::Func, EngineError> {
    let engine_ty = ty.wasmtime(|ty| convert::engine_func_type(store.engine(), ty))?;
    store.data_mut().blocks = true;
    let call = move |mut caller: Caller<'_, StoreData<D>>, values: &mut [MaybeUninit<ValRaw>]| {
        host_call(signature, values, |slots| {
            let flow = func(cx(&mut caller), slots);
            may_block(&mut caller, slots, flow)
        })
    };
    // SAFETY: as in `host_func`.
    Ok(unsafe { wasmtime::Func::new_unchecked(&mut store, engine_ty, call) })
}

/// Ends a call of a function that may block, or has it block until it ends.
#[inline(always)]
fn may_block<D: IsolateData>(
    caller: &mut Caller<'_, StoreData<D>>,
    slots: &mut [u64],
    mut flow: anyhow::Result<Flow<D::Block>>,
) -> wasmtime::Result<()> {
    loop {
        match flow.map_err(convert::to_engine)? {
            Flow::Return => return Ok(()),
            Flow::Block(payload) => {
                flow = match park(caller, payload)? {
                    Resume::Reply(reply) => D::reply(cx(caller), slots, reply),
                    Resume::Job(job) => job(cx(caller), slots),
                    Resume::Call(call) => call_on_top(caller, call).map(Flow::Block),
                    Resume::Continue => {
                        return Err(wasmtime::Error::msg("resumed without a job"));
                    }
                };
            }
        }
    }
}

/// What the shared host functions of a store find.
#[inline(always)]
fn local<D: IsolateData>(caller: &Caller<'_, StoreData<D>>) -> wasmtime::Result<NonNull<D::Local>> {
    match &caller.data().local {
        Some(local) => Ok(NonNull::from(&**local)),
        None => Err(convert::to_engine(NO_LOCAL.into())),
    }
}

/// Defines a shared host function by the name that a module imports it by.
pub(super) fn shared_func<D: IsolateData>(
    linker: &mut Linker<StoreData<D>>,
    import: &Import,
    func: &SharedFunc,
) -> Result<Signature, EngineError> {
    let signature = func.ty.signature()?;
    let engine_ty = func
        .ty
        .wasmtime(|ty| convert::engine_func_type(linker.engine(), ty))?;
    let (number, module, name) = (func.number, &import.module, &import.name);
    // SAFETY: both closures read the parameters and write the results that `signature` has, which is made from the same type. What they
    // find lives apart from the store's data, in an `Arc` that the store keeps until it is dropped, which it cannot be in the midst of a
    // call of its own.
    let defined = unsafe {
        if func.blocks {
            let call = move |mut caller: Caller<'_, StoreData<D>>,
                             values: &mut [MaybeUninit<ValRaw>]| {
                let local = local(&caller)?.as_ref();
                host_call(signature, values, |slots| {
                    let flow = D::call_blocking(cx(&mut caller), local, number, slots);
                    may_block(&mut caller, slots, flow)
                })
            };
            linker.func_new_unchecked(module, name, engine_ty, call)
        } else {
            let call = move |mut caller: Caller<'_, StoreData<D>>,
                             values: &mut [MaybeUninit<ValRaw>]| {
                let local = local(&caller)?.as_ref();
                host_call(signature, values, |slots| {
                    D::call(cx(&mut caller), local, number, slots).map_err(convert::to_engine)
                })
            };
            linker.func_new_unchecked(module, name, engine_ty, call)
        }
    };
    match defined {
        Ok(_) => Ok(signature),
        Err(error) => Err(EngineError::Link(format!("{error:#}"))),
    }
}

/// Makes a call on top of what is blocked, and gives what that is blocked with from then on.
///
/// # Errors
/// The stack is being dropped.
#[cold]
fn call_on_top<D: IsolateData>(
    caller: &mut Caller<'_, StoreData<D>>,
    mut call: Box<dyn TopCall<D>>,
) -> anyhow::Result<D::Block> {
    caller.data_mut().may_block = false;
    let func = call.begin(cx(caller));
    caller.data_mut().may_block = true;
    let result = enter_on_top(caller, func, call.slots());
    let data = caller.data_mut();
    if data.unwinds {
        return Err(EngineError::CannotBlock.into());
    }
    data.may_block = false;
    let payload = call.end(cx(caller), result);
    caller.data_mut().may_block = true;
    Ok(payload)
}

fn enter_on_top<D: IsolateData>(
    caller: &mut Caller<'_, StoreData<D>>,
    func: Func,
    slots: &mut [u64],
) -> anyhow::Result<()> {
    func.signature.check(slots.len())?;
    let FuncInner::Wasmtime(raw) = func.inner else {
        return Err(EngineError::Misuse("a function of another engine").into());
    };
    let data = caller.data();
    let _native = native_stack::enter(data.native_stack, data.max_wasm_stack)?;
    // SAFETY: `check` has compared the function's signature, made from its type, with the slots. The engine panics if the function belongs to another
    // store. As to what it may be suspended over (`may_block`): this frame and the one before hold the call, which is `Send`, words, and what is known of
    // the native stack, which goes with it.
    let result = unsafe { call_raw(caller.as_context_mut(), raw, &func.signature, slots) };
    result.map_err(convert::from_engine)
}

/// Suspends the stack that this runs on until it is resumed with a job. Lets visitors in meanwhile.
///
/// # Errors
/// There is no such stack, or it is being dropped: then everything on it must return without delay.
#[inline(always)]
fn park<D: IsolateData>(
    caller: &mut Caller<'_, StoreData<D>>,
    payload: D::Block,
) -> wasmtime::Result<Resume<D>> {
    let data = caller.data();
    let (Some(funcs), Some(mailbox), true) = (&data.stack_funcs, &data.mailbox, data.may_block)
    else {
        return Err(convert::to_engine(EngineError::CannotBlock.into()));
    };
    let park = funcs.park;
    mailbox.put_block(payload);
    loop {
        // SAFETY: the function is the store's. `may_block` says that a fiber runs this host call, and that no frames but the engine's and this
        // adapter's lie between here and where it was entered, all of which hold only what may move to another thread.
        unsafe { stack_funcs::suspend(caller.as_context_mut(), park)? };
        begin_slice(caller.as_context_mut());
        let Some(mailbox) = &caller.data().mailbox else {
            return Err(wasmtime::Error::msg("resumed without a mailbox"));
        };
        if let Some(resume) = mailbox.take_resume() {
            return Ok(resume);
        }
        let Some(visitor) = mailbox.take_visitor() else {
            return Err(wasmtime::Error::msg("resumed without a job"));
        };
        // What the visitor borrows is there until this stack is suspended again, so that must not happen inside it.
        caller.data_mut().may_block = false;
        visitor.run(cx(caller));
        caller.data_mut().may_block = true;
    }
}

/// Suspends the stack that this runs on until it is run on. There must be one: see [`StoreData::may_block`].
///
/// # Errors
/// It is being dropped: then everything on it must return without delay.
#[cold]
pub(super) fn suspend<D: IsolateData>(
    store: StoreContextMut<'_, StoreData<D>>,
) -> wasmtime::Result<()> {
    let data = store.data();
    let (Some(funcs), true) = (&data.stack_funcs, data.may_block) else {
        return Err(convert::to_engine(EngineError::CannotBlock.into()));
    };
    let park = funcs.park;
    // SAFETY: as in `park`.
    unsafe { stack_funcs::suspend(store, park) }
}
