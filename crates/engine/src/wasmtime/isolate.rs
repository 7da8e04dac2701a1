//! The store and what it carries beside the user's data.

use std::{num::NonZeroU64, sync::Arc};

use wasmtime::{AsContextMut, Store, StoreContextMut, UpdateDeadline};

use super::{cx::WasmtimeCx, stack::Mailbox};
use crate::{
    config::EngineConfig,
    cx::{Cx, CxInner},
    error::EngineError,
    handles::Func,
    isolate::IsolateData,
    limits::{Limiter, Limits},
    shared_memory::SharedMemory,
};

/// A deadline that no clock reaches.
const NEVER: u64 = 1 << 62;

pub(crate) struct WasmtimeIsolate<D: IsolateData> {
    pub(super) store: Store<StoreData<D>>,
}

/// What a store carries.
pub(super) struct StoreData<D: IsolateData> {
    pub(super) user: D,
    pub(super) limiter: Limiter,
    /// Whether the innermost entry into this store is that of a stack, which can be suspended. Every plain entry clears it
    /// for its duration.
    pub(super) may_block: bool,
    /// What the stack being started is to call, and its slots; handed back with the results.
    pub(super) entry: Option<Entry>,
    /// Set once there is a blocking host function: the asynchronous function that suspends the stack.
    pub(super) park: Option<wasmtime::Func>,
    /// Set once there was a stack: the function it is entered by.
    pub(super) enter: Option<wasmtime::TypedFunc<(), ()>>,
    /// What whoever runs a stack and the stack hand to each other.
    pub(super) mailbox: Arc<Mailbox<D>>,
    /// Shared memories that this store knows.
    pub(super) shared_memories: Vec<SharedMemory>,
    pub(super) time_slice: Option<NonZeroU64>,
    epochs: bool,
    pub(super) max_wasm_stack: usize,
    pub(super) native_stack: usize,
}

/// A call about to be made on a stack, or just made.
pub(super) struct Entry {
    pub(super) func: Func,
    pub(super) slots: Vec<u64>,
}

impl<D: IsolateData> WasmtimeIsolate<D> {
    pub(crate) fn new(
        engine: &wasmtime::Engine,
        config: &EngineConfig,
        user: D,
        limits: Limits,
    ) -> Result<Self, EngineError> {
        let data = StoreData {
            user,
            limiter: Limiter::new(limits),
            may_block: false,
            entry: None,
            park: None,
            enter: None,
            mailbox: Arc::default(),
            shared_memories: Vec::new(),
            time_slice: None,
            epochs: config.epoch_interruption,
            max_wasm_stack: config.max_wasm_stack,
            native_stack: config.native_stack,
        };
        let mut store = Store::try_new(engine, data)
            .map_err(|error| EngineError::Full(format!("{error:#}")))?;
        store.limiter(|data| &mut data.limiter);
        if config.epoch_interruption {
            store.set_epoch_deadline(NEVER);
            store.epoch_deadline_callback(|cx| {
                let data = cx.data();
                Ok(match data.time_slice {
                    None => UpdateDeadline::Continue(NEVER),
                    Some(ticks) if data.may_block => UpdateDeadline::Yield(ticks.get()),
                    Some(ticks) => UpdateDeadline::Continue(ticks.get()),
                })
            });
        }
        Ok(Self { store })
    }

    pub(crate) fn data(&self) -> &D {
        &self.store.data().user
    }

    pub(crate) fn data_mut(&mut self) -> &mut D {
        &mut self.store.data_mut().user
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
        self.store.data().park.is_some()
    }

    pub(crate) fn set_time_slice(&mut self, ticks: Option<NonZeroU64>) -> Result<(), EngineError> {
        if !self.store.data().epochs {
            return Err(EngineError::Misuse(
                "time slices need an engine set up with epoch interruption",
            ));
        }
        self.store.data_mut().time_slice = ticks;
        self.store
            .set_epoch_deadline(ticks.map_or(NEVER, NonZeroU64::get));
        Ok(())
    }
}

/// Begins a time slice, if the store has them.
#[inline]
pub(super) fn begin_slice<D: IsolateData>(mut store: StoreContextMut<'_, StoreData<D>>) {
    if let Some(ticks) = store.data().time_slice {
        store.set_epoch_deadline(ticks.get());
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
