//! Instantiating a linked component: running its plan.

use super::functions::{At, CoreBody};
use super::pre::Linked;
use super::prepared::{Arg, Prepared};
use super::{Reexport, Resolved};
use crate::baton::{Baton, HomeGuard, StoreId};
use crate::call::canon::{Callee, Dtor, KnownDtor, Shared};
use crate::call::enter::{return_isolate, run_stack, take_isolate};
use crate::concurrent::{reachable, start, visit};
use crate::error::bug;
use crate::group::GroupsOfInstance;
use crate::interrupt::Scope;
use crate::module::Module;
use crate::{Engine, EngineKind, Error, Result};
use anyhow::{Context, anyhow, bail};
use std::sync::{Arc, OnceLock};
use tidegate_core::plan::{CoreDef, InstanceIdx, ModuleDef, Plan, Resource, Step};
use tidegate_core::runtime::{InstanceId, Lift, ResourceType, TaskId};
use tidegate_engine::{self as engine, Extern, Func, Isolate, Memory, Stack, Table};

/// An instantiated component.
pub(crate) struct InstanceData {
    pub(crate) store: StoreId,
    pub(crate) shared: Arc<Shared>,
    pub(super) linked: Arc<Linked>,
    /// The first of the plan's instances, as the store knows it. The others follow it in the plan's order.
    pub(super) first_instance: InstanceId,
    /// The first of the plan's isolates, as an index into the store's. The others follow it.
    pub(super) first_isolate: usize,
    /// The core instances, those made so far, with their isolates.
    core_instances: Box<[OnceLock<(usize, engine::Instance)>]>,
    /// What the shared functions of `canon` definitions do here, once they were called.
    pub(super) bodies: Box<[OnceLock<CoreBody>]>,
    /// The core functions made so far for the others, if there are any.
    pub(super) trampolines: OnceLock<Box<[OnceLock<Func>]>>,
    /// The imports that the host has called so far as exports, if there are any.
    pub(super) reexports: OnceLock<Box<[OnceLock<Arc<Reexport>>]>>,
    pub(super) groups: GroupsOfInstance,
}

/// A core module that is to be instantiated on a stack of its own, since its start function may wait.
struct Starting {
    stack: Stack<Baton>,
    instance: InstanceId,
    isolate: usize,
    /// Which of the core instances it becomes.
    made: usize,
}

/// Runs the plan of a component. The baton leaves its place only where a start function may wait.
pub(crate) async fn instantiate(
    place: &mut Baton,
    linked: &Arc<Linked>,
) -> Result<Arc<InstanceData>> {
    let prepared = linked.prepared()?;
    let instance = InstanceData::new(place, linked, prepared)?;
    let plan = linked.component.plan();
    let mut made = 0;
    for (index, step) in plan.steps.iter().enumerate() {
        let result = match instance.step(place, (index, step), made) {
            Ok(None) => Ok(()),
            Ok(Some(starting)) => instance.start(place, starting).await,
            Err(error) => Err(error),
        };
        made += usize::from(matches!(step, Step::Instantiate { .. }));
        if let Err(error) = result {
            for index in 0..plan.instances.len() {
                // Nothing else than start functions ran in it.
                let _ = place.state.poison(nth(instance.first_instance, index));
            }
            return Err(error.context(format!("cannot instantiate (step {index})")));
        }
    }
    Ok(instance)
}

/// An instance of the plan, as the store knows it.
pub(super) fn nth(first: InstanceId, index: usize) -> InstanceId {
    // There are no more than a plan may have.
    InstanceId(first.0 + index as u32)
}

