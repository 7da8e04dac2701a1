//! What the host offers to core modules.

use super::caller::MemorySlot;
use super::instance::{ModuleInstance, instantiate};
use super::{Caller, Module, Outcome};
use crate::baton::{Baton, Blocked, HomeGuard};
use crate::interrupt;
use crate::interrupt::block_on;
use crate::{AsContextMut, DefineError, Engine, Result};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tidegate_engine::{Cx, Flow, Func, FuncType, Job, SharedMemory};

/// The functions that the host offers to core modules whose stores carry a `T`, by module name and function name.
pub struct ModuleLinker<T: Send + 'static> {
    engine: Engine,
    funcs: HashMap<(String, String), Definition>,
    /// The shared memory of a program of several threads: where it is imported from, and by what name.
    pub(super) shared_memory: Option<(String, String, SharedMemory)>,
    data: PhantomData<fn() -> T>,
}

/// A function that the host offers.
#[derive(Clone)]
pub(super) struct Definition {
    pub(super) ty: FuncType,
    pub(super) may_wait: bool,
    name: Arc<str>,
    body: Arc<Body>,
}

type Body = dyn Fn(Cx<'_, Baton>, &MemorySlot, &mut [u64]) -> Result<Outcome> + Send + Sync;

impl<T: Send + 'static> ModuleLinker<T> {
    /// A linker that offers nothing.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            funcs: HashMap::new(),
            shared_memory: None,
            data: PhantomData,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Defines a function that never waits. Its parameters are the first slots, one word each; its results go to the first slots. A
    /// module that imports no other functions can be entered without a stack of its own.
    ///
    /// # Errors
    /// [`DefineError::Defined`].
    pub fn func<F>(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        func: F,
    ) -> Result<(), DefineError>
    where
        F: Fn(&mut Caller<'_, T>, &mut [u64]) -> Result<Outcome> + Send + Sync + 'static,
    {
        self.define(module, name, ty, false, func)
    }

    /// Defines a function that may give [`Outcome::Wait`].
    ///
    /// # Errors
    /// [`DefineError::Defined`].
    pub fn func_waiting<F>(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        func: F,
    ) -> Result<(), DefineError>
    where
        F: Fn(&mut Caller<'_, T>, &mut [u64]) -> Result<Outcome> + Send + Sync + 'static,
    {
        self.define(module, name, ty, true, func)
    }

    fn define<F>(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        may_wait: bool,
        func: F,
    ) -> Result<(), DefineError>
    where
        F: Fn(&mut Caller<'_, T>, &mut [u64]) -> Result<Outcome> + Send + Sync + 'static,
    {
        let key = (module.to_owned(), name.to_owned());
        if self.funcs.contains_key(&key) {
            return Err(DefineError::Defined {
                name: format!("{module}#{name}"),
            });
        }
        let body = move |cx: Cx<'_, Baton>, memory: &MemorySlot, slots: &mut [u64]| {
            func(&mut Caller::new(cx, memory), slots)
        };
        self.funcs.insert(
            key,
            Definition {
                ty,
                may_wait,
                name: format!("{module}#{name}").into(),
                body: Arc::new(body),
            },
        );
        Ok(())
    }

    pub(super) fn get(&self, module: &str, name: &str) -> Option<&Definition> {
        self.funcs.get(&(module.to_owned(), name.to_owned()))
    }

    /// Instantiates a module and runs its start function. Should that wait, this thread waits.
    ///
    /// # Errors
    /// An import that is not defined or of another type, a limit, or a trap.
    pub fn instantiate(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<ModuleInstance> {
        let control = store.as_context_mut().slot.control.clone();
        block_on(control, self.instantiate_async(store, module))
    }

    /// Instantiates a module and runs its start function.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate).
    pub async fn instantiate_async(
        &self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<ModuleInstance> {
        let store = store.as_context_mut();
        let mut guard = HomeGuard::new(store.slot);
        let (baton, result) = instantiate(guard.take(), self, module).await;
        guard.put(baton);
        result
    }
}

impl Definition {
    /// Makes the function in an isolate.
    pub(super) fn make(&self, cx: &mut Cx<'_, Baton>, memory: &MemorySlot) -> Result<Func> {
        let (body, memory) = (self.body.clone(), memory.clone());
        if self.may_wait {
            let ty = self.ty.clone();
            let name = self.name.clone();
            return cx.blocking_host_func(
                ty,
                Box::new(move |cx, slots| attempt(cx, &name, &body, &memory, slots)),
            );
        }
        cx.host_func(
            self.ty.clone(),
            Box::new(move |cx, slots| match body(cx, &memory, slots)? {
                Outcome::Done => Ok(()),
                Outcome::Wait(_) | Outcome::Later(_) => {
                    Err(tidegate_engine::EngineError::CannotBlock.into())
                }
            }),
        )
    }
}

/// Calls a function that may wait, and parks the caller if it does, to call it again.
fn attempt(
    mut cx: Cx<'_, Baton>,
    name: &Arc<str>,
    body: &Arc<Body>,
    memory: &MemorySlot,
    slots: &mut [u64],
) -> Result<Flow<Blocked>> {
    loop {
        let mut future = match body(cx.reborrow(), memory, slots)? {
            Outcome::Done => return Ok(Flow::Return),
            Outcome::Wait(future) => future,
            Outcome::Later(future) => return later(cx, name, future, slots),
        };
        // Whoever runs the stack polls the future again at once with a waker of its own.
        if let Poll::Ready(()) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            continue;
        }
        let baton = cx.data_mut().take();
        let (own_name, body, memory) = (name.clone(), body.clone(), memory.clone());
        return Ok(Flow::Block(Blocked::waiting_in(
            Some(name.clone()),
            async move {
                let (baton, ()) = interrupt::hold(baton, future).await;
                let job: Job<Baton> = Box::new(move |mut cx, slots| {
                    *cx.data_mut() = baton;
                    attempt(cx, &own_name, &body, &memory, slots)
                });
                job
            },
        )));
    }
}

/// Parks the caller of a function until its result is there.
fn later(
    mut cx: Cx<'_, Baton>,
    name: &Arc<str>,
    mut future: Pin<Box<dyn Future<Output = u64> + Send>>,
    slots: &mut [u64],
) -> Result<Flow<Blocked>> {
    if let Poll::Ready(result) = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        slots[0] = result;
        return Ok(Flow::Return);
    }
    let baton = cx.data_mut().take();
    Ok(Flow::Block(Blocked::waiting_in(
        Some(name.clone()),
        async move {
            let (baton, result) = interrupt::hold(baton, future).await;
            let job: Job<Baton> = Box::new(move |mut cx, slots| {
                *cx.data_mut() = baton;
                slots[0] = result;
                Ok(Flow::Return)
            });
            job
        },
    )))
}

impl<T: Send + 'static> std::fmt::Debug for ModuleLinker<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleLinker")
            .field("funcs", &self.funcs.len())
            .finish_non_exhaustive()
    }
}
