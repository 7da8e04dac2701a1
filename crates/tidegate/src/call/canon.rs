//! The two sides of a call: a lifted function and the place of a lowered one, with their canonical options resolved.

use crate::Component;
use crate::baton::Baton;
use crate::baton::StoreId;
use crate::concurrent::call_trapped;
use crate::error::bug;
use crate::link::HostDtor;
use anyhow::Result;
use std::sync::{Arc, OnceLock, Weak};
use tidegate_core::abi::{
    LiftBudget, LiftContext, LowerContext, LowerTarget, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
    ResourceKind,
};
use tidegate_core::plan::{OptionsIdx, StringEncoding};
use tidegate_core::runtime::{InstanceId, Lends, Lift, ResourceType, State, TaskId};
use tidegate_core::types::{FuncType, FuncTypeIdx, ResourceIdx, Types};
use tidegate_engine::{Cx, Func, Global, Memory};

/// What all functions of one instantiation share.
pub(crate) struct Shared {
    pub(crate) store: StoreId,
    pub(crate) component: Component,
    /// What the plan's resource types are in this instantiation.
    pub(crate) resources: Box<[ResourceType]>,
    /// Who implements them.
    pub(crate) kinds: Arc<[ResourceKind]>,
    /// Their destructors, set when the step that defines the type has run.
    pub(crate) dtors: Box<[OnceLock<KnownDtor>]>,
}

/// The destructor of a resource type.
#[derive(Clone)]
pub(crate) enum Dtor {
    None,
    Host(Arc<HostDtor>),
    Guest(Arc<Callee>),
}

/// The same as [`Shared`] knows it: a guest's refers to that, so that only the store keeps it.
pub(crate) enum KnownDtor {
    None,
    Host(Arc<HostDtor>),
    Guest(Weak<Callee>),
}

impl From<&Dtor> for KnownDtor {
    fn from(dtor: &Dtor) -> Self {
        match dtor {
            Dtor::None => Self::None,
            Dtor::Host(dtor) => Self::Host(dtor.clone()),
            Dtor::Guest(callee) => Self::Guest(Arc::downgrade(callee)),
        }
    }
}

impl Shared {
    pub(crate) fn types(&self) -> &Types {
        &self.component.plan().types
    }

    pub(crate) fn dtor(&self, resource: ResourceIdx) -> Option<&KnownDtor> {
        self.dtors.get(resource.index())?.get()
    }
}

/// Canonical options, resolved to an isolate's definitions.
#[derive(Clone)]
pub(crate) struct CanonOptions {
    pub(crate) shared: Arc<Shared>,
    pub(crate) instance: InstanceId,
    /// The isolate, as an index into [`Runtime::isolates`](crate::baton::Runtime::isolates).
    pub(crate) isolate: usize,
    pub(crate) memory: Option<Memory>,
    pub(crate) memory64: bool,
    pub(crate) encoding: StringEncoding,
    pub(crate) realloc: Option<Func>,
    /// Which of the plan's options these are, if any.
    pub(crate) index: Option<OptionsIdx>,
    /// What adapters look at to know whether the instance may leave, if they call it or it calls them.
    pub(crate) may_leave: Option<Global>,
}

/// A function lifted from core code.
#[derive(Clone)]
pub(crate) struct Callee {
    pub(crate) options: CanonOptions,
    pub(crate) core: Func,
    pub(crate) post_return: Option<Func>,
    /// Its type; the destructor of a resource has none.
    pub(crate) ty: Option<FuncTypeIdx>,
    /// How many core parameters it has.
    pub(crate) flat_params: usize,
    /// How many core results.
    pub(crate) flat_results: usize,
    /// Whether its result is a number, any of which is one, or there is none: nothing needs to be looked at when it is returned.
    pub(crate) returns_number: bool,
    /// Whether nobody can tell whether a call by the host has a task: see [`State::begin_quiet_call`].
    pub(crate) quiet: bool,
    /// Whether it must be entered on a stack of its own.
    pub(crate) suspendable: bool,
    /// Whether its component uses async.
    pub(crate) concurrent: bool,
    /// Whether it may run on the stack of a guest that calls it: see [`Needs`](crate::concurrent::Needs).
    pub(crate) nested: bool,
    /// How it is lifted.
    pub(crate) lift: Lift,
    /// Its callback, if it has one.
    pub(crate) callback: Option<Func>,
}

impl Callee {
    /// Whether its component uses async, so that it is called by the driver.
    #[inline]
    pub(crate) fn is_concurrent(&self) -> bool {
        self.concurrent
    }

    /// How many flat results it returns at most; more of them come by way of memory.
    pub(crate) fn max_flat_results(&self) -> usize {
        if self.lift.async_option() {
            MAX_FLAT_PARAMS
        } else {
            MAX_FLAT_RESULTS
        }
    }

    /// Its type.
    ///
    /// # Errors
    /// It is a destructor, which has none.
    pub(crate) fn func_type(&self) -> Result<&FuncType> {
        Ok(self.options.shared.types().func(self.func_type_idx()?))
    }

    /// Its type, as the plan knows it.
    ///
    /// # Errors
    /// As [`func_type`](Self::func_type).
    #[inline]
    pub(crate) fn func_type_idx(&self) -> Result<FuncTypeIdx> {
        match self.ty {
            Some(ty) => Ok(ty),
            None => anyhow::bail!(bug("a destructor is called as a function")),
        }
    }
}

