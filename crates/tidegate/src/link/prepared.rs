//! What all instantiations of a linked component have in common, found out by the first.

use super::imports::path;
use super::pre::Linked;
use super::trampolines::is_number;
use super::{Body, Resolved};
use crate::baton::Baton;
use crate::call::builtins;
use crate::error::bug;
use crate::group;
use crate::isolation::IsolatePlan;
use crate::{EngineKind, Result};
use anyhow::{Context, bail};
use std::sync::{Arc, OnceLock};
use tidegate_core::abi::MAX_FLAT_ASYNC_PARAMS;
use tidegate_core::abi::fuse::Import;
use tidegate_core::plan::{
    Canon, CoreDef, CoreFuncType, FuncDef, InstanceIdx, Lift, Plan, Step, Trampoline, TrampolineIdx,
};
use tidegate_engine::{self as engine, HostType, SharedFunc};

/// What all instantiations of a linked component have in common.
pub(crate) struct Prepared {
    /// What each of the plan's isolates is made with.
    pub(crate) isolates: Box<[Make]>,
    /// The core functions that the plan's `canon` definitions make.
    pub(crate) functions: Box<[Function]>,
    /// For each step, the module that it instantiates, if it does.
    pub(crate) modules: Box<[Option<PreparedModule>]>,
    /// How many do.
    pub(crate) core_instances: usize,
    /// For each lifted function, whether nobody can tell whether a call by the host has a task.
    pub(crate) quiet: Box<[bool]>,
    /// Their modules.
    core_modules: Box<[engine::Module]>,
    /// For each adapter module, what it imports of core instances, and for each trampoline, the adapter that stands for it, once they were looked up.
    adapter_args: Box<[OnceLock<AdapterArgs>]>,
    adapter_exports: Box<[OnceLock<engine::ModuleExport>]>,
    /// The types of the functions that adapters trap and validate strings by.
    pub(crate) fail: HostType,
    pub(crate) validate: HostType,
    /// Whether any of the functions is shared.
    pub(crate) shares: bool,
}

/// For each import of an adapter module, what it is if it is one of a core instance.
type AdapterArgs = Box<[Option<Arg>]>;

/// A module to instantiate.
pub(crate) struct PreparedModule {
    /// With the functions that instantiations share.
    pub(crate) pre: engine::InstancePre<Baton>,
    /// What else it imports, in order.
    pub(crate) rest: Box<[Arg]>,
}

/// An import that instantiations do not share.
pub(crate) enum Arg {
    /// An export of a core instance, found in its module.
    Export(usize, engine::ModuleExport),
    /// What the host makes for each of them.
    Def(CoreDef),
}

impl Arg {
    /// `made` are the modules of the core instances so far.
    fn new(def: &CoreDef, made: &[engine::Module]) -> Self {
        let found = match def {
            CoreDef::Export { instance, name } => (made.get(instance.index()))
                .and_then(|module| module.export(name))
                .map(|export| Self::Export(instance.index(), export)),
            CoreDef::Trampoline(_) => None,
        };
        found.unwrap_or_else(|| Self::Def(def.clone()))
    }
}

impl Prepared {
    pub(super) fn new(linked: &Linked) -> Result<Self> {
        let component = &linked.component;
        let plan = component.plan();
        let isolates = component.isolation().isolates.iter();
        let isolates: Box<[Make]> = isolates
            .map(|isolate| Make::new(linked, isolate))
            .collect::<Result<_>>()?;
        let functions = plan.trampolines.iter().enumerate();
        let functions: Box<[Function]> = functions
            .map(|(index, trampoline)| Function::new(linked, index, trampoline))
            .collect::<Result<_>>()?;
        let mut made = Vec::new();
        let modules: Box<[Option<PreparedModule>]> = (plan.steps.iter())
            .map(|step| PreparedModule::of_step(linked, step, &isolates, &functions, &mut made))
            .collect::<Result<_>>()?;
        Ok(Self {
            quiet: quiet_lifts(plan, component.is_concurrent()),
            core_instances: made.len(),
            core_modules: made.into(),
            adapter_args: (0..component.adapter_count())
                .map(|_| OnceLock::new())
                .collect(),
            adapter_exports: plan.trampolines.iter().map(|_| OnceLock::new()).collect(),
            fail: group::fail_type(),
            validate: group::validate_type(),
            shares: functions.iter().any(|function| function.shared.is_some()),
            isolates,
            functions,
            modules,
        })
    }