impl InstanceData {
    /// Makes the isolates and everything else that is known before the first step.
    fn new(baton: &mut Baton, linked: &Arc<Linked>, prepared: &Prepared) -> Result<Arc<Self>> {
        if !Engine::same(&baton.engine, linked.component.engine()) {
            bail!(
                "the component was made for another engine than the store: make both with the same"
            );
        }
        let plan = linked.component.plan();
        let mut first = None;
        for instance in &plan.instances {
            let parent = (instance.parent.zip(first)).map(|(parent, id)| nth(id, parent.index()));
            let id = baton.state.add_instance(parent);
            first.get_or_insert(id);
        }
        let first_instance = first.context(bug("a component without an instance"))?;
        let instance_id = |index: InstanceIdx| nth(first_instance, index.index());
        let first_isolate = baton.isolates.len();
        let all_groups = linked.component.groups();
        let mut groups = GroupsOfInstance::new(plan.instances.len(), all_groups);
        for (index, make) in prepared.isolates.iter().enumerate() {
            let core = baton.engine.core(make.kind)?;
            let group = all_groups.of_isolate.get(index).and_then(Option::as_ref);
            let limits = match group {
                None => baton.limits.isolate,
                Some(group) => group.limits(baton.limits.isolate),
            };
            let mut made = Isolate::new(core, Baton::default(), limits)?;
            if let Some(control) = &baton.control {
                control.attach(&mut made);
            }
            if make.exceptions {
                made.enable_exceptions();
            }
            if let Some(group) = group {
                let budget = baton.limits.max_lifted_bytes;
                let flags = groups.add(&mut made.cx(), group, instance_id, budget)?;
                let isolate = baton.isolates.len();
                baton.groups.insert(isolate, Arc::new(flags));
            }
            baton.isolates.push(Some(made));
        }
        let resources: Box<[ResourceType]> = plan
            .resources
            .iter()
            .map(|resource| match resource {
                Resource::Defined { instance, .. } => {
                    baton.state.add_resource_type(Some(instance_id(*instance)))
                }
                Resource::Imported(import) => match &linked.imports.resolved[import.index()] {
                    Resolved::Resource(resource) => baton.host_resource_type(resource.ty),
                    _ => baton.state.add_resource_type(None),
                },
            })
            .collect();
        let dtors: Box<[OnceLock<KnownDtor>]> = plan
            .resources
            .iter()
            .zip(&resources)
            .map(|(resource, ty)| {
                let dtor = match resource {
                    Resource::Defined { .. } => return OnceLock::new(),
                    Resource::Imported(import) => match &linked.imports.resolved[import.index()] {
                        Resolved::Resource(resource) => Dtor::Host(resource.dtor.clone()),
                        _ => Dtor::None,
                    },
                };
                let known = KnownDtor::from(&dtor).into();
                baton.dtors.insert(*ty, dtor);
                known
            })
            .collect();
        let bodies = match prepared.shares {
            true => plan.trampolines.iter().map(|_| OnceLock::new()).collect(),
            false => Box::default(),
        };
        let made = Arc::new(Self {
            store: baton.id,
            shared: Arc::new(Shared {
                store: baton.id,
                component: linked.component.clone(),
                resources,
                kinds: linked.imports.kinds.clone(),
                dtors,
            }),
            linked: linked.clone(),
            first_instance,
            first_isolate,
            core_instances: (0..prepared.core_instances)
                .map(|_| OnceLock::new())
                .collect(),
            bodies,
            trampolines: OnceLock::new(),
            reexports: OnceLock::new(),
            groups,
        });
        if prepared.shares {
            for isolate in baton.isolates[first_isolate..].iter_mut().flatten() {
                isolate.set_local(made.clone())?;
            }
        }
        Ok(made)
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.shared.component.plan()
    }

    /// Runs a step; `made` core instances are there.
    fn step(
        &self,
        place: &mut Baton,
        (number, step): (usize, &Step),
        made: usize,
    ) -> Result<Option<Starting>> {
        match step {
            Step::Resource { resource, dtor } => {
                self.define_resource(place, resource.index(), dtor.as_ref())?;
                Ok(None)
            }
            Step::Instantiate {
                instance, starts, ..
            } => self.instantiate_module(place, *instance, number, *starts, made),
        }
    }

    fn define_resource(
        &self,
        baton: &mut Baton,
        index: usize,
        dtor: Option<&CoreDef>,
    ) -> Result<()> {
        let Resource::Defined { instance, .. } = self.plan().resources[index] else {
            bail!(bug("an imported resource type is defined"));
        };
        let dtor = match dtor {
            None => Dtor::None,
            Some(def) => {
                let core = self.core_func(&mut At::Store(baton), def)?;
                Dtor::Guest(Arc::new(Callee {
                    options: self.plain_options(instance)?,
                    core,
                    post_return: None,
                    ty: None,
                    flat_params: 1,
                    flat_results: 0,
                    returns_number: true,
                    quiet: false,
                    suspendable: self.suspendable(instance),
                    concurrent: self.linked.component.is_concurrent(),
                    nested: false,
                    lift: Lift::Sync,
                    callback: None,
                }))
            }
        };
        let known = KnownDtor::from(&dtor);
        baton.dtors.insert(self.shared.resources[index], dtor);
        self.shared.dtors[index]
            .set(known)
            .map_err(|_| anyhow!(bug("a resource type is defined twice")))
    }

