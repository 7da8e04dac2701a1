//! The store and what it carries beside the user's data.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

use wasmtime::{AsContextMut, Store, StoreContextMut};

use super::{
    checks::Requests,
    cx::WasmtimeCx,
    engine::WasmtimeEngine,
    memories::Places,
    stack::{Entry, Mailbox},
    stack_funcs::{StackDefinitions, StackFuncs},
};
use crate::{
    config::EngineConfig,
    cx::{Cx, CxInner},
    error::EngineError,
    interrupt::InterruptHandle,
    isolate::IsolateData,
    limits::{Limiter, Limits},
    shared_memory::SharedMemory,
};

pub(crate) struct WasmtimeIsolate<D: IsolateData> {
    pub(super) store: Store<StoreData<D>>,
}

/// What a store carries.
pub(super) struct StoreData<D: IsolateData> {
    pub(super) user: D,
    /// Set once, and there until the store is dropped: shared host functions rely on it.
    pub(super) local: Option<Arc<D::Local>>,
    pub(super) limiter: Limiter,
    /// Where its memories are.
    pub(super) places: Places,
    /// Whether the innermost entry into this store is that of a stack, which can be suspended. Every plain entry clears it
    /// for its duration.
    pub(super) may_block: bool,
    /// Whether a stack is being dropped, so that everything on it returns without delay.
    pub(super) unwinds: bool,
    /// What the stack being started is to call, and its slots; handed back with the results.
    pub(super) entry: Option<Entry>,
    /// Whether there is a blocking host function.
    pub(super) blocks: bool,
    /// Set once there was a stack: the functions that stacks are entered and suspended by.
    pub(super) stack_funcs: Option<StackFuncs>,
    /// What these are made of.
    pub(super) definitions: StackDefinitions,
    /// Set once there was a stack: what whoever runs a stack and the stack hand to each other.
    pub(super) mailbox: Option<Arc<Mailbox<D>>>,
    /// Shared memories that this store knows.
    pub(super) shared_memories: Vec<SharedMemory>,
    /// What code that computes may be asked, if it can be interrupted.
    pub(super) requests: Option<Requests>,
    pub(super) max_wasm_stack: usize,
    pub(super) native_stack: usize,
}

impl<D: IsolateData> WasmtimeIsolate<D> {
    pub(crate) fn new(
        engine: &WasmtimeEngine,
        config: &EngineConfig,
        definitions: &StackDefinitions,
        user: D,
        limits: Limits,
    ) -> Result<Self, EngineError> {
        let data = StoreData {
            user,
            local: None,
            limiter: Limiter::new(limits),
            places: Places::default(),
            may_block: false,
            unwinds: false,
            entry: None,
            blocks: false,
            stack_funcs: None,
            definitions: definitions.clone(),
            mailbox: None,
            shared_memories: Vec::new(),
            requests: engine.words.as_ref().map(Requests::new).transpose()?,
            max_wasm_stack: config.max_wasm_stack,
            native_stack: config.native_stack,
        };
        let mut store = Store::try_new(&engine.inner, data)
            .map_err(|error| EngineError::Full(format!("{error:#}")))?;
        store.limiter(|data| &mut data.limiter);
        Ok(Self { store })
    }

    pub(crate) fn data(&self) -> &D {
        &self.store.data().user
    }

    pub(crate) fn data_mut(&mut self) -> &mut D {
        &mut self.store.data_mut().user
    }

    /// Only ever to be set, and once: see [`StoreData::local`].
    pub(crate) fn local(&mut self) -> &mut Option<Arc<D::Local>> {
        &mut self.store.data_mut().local
    }

    pub(crate) fn into_data(self) -> D {
        self.store.into_data().user
    }

    pub(crate) fn cx(&mut self) -> Cx<'_, D> {
        Cx {
            inner: CxInner::Wasmtime(WasmtimeCx(self.store.as_context_mut())),
        }
    }

    pub(crate) fn is_suspendable(&self) -> bool {
        self.store.data().blocks
    }

    pub(crate) fn set_time_slice(&mut self, ticks: Option<NonZeroU64>) -> Result<(), EngineError> {
        self.requests()?.set_time_slice(ticks);
        Ok(())
    }

    pub(crate) fn interrupt_handle(&mut self) -> Result<InterruptHandle, EngineError> {
        Ok(self.requests()?.handle())
    }

    pub(crate) fn use_interrupt_handle(
        &mut self,
        handle: &InterruptHandle,
    ) -> Result<(), EngineError> {
        self.requests()?.use_handle(handle);
        Ok(())
    }

    pub(crate) fn yield_every(&mut self, opportunities: NonZeroU32) -> Result<(), EngineError> {
        self.requests()?.yield_every(opportunities);
        Ok(())
    }

    fn requests(&mut self) -> Result<&mut Requests, EngineError> {
        let requests = self.store.data_mut().requests.as_mut();
        requests.ok_or(EngineError::Misuse(
            "time slices and interrupts need an engine set up with `interruptible`",
        ))
    }
}

/// Begins a time slice, if the store can have them.
#[inline]
pub(super) fn begin_slice<D: IsolateData>(mut store: StoreContextMut<'_, StoreData<D>>) {
    if let Some(requests) = &mut store.data_mut().requests {
        requests.begin_slice();
    }
}

impl wasmtime::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::memory_growing(self, current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(Self::table_growing(self, current, desired, maximum))
    }

    // Counted by `Limiter::instantiate`, which can name the limit.
    fn instances(&self) -> usize {
        usize::MAX
    }

    fn memories(&self) -> usize {
        usize::MAX
    }

    fn tables(&self) -> usize {
        usize::MAX
    }
}