    /// For each import of an adapter module, what it is if it is one of a core instance.
    pub(super) fn adapter_args(&self, module: usize, imports: &[Import]) -> &[Option<Arg>] {
        let arg = |import: &Import| match import {
            Import::Core(def) => Some(Arg::new(def, &self.core_modules)),
            _ => None,
        };
        self.adapter_args[module].get_or_init(|| imports.iter().map(arg).collect())
    }

    /// The adapter in a module that stands for a trampoline.
    pub(super) fn adapter_export(
        &self,
        index: TrampolineIdx,
        module: &engine::Module,
    ) -> Option<&engine::ModuleExport> {
        let known = &self.adapter_exports[index.index()];
        match known.get() {
            Some(export) => Some(export),
            None => {
                let export = module.export(&index.0.to_string())?;
                Some(known.get_or_init(|| export))
            }
        }
    }
}

/// The functions whose instances import nothing that reaches tasks or threads, and which borrow nothing.
fn quiet_lifts(plan: &Plan, is_concurrent: bool) -> Box<[bool]> {
    let mut quiet = vec![!is_concurrent; plan.instances.len()];
    for trampoline in &plan.trampolines {
        // What else reaches them belongs to the async half.
        if matches!(
            trampoline.canon,
            Canon::ContextGet { .. } | Canon::ContextSet { .. } | Canon::ThreadIndex
        ) {
            quiet[trampoline.instance.index()] = false;
        }
    }
    let borrows = |lift: &Lift| {
        let params = &plan.types.func(lift.ty).params;
        (params.iter()).any(|param| plan.types.contains_borrow(param.ty))
    };
    (plan.lifts.iter())
        .map(|lift| quiet[lift.instance.index()] && !borrows(lift))
        .collect()
}

impl PreparedModule {
    fn of_step(
        linked: &Linked,
        step: &Step,
        isolates: &[Make],
        functions: &[Function],
        made: &mut Vec<engine::Module>,
    ) -> Result<Option<Self>> {
        let Step::Instantiate {
            instance,
            module,
            args,
            ..
        } = step
        else {
            return Ok(None);
        };
        let module = linked.module(*module, kind(linked, *instance, isolates))?;
        let (mut funcs, mut rest) = (Vec::with_capacity(module.imports().len()), Vec::new());
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
            let shared = match def {
                CoreDef::Trampoline(index) => functions[index.index()].shared.clone(),
                CoreDef::Export { .. } => None,
            };
            if shared.is_none() {
                rest.push(Arg::new(def, made));
            }
            funcs.push(shared);
        }
        made.push(module.clone());
        Ok(Some(Self {
            pre: engine::InstancePre::new(module, funcs)?,
            rest: rest.into(),
        }))
    }
}

/// The core engine that runs an instance.
fn kind(linked: &Linked, instance: InstanceIdx, isolates: &[Make]) -> EngineKind {
    match linked.component.isolation().of_instance[instance.index()] {
        Some(index) => isolates[index].kind,
        None => linked.component.engine().kind(),
    }
}

/// A core function that a `canon` definition makes.
pub(crate) struct Function {
    pub(crate) ty: HostType,
    /// The host function behind it, as it was imported, if it is one.
    pub(crate) name: Option<Arc<str>>,
    /// Whether it is a lowered function with a `borrow` among its parameters.
    pub(crate) borrows: bool,
    /// Whether it is one whose parameters are a few numbers: nothing is read from memory to lift them.
    pub(crate) flat: bool,
    /// If it is defined once for all instantiations: see [`functions`](super::functions).
    shared: Option<SharedFunc>,
}

