//! Compiled components.

use crate::call::guest::Programs;
use crate::concurrent::{Needs, needs_several_stacks, uses_async};
use crate::error::bug;
use crate::group::Groups;
use crate::isolation::{IsolatePlan, Isolation};
use crate::{Engine, Result, Strategy};
use anyhow::Context;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use std::sync::{Arc, OnceLock};
use tidegate_core::abi::fuse::AdapterModule;
use tidegate_core::plan::{LiftIdx, ModuleIdx, OptionsIdx, Plan, PlanLimits, TrampolineIdx};
use tidegate_core::types::FuncTypeIdx;
use tidegate_engine::{self as engine, EngineKind};

/// A component: decoded, validated, planned and compiled. Cheap to clone.
#[derive(Clone)]
pub struct Component(Arc<Inner>);

struct Inner {
    engine: Engine,
    plan: Plan,
    isolation: Isolation,
    bytes: Box<[u8]>,
    modules: Box<[CompiledModule]>,
    /// Whether it uses async.
    concurrent: bool,
    /// How the isolates of one that does may be entered.
    needs: Box<[Needs]>,
    /// For each trampoline that lowers a guest's function, how values pass.
    programs: Box<[OnceLock<Arc<Programs>>]>,
    groups: Groups,
    /// The adapter modules of the groups.
    adapters: Box<[CompiledModule]>,
}

/// An embedded module, compiled by each core engine that an isolate wants it from.
#[derive(Default)]
struct CompiledModule {
    wasmtime: OnceLock<engine::Module>,
    wasmi: OnceLock<engine::Module>,
}

impl CompiledModule {
    fn slot(&self, kind: EngineKind) -> &OnceLock<engine::Module> {
        match kind {
            EngineKind::Wasmtime => &self.wasmtime,
            EngineKind::Wasmi => &self.wasmi,
        }
    }
}