    /// Instantiates the core module of a step, unless that needs a stack of its own. Where no start function runs, no instance is entered.
    fn instantiate_module(
        &self,
        place: &mut Baton,
        instance: InstanceIdx,
        step: usize,
        starts: bool,
        made: usize,
    ) -> Result<Option<Starting>> {
        let prepared = self.linked.prepared()?;
        let module = prepared.modules[step]
            .as_ref()
            .context(bug("a step without a module instantiates one"))?;
        let mut rest = Vec::with_capacity(module.rest.len());
        for arg in &module.rest {
            rest.push(self.arg(place, arg)?);
        }
        let (id, index) = (
            nth(self.first_instance, instance.index()),
            self.isolate(instance)?,
        );
        if !starts {
            let instance = isolate_cx(place, index)?.instantiate_pre(&module.pre, &rest)?;
            return self.keep(made, index, instance).map(|()| None);
        }
        if self.suspendable(instance) {
            let imports = isolate_cx(place, index)?.imports(&module.pre, &rest)?;
            return Ok(Some(Starting {
                stack: Stack::instantiate(module.pre.module(), &imports),
                instance: id,
                isolate: index,
                made,
            }));
        }
        let _scope = Scope::enter(place);
        let task = place.state.begin_sync_call(id, None)?;
        let mut isolate = take_isolate(place, index)?;
        let instance = isolate.cx().instantiate_pre(&module.pre, &rest);
        *place = return_isolate(isolate, index);
        self.started(place, task, index, made, instance)?;
        Ok(None)
    }

    /// What a core module is given.
    pub(super) fn arg(&self, baton: &mut Baton, arg: &Arg) -> Result<Extern> {
        match arg {
            Arg::Export(made, export) => {
                let (isolate, instance) = self.core_instance(*made)?;
                let found = isolate_cx(baton, isolate)?.export_of(instance, export);
                found.context(bug("a core instance is another module's"))
            }
            Arg::Def(def) => self.core_def(&mut At::Store(baton), def),
        }
    }

    /// Keeps a core instance.
    fn keep(&self, made: usize, isolate: usize, instance: engine::Instance) -> Result<()> {
        (self.core_instances.get(made))
            .and_then(|place| place.set((isolate, instance)).ok())
            .context(bug("a core instance has no place"))
    }

    /// Instantiates a core module on a stack of its own.
    async fn start(&self, place: &mut Baton, starting: Starting) -> Result<()> {
        let Starting {
            mut stack,
            instance,
            isolate: index,
            made: number,
        } = starting;
        let mut guard = HomeGuard::new(place);
        let mut baton = guard.take();
        if self.linked.component.is_concurrent() {
            let (baton, made) = start(baton, instance, index, stack).await;
            guard.put(baton);
            return self.keep(number, index, made?);
        }
        let entered = baton.state.begin_sync_call(instance, None);
        let entered = entered.map_err(Error::from);
        let entered = entered.and_then(|task| Ok((task, take_isolate(&mut baton, index)?)));
        let (task, isolate) = match entered {
            Ok(entered) => entered,
            Err(error) => {
                guard.put(baton);
                return Err(error);
            }
        };
        let (isolate, result) = run_stack(isolate, &mut stack).await;
        let made = result.and_then(|()| stack.instance().context(bug("no instance was made")));
        let mut baton = return_isolate(isolate, index);
        let result = self.started(&mut baton, task, index, number, made);
        guard.put(baton);
        result
    }

    /// Leaves the instance whose start function has run.
    fn started(
        &self,
        baton: &mut Baton,
        task: TaskId,
        isolate: usize,
        number: usize,
        made: Result<engine::Instance>,
    ) -> Result<()> {
        let made = made?;
        baton.state.finish_return(task);
        baton.state.end_sync_call(task)?;
        self.keep(number, isolate, made)
    }

