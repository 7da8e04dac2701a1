//! Instantiating a linked component: running its plan.

use super::pre::Linked;
use super::{Body, Resolved};
use crate::baton::{Baton, StoreId};
use crate::call::builtins;
use crate::call::canon::{CallSite, Callee, CanonOptions, Dtor, Shared};
use crate::call::enter::{return_isolate, run_stack, take_isolate};
use crate::call::guest::GuestCall;
use crate::concurrent::define_lowered;
use crate::error::bug;
use crate::module::Module;
use crate::{EngineKind, Error, Result};
use anyhow::{Context, anyhow, bail};
use std::sync::{Arc, OnceLock};
use tidegate_core::plan::{
    Canon, CoreDef, CoreFuncType, FuncDef, InstanceIdx, LiftIdx, ModuleDef, Options, OptionsIdx,
    Plan, Resource, Step, StringEncoding, TrampolineIdx,
};
use tidegate_core::runtime::{InstanceId, Lift, ResourceType};
use tidegate_core::types::ValType;
use tidegate_engine::{self as engine, Extern, Func, Isolate, Memory, Stack};

/// An instantiated component.
pub(crate) struct InstanceData {
    pub(crate) store: StoreId,
    pub(crate) shared: Arc<Shared>,
    linked: Arc<Linked>,
    /// The plan's instances, as the store knows them.
    instances: Box<[InstanceId]>,
    /// The plan's isolates, as indices into the store's.
    isolates: Box<[usize]>,
    /// The core instances made so far, with their isolates.
    core_instances: Vec<(usize, engine::Instance)>,
    /// The core functions made so far for `canon` definitions.
    trampolines: Box<[OnceLock<Func>]>,
}

/// Runs the plan of a component.
pub(crate) async fn instantiate(
    mut baton: Baton,
    linked: &Arc<Linked>,
) -> (Baton, Result<Arc<InstanceData>>) {
    let mut instance = match InstanceData::new(&mut baton, linked) {
        Ok(instance) => instance,
        Err(error) => return (baton, Err(error)),
    };
    for (index, step) in linked.component.plan().steps.iter().enumerate() {
        let result;
        (baton, result) = instance.step(baton, step).await;
        if let Err(error) = result {
            for &id in &instance.instances {
                // Nothing else than start functions ran in it.
                let _ = baton.state.poison(id);
            }
            return (
                baton,
                Err(error.context(format!("cannot instantiate (step {index})"))),
            );
        }
    }
    (baton, Ok(Arc::new(instance)))
}