impl Component {
    /// Decodes and compiles a component from its binary, or its text if feature `wat` is on.
    ///
    /// # Errors
    /// Malformed, invalid or unsupported bytes, with the offset.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = to_binary(bytes.as_ref())?;
        // The engine validates the bodies as it compiles them, below.
        let plan = Plan::without_bodies(&bytes, &PlanLimits::default())?;
        let component = Self::planned(engine, bytes, plan);
        component.compile(engine.kind())?;
        Ok(component)
    }

    /// Compiles the embedded modules and the adapters: several at a time, if functions are compiled so as well. Many are too small to keep the processors
    /// busy one by one.
    fn compile(&self, kind: EngineKind) -> Result<()> {
        let own = self.0.modules.len();
        let one = |index: usize| match index.checked_sub(own) {
            None => self.module(ModuleIdx(index as u32), kind).map(drop),
            Some(adapters) => self.adapters(adapters, kind).map(drop),
        };
        let all = 0..own + self.adapter_count();
        if all.len() < 2 || !self.engine().compiles_in_parallel() {
            return all.into_iter().try_for_each(one);
        }
        let results: Vec<Result<()>> = all.into_par_iter().map(one).collect();
        // Whichever failed first, what is told is the error of the first.
        results.into_iter().collect()
    }

    /// Decodes a component as [`new`](Self::new) does, and leaves its modules to be compiled when they are needed.
    ///
    /// # Errors
    /// Malformed, invalid or unsupported bytes, with the offset; what the engine alone refuses is found later.
    pub fn decode(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = to_binary(bytes.as_ref())?;
        let plan = Plan::new(&bytes)?;
        Ok(Self::planned(engine, bytes, plan))
    }

    /// A component whose modules are not compiled yet.
    pub(crate) fn planned(engine: &Engine, bytes: Box<[u8]>, plan: Plan) -> Self {
        let concurrent = uses_async(&plan);
        let isolation = Isolation::new(&plan, engine.has_groups() && !concurrent);
        let modules = plan
            .modules
            .iter()
            .map(|_| CompiledModule::default())
            .collect();
        let needs = match concurrent {
            true => Needs::of(&plan, &isolation),
            false => Box::default(),
        };
        let programs = plan.trampolines.iter().map(|_| OnceLock::new()).collect();
        let groups = Groups::new(&plan, &isolation);
        let adapters = groups.modules.iter();
        let adapters = adapters.map(|_| CompiledModule::default()).collect();
        Self(Arc::new(Inner {
            engine: engine.clone(),
            plan,
            isolation,
            bytes,
            modules,
            programs,
            concurrent,
            needs,
            groups,
            adapters,
        }))
    }

    /// Its groups.
    pub(crate) fn groups(&self) -> &Groups {
        &self.0.groups
    }

    /// An adapter module, laid out when first asked for.
    pub(crate) fn adapter_module(&self, index: usize) -> Result<&AdapterModule> {
        let Inner {
            engine,
            plan,
            isolation,
            groups,
            programs,
            ..
        } = &*self.0;
        groups.module(
            index,
            plan,
            isolation,
            engine.kind(),
            |index, lowered, lift| programs_of(plan, programs, index, lowered, lift),
        )
    }

    /// How many adapter modules there are.
    pub(crate) fn adapter_count(&self) -> usize {
        self.0.adapters.len()
    }

    /// An adapter module as compiled by a core engine, which may happen now.
    pub(crate) fn adapters(&self, index: usize, kind: EngineKind) -> Result<&engine::Module> {
        let slot = self.0.adapters[index].slot(kind);
        if let Some(module) = slot.get() {
            return Ok(module);
        }
        let wasm = &self.adapter_module(index)?.wasm;
        let module = engine::Module::new(self.0.engine.core(kind)?, wasm)
            .with_context(|| bug("the adapters of a group do not compile"))?;
        Ok(slot.get_or_init(|| module))
    }

    /// Gives an adapter module in the form that it was compiled to before.
    pub(crate) fn set_adapters(&self, index: usize, kind: EngineKind, module: engine::Module) {
        self.0.adapters[index].slot(kind).get_or_init(|| module);
    }

    /// The binary.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Gives an embedded module in the form that it was compiled to before.
    pub(crate) fn set_module(&self, index: ModuleIdx, kind: EngineKind, module: engine::Module) {
        // Whichever is there first is as good.
        self.0.modules[index.index()]
            .slot(kind)
            .get_or_init(|| module);
    }

    /// The engine that it was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// What the component consists of: imports, exports, types, steps.
    pub fn plan(&self) -> &Plan {
        &self.0.plan
    }

    /// The core engine that runs an isolate, and why: the embedder's choice, unless the isolate may need several parked stacks at once, which only
    /// the interpreter can have.
    pub(crate) fn engine_of(&self, isolate: &IsolatePlan) -> (EngineKind, &'static str) {
        let several = if self.0.concurrent {
            needs_several_stacks(self.plan(), isolate)
        } else {
            None
        };
        match (several, self.engine().strategy()) {
            (_, Strategy::Always(EngineKind::Wasmi)) => {
                (EngineKind::Wasmi, "the embedder asks for it")
            }
            (Some(reason), _) => (EngineKind::Wasmi, reason),
            (None, Strategy::Always(kind)) => (kind, "the embedder asks for it"),
            (None, Strategy::Auto) => (self.engine().kind(), "nothing in it needs the interpreter"),
        }
    }

    /// How an isolate may be entered, as far as that can be told before it is linked.
    pub(crate) fn needs(&self, isolate: usize) -> Needs {
        let stack = if self.engine().is_interruptible() {
            Some("it can be interrupted while it computes")
        } else if self.0.concurrent {
            return self.0.needs[isolate];
        } else {
            None
        };
        let nested = false;
        Needs { stack, nested }
    }

    /// Whether it uses async, so that its code runs by the driver.
    pub(crate) fn is_concurrent(&self) -> bool {
        self.0.concurrent
    }

    pub(crate) fn isolation(&self) -> &Isolation {
        &self.0.isolation
    }

    /// How the values of a lowered guest function pass, worked out when first asked for.
    pub(crate) fn programs(
        &self,
        trampoline: TrampolineIdx,
        lowered: (FuncTypeIdx, OptionsIdx),
        lift: LiftIdx,
    ) -> Result<Arc<Programs>> {
        programs_of(self.plan(), &self.0.programs, trampoline, lowered, lift)
    }

    /// An embedded module as compiled by a core engine, which may happen now.
    pub(crate) fn module(&self, index: ModuleIdx, kind: EngineKind) -> Result<&engine::Module> {
        let slot = self.0.modules[index.index()].slot(kind);
        if let Some(module) = slot.get() {
            return Ok(module);
        }
        let range = self.0.plan.modules[index.index()].clone();
        let start = range.start;
        let bytes = self
            .0
            .bytes
            .get(range)
            .context("an embedded module lies outside the component")?;
        let module = engine::Module::new(self.0.engine.core(kind)?, bytes)
            .with_context(|| format!("core module {} at offset {start:#x}", index.0))?;
        Ok(slot.get_or_init(|| module))
    }
}

fn programs_of(
    plan: &Plan,
    known: &[OnceLock<Arc<Programs>>],
    trampoline: TrampolineIdx,
    lowered: (FuncTypeIdx, OptionsIdx),
    lift: LiftIdx,
) -> Result<Arc<Programs>> {
    let slot = &known[trampoline.index()];
    if let Some(programs) = slot.get() {
        return Ok(programs.clone());
    }
    let programs = Programs::new(plan, lowered, &plan.lifts[lift.index()])?;
    Ok(slot.get_or_init(|| Arc::new(programs)).clone())
}

/// The binary of a component or module that may be given as text.
pub(crate) fn to_binary(bytes: &[u8]) -> Result<Box<[u8]>> {
    #[cfg(feature = "wat")]
    if !bytes.starts_with(b"\0asm") {
        return Ok(wat::parse_bytes(bytes)?.into_owned().into());
    }
    Ok(bytes.into())
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Component")
            .field("bytes", &self.0.bytes.len())
            .finish_non_exhaustive()
    }
}
