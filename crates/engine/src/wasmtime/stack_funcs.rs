//! The two functions that a store with stacks needs, made once for all stores of an engine.

use std::{
    any::Any,
    cell::Cell,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use wasmtime::{AsContextMut, Caller, Linker, StoreContextMut, TypedFunc};

use super::{
    convert, host,
    isolate::{StoreData, begin_slice},
    stack::Entry,
};
use crate::{handles::FuncInner, isolate::IsolateData, native_stack};

/// What the stacks of a store are entered and suspended by.
pub(super) struct StackFuncs {
    /// The function that a stack is entered by; taken out while it is called, as cloning it would count references to its type.
    pub(super) enter: Option<TypedFunc<(), ()>>,
    /// The asynchronous function that suspends a stack.
    pub(super) park: wasmtime::Func,
}

/// Their definitions, for each kind of data that stores of the engine have: usually one.
#[derive(Clone, Default)]
pub(crate) struct StackDefinitions(Arc<Mutex<Vec<Arc<dyn Any + Send + Sync>>>>);

const ENTER: &str = "enter";
const PARK: &str = "park";

impl StackDefinitions {
    fn of<D: IsolateData>(
        &self,
        engine: &wasmtime::Engine,
    ) -> wasmtime::Result<Arc<Linker<StoreData<D>>>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for linker in &*known {
            if let Ok(linker) = linker.clone().downcast() {
                return Ok(linker);
            }
        }
        let linker = Arc::new(define(engine)?);
        known.push(linker.clone());
        Ok(linker)
    }
}

/// Makes the functions in a store that is to have its first stack. From then on it holds an asynchronous function, so that the engine instantiates
/// modules in it on stacks only, which it keeps: stores that never need one go without.
pub(super) fn prepare<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
) -> wasmtime::Result<()> {
    if store.data().stack_funcs.is_some() {
        return Ok(());
    }
    let linker = store.data().definitions.of::<D>(store.engine())?;
    let mut get = |name| match linker.get(&mut store, "", name)? {
        wasmtime::Extern::Func(func) => Ok(func),
        _ => Err(wasmtime::Error::msg("a function of stacks is none")),
    };
    let (enter, park) = (get(ENTER)?, get(PARK)?);
    let enter = Some(enter.typed(&store)?);
    store.data_mut().stack_funcs = Some(StackFuncs { enter, park });
    Ok(())
}

fn define<D: IsolateData>(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<StoreData<D>>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("", ENTER, enter::<D>)?;
    linker.func_wrap_async("", PARK, |_: Caller<'_, StoreData<D>>, (): ()| {
        Box::new(Suspended)
    })?;
    Ok(linker)
}

/// Suspends the stack that this runs on, by the function that it is suspended by, until it is run on.
///
/// # Errors
/// It is being dropped: then everything on it must return without delay.
///
/// # Safety
/// The function belongs to the store. What runs was entered on a stack, and between here and there lie no frames but the engine's and this adapter's, all
/// of which hold only what may move to another thread.
#[inline(always)]
pub(super) unsafe fn suspend<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    park: wasmtime::Func,
) -> wasmtime::Result<()> {
    suspend_next(true);
    // SAFETY: a function without parameters and results; for the rest, see above.
    let result = unsafe { park.call_unchecked(store.as_context_mut(), &mut []) };
    if result.is_err() {
        // If it was not called at all.
        suspend_next(false);
        store.data_mut().unwinds = true;
    }
    result
}

/// Pending when it is polled first, ready when the stack is run on. Boxing it allocates nothing, as it keeps nothing: which of the two it is, is noted
/// where the thread finds it that is about to suspend a stack, and does nothing else until then.
struct Suspended;

impl Future for Suspended {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match suspend_next(false) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

thread_local! {
    /// Whether this thread is about to suspend the stack that it runs.
    static SUSPENDS: Cell<bool> = const { Cell::new(false) };
}

/// Never inlined: code that a stack may be suspended in goes on on another thread, and must not remember where this one's variables are.
#[inline(never)]
fn suspend_next(suspend: bool) -> bool {
    SUSPENDS.replace(suspend)
}

/// What a stack is entered by. It is the engine's way to have host code run on a fiber; from there the guest is called with words like anywhere else.
fn enter<D: IsolateData>(mut caller: Caller<'_, StoreData<D>>) -> wasmtime::Result<()> {
    let data = caller.data_mut();
    // As large as the engine was asked to make it.
    let size = data.native_stack.saturating_add(data.max_wasm_stack);
    let _native = native_stack::enter(size, data.max_wasm_stack)
        .map_err(|trap| convert::to_engine(trap.into()))?;
    let Some(Entry { func, mut slots }) = data.entry.take() else {
        return Err(wasmtime::Error::msg("a stack entered without a call"));
    };
    let FuncInner::Wasmtime(raw) = func.inner else {
        return Err(wasmtime::Error::msg("a function of another engine"));
    };
    data.may_block = true;
    begin_slice(caller.as_context_mut());
    // SAFETY: `Stack::call` has checked the signature, and the slots are as many as it needs. The engine panics if the function belongs to another store.
    let result =
        unsafe { host::call_raw(caller.as_context_mut(), raw, &func.signature, &mut slots) };
    let data = caller.data_mut();
    data.may_block = false;
    data.entry = Some(Entry { func, slots });
    result
}