impl Function {
    fn new(linked: &Linked, number: usize, trampoline: &Trampoline) -> Result<Self> {
        let plan = linked.component.plan();
        let (mut name, mut borrows, mut flat) = (None, false, false);
        if let Canon::Lower { func, ty, .. } = &trampoline.canon {
            let params = &plan.types.func(*ty).params;
            borrows = (params.iter()).any(|param| plan.types.contains_borrow(param.ty));
            // Otherwise they may be passed in memory, all together.
            flat = params.len() <= MAX_FLAT_ASYNC_PARAMS
                && (params.iter()).all(|param| is_number(param.ty));
            if let FuncDef::Import(import) = func {
                name = Some(path(&plan.imports[import.index()]).into());
            }
        }
        let ty = core_type(&trampoline.core_type)?;
        let shared = shared(linked, number, trampoline).map(|blocks| SharedFunc {
            ty: ty.clone(),
            number,
            blocks,
        });
        Ok(Self {
            ty,
            name,
            borrows,
            flat,
            shared,
        })
    }
}

/// Whether a core function may park its caller, if all instantiations can share it: what it needs in one of them can be looked up in the isolate that
/// calls it.
fn shared(linked: &Linked, number: usize, trampoline: &Trampoline) -> Option<bool> {
    let plan = linked.component.plan();
    let groups = linked.component.groups();
    if groups.of_trampoline(TrampolineIdx(number as u32)).is_some() {
        return None;
    }
    let (options, definition) = match &trampoline.canon {
        Canon::Lower { options, .. } => (Some(*options), None),
        Canon::WaitableSetWait { memory, .. } | Canon::WaitableSetPoll { memory, .. } => {
            (None, Some(memory))
        }
        Canon::ThreadNewIndirect { table, .. } => (None, Some(table)),
        canon => (builtins::options(canon), None),
    };
    let options = options.map(|index| &plan.options[index.index()]);
    let (memory, realloc) = match options {
        Some(options) => (options.memory.as_ref(), options.realloc.as_ref()),
        None => (None, None),
    };
    let mut definitions = [memory, realloc, definition].into_iter().flatten();
    if !definitions.all(|def| matches!(def, CoreDef::Export { .. })) {
        return None;
    }
    match &trampoline.canon {
        Canon::Lower { func, .. } => match func {
            FuncDef::Import(import) => match &linked.imports.resolved[import.index()] {
                Resolved::Func(func) => Some(!matches!(func.body, Body::Sync(_))),
                _ => None,
            },
            FuncDef::Lift(_) => None,
        },
        canon => Some(builtins::may_block(
            plan,
            canon,
            linked.may_block(trampoline),
        )),
    }
}

/// What an isolate is made with.
#[derive(Clone, Copy)]
pub(crate) struct Make {
    pub(crate) kind: EngineKind,
    /// Whether a module in it uses exceptions.
    pub(crate) exceptions: bool,
}

impl Make {
    fn new(linked: &Linked, isolate: &IsolatePlan) -> Result<Self> {
        let kind = linked.component.engine_of(isolate).0;
        let exceptions = linked.uses_exceptions(isolate, kind)?;
        Ok(Self { kind, exceptions })
    }
}

/// A core function type, prepared for functions of the host.
fn core_type(ty: &CoreFuncType) -> Result<HostType> {
    Ok(func_type(ty)?.into())
}

/// A core function type as engines want it.
pub(super) fn func_type(ty: &CoreFuncType) -> Result<engine::FuncType> {
    let convert = |ty: &wasmparser::ValType| match ty {
        wasmparser::ValType::I32 => Ok(engine::ValType::I32),
        wasmparser::ValType::I64 => Ok(engine::ValType::I64),
        wasmparser::ValType::F32 => Ok(engine::ValType::F32),
        wasmparser::ValType::F64 => Ok(engine::ValType::F64),
        other => bail!(bug(format!(
            "a canonical function has a parameter of type {other}"
        ))),
    };
    Ok(engine::FuncType {
        params: ty.params.iter().map(convert).collect::<Result<_>>()?,
        results: ty.results.iter().map(convert).collect::<Result<_>>()?,
    })
}
