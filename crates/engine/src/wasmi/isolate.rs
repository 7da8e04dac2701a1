//! The store and what it carries beside the user's data.

use std::{
    collections::HashMap,
    num::{NonZeroU32, NonZeroU64},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use wasmi::{AsContextMut, Store};

use super::{cx::WasmiCx, engine::WasmiEngine, exceptions::Exceptions};
use crate::{
    config::EngineConfig,
    cx::{Cx, CxInner},
    error::EngineError,
    interrupt::{Asked, InterruptHandle},
    isolate::IsolateData,
    limits::{Limiter, Limits},
    signature::Signature,
};

/// Fuel between two looks at the clock: about a tenth of a millisecond.
pub(super) const FUEL: u64 = 20_000;

pub(crate) struct WasmiIsolate<D: IsolateData> {
    /// Boxed, as isolates are moved about and this is large.
    pub(super) store: Box<Store<StoreData<D>>>,
}

/// What a store carries.
pub(super) struct StoreData<D: IsolateData> {
    pub(super) user: D,
    pub(super) local: Option<Arc<D::Local>>,
    pub(super) limiter: Limiter,
    /// Whether the innermost entry into this store is that of a stack, which can be suspended. Every plain entry clears it
    /// for its duration.
    pub(super) may_block: bool,
    pub(super) suspendable: bool,
    /// Left behind by a blocking host function that has just signalled [`Blocked`](super::convert::Signal::Blocked).
    pub(super) blocked: Option<Blocked<D>>,
    /// Set if modules here may throw and catch.
    pub(super) exceptions: Option<Exceptions>,
    /// Instances made so far.
    pub(super) instances: u32,
    /// The tags that instances export.
    pub(super) exported_tags: Vec<HashMap<String, u32>>,
    pub(super) time_slice: Option<NonZeroU64>,
    /// Looked at whenever fuel runs out.
    interrupt: Option<InterruptHandle>,
    /// For tests: yields whenever fuel runs out, of which there is little.
    pub(super) yield_every: Option<NonZeroU32>,
    pub(super) metered: bool,
    clock: Arc<AtomicU64>,
    pub(super) native_stack: usize,
}

/// A host call that blocks.
pub(super) struct Blocked<D: IsolateData> {
    pub(super) payload: D::Block,
    pub(super) host_call: HostCall,
}

/// The slots of a blocked host call.
pub(super) struct HostCall {
    pub(super) signature: Signature,
    pub(super) slots: Vec<u64>,
}

impl<D: IsolateData> StoreData<D> {
    /// Looks at what the guest was asked; tells the user of a request to yield, and whether it stands.
    pub(super) fn asked(&mut self) -> Asked {
        match self.interrupt.as_ref().map(InterruptHandle::look) {
            Some(Asked::Yield) if !self.user.interrupted() => Asked::Nothing,
            Some(asked) => asked,
            None => Asked::Nothing,
        }
    }

    /// A request to yield cannot be met by a plain call: it stays.
    pub(super) fn ask_yield(&self) {
        if let Some(interrupt) = &self.interrupt {
            interrupt.ask_yield();
        }
    }

    /// Fuel until the next look at what was asked.
    pub(super) fn fuel(&self) -> u64 {
        self.yield_every.map_or(FUEL, |every| {
            u64::from(every.get()).saturating_mul(20).min(FUEL)
        })
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.load(Ordering::Relaxed)
    }
}

impl<D: IsolateData> WasmiIsolate<D> {
    pub(crate) fn new(
        engine: &WasmiEngine,
        config: &EngineConfig,
        user: D,
        limits: Limits,
    ) -> Self {
        let data = StoreData {
            user,
            local: None,
            limiter: Limiter::new(limits),
            may_block: false,
            suspendable: false,
            blocked: None,
            exceptions: None,
            instances: 0,
            exported_tags: Vec::new(),
            time_slice: None,
            interrupt: None,
            yield_every: None,
            metered: engine.metered,
            clock: engine.clock.clone(),
            native_stack: config.native_stack,
        };
        let mut store = Store::new(&engine.engine, data);
        store.limiter(|data| &mut data.limiter);
        Self {
            store: Box::new(store),
        }
    }

    pub(crate) fn data(&self) -> &D {
        &self.store.data().user
    }

    pub(crate) fn data_mut(&mut self) -> &mut D {
        &mut self.store.data_mut().user
    }

    pub(crate) fn local(&mut self) -> &mut Option<Arc<D::Local>> {
        &mut self.store.data_mut().local
    }

    pub(crate) fn into_data(self) -> D {
        (*self.store).into_data().user
    }

    pub(crate) fn cx(&mut self) -> Cx<'_, D> {
        Cx {
            inner: CxInner::Wasmi(WasmiCx(self.store.as_context_mut())),
        }
    }

    pub(crate) fn is_suspendable(&self) -> bool {
        self.store.data().suspendable
    }

    pub(crate) fn enable_exceptions(&mut self) {
        WasmiCx(self.store.as_context_mut()).enable_exceptions();
    }

    pub(crate) fn interrupt_handle(&mut self) -> Result<InterruptHandle, EngineError> {
        let data = self.store.data_mut();
        if !data.metered {
            return Err(EngineError::Misuse(
                "interrupts need an engine set up with `interruptible`",
            ));
        }
        Ok(data.interrupt.get_or_insert_default().clone())
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
        let data = self.store.data_mut();
        if !data.metered {
            return Err(EngineError::Misuse(
                "yielding needs an engine set up with `interruptible`",
            ));
        }
        data.yield_every = Some(opportunities);
        Ok(())
    }

    pub(crate) fn set_time_slice(&mut self, ticks: Option<NonZeroU64>) -> Result<(), EngineError> {
        let data = self.store.data_mut();
        if !data.metered {
            return Err(EngineError::Misuse(
                "time slices need an engine set up with `interruptible`",
            ));
        }
        data.time_slice = ticks;
        Ok(())
    }
}

impl wasmi::ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, wasmi_core::LimiterError> {
        Ok(Self::memory_growing(self, current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, wasmi_core::LimiterError> {
        Ok(Self::table_growing(self, current, desired, maximum))
    }

    // What takes more fuel than there is is asked for again.
    fn memory_grow_failed(
        &mut self,
        _: &wasmi_core::MemoryError,
    ) -> Result<(), wasmi_core::LimiterError> {
        self.memory_not_grown();
        Ok(())
    }

    fn table_grow_failed(
        &mut self,
        _: &wasmi_core::TableError,
    ) -> Result<(), wasmi_core::LimiterError> {
        self.table_not_grown();
        Ok(())
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