impl InstanceData {
    /// Makes the isolates and everything else that is known before the first step.
    fn new(baton: &mut Baton, linked: &Arc<Linked>) -> Result<Self> {
        let plan = linked.component.plan();
        let mut instances: Vec<InstanceId> = Vec::with_capacity(plan.instances.len());
        for instance in &plan.instances {
            let parent = instance.parent.map(|parent| instances[parent.index()]);
            instances.push(baton.state.add_instance(parent));
        }
        let mut isolates = Vec::with_capacity(linked.component.isolation().isolates.len());
        for isolate in &linked.component.isolation().isolates {
            let kind = linked.component.engine_of(isolate).0;
            let core = baton.engine.core(kind)?;
            let mut made = Isolate::new(core, Baton::default(), baton.limits.isolate)?;
            if let Some(control) = &baton.control {
                control.attach(&mut made);
            }
            if linked.uses_exceptions(isolate, kind)? {
                made.enable_exceptions();
            }
            isolates.push(baton.isolates.len());
            baton.isolates.push(Some(made));
        }
        let resources: Box<[ResourceType]> = plan
            .resources
            .iter()
            .map(|resource| match resource {
                Resource::Defined { instance, .. } => baton
                    .state
                    .add_resource_type(Some(instances[instance.index()])),
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
            instances: instances.into(),
            isolates: isolates.into(),
            core_instances: Vec::new(),
            trampolines: plan.trampolines.iter().map(|_| OnceLock::new()).collect(),
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        self.shared.component.plan()
    }

    async fn step(&mut self, mut baton: Baton, step: &Step) -> (Baton, Result<()>) {
        match step {
            Step::Resource { resource, dtor } => {
                let result = self.define_resource(&mut baton, resource.index(), dtor.as_ref());
                (baton, result)
            }
            Step::Instantiate {
                instance,
                module,
                args,
            } => {
                self.instantiate_module(baton, *instance, *module, args)
                    .await
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

    async fn instantiate_module(
        &mut self,
        mut baton: Baton,
        instance: InstanceIdx,
        module: ModuleDef,
        args: &[(Arc<str>, Arc<str>, CoreDef)],
    ) -> (Baton, Result<()>) {
        let prepared = self.prepare_module(&mut baton, instance, module, args);
        let (module, imports, index) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return (baton, Err(error)),
        };
        let id = self.instances[instance.index()];
        let entered = baton.state.begin_sync_call(id, None).map_err(Error::from);
        let isolate = entered.and_then(|task| Ok((task, take_isolate(&mut baton, index)?)));
        let (task, mut isolate) = match isolate {
            Ok(isolate) => isolate,
            Err(error) => return (baton, Err(error)),
        };
        let result = if self.suspendable(instance) {
            let mut stack = Stack::instantiate(&module, &imports);
            let result;
            (isolate, result) = run_stack(isolate, &mut stack).await;
            result.and_then(|()| stack.instance().context(bug("no instance was made")))
        } else {
            isolate.cx().instantiate(&module, &imports)
        };
        let mut baton = return_isolate(isolate, index);
        let result = result.and_then(|made| {
            baton.state.finish_return(task);
            baton.state.end_sync_call(task)?;
            self.core_instances.push((index, made));
            Ok(())
        });
        (baton, result)
    }

    /// The module, what to instantiate it with, and in which of the store's isolates.
    fn prepare_module(
        &self,
        baton: &mut Baton,
        instance: InstanceIdx,
        module: ModuleDef,
        args: &[(Arc<str>, Arc<str>, CoreDef)],
    ) -> Result<(engine::Module, Vec<Extern>, usize)> {
        let module = self.linked.module(module, self.kind(instance))?;
        let mut imports = Vec::with_capacity(module.imports().len());
        for import in module.imports() {
            let (_, _, def) = args
                .iter()
                .find(|(module, name, _)| **module == *import.module && **name == *import.name)
                .with_context(|| {
                    format!(
                        "nothing was given for the core import `{}` `{}`",
                        import.module, import.name
                    )
                })?;
            imports.push(self.core_def(baton, def)?);
        }
        Ok((module, imports, self.isolate(instance)?))
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
            .map(|index| self.isolates[index])
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
    fn kind(&self, instance: InstanceIdx) -> EngineKind {
        let component = &self.shared.component;
        let isolation = component.isolation();
        match isolation.of_instance[instance.index()] {
            Some(index) => component.engine_of(&isolation.isolates[index]).0,
            None => component.engine().kind(),
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
            other => bail!(bug(&format!(
                "a core {} is used as a function",
                other.kind()
            ))),
        }
    }

    fn core_memory(&self, baton: &mut Baton, def: &CoreDef) -> Result<Memory> {
        match self.core_def(baton, def)? {
            Extern::Memory(memory) => Ok(memory),
            other => bail!(bug(&format!("a core {} is used as a memory", other.kind()))),
        }
    }

    /// Options without memory, as built-ins and destructors have them.
    fn plain_options(&self, instance: InstanceIdx) -> Result<CanonOptions> {
        Ok(CanonOptions {
            shared: self.shared.clone(),
            instance: self.instances[instance.index()],
            isolate: self.isolate(instance)?,
            memory: None,
            memory64: false,
            encoding: StringEncoding::Utf8,
            realloc: None,
            index: None,
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

    /// The core function of a `canon` definition, made when first asked for.
    fn trampoline(&self, baton: &mut Baton, index: TrampolineIdx) -> Result<Func> {
        if let Some(func) = self.trampolines[index.index()].get() {
            return Ok(*func);
        }
        let linked = self.linked.clone();
        let trampoline = &linked.component.plan().trampolines[index.index()];
        let isolate = self.isolate(trampoline.instance)?;
        let ty = core_type(&trampoline.core_type)?;
        let func = match &trampoline.canon {
            Canon::Lower {
                func,
                ty: func_type,
                options,
            } => {
                let types = &linked.component.plan().types;
                let mut params = types.func(*func_type).params.iter();
                let site = Arc::new(CallSite {
                    borrows: params.any(|param| types.contains_borrow(param.ty)),
                    options: self.canon_options(baton, trampoline.instance, *options)?,
                    ty: *func_type,
                    async_: linked.component.plan().options[options.index()].async_,
                    name: match func {
                        FuncDef::Import(import) => {
                            let path = &linked.component.plan().imports[import.index()].path;
                            Some(path.join("#").into())
                        }
                        FuncDef::Lift(_) => None,
                    },
                });
                match func {
                    FuncDef::Import(import) => {
                        let Resolved::Func(func) = linked.imports.resolved[import.index()].clone()
                        else {
                            bail!(bug("an imported function is none"));
                        };
                        let mut cx = isolate_cx(baton, isolate)?;
                        match &func.body {
                            Body::Sync(define) => cx.host_func(ty, define(site))?,
                            Body::Waiting(call) | Body::Concurrent(call) => {
                                let call = call.clone();
                                cx.blocking_host_func(
                                    ty,
                                    Box::new(move |mut cx, slots| call(&mut cx, &site, slots)),
                                )?
                            }
                        }
                    }
                    FuncDef::Lift(lift) => {
                        let callee = Arc::new(self.callee(baton, *lift)?);
                        let programs =
                            linked
                                .component
                                .programs(index, (*func_type, *options), *lift)?;
                        let call = GuestCall {
                            site,
                            callee,
                            programs,
                            parks: self.suspendable(trampoline.instance),
                        };
                        let mut cx = isolate_cx(baton, isolate)?;
                        if linked.component.is_concurrent() {
                            define_lowered(call, &mut cx, ty)?
                        } else {
                            call.define(&mut cx, ty, linked.may_block(trampoline))?
                        }
                    }
                }
            }
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
                        other => bail!(bug(&format!("a core {} is used as a table", other.kind()))),
                    },
                    _ => None,
                };
                let definitions = builtins::Definitions {
                    table,
                    memory,
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

/// A core function type as engines want it.
fn core_type(ty: &CoreFuncType) -> Result<engine::FuncType> {
    let convert = |ty: &wasmparser::ValType| match ty {
        wasmparser::ValType::I32 => Ok(engine::ValType::I32),
        wasmparser::ValType::I64 => Ok(engine::ValType::I64),
        wasmparser::ValType::F32 => Ok(engine::ValType::F32),
        wasmparser::ValType::F64 => Ok(engine::ValType::F64),
        other => bail!(bug(&format!(
            "a canonical function has a parameter of type {other}"
        ))),
    };
    Ok(engine::FuncType {
        params: ty.params.iter().map(convert).collect::<Result<_>>()?,
        results: ty.results.iter().map(convert).collect::<Result<_>>()?,
    })
}
