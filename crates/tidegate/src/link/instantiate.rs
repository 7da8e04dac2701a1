//! Instantiating a linked component: running its plan.

use super::functions::{At, CoreBody, host_body};
use super::pre::Linked;
use super::prepared::{Prepared, func_type};
use super::{Reexport, Resolved};
use crate::baton::{Baton, HomeGuard, StoreId};
use crate::call::builtins;
use crate::call::canon::{CallSite, Callee, CanonOptions, Dtor, KnownDtor, Shared};
use crate::call::enter::{return_isolate, run_stack, take_isolate};
use crate::call::guest::GuestCall;
use crate::concurrent::start;
use crate::error::bug;
use crate::group::{self, Door, GroupsOfInstance};
use crate::interrupt::Scope;
use crate::module::Module;
use crate::{Engine, EngineKind, Error, Result};
use anyhow::{Context, anyhow, bail};
use std::sync::{Arc, OnceLock};
use tidegate_core::abi::fuse::Import;
use tidegate_core::plan::{
    Canon, CoreDef, FuncDef, ImportIdx, InstanceIdx, LiftIdx, ModuleDef, Options, OptionsIdx, Plan,
    Resource, Step, StringEncoding, Trampoline, TrampolineIdx,
};
use tidegate_core::runtime::{InstanceId, Lift, ResourceType, TaskId};
use tidegate_core::types::{FuncTypeIdx, ValType};
use tidegate_engine::{self as engine, Extern, Func, Isolate, Memory, Stack, Table};