/// The place of a lowered function: who calls, and by what options.
pub(crate) struct CallSite {
    pub(crate) options: CanonOptions,
    pub(crate) ty: FuncTypeIdx,
    /// Whether any parameter holds a `borrow`.
    pub(crate) borrows: bool,
    /// Whether the parameters come as core values, all of them: nothing is read from memory to lift them.
    pub(crate) flat: bool,
    /// Whether its type is `async`.
    pub(crate) async_type: bool,
    /// Whether it was lowered with the `async` option.
    pub(crate) async_: bool,
    /// The host function behind it, as it was imported, if it is one.
    pub(crate) name: Option<Arc<str>>,
}

impl CallSite {
    pub(crate) fn func_type(&self) -> &FuncType {
        self.options.shared.types().func(self.ty)
    }
}

impl CanonOptions {
    /// Runs code of the instance that may not leave, which adapters are to know.
    #[inline]
    pub(crate) fn close(
        &self,
        cx: &mut Cx<'_, Baton>,
        run: impl FnOnce(&mut Cx<'_, Baton>) -> Result<()>,
    ) -> Result<()> {
        let Some(may_leave) = self.may_leave else {
            return run(cx);
        };
        cx.global_set(may_leave, 0)?;
        run(cx)?;
        cx.global_set(may_leave, 1)
    }

    /// Runs `f` in a context for lifting out of the instance, whose isolate `cx` is.
    #[inline]
    pub(crate) fn lift<R>(
        &self,
        cx: &mut Cx<'_, Baton>,
        lends: &mut Lends,
        task: Option<TaskId>,
        f: impl FnOnce(&mut LiftContext<'_>) -> Result<R>,
    ) -> Result<R> {
        self.lift_from(self.memory, cx, lends, task, f)
    }

    /// The same from core values alone, if there is no memory.
    #[inline(always)]
    pub(crate) fn lift_from<R>(
        &self,
        memory: Option<Memory>,
        cx: &mut Cx<'_, Baton>,
        lends: &mut Lends,
        task: Option<TaskId>,
        f: impl FnOnce(&mut LiftContext<'_>) -> Result<R>,
    ) -> Result<R> {
        let (memory, baton): (&[u8], _) = match memory {
            Some(memory) => {
                let (bytes, baton) = cx.memory_and_data_mut(memory);
                (bytes, baton)
            }
            None => (&[], cx.data_mut()),
        };
        let runtime = &mut **baton;
        f(&mut LiftContext {
            types: self.shared.types(),
            resources: &self.shared.resources,
            memory,
            memory64: self.memory64,
            encoding: self.encoding,
            state: &mut runtime.state,
            instance: self.instance,
            lends,
            task,
            budget: LiftBudget::new(runtime.limits.max_lifted_bytes),
        })
    }

    /// Runs `f` in a context for lowering what needs no allocation into a part of the instance's memory: addresses count from its beginning.
    #[inline]
    pub(crate) fn lower_at_hand<R>(
        &self,
        target: (&mut [u8], &mut State),
        lends: &mut Lends,
        f: impl FnOnce(&mut LowerContext<'_>) -> Result<R>,
    ) -> Result<R> {
        f(&mut LowerContext {
            types: self.shared.types(),
            resources: &self.shared.resources,
            target: &mut AtHand(target),
            memory64: self.memory64,
            encoding: self.encoding,
            instance: self.instance,
            task: None,
            lends,
        })
    }

    /// Runs `f` in a context for lowering into the instance, whose isolate `cx` is.
    #[inline(always)]
    pub(crate) fn lower<R>(
        &self,
        cx: &mut Cx<'_, Baton>,
        task: Option<TaskId>,
        lends: &mut Lends,
        f: impl FnOnce(&mut LowerContext<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut target = Guest {
            cx: cx.reborrow(),
            options: self,
        };
        f(&mut LowerContext {
            types: self.shared.types(),
            resources: &self.shared.resources,
            target: &mut target,
            memory64: self.memory64,
            encoding: self.encoding,
            instance: self.instance,
            task,
            lends,
        })
    }
}

/// A part of an instance's memory as the destination of what needs no allocation.
struct AtHand<'a>((&'a mut [u8], &'a mut State));

impl LowerTarget for AtHand<'_> {
    #[inline]
    fn parts(&mut self) -> (&mut [u8], &mut State) {
        (self.0.0, self.0.1)
    }

    fn realloc(&mut self, _: u64, _: u64, _: u32, _: u64) -> Result<u64> {
        anyhow::bail!(bug("`realloc` is called for values that need none"))
    }
}

/// An instance as the destination of lowering.
pub(crate) struct Guest<'a> {
    pub(crate) cx: Cx<'a, Baton>,
    pub(crate) options: &'a CanonOptions,
}

impl LowerTarget for Guest<'_> {
    fn parts(&mut self) -> (&mut [u8], &mut State) {
        match self.options.memory {
            Some(memory) => {
                let (bytes, baton) = self.cx.memory_and_data_mut(memory);
                (bytes, &mut baton.state)
            }
            None => (&mut [], &mut self.cx.data_mut().state),
        }
    }

    fn realloc(&mut self, old: u64, old_size: u64, align: u32, new_size: u64) -> Result<u64> {
        let Some(realloc) = self.options.realloc else {
            anyhow::bail!(bug("`realloc` is missing where validation demands it"));
        };
        let instance = self.options.instance;
        let mut slots = [old, old_size, align.into(), new_size];
        let task = self.cx.data_mut().state.begin_realloc(instance)?;
        let result = self
            .options
            .close(&mut self.cx, |cx| cx.call(realloc, &mut slots));
        if let Err(error) = result {
            call_trapped(self.cx.data_mut(), task, instance, &error);
            return Err(error);
        }
        self.cx.data_mut().state.end_realloc(task)?;
        Ok(if self.options.memory64 {
            slots[0]
        } else {
            slots[0] & 0xffff_ffff
        })
    }
}