    /// A core module that the component defines or imports.
    pub(crate) fn module(&self, def: ModuleDef) -> Result<Module> {
        let component = &self.shared.component;
        match def {
            ModuleDef::Static(index) => {
                let kind = component.engine().kind();
                let compiled = component.module(index, kind)?.clone();
                Ok(Module::from_compiled(component.engine(), kind, compiled))
            }
            ModuleDef::Import(index) => match &self.linked.imports.resolved[index.index()] {
                Resolved::Module(module) => Ok(module.clone()),
                _ => bail!(bug("an imported module is none")),
            },
        }
    }

    /// The isolate of an instance, as an index into the store's.
    pub(super) fn isolate(&self, instance: InstanceIdx) -> Result<usize> {
        self.shared.component.isolation().of_instance[instance.index()]
            .map(|index| self.first_isolate + index)
            .context(bug("an instance with code has no isolate"))
    }

    pub(super) fn suspendable(&self, instance: InstanceIdx) -> bool {
        self.shared.component.isolation().of_instance[instance.index()]
            .is_some_and(|index| self.linked.suspendable[index])
    }

    /// Whether functions of an instance may run on the stack of a guest that calls them.
    pub(super) fn nested(&self, instance: InstanceIdx) -> bool {
        let component = &self.shared.component;
        component.isolation().of_instance[instance.index()].is_some_and(|index| {
            component.is_concurrent()
                && !self.linked.suspendable[index]
                && component.needs(index).nested
        })
    }

    /// The core engine that runs an instance.
    pub(super) fn kind(&self, instance: InstanceIdx) -> Result<EngineKind> {
        let isolation = self.shared.component.isolation();
        match isolation.of_instance[instance.index()] {
            Some(index) => Ok(self.linked.prepared()?.isolates[index].kind),
            None => Ok(self.shared.component.engine().kind()),
        }
    }

    /// Finds a core definition.
    pub(super) fn core_def(&self, at: &mut At<'_, '_>, def: &CoreDef) -> Result<Extern> {
        match def {
            CoreDef::Export { instance, name } => self.core_export(at, instance.index(), name),
            CoreDef::Trampoline(index) => match at {
                At::Store(baton) => Ok(Extern::Func(self.trampoline(baton, *index)?)),
                At::Isolate(_) => bail!(bug("a canonical function is made in the midst of a call")),
            },
        }
    }

    /// A core instance that was made before, and its isolate.
    fn core_instance(&self, index: usize) -> Result<(usize, engine::Instance)> {
        let made = self.core_instances.get(index).and_then(OnceLock::get);
        made.copied()
            .context(bug("a core instance is used before it is made"))
    }

    fn core_export(&self, at: &mut At<'_, '_>, instance: usize, name: &str) -> Result<Extern> {
        let (isolate, instance) = self.core_instance(instance)?;
        let export = match at {
            At::Store(baton) if baton.isolates[isolate].is_none() && reachable(baton, isolate) => {
                // Its stack is parked.
                visit(baton, isolate, |cx| Ok(cx.export(instance, name)))?
            }
            At::Store(baton) => isolate_cx(baton, isolate)?.export(instance, name),
            At::Isolate(cx) => cx.export(instance, name),
        };
        export.with_context(|| format!("a core instance does not export `{name}`"))
    }

    pub(super) fn core_func(&self, at: &mut At<'_, '_>, def: &CoreDef) -> Result<Func> {
        match self.core_def(at, def)? {
            Extern::Func(func) => Ok(func),
            other => bail!(bug(format!(
                "a core {} is used as a function",
                other.kind()
            ))),
        }
    }

    pub(super) fn core_memory(&self, at: &mut At<'_, '_>, def: &CoreDef) -> Result<Memory> {
        match self.core_def(at, def)? {
            Extern::Memory(memory) => Ok(memory),
            other => bail!(bug(format!("a core {} is used as a memory", other.kind()))),
        }
    }

    pub(super) fn core_table(&self, at: &mut At<'_, '_>, def: &CoreDef) -> Result<Table> {
        match self.core_def(at, def)? {
            Extern::Table(table) => Ok(table),
            other => bail!(bug(format!("a core {} is used as a table", other.kind()))),
        }
    }
}

pub(super) fn isolate_cx(baton: &mut Baton, index: usize) -> Result<engine::Cx<'_, Baton>> {
    baton.isolates[index]
        .as_mut()
        .map(Isolate::cx)
        .context("an isolate of the component is running or gone")
}
