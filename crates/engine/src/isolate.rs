//! An engine store and what it carries.

use std::sync::Arc;

use crate::{
    config::{Engine, EngineInner, EngineKind},
    cx::Cx,
    error::EngineError,
    interrupt::InterruptHandle,
    limits::Limits,
    stack::Flow,
};

const NO_SHARED: EngineError =
    EngineError::Misuse("a shared host function, where the isolate's user has none");

/// What an isolate carries for its user.
pub trait IsolateData: Send + 'static {
    /// What a blocking host function hands to whoever runs the stack.
    type Block: Send + 'static;

    /// What [shared host functions](crate::SharedFunc) find in each isolate that has it ([`Isolate::set_local`]).
    type Local: Send + Sync + 'static;

    /// What a parked stack may be resumed with instead of a [`Job`](crate::Job), which has to be allocated.
    type Reply: Send + 'static;

    /// Runs a [shared host function](crate::SharedFunc) that never blocks, as a [`HostFn`](crate::HostFn) would.
    ///
    /// # Errors
    /// The guest traps with them.
    fn call(
        cx: Cx<'_, Self>,
        local: &Self::Local,
        number: usize,
        slots: &mut [u64],
    ) -> anyhow::Result<()>
    where
        Self: Sized,
    {
        let _ = (cx, local, number, slots);
        Err(NO_SHARED.into())
    }

    /// Runs one that may block, as a [`BlockingHostFn`](crate::BlockingHostFn) would.
    ///
    /// # Errors
    /// The guest traps with them.
    fn call_blocking(
        cx: Cx<'_, Self>,
        local: &Self::Local,
        number: usize,
        slots: &mut [u64],
    ) -> anyhow::Result<Flow<Self::Block>>
    where
        Self: Sized,
    {
        let _ = (cx, local, number, slots);
        Err(NO_SHARED.into())
    }

    /// Goes on with a stack that is resumed with a reply: as a job would, in the context of the host call that it is blocked in.
    ///
    /// # Errors
    /// What the host call ends with.
    fn reply(
        _cx: Cx<'_, Self>,
        _slots: &mut [u64],
        _reply: Self::Reply,
    ) -> anyhow::Result<Flow<Self::Block>>
    where
        Self: Sized,
    {
        Err(EngineError::Misuse("a reply to whom none means anything").into())
    }

    /// Called on the guest's stack, in the middle of its code, when it meets [`InterruptHandle::ask_yield`]. Returns whether it is to yield.
    fn interrupted(&mut self) -> bool {
        true
    }

    /// Called likewise at ticks of the clock, where there are time slices: whether the slice is over although the ticks have not been as many, as they
    /// may come late.
    fn slice_is_over(&mut self) -> bool {
        false
    }
}

/// An engine store: core instances, memories, tables and host functions, and its user's data. Everything in it goes when it
/// is dropped.
pub struct Isolate<D: IsolateData> {
    pub(crate) inner: IsolateInner<D>,
}

pub(crate) enum IsolateInner<D: IsolateData> {
    Wasmtime(crate::wasmtime::WasmtimeIsolate<D>),
    Wasmi(crate::wasmi::WasmiIsolate<D>),
}

impl<D: IsolateData> Isolate<D> {
    /// An empty isolate.
    ///
    /// # Errors
    /// The engine cannot give a store.
    pub fn new(engine: &Engine, data: D, limits: Limits) -> Result<Self, EngineError> {
        let inner = match &engine.inner {
            EngineInner::Wasmtime(inner) => {
                IsolateInner::Wasmtime(crate::wasmtime::WasmtimeIsolate::new(
                    inner,
                    &engine.config,
                    &engine.stacks,
                    data,
                    limits,
                )?)
            }
            EngineInner::Wasmi(inner) => IsolateInner::Wasmi(crate::wasmi::WasmiIsolate::new(
                inner,
                &engine.config,
                data,
                limits,
            )),
        };
        Ok(Self { inner })
    }

    /// Which engine runs it.
    pub fn kind(&self) -> EngineKind {
        match &self.inner {
            IsolateInner::Wasmtime(_) => EngineKind::Wasmtime,
            IsolateInner::Wasmi(_) => EngineKind::Wasmi,
        }
    }