/// An instantiated component.
pub(crate) struct InstanceData {
    pub(crate) store: StoreId,
    pub(crate) shared: Arc<Shared>,
    linked: Arc<Linked>,
    /// The first of the plan's instances, as the store knows it. The others follow it in the plan's order.
    first_instance: InstanceId,
    /// The first of the plan's isolates, as an index into the store's. The others follow it.
    first_isolate: usize,
    /// The core instances, those made so far, with their isolates.
    core_instances: Box<[OnceLock<(usize, engine::Instance)>]>,
    /// What the shared functions of `canon` definitions do here, once they were called.
    bodies: Box<[OnceLock<CoreBody>]>,
    /// The core functions made so far for the others, if there are any.
    trampolines: OnceLock<Box<[OnceLock<Func>]>>,
    /// The imports that the host has called so far as exports, if there are any.
    reexports: OnceLock<Box<[OnceLock<Arc<Reexport>>]>>,
    groups: GroupsOfInstance,
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
fn nth(first: InstanceId, index: usize) -> InstanceId {
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
        for def in &module.rest {
            rest.push(self.core_def(&mut At::Store(place), def)?);
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
    fn isolate(&self, instance: InstanceIdx) -> Result<usize> {
        self.shared.component.isolation().of_instance[instance.index()]
            .map(|index| self.first_isolate + index)
            .context(bug("an instance with code has no isolate"))
    }

    fn suspendable(&self, instance: InstanceIdx) -> bool {
        self.shared.component.isolation().of_instance[instance.index()]
            .is_some_and(|index| self.linked.suspendable[index])
    }

    /// Whether functions of an instance may run on the stack of a guest that calls them.
    fn nested(&self, instance: InstanceIdx) -> bool {
        let component = &self.shared.component;
        component.isolation().of_instance[instance.index()].is_some_and(|index| {
            component.is_concurrent()
                && !self.linked.suspendable[index]
                && component.needs(index).nested
        })
    }

    /// The core engine that runs an instance.
    fn kind(&self, instance: InstanceIdx) -> Result<EngineKind> {
        let isolation = self.shared.component.isolation();
        match isolation.of_instance[instance.index()] {
            Some(index) => Ok(self.linked.prepared()?.isolates[index].kind),
            None => Ok(self.shared.component.engine().kind()),
        }
    }

    /// Finds a core definition.
    fn core_def(&self, at: &mut At<'_, '_>, def: &CoreDef) -> Result<Extern> {
        match def {
            CoreDef::Export { instance, name } => self.core_export(at, instance.index(), name),
            CoreDef::Trampoline(index) => match at {
                At::Store(baton) => Ok(Extern::Func(self.trampoline(baton, *index)?)),
                At::Isolate(_) => bail!(bug("a canonical function is made in the midst of a call")),
            },
        }
    }

    fn core_export(&self, at: &mut At<'_, '_>, instance: usize, name: &str) -> Result<Extern> {
        let &(isolate, instance) = (self.core_instances.get(instance))
            .and_then(OnceLock::get)
            .context(bug("a core instance is used before it is made"))?;
        let export = match at {
            At::Store(baton) => isolate_cx(baton, isolate)?.export(instance, name),
            At::Isolate(cx) => cx.export(instance, name),
        };
        export.with_context(|| format!("a core instance does not export `{name}`"))
    }

    fn core_func(&self, at: &mut At<'_, '_>, def: &CoreDef) -> Result<Func> {
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

    /// Options without memory, as built-ins and destructors have them.
    pub(super) fn plain_options(&self, instance: InstanceIdx) -> Result<CanonOptions> {
        Ok(CanonOptions {
            shared: self.shared.clone(),
            instance: nth(self.first_instance, instance.index()),
            isolate: self.isolate(instance)?,
            memory: None,
            memory64: false,
            encoding: StringEncoding::Utf8,
            realloc: None,
            index: None,
            may_leave: self.groups.may_leave(instance),
        })
    }

    pub(super) fn canon_options(
        &self,
        at: &mut At<'_, '_>,
        instance: InstanceIdx,
        index: OptionsIdx,
    ) -> Result<CanonOptions> {
        let linked = self.linked.clone();
        let options: &Options = &linked.component.plan().options[index.index()];
        let memory = match &options.memory {
            None => None,
            Some(def) => Some(self.core_memory(at, def)?),
        };
        let realloc = options
            .realloc
            .as_ref()
            .map(|def| self.core_func(at, def))
            .transpose()?;
        Ok(CanonOptions {
            memory,
            memory64: options.memory64,
            encoding: options.encoding,
            realloc,
            index: Some(index),
            ..self.plain_options(instance)?
        })
    }

    /// Resolves a `canon lift`.
    pub(crate) fn callee(&self, baton: &mut Baton, index: LiftIdx) -> Result<Callee> {
        let linked = self.linked.clone();
        let plan = linked.component.plan();
        let lift = &plan.lifts[index.index()];
        let options = &plan.options[lift.options.index()];
        let at = &mut At::Store(baton);
        let core = self.core_func(at, &lift.core)?;
        let post_return = options
            .post_return
            .as_ref()
            .map(|def| self.core_func(at, def))
            .transpose()?;
        Ok(Callee {
            options: self.canon_options(at, lift.instance, lift.options)?,
            core,
            post_return,
            ty: Some(lift.ty),
            flat_params: core.params(),
            flat_results: core.results(),
            returns_number: is_number(plan.types.func(lift.ty).result),
            suspendable: self.suspendable(lift.instance),
            concurrent: linked.component.is_concurrent(),
            nested: self.nested(lift.instance),
            lift: lift_kind(plan.types.func(lift.ty).async_, options),
            callback: options
                .callback
                .as_ref()
                .map(|def| self.core_func(at, def))
                .transpose()?,
        })
    }

    /// A function that the component imports, for the host to call.
    pub(crate) fn reexport(&self, baton: &mut Baton, import: ImportIdx) -> Result<Arc<Reexport>> {
        let cells = self.reexports.get_or_init(|| {
            let imports = &self.plan().imports;
            imports.iter().map(|_| OnceLock::new()).collect()
        });
        let cell = &cells[import.index()];
        if let Some(reexport) = cell.get() {
            return Ok(reexport.clone());
        }
        let resolved = &self.linked.imports.resolved[import.index()];
        let made = Arc::new(Reexport::new(baton, &self.shared, resolved, import)?);
        Ok(cell.get_or_init(|| made).clone())
    }

    /// The core function of a `canon` definition in its isolate, made when first asked for: where it is not one that instantiations share.
    fn trampoline(&self, baton: &mut Baton, index: TrampolineIdx) -> Result<Func> {
        let known = self.trampolines.get_or_init(|| {
            let trampolines = &self.plan().trampolines;
            trampolines.iter().map(|_| OnceLock::new()).collect()
        });
        let known = &known[index.index()];
        if let Some(func) = known.get() {
            return Ok(*func);
        }
        let linked = self.linked.clone();
        if let Some(module) = linked.component.groups().of_trampoline(index) {
            let func = self.adapter(baton, module, index)?;
            return Ok(*known.get_or_init(|| func));
        }
        let trampoline = &linked.component.plan().trampolines[index.index()];
        let isolate = self.isolate(trampoline.instance)?;
        let ty = linked.prepared()?.functions[index.index()].ty.clone();
        let body = match &trampoline.canon {
            Canon::Lower {
                func: FuncDef::Import(import),
                ty,
                options,
            } => {
                let site = self.call_site(&mut At::Store(baton), index, (*ty, *options))?;
                host_body(
                    linked.host_func(*import)?,
                    site,
                    self.door(trampoline.instance),
                )
            }
            Canon::Lower {
                func: FuncDef::Lift(lift),
                ty,
                options,
            } => {
                let call = self.guest_call(baton, index, (*ty, *options), *lift)?;
                if linked.component.is_concurrent() {
                    call.lowered_body()
                } else {
                    call.body(linked.may_block(trampoline), self.door(trampoline.instance))
                }
            }
            canon => {
                let (options, definitions) = self.built_in(&mut At::Store(baton), trampoline)?;
                let mut made = take_isolate(baton, isolate)?;
                let body = builtins::body(&mut made.cx(), canon, options, definitions);
                *baton = return_isolate(made, isolate);
                body?
            }
        };
        let func = body.define(&mut isolate_cx(baton, isolate)?, ty)?;
        Ok(*known.get_or_init(|| func))
    }

    /// What a shared function does here, made when it is first called. `cx` is its isolate.
    #[inline]
    pub(super) fn shared_body(
        &self,
        cx: &mut engine::Cx<'_, Baton>,
        number: usize,
    ) -> Result<&CoreBody> {
        let place = self.bodies.get(number);
        match place.and_then(OnceLock::get) {
            Some(body) => Ok(body),
            None => self.make_body(cx, number),
        }
    }

    #[cold]
    fn make_body(&self, cx: &mut engine::Cx<'_, Baton>, number: usize) -> Result<&CoreBody> {
        let trampoline = self.plan().trampolines.get(number);
        let (place, trampoline) = (self.bodies.get(number).zip(trampoline))
            .context(bug("a shared function has no place"))?;
        let body = match &trampoline.canon {
            Canon::Lower {
                func: FuncDef::Import(import),
                ty,
                options,
            } => {
                let index = TrampolineIdx(number as u32);
                let site = self.call_site(&mut At::Isolate(cx), index, (*ty, *options))?;
                let func = self.linked.host_func(*import)?;
                host_body(func, site, self.door(trampoline.instance))
            }
            canon => {
                let (options, definitions) = self.built_in(&mut At::Isolate(cx), trampoline)?;
                builtins::body(cx, canon, options, definitions)?
            }
        };
        Ok(place.get_or_init(|| body))
    }

    /// What a built-in works with.
    fn built_in(
        &self,
        at: &mut At<'_, '_>,
        trampoline: &Trampoline,
    ) -> Result<(CanonOptions, builtins::Definitions)> {
        let canon = &trampoline.canon;
        let options = match builtins::options(canon) {
            Some(index) => self.canon_options(at, trampoline.instance, index)?,
            None => self.plain_options(trampoline.instance)?,
        };
        let definitions = builtins::Definitions {
            table: match canon {
                Canon::ThreadNewIndirect { table, .. } => Some(self.core_table(at, table)?),
                _ => None,
            },
            memory: match canon {
                Canon::WaitableSetWait { memory, .. } | Canon::WaitableSetPoll { memory, .. } => {
                    Some(self.core_memory(at, memory)?)
                }
                _ => None,
            },
            door: self.door(trampoline.instance),
            blocks: self.linked.may_block(trampoline),
        };
        Ok((options, definitions))
    }
}

/// Whether a result is a number that takes one word, any of which is one; or there is none.
fn is_number(result: Option<ValType>) -> bool {
    result.is_none_or(|ty| {
        matches!(
            ty,
            ValType::Bool
                | ValType::S8
                | ValType::U8
                | ValType::S16
                | ValType::U16
                | ValType::S32
                | ValType::U32
                | ValType::S64
                | ValType::U64
                | ValType::F32
                | ValType::F64
        )
    })
}

/// The functions that adapters stand for, and what adapters need.
impl InstanceData {
    /// The place of a lowered function.
    fn call_site(
        &self,
        at: &mut At<'_, '_>,
        index: TrampolineIdx,
        (ty, options): (FuncTypeIdx, OptionsIdx),
    ) -> Result<Arc<CallSite>> {
        let function = &self.linked.prepared()?.functions[index.index()];
        let instance = self.plan().trampolines[index.index()].instance;
        Ok(Arc::new(CallSite {
            borrows: function.borrows,
            options: self.canon_options(at, instance, options)?,
            ty,
            async_: self.plan().options[options.index()].async_,
            name: function.name.clone(),
        }))
    }

    /// A lowered function that another guest's is behind.
    fn guest_call(
        &self,
        baton: &mut Baton,
        index: TrampolineIdx,
        lowered: (FuncTypeIdx, OptionsIdx),
        lift: LiftIdx,
    ) -> Result<GuestCall> {
        let trampoline = &self.plan().trampolines[index.index()];
        Ok(GuestCall {
            site: self.call_site(&mut At::Store(baton), index, lowered)?,
            callee: Arc::new(self.callee(baton, lift)?),
            programs: self.shared.component.programs(index, lowered, lift)?,
            parks: self.suspendable(trampoline.instance),
        })
    }

    /// What adapters know of whether an instance may leave.
    fn door(&self, instance: InstanceIdx) -> Option<Door> {
        self.groups.may_leave(instance).map(|may_leave| Door {
            instance: nth(self.first_instance, instance.index()),
            may_leave,
        })
    }

    /// The adapter that stands for a trampoline.
    fn adapter(&self, baton: &mut Baton, module: usize, index: TrampolineIdx) -> Result<Func> {
        let instance = self.plan().trampolines[index.index()].instance;
        let isolate = self.isolate(instance)?;
        let made = match self.groups.adapters[module].get() {
            Some(made) => *made,
            None => {
                let linked = self.linked.clone();
                let plan = linked.component.adapter_module(module)?;
                let mut imports = Vec::with_capacity(plan.imports.len());
                for import in &plan.imports {
                    imports.push(self.adapter_import(baton, instance, import)?);
                }
                let compiled = linked.component.adapters(module, self.kind(instance)?)?;
                let made = isolate_cx(baton, isolate)?.instantiate(compiled, &imports)?;
                *self.groups.adapters[module].get_or_init(|| made)
            }
        };
        match isolate_cx(baton, isolate)?.export(made, &index.0.to_string()) {
            Some(Extern::Func(func)) => Ok(func),
            _ => bail!(bug("an adapter is missing")),
        }
    }

    /// What an adapter module is instantiated with. `member` is an instance of its group.
    fn adapter_import(
        &self,
        baton: &mut Baton,
        member: InstanceIdx,
        import: &Import,
    ) -> Result<Extern> {
        let isolate = self.isolate(member)?;
        let func = match import {
            Import::Core(def) => return self.core_def(&mut At::Store(baton), def),
            Import::MayLeave(instance) => {
                let global = self.groups.may_leave(*instance);
                return Ok(global.context(bug("an instance always may leave"))?.into());
            }
            Import::Entered(instance) => return self.groups.entered(*instance),
            Import::Budget => return self.groups.budget(member),
            Import::Fail => {
                let linked = self.linked.clone();
                let first = self.first_instance;
                let ends = move |trampoline: u64| {
                    let plan = linked.component.plan();
                    let index = usize::try_from(trampoline).ok()?;
                    let trampoline = plan.trampolines.get(index)?;
                    let Canon::Lower {
                        func: FuncDef::Lift(lift),
                        ..
                    } = trampoline.canon
                    else {
                        return None;
                    };
                    let callee = plan.lifts[lift.index()].instance;
                    let id = |instance: InstanceIdx| nth(first, instance.index());
                    Some((id(trampoline.instance), id(callee)))
                };
                group::fail(&mut isolate_cx(baton, isolate)?, ends)?
            }
            Import::Validate(memory) => {
                let memory = self.core_memory(&mut At::Store(baton), memory)?;
                group::validate(&mut isolate_cx(baton, isolate)?, memory)?
            }
            Import::Begin(index) | Import::End(index) => {
                let trampoline = &self.plan().trampolines[index.index()];
                let Canon::Lower {
                    func: FuncDef::Lift(lift),
                    ty,
                    options,
                } = trampoline.canon
                else {
                    bail!(bug("an adapter stands for no guest's function"));
                };
                let call = Arc::new(self.guest_call(baton, *index, (ty, options), lift)?);
                let door = self.door(trampoline.instance);
                let lowered = func_type(&trampoline.core_type)?;
                let lifted = func_type(&self.plan().lifts[lift.index()].core_type)?;
                let mut cx = isolate_cx(baton, isolate)?;
                if matches!(import, Import::Begin(_)) {
                    let ty = engine::FuncType::new(lowered.params, lifted.params);
                    group::begin_func(&mut cx, ty, &call, door)?
                } else {
                    let ty = engine::FuncType::new(lifted.results, lowered.results);
                    group::end_func(&mut cx, ty, &call)?
                }
            }
        };
        Ok(func.into())
    }
}

/// How a function is lifted.
fn lift_kind(async_type: bool, options: &Options) -> Lift {
    match (async_type, options.async_, &options.callback) {
        (false, ..) => Lift::Sync,
        (true, false, _) => Lift::Blocking,
        (true, true, Some(_)) => Lift::Callback,
        (true, true, None) => Lift::Stackful,
    }
}

fn isolate_cx(baton: &mut Baton, index: usize) -> Result<engine::Cx<'_, Baton>> {
    baton.isolates[index]
        .as_mut()
        .map(Isolate::cx)
        .context("an isolate of the component is running or gone")
}

#[cfg(test)]
mod tests {
    use crate::{Component, Config, Engine, EngineKind, Linker, Store, Strategy};
    use std::sync::Arc;

    /// Core functions are defined once, and find the instance that calls them.
    #[test]
    fn instances_that_share_functions_have_their_own_memories() {
        for kind in EngineKind::ALL {
            let mut config = Config::new();
            config.strategy(Strategy::Always(kind));
            let engine = Engine::new(&config).unwrap();
            let component = Component::new(
                &engine,
                r#"(component
                    (import "say" (func $say (param "what" string)))
                    (core module $memory (memory (export "memory") 1))
                    (core instance $memory (instantiate $memory))
                    (core func $say' (canon lower (func $say) (memory $memory "memory")))
                    (core module $m
                        (import "" "memory" (memory 1))
                        (import "" "say" (func $say (param i32 i32)))
                        (func (export "be") (param i32) (i32.store8 (i32.const 0) (local.get 0)))
                        (func (export "speak") (call $say (i32.const 0) (i32.const 1))))
                    (core instance $m (instantiate $m (with "" (instance
                        (export "memory" (memory $memory "memory")) (export "say" (func $say'))))))
                    (func (export "be") (param "c" u8) (canon lift (core func $m "be")))
                    (func (export "speak") (canon lift (core func $m "speak"))))"#,
            )
            .unwrap();
            let mut linker = Linker::<String>::new(&engine);
            linker
                .root()
                .func_wrap("say", |mut store, (what,): (String,)| {
                    store.data_mut().push_str(&what);
                    Ok(())
                })
                .unwrap();
            let pre = linker.instantiate_pre(&component).unwrap();
            let mut stores = [
                Store::new(&engine, String::new()),
                Store::new(&engine, String::new()),
            ];
            let mut speakers = Vec::new();
            for (index, store) in stores.iter_mut().enumerate() {
                for letter in [b'a', b'b'] {
                    let instance = pre.instantiate(&mut *store).unwrap();
                    let be = instance.get_typed_func::<(u8,), ()>(&mut *store, "be");
                    let letter = letter + 2 * index as u8;
                    be.unwrap().call(&mut *store, (letter,)).unwrap();
                    let speak = instance.get_typed_func::<(), ()>(&mut *store, "speak");
                    speakers.push((index, speak.unwrap()));
                }
            }
            for (index, speak) in speakers.iter().chain(speakers.iter().rev()) {
                speak.call(&mut stores[*index], ()).unwrap();
            }
            assert_eq!(stores[0].data(), "abba");
            assert_eq!(stores[1].data(), "cddc");
        }
    }

    /// A guest's destructor refers to what its instance consists of, which knows the destructor in turn.
    #[test]
    fn what_a_store_held_ends_with_it() {
        let engine = Engine::default();
        let component = Component::new(
            &engine,
            r#"(component
                (core module $d (func (export "dtor") (param i32)))
                (core instance $d (instantiate $d))
                (type $r (resource (rep i32) (dtor (func $d "dtor"))))
                (core func $new (canon resource.new $r))
                (core func $drop (canon resource.drop $r))
                (core module $m
                    (import "" "new" (func $new (param i32) (result i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "f") (call $drop (call $new (i32.const 7)))))
                (core instance $m (instantiate $m (with "" (instance
                    (export "new" (func $new)) (export "drop" (func $drop))))))
                (func (export "f") (canon lift (core func $m "f"))))"#,
        )
        .unwrap();
        let pre = Linker::new(&engine).instantiate_pre(&component).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = pre.instantiate(&mut store).unwrap();
        let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        f.call(&mut store, ()).unwrap();
        let shared = Arc::downgrade(&instance.data().shared);
        drop((f, instance, store));
        assert!(shared.upgrade().is_none());
    }
}
