//! Instantiating a linked component: running its plan.

use super::pre::Linked;
use super::prepared::func_type;
use super::{Body, HostFunc, Reexport, Resolved};
use crate::baton::{Baton, HomeGuard, StoreId};
use crate::call::builtins;
use crate::call::canon::{CallSite, Callee, CanonOptions, Dtor, Shared};
use crate::call::enter::{return_isolate, run_stack, take_isolate};
use crate::call::guest::GuestCall;
use crate::concurrent::{define_lowered, start};
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
    Resource, Step, StringEncoding, TrampolineIdx,
};
use tidegate_core::runtime::{InstanceId, Lift, ResourceType, TaskId};
use tidegate_core::types::{FuncTypeIdx, ValType};
use tidegate_engine::{self as engine, BlockingHostFn, Extern, Func, Isolate, Memory, Stack};

/// An instantiated component.
pub(crate) struct InstanceData {
    pub(crate) store: StoreId,
    pub(crate) shared: Arc<Shared>,
    linked: Arc<Linked>,
    /// The first of the plan's instances, as the store knows it. The others follow it in the plan's order.
    first_instance: InstanceId,
    /// The first of the plan's isolates, as an index into the store's. The others follow it.
    first_isolate: usize,
    /// The core instances made so far, with their isolates.
    core_instances: Vec<(usize, engine::Instance)>,
    /// The core functions made so far for `canon` definitions.
    trampolines: Box<[OnceLock<Func>]>,
    /// The imports that the host has called so far as exports.
    reexports: Box<[OnceLock<Arc<Reexport>>]>,
    groups: GroupsOfInstance,
}

/// A core module that is to be instantiated on a stack of its own, since its start function may wait.
struct Starting {
    stack: Stack<Baton>,
    instance: InstanceId,
    isolate: usize,
}

/// Runs the plan of a component. The baton leaves its place only where a start function may wait.
pub(crate) async fn instantiate(
    place: &mut Baton,
    linked: &Arc<Linked>,
) -> Result<Arc<InstanceData>> {
    let mut instance = InstanceData::new(place, linked)?;
    let plan = linked.component.plan();
    for (index, step) in plan.steps.iter().enumerate() {
        let result = match instance.step(place, linked, step) {
            Ok(None) => Ok(()),
            Ok(Some(starting)) => instance.start(place, starting).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            for index in 0..plan.instances.len() {
                // Nothing else than start functions ran in it.
                let _ = place.state.poison(nth(instance.first_instance, index));
            }
            return Err(error.context(format!("cannot instantiate (step {index})")));
        }
    }
    Ok(Arc::new(instance))
}

/// An instance of the plan, as the store knows it.
fn nth(first: InstanceId, index: usize) -> InstanceId {
    // There are no more than a plan may have.
    InstanceId(first.0 + index as u32)
}

