//! Linked components.

use super::prepared::Prepared;
use super::{Body, HostFunc, Imports, Linker, Resolved, instantiate};
use crate::error::bug;
use crate::interrupt::block_on;
use crate::isolation::IsolatePlan;
use crate::{AsContextMut, Component, EngineKind, Instance, Result};
use anyhow::bail;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use tidegate_core::plan::{Canon, FuncDef, ImportIdx, ModuleDef, Resource, Step, Trampoline};

/// A component whose imports have been found and checked: it can be instantiated any number of times.
pub struct InstancePre<T: Send + 'static> {
    linked: Arc<Linked>,
    data: PhantomData<fn() -> T>,
}

impl<T: Send + 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        Self {
            linked: self.linked.clone(),
            data: PhantomData,
        }
    }
}

/// What linking finds out once.
pub(crate) struct Linked {
    pub(crate) component: Component,
    pub(crate) imports: Imports,
    /// For each of the plan's isolates, whether it must be entered on a stack of its own.
    pub(crate) suspendable: Box<[bool]>,
    /// Found out by the first instantiation, for all.
    prepared: OnceLock<Prepared>,
}

impl Linked {
    fn new(component: &Component, imports: Imports) -> Self {
        let isolation = component.isolation();
        let mut linked = Self {
            component: component.clone(),
            imports,
            suspendable: vec![false; isolation.isolates.len()].into(),
            prepared: OnceLock::new(),
        };
        // Isolates that are called come first.
        for (index, isolate) in isolation.isolates.iter().enumerate() {
            let mut reason = component.needs(index).stack;
            if reason.is_none() {
                let waits = component
                    .plan()
                    .trampolines
                    .iter()
                    .filter(|trampoline| isolate.instances.contains(&trampoline.instance))
                    .any(|trampoline| linked.may_block(trampoline));
                reason = waits.then_some("it calls what may wait in the middle of its code");
            }
            linked.suspendable[index] = reason.is_some();
            tracing::debug!(
                isolate = index,
                "entered {}",
                match reason {
                    Some(reason) => format!("on a stack of its own: {reason}"),
                    None => "by plain calls".to_owned(),
                }
            );
        }
        linked
    }

    /// A core module to instantiate, as compiled by a core engine.
    pub(crate) fn module(
        &self,
        def: ModuleDef,
        kind: EngineKind,
    ) -> Result<&tidegate_engine::Module> {
        match def {
            ModuleDef::Static(index) => self.component.module(index, kind),
            ModuleDef::Import(index) => match &self.imports.resolved[index.index()] {
                Resolved::Module(module) => module.compiled(kind),
                _ => bail!(bug("an imported module is none")),
            },
        }
    }

    /// The host function behind an import.
    pub(super) fn host_func(&self, import: ImportIdx) -> Result<&HostFunc> {
        match &self.imports.resolved[import.index()] {
            Resolved::Func(func) => Ok(func),
            _ => bail!(bug("an imported function is none")),
        }
    }

    /// What all instantiations have in common.
    pub(crate) fn prepared(&self) -> Result<&Prepared> {
        if let Some(prepared) = self.prepared.get() {
            return Ok(prepared);
        }
        let prepared = Prepared::new(self)?;
        Ok(self.prepared.get_or_init(|| prepared))
    }

    /// Whether any module that is instantiated in an isolate uses exceptions.
    pub(super) fn uses_exceptions(&self, isolate: &IsolatePlan, kind: EngineKind) -> Result<bool> {
        for step in &self.component.plan().steps {
            if let Step::Instantiate {
                instance, module, ..
            } = step
                && isolate.instances.contains(instance)
                && self.module(*module, kind)?.uses_exceptions()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the core function that a `canon` definition makes may park its caller's stack.
    pub(crate) fn may_block(&self, trampoline: &Trampoline) -> bool {
        let plan = self.component.plan();
        let isolation = self.component.isolation();
        let caller = isolation.of_instance[trampoline.instance.index()];
        let mut within = false;
        let callee = match &trampoline.canon {
            Canon::Lower {
                func: FuncDef::Import(import),
                ty,
                options,
            } => {
                // Then its caller gets a subtask.
                let as_subtask =
                    plan.types.func(*ty).async_ && plan.options[options.index()].async_;
                return match &self.imports.resolved[import.index()] {
                    Resolved::Func(func) => match func.body {
                        Body::Sync(_) => false,
                        Body::Waiting(_) => true,
                        Body::Concurrent(_) => !as_subtask,
                    },
                    _ => false,
                };
            }
            Canon::Lower {
                func: FuncDef::Lift(lift),
                ..
            } => plan.lifts[lift.index()].instance,
            Canon::ResourceDrop(resource) => match plan.resources[resource.index()] {
                Resource::Imported(import) => {
                    return match &self.imports.resolved[import.index()] {
                        Resolved::Resource(resource) => resource.dtor.may_wait(),
                        _ => false,
                    };
                }
                Resource::Defined { instance, .. } => {
                    // By the driver, which runs code of an isolate beside what is parked there.
                    within = self.component.is_concurrent();
                    instance
                }
            },
            _ => return false,
        };
        let callee = isolation.of_instance[callee.index()];
        (within || callee != caller) && callee.is_some_and(|index| self.suspendable[index])
    }
}

impl<T: Send + 'static> Linker<T> {
    /// Links a component: finds its imports and checks their types.
    ///
    /// # Errors
    /// [`LinkError`](crate::LinkError), which names the import.
    pub fn instantiate_pre(&self, component: &Component) -> Result<InstancePre<T>> {
        let imports = Imports::resolve(component, self.names())?;
        Ok(InstancePre {
            linked: Arc::new(Linked::new(component, imports)),
            data: PhantomData,
        })
    }

    /// Links and instantiates a component.
    ///
    /// # Errors
    /// As [`instantiate_pre`](Self::instantiate_pre) and [`InstancePre::instantiate`].
    pub fn instantiate(
        &self,
        store: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance> {
        self.instantiate_pre(component)?.instantiate(store)
    }

    /// Links and instantiates a component, waiting where its start functions call host functions that wait.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate).
    pub async fn instantiate_async(
        &self,
        store: impl AsContextMut<Data = T>,
        component: &Component,
    ) -> Result<Instance> {
        self.instantiate_pre(component)?
            .instantiate_async(store)
            .await
    }
}

impl<T: Send + 'static> InstancePre<T> {
    /// The component.
    pub fn component(&self) -> &Component {
        &self.linked.component
    }

    /// Makes an instance. Should a start function wait, this thread waits.
    ///
    /// # Errors
    /// A trap in a start function, or a limit of the store.
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let control = store.as_context_mut().slot.control.clone();
        block_on(control, self.instantiate_async(store))
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// As [`instantiate`](Self::instantiate).
    pub async fn instantiate_async(
        &self,
        mut store: impl AsContextMut<Data = T>,
    ) -> Result<Instance> {
        let store = store.as_context_mut();
        let made = instantiate(store.slot, &self.linked).await?;
        Ok(Instance::new(made))
    }
}
