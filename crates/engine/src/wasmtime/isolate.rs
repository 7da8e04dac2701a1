//! The store and what it carries beside the user's data.

use std::{
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

use wasmtime::{AsContextMut, Store, StoreContextMut, UpdateDeadline};

use super::{
    convert,
    cx::WasmtimeCx,
    stack::{Entry, Mailbox},
    stack_funcs::{StackDefinitions, StackFuncs},
};
use crate::{
    config::EngineConfig,
    cx::{Cx, CxInner},
    error::EngineError,
    interrupt::{Asked, InterruptHandle},
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
    /// Set once, and there until the store is dropped: shared host functions rely on it.
    pub(super) local: Option<Arc<D::Local>>,
    pub(super) limiter: Limiter,
    /// Whether the innermost entry into this store is that of a stack, which can be suspended. Every plain entry clears it
    /// for its duration.
    pub(super) may_block: bool,
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
    time_slice: Option<NonZeroU64>,
    /// Ticks left of it.
    slice_left: u64,
    /// Looked at with every tick, once there is one.
    interrupt: Option<InterruptHandle>,
    /// For tests: yields at every so many checks.
    yield_every: Option<NonZeroU32>,
    checks: u32,
    epochs: bool,
    pub(super) max_wasm_stack: usize,
    pub(super) native_stack: usize,
}

impl<D: IsolateData> StoreData<D> {
    /// Ticks until the next look at what was asked.
    fn deadline(&self) -> u64 {
        match (&self.interrupt, self.time_slice) {
            _ if self.yield_every.is_some() => 0,
            (Some(asked), _) if asked.is_pending() => 0,
            (Some(_), _) => 1,
            (None, Some(ticks)) => ticks.get(),
            (None, None) => NEVER,
        }
    }

    /// Whether a request has not been met.
    fn is_asked(&self) -> bool {
        self.interrupt
            .as_ref()
            .is_some_and(InterruptHandle::is_pending)
    }

    /// Called by a guest that has met its deadline.
    fn tick(&mut self) -> UpdateDeadline {
        let asked = self.interrupt.as_ref().map(InterruptHandle::look);
        let deadline = self.deadline();
        match asked.unwrap_or(Asked::Nothing) {
            Asked::End => return UpdateDeadline::Interrupt,
            Asked::Yield if self.user.interrupted() => {
                if self.may_block {
                    self.slice_left = self.time_slice.map_or(0, NonZeroU64::get);
                    // The deadline counts from when it goes on: what was asked meanwhile is to be looked at then.
                    return UpdateDeadline::Yield(0);
                }
                // The stack below is to yield, once this plain call is over.
                if let Some(interrupt) = &self.interrupt {
                    interrupt.ask_yield();
                }
            }
            Asked::Yield | Asked::Nothing => {}
        }
        if let Some(every) = self.yield_every {
            self.checks += 1;
            if self.checks >= every.get() && self.may_block {
                self.checks = 0;
                return UpdateDeadline::Yield(0);
            }
            return UpdateDeadline::Continue(0);
        }
        self.slice_left = self.slice_left.saturating_sub(deadline);
        match self.time_slice {
            Some(ticks)
                if self.may_block && (self.slice_left == 0 || self.user.slice_is_over()) =>
            {
                self.slice_left = ticks.get();
                UpdateDeadline::Yield(deadline)
            }
            _ => UpdateDeadline::Continue(deadline),
        }
    }
}

impl<D: IsolateData> WasmtimeIsolate<D> {
    pub(crate) fn new(
        engine: &wasmtime::Engine,
        config: &EngineConfig,
        definitions: &StackDefinitions,
        user: D,
        limits: Limits,
    ) -> Result<Self, EngineError> {
        let data = StoreData {
            user,
            local: None,
            limiter: Limiter::new(limits),
            may_block: false,
            entry: None,
            blocks: false,
            stack_funcs: None,
            definitions: definitions.clone(),
            mailbox: None,
            shared_memories: Vec::new(),
            time_slice: None,
            slice_left: 0,
            interrupt: None,
            yield_every: None,
            checks: 0,
            epochs: config.epoch_interruption,
            max_wasm_stack: config.max_wasm_stack,
            native_stack: config.native_stack,
        };
        let mut store = Store::try_new(engine, data)
            .map_err(|error| EngineError::Full(format!("{error:#}")))?;
        store.limiter(|data| &mut data.limiter);
        if config.epoch_interruption {
            store.set_epoch_deadline(NEVER);
            store.epoch_deadline_callback(|mut cx| {
                let asked = cx.data().is_asked();
                let update = cx.data_mut().tick();
                if asked
                    && matches!(update, UpdateDeadline::Yield(_))
                    && let Some(mailbox) = &cx.data().mailbox
                {
                    mailbox.put_frames(convert::frames(&wasmtime::WasmBacktrace::force_capture(
                        &cx,
                    )));
                }
                Ok(update)
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
        if !self.store.data().epochs {
            return Err(EngineError::Misuse(
                "time slices need an engine set up with epoch interruption",
            ));
        }
        self.store.data_mut().time_slice = ticks;
        begin_slice(self.store.as_context_mut());
        Ok(())
    }

    pub(crate) fn interrupt_handle(&mut self) -> Result<InterruptHandle, EngineError> {
        let data = self.store.data_mut();
        if !data.epochs {
            return Err(EngineError::Misuse(
                "interrupts need an engine set up with epoch interruption",
            ));
        }
        let handle = data.interrupt.get_or_insert_default().clone();
        begin_slice(self.store.as_context_mut());
        Ok(handle)
    }

    pub(crate) fn use_interrupt_handle(
        &mut self,
        handle: &InterruptHandle,
    ) -> Result<(), EngineError> {
        self.interrupt_handle()?;
        self.store.data_mut().interrupt = Some(handle.clone());
        Ok(())
    }

    pub(crate) fn yield_every(&mut self, opportunities: NonZeroU32) -> Result<(), EngineError> {
        if !self.store.data().epochs {
            return Err(EngineError::Misuse(
                "yielding needs an engine set up with epoch interruption",
            ));
        }
        self.store.data_mut().yield_every = Some(opportunities);
        begin_slice(self.store.as_context_mut());
        Ok(())
    }
}

/// Begins a time slice, if the store can have them.
#[inline]
pub(super) fn begin_slice<D: IsolateData>(mut store: StoreContextMut<'_, StoreData<D>>) {
    let data = store.data_mut();
    if data.epochs {
        data.slice_left = data.time_slice.map_or(0, NonZeroU64::get);
        let deadline = data.deadline();
        store.set_epoch_deadline(deadline);
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