impl InstanceData {
    /// Makes the isolates and everything else that is known before the first step.
    fn new(baton: &mut Baton, linked: &Arc<Linked>) -> Result<Self> {
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
        for (index, make) in linked.prepared()?.isolates.iter().enumerate() {
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
        let dtors: Box<[OnceLock<Dtor>]> = plan
            .resources
            .iter()
            .map(|resource| match resource {
                Resource::Defined { .. } => OnceLock::new(),
                Resource::Imported(import) => match &linked.imports.resolved[import.index()] {
                    Resolved::Resource(resource) => Dtor::Host(resource.dtor.clone()).into(),
                    _ => Dtor::None.into(),
                },
            })
            .collect();
        for (ty, dtor) in resources.iter().zip(&dtors) {
            if let Some(dtor) = dtor.get() {
                baton.dtors.insert(*ty, dtor.clone());
            }
        }
        Ok(Self {
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
            core_instances: Vec::with_capacity(plan.steps.len()),
            trampolines: plan.trampolines.iter().map(|_| OnceLock::new()).collect(),
            reexports: plan.imports.iter().map(|_| OnceLock::new()).collect(),
            groups,
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.shared.component.plan()
    }

    fn step(
        &mut self,
        place: &mut Baton,
        linked: &Linked,
        step: &Step,
    ) -> Result<Option<Starting>> {
        match step {
            Step::Resource { resource, dtor } => {
                self.define_resource(place, resource.index(), dtor.as_ref())?;
                Ok(None)
            }
            Step::Instantiate {
                instance,
                module,
                args,
                starts,
            } => {
                let module = linked.module(*module, self.kind(*instance)?)?;
                let imports = self.imports(place, module, args)?;
                self.instantiate_module(place, *instance, module, imports, *starts)
            }
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
                let core = self.core_func(baton, def)?;
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
        baton
            .dtors
            .insert(self.shared.resources[index], dtor.clone());
        self.shared.dtors[index]
            .set(dtor)
            .map_err(|_| anyhow!(bug("a resource type is defined twice")))
    }

    /// Instantiates a core module, unless that needs a stack of its own. Where no start function runs, no instance is entered.
    fn instantiate_module(
        &mut self,
        place: &mut Baton,
        instance: InstanceIdx,
        module: &engine::Module,
        imports: Vec<Extern>,
        starts: bool,
    ) -> Result<Option<Starting>> {
        let (id, index) = (
            nth(self.first_instance, instance.index()),
            self.isolate(instance)?,
        );
        if !starts {
            let made = isolate_cx(place, index)?.instantiate(module, &imports)?;
            self.core_instances.push((index, made));
            return Ok(None);
        }
        if self.suspendable(instance) {
            return Ok(Some(Starting {
                stack: Stack::instantiate(module, &imports),
                instance: id,
                isolate: index,
            }));
        }
        let _scope = Scope::enter(place);
        let task = place.state.begin_sync_call(id, None)?;
        let mut isolate = take_isolate(place, index)?;
        let made = isolate.cx().instantiate(module, &imports);
        *place = return_isolate(isolate, index);
        self.started(place, task, index, made)?;
        Ok(None)
    }

    /// Instantiates a core module on a stack of its own.
    async fn start(&mut self, place: &mut Baton, starting: Starting) -> Result<()> {
        let Starting {
            mut stack,
            instance,
            isolate: index,
        } = starting;
        let mut guard = HomeGuard::new(place);
        let mut baton = guard.take();
        if self.linked.component.is_concurrent() {
            let (baton, made) = start(baton, instance, index, stack).await;
            guard.put(baton);
            self.core_instances.push((index, made?));
            return Ok(());
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
        let result = self.started(&mut baton, task, index, made);
        guard.put(baton);
        result
    }

    /// Leaves the instance whose start function has run.
    fn started(
        &mut self,
        baton: &mut Baton,
        task: TaskId,
        isolate: usize,
        made: Result<engine::Instance>,
    ) -> Result<()> {
        let made = made?;
        baton.state.finish_return(task);
        baton.state.end_sync_call(task)?;
        self.core_instances.push((isolate, made));
        Ok(())
    }

    /// What a module is to be instantiated with.
    fn imports(
        &self,
        baton: &mut Baton,
        module: &engine::Module,
        args: &[(Arc<str>, Arc<str>, CoreDef)],
    ) -> Result<Vec<Extern>> {
        let mut imports = Vec::with_capacity(module.imports().len());
        for (index, import) in module.imports().iter().enumerate() {
            let fits = |arg: &&(Arc<str>, Arc<str>, CoreDef)| {
                *arg.0 == *import.module && *arg.1 == *import.name
            };
            // An embedded module's arguments are in its order.
            let arg = args.get(index).filter(fits);
            let (_, _, def) = arg.or_else(|| args.iter().find(fits)).with_context(|| {
                format!(
                    "nothing was given for the core import `{}` `{}`",
                    import.module, import.name
                )
            })?;
            imports.push(self.core_def(baton, def)?);
        }
        Ok(imports)
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
    fn core_def(&self, baton: &mut Baton, def: &CoreDef) -> Result<Extern> {
        match def {
            CoreDef::Export { instance, name } => self.core_export(baton, instance.index(), name),
            CoreDef::Trampoline(index) => Ok(Extern::Func(self.trampoline(baton, *index)?)),
        }
    }

    fn core_export(&self, baton: &mut Baton, instance: usize, name: &str) -> Result<Extern> {
        let &(isolate, instance) = self
            .core_instances
            .get(instance)
            .context(bug("a core instance is used before it is made"))?;
        isolate_cx(baton, isolate)?
            .export(instance, name)
            .with_context(|| format!("a core instance does not export `{name}`"))
    }

    fn core_func(&self, baton: &mut Baton, def: &CoreDef) -> Result<Func> {
        match self.core_def(baton, def)? {
            Extern::Func(func) => Ok(func),
            other => bail!(bug(format!(
                "a core {} is used as a function",
                other.kind()
            ))),
        }
    }

    fn core_memory(&self, baton: &mut Baton, def: &CoreDef) -> Result<Memory> {
        match self.core_def(baton, def)? {
            Extern::Memory(memory) => Ok(memory),
            other => bail!(bug(format!("a core {} is used as a memory", other.kind()))),
        }
    }

    /// Options without memory, as built-ins and destructors have them.
    fn plain_options(&self, instance: InstanceIdx) -> Result<CanonOptions> {
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

    fn canon_options(
        &self,
        baton: &mut Baton,
        instance: InstanceIdx,
        index: OptionsIdx,
    ) -> Result<CanonOptions> {
        let linked = self.linked.clone();
        let options: &Options = &linked.component.plan().options[index.index()];
        let memory = match &options.memory {
            None => None,
            Some(def) => Some(self.core_memory(baton, def)?),
        };
        let realloc = options
            .realloc
            .as_ref()
            .map(|def| self.core_func(baton, def))
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
        let core = self.core_func(baton, &lift.core)?;
        let post_return = options
            .post_return
            .as_ref()
            .map(|def| self.core_func(baton, def))
            .transpose()?;
        Ok(Callee {
            options: self.canon_options(baton, lift.instance, lift.options)?,
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
                .map(|def| self.core_func(baton, def))
                .transpose()?,
        })
    }

    /// A function that the component imports, for the host to call.
    pub(crate) fn reexport(&self, baton: &mut Baton, import: ImportIdx) -> Result<Arc<Reexport>> {
        let cell = &self.reexports[import.index()];
        if let Some(reexport) = cell.get() {
            return Ok(reexport.clone());
        }
        let resolved = &self.linked.imports.resolved[import.index()];
        let made = Arc::new(Reexport::new(baton, &self.shared, resolved, import)?);
        Ok(cell.get_or_init(|| made).clone())
    }

    /// The core function of a `canon` definition, made when first asked for.
    fn trampoline(&self, baton: &mut Baton, index: TrampolineIdx) -> Result<Func> {
        if let Some(func) = self.trampolines[index.index()].get() {
            return Ok(*func);
        }
        let linked = self.linked.clone();
        if let Some(module) = linked.component.groups().of_trampoline(index) {
            let func = self.adapter(baton, module, index)?;
            return Ok(*self.trampolines[index.index()].get_or_init(|| func));
        }
        let trampoline = &linked.component.plan().trampolines[index.index()];
        let isolate = self.isolate(trampoline.instance)?;
        let ty = linked.prepared()?.functions[index.index()].ty.clone();
        let door = self.door(trampoline.instance);
        let func = match &trampoline.canon {
            Canon::Lower {
                func,
                ty: func_type,
                options,
            } => match func {
                FuncDef::Import(import) => {
                    let site = self.call_site(baton, index, (*func_type, *options))?;
                    let Resolved::Func(func) = linked.imports.resolved[import.index()].clone()
                    else {
                        bail!(bug("an imported function is none"));
                    };
                    host_trampoline(&mut isolate_cx(baton, isolate)?, ty, &func, site, door)?
                }
                FuncDef::Lift(lift) => {
                    let lowered = (*func_type, *options);
                    let call = self.guest_call(baton, index, lowered, *lift)?;
                    let mut cx = isolate_cx(baton, isolate)?;
                    if linked.component.is_concurrent() {
                        define_lowered(call, &mut cx, ty)?
                    } else {
                        call.define(&mut cx, ty, linked.may_block(trampoline), door)?
                    }
                }
            },
            canon => {
                let options = match builtins::options(canon) {
                    Some(index) => self.canon_options(baton, trampoline.instance, index)?,
                    None => self.plain_options(trampoline.instance)?,
                };
                let memory = match canon {
                    Canon::WaitableSetWait { memory, .. }
                    | Canon::WaitableSetPoll { memory, .. } => {
                        Some(self.core_memory(baton, memory)?)
                    }
                    _ => None,
                };
                let table = match canon {
                    Canon::ThreadNewIndirect { table, .. } => match self.core_def(baton, table)? {
                        Extern::Table(table) => Some(table),
                        other => bail!(bug(format!("a core {} is used as a table", other.kind()))),
                    },
                    _ => None,
                };
                let definitions = builtins::Definitions {
                    table,
                    memory,
                    door,
                    blocks: linked.may_block(trampoline),
                };
                let mut made = take_isolate(baton, isolate)?;
                let func = builtins::define(&mut made.cx(), ty, canon, options, definitions);
                *baton = return_isolate(made, isolate);
                func?
            }
        };
        Ok(*self.trampolines[index.index()].get_or_init(|| func))
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

/// The core function behind which a function of the host's is. `door` is what adapters know of whether the caller may leave.
pub(super) fn host_trampoline(
    cx: &mut engine::Cx<'_, Baton>,
    ty: impl Into<engine::HostType>,
    func: &HostFunc,
    site: Arc<CallSite>,
    door: Option<Door>,
) -> Result<Func> {
    match &func.body {
        Body::Sync(define) => cx.host_func(ty, Door::guard(door, define(site))),
        Body::Waiting(call) | Body::Concurrent(call) => {
            let call = call.clone();
            let call: BlockingHostFn<Baton> =
                Box::new(move |mut cx, slots| call(&mut cx, &site, slots));
            cx.blocking_host_func(ty, Door::guard_blocking(door, call))
        }
    }
}

/// The functions that adapters stand for, and what adapters need.
impl InstanceData {
    /// The place of a lowered function.
    fn call_site(
        &self,
        baton: &mut Baton,
        index: TrampolineIdx,
        (ty, options): (FuncTypeIdx, OptionsIdx),
    ) -> Result<Arc<CallSite>> {
        let function = &self.linked.prepared()?.functions[index.index()];
        let instance = self.plan().trampolines[index.index()].instance;
        Ok(Arc::new(CallSite {
            borrows: function.borrows,
            options: self.canon_options(baton, instance, options)?,
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
            site: self.call_site(baton, index, lowered)?,
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
                let plan = &linked.component.groups().modules[module];
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
            Import::Core(def) => return self.core_def(baton, def),
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
                let memory = self.core_memory(baton, memory)?;
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