    /// Its user's data.
    pub fn data(&self) -> &D {
        match &self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.data(),
            IsolateInner::Wasmi(isolate) => isolate.data(),
        }
    }

    /// Its user's data.
    pub fn data_mut(&mut self) -> &mut D {
        match &mut self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.data_mut(),
            IsolateInner::Wasmi(isolate) => isolate.data_mut(),
        }
    }

    /// Ends the isolate and gives its user's data back.
    pub fn into_data(self) -> D {
        match self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.into_data(),
            IsolateInner::Wasmi(isolate) => isolate.into_data(),
        }
    }

    /// Gives it what [shared host functions](crate::SharedFunc) find in it, once and for all.
    ///
    /// # Errors
    /// [`EngineError::Misuse`] if it has something already.
    pub fn set_local(&mut self, local: Arc<D::Local>) -> Result<(), EngineError> {
        let place = match &mut self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.local(),
            IsolateInner::Wasmi(isolate) => isolate.local(),
        };
        if place.is_some() {
            return Err(EngineError::Misuse(
                "what an isolate's shared host functions find was given before",
            ));
        }
        *place = Some(local);
        Ok(())
    }

    /// The right to use it, from outside.
    pub fn cx(&mut self) -> Cx<'_, D> {
        match &mut self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.cx(),
            IsolateInner::Wasmi(isolate) => isolate.cx(),
        }
    }

    /// Whether it holds blocking host functions.
    ///
    /// Plain calls ([`Cx::call`]) of such an isolate work as ever, and cost no more; a blocking host function reached by one
    /// that wants to block is an [`EngineError::CannotBlock`]. So whether an entry needs a [`Stack`](crate::Stack) of its own
    /// is its user's choice.
    pub fn is_suspendable(&self) -> bool {
        match &self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.is_suspendable(),
            IsolateInner::Wasmi(isolate) => isolate.is_suspendable(),
        }
    }

    /// Makes exceptions work between the modules of this isolate. To be called before the first instantiation, if any module
    /// that will be instantiated here [uses exceptions](crate::Module::uses_exceptions).
    ///
    /// wasmtime always has them. wasmi has no exceptions: modules are translated to plain code that checks after each call
    /// whether one is on its way, which every module of the isolate must then do, not just those that throw or catch.
    pub fn enable_exceptions(&mut self) {
        match &mut self.inner {
            IsolateInner::Wasmtime(_) => {}
            IsolateInner::Wasmi(isolate) => isolate.enable_exceptions(),
        }
    }

    /// A handle that ends or suspends what the guest computes, in plain calls too. Needs
    /// [`EngineConfig::interruptible`](crate::EngineConfig::interruptible). All handles of an isolate are the same, until it is
    /// [given another](Self::use_interrupt_handle).
    ///
    /// # Errors
    /// [`EngineError::Misuse`] if the engine was set up without interruption.
    pub fn interrupt_handle(&mut self) -> Result<InterruptHandle, EngineError> {
        match &mut self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.interrupt_handle(),
            IsolateInner::Wasmi(isolate) => isolate.interrupt_handle(),
        }
    }

    /// Has this isolate look at a handle that others may look at too, such as all isolates of a store.
    ///
    /// # Errors
    /// [`EngineError::Misuse`] if the engine was set up without interruption.
    pub fn use_interrupt_handle(&mut self, handle: &InterruptHandle) -> Result<(), EngineError> {
        match &mut self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.use_interrupt_handle(handle),
            IsolateInner::Wasmi(isolate) => isolate.use_interrupt_handle(handle),
        }
    }

    /// Makes stacks yield at every such opportunity (checks in compiled code, when fuel runs out in interpreted code),
    /// whatever the clock says: for tests of everything that must survive that. Slow. Needs
    /// [`EngineConfig::interruptible`](crate::EngineConfig::interruptible).
    ///
    /// # Errors
    /// [`EngineError::Misuse`] if the engine was set up without interruption.
    pub fn yield_every(&mut self, opportunities: std::num::NonZeroU32) -> Result<(), EngineError> {
        match &mut self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.yield_every(opportunities),
            IsolateInner::Wasmi(isolate) => isolate.yield_every(opportunities),
        }
    }

    /// How long a stack may compute before it yields ([`Step::Yielded`](crate::Step::Yielded)), in ticks of
    /// [`Engine::tick`]; `None` for ever. Needs
    /// [`EngineConfig::interruptible`](crate::EngineConfig::interruptible).
    ///
    /// Code reached by a plain call does not yield: it goes on, and the stack below it yields once it is back.
    ///
    /// # Errors
    /// [`EngineError::Misuse`] if the engine was set up without interruption.
    pub fn set_time_slice(
        &mut self,
        ticks: Option<std::num::NonZeroU64>,
    ) -> Result<(), EngineError> {
        match &mut self.inner {
            IsolateInner::Wasmtime(isolate) => isolate.set_time_slice(ticks),
            IsolateInner::Wasmi(isolate) => isolate.set_time_slice(ticks),
        }
    }
}
