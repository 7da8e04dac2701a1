//! The core modules of a script: all in one isolate, where each may import what others export.

use super::core_values::{Number, argument};
use anyhow::{Context as _, Result, anyhow, bail};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_engine::{
    Engine, EngineConfig, EngineKind, Extern, FuncType, Isolate, IsolateData, Limits, Module,
    SharedMemory, ValType,
};
use wast::WastArg;

/// What scripts of the core specification expect of the host, but for its functions.
const SPECTEST: &str = r#"(module
  (global (export "global_i32") i32 (i32.const 666))
  (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6))
  (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref)
  (table (export "table64") i64 10 20 funcref)
  (memory (export "memory") 1 2))"#;

/// Its functions, which do nothing here.
const PRINTERS: [(&str, &[ValType]); 7] = [
    ("print", &[]),
    ("print_i32", &[ValType::I32]),
    ("print_i64", &[ValType::I64]),
    ("print_f32", &[ValType::F32]),
    ("print_f64", &[ValType::F64]),
    ("print_i32_f32", &[ValType::I32, ValType::F32]),
    ("print_f64_f64", &[ValType::F64, ValType::F64]),
];

/// A script keeps all it ever instantiated: more than a program does.
const LIMITS: Limits = Limits {
    memory_bytes: 1 << 40,
    table_elements: 100_000_000,
    instances: 100_000,
    memories: 100_000,
    tables: 100_000,
};

/// The isolate carries nothing.
struct Nothing;

impl IsolateData for Nothing {
    type Block = ();
    type Local = ();
    type Reply = ();
}

/// An isolate with all core instances of a script, and the names under which they can be imported.
pub struct Modules {
    engine: Engine,
    isolate: Isolate<Nothing>,
    registered: HashMap<String, CoreInstance>,
}

/// What a core instance exports.
#[derive(Clone)]
pub struct CoreInstance(Arc<HashMap<String, Extern>>);

/// An engine for the core modules of a script and its threads.
pub fn engine(kind: EngineKind) -> Result<Engine> {
    let mut config = EngineConfig::new(kind);
    config.threads = kind == EngineKind::Wasmtime;
    Ok(Engine::new(&config)?)
}

impl Modules {
    /// An isolate with nothing but what the host offers.
    pub fn new(engine: Engine) -> Result<Self> {
        let mut isolate = Isolate::new(&engine, Nothing, LIMITS)?;
        isolate.enable_exceptions();
        let mut this = Self {
            engine,
            isolate,
            registered: HashMap::new(),
        };
        let module = this.compile(&wat::parse_str(SPECTEST)?)?;
        let spectest = this.instantiate(&module)?;
        let mut exports = HashMap::clone(&spectest.0);
        for (name, params) in PRINTERS {
            let ty = FuncType::new(params.iter().copied(), []);
            let func = this.isolate.cx().host_func(ty, Box::new(|_, _| Ok(())))?;
            exports.insert(name.into(), Extern::Func(func));
        }
        this.register("spectest", CoreInstance(Arc::new(exports)));
        Ok(this)
    }

    /// Compiles a module.
    pub fn compile(&self, wasm: &[u8]) -> Result<Module> {
        Ok(Module::new(&self.engine, wasm)?)
    }

    /// Instantiates a module with what is registered.
    pub fn instantiate(&mut self, module: &Module) -> Result<CoreInstance> {
        let imports = module
            .imports()
            .iter()
            .map(|import| {
                let exports = self.registered.get(&import.module);
                let found = exports.and_then(|exports| exports.0.get(&import.name));
                found.copied().with_context(|| {
                    format!("unknown import `{}` `{}`", import.module, import.name)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let mut cx = self.isolate.cx();
        let instance = cx.instantiate(module, &imports)?;
        let exports = module.exports().iter().filter_map(|export| {
            let item = cx.export(instance, &export.name)?;
            Some((export.name.clone(), item))
        });
        Ok(CoreInstance(Arc::new(exports.collect())))
    }

    /// Lets later modules import from an instance under this name.
    pub fn register(&mut self, name: &str, instance: CoreInstance) {
        self.registered.insert(name.into(), instance);
    }

    /// Calls an exported function.
    pub fn call(
        &mut self,
        instance: &CoreInstance,
        name: &str,
        arguments: &[WastArg<'_>],
    ) -> Result<Vec<Number>> {
        let Extern::Func(func) = instance.export(name)? else {
            bail!("the export {name:?} is no function");
        };
        let ty = self.isolate.cx().func_type(func);
        let mut slots = arguments
            .iter()
            .map(argument)
            .collect::<Result<Vec<u64>>>()?;
        if slots.len() != ty.params.len() {
            bail!("the function takes {} arguments", ty.params.len());
        }
        slots.resize(func.slots().max(slots.len()), 0);
        self.isolate.cx().call(func, &mut slots)?;
        ty.results
            .iter()
            .zip(slots)
            .map(|(ty, slot)| Number::new(*ty, slot))
            .collect()
    }

    /// What an exported global holds.
    pub fn global(&mut self, instance: &CoreInstance, name: &str) -> Result<Number> {
        let Extern::Global(global) = instance.export(name)? else {
            bail!("the export {name:?} is no global");
        };
        let mut cx = self.isolate.cx();
        let value = cx.global_get(global)?;
        Number::new(cx.global_type(global).content, value)
    }

    /// The shared memories that an instance exports: what another thread can have of it.
    pub fn shared(&mut self, instance: &CoreInstance) -> Vec<(String, SharedMemory)> {
        let cx = self.isolate.cx();
        let memories = instance.0.iter().filter_map(|(name, item)| match item {
            Extern::SharedMemory(memory) => Some((name.clone(), cx.shared_memory(*memory))),
            _ => None,
        });
        memories.collect()
    }

    /// An instance that exports the memories of another thread.
    pub fn adopt(&mut self, memories: &[(String, SharedMemory)]) -> Result<CoreInstance> {
        let mut cx = self.isolate.cx();
        let exports = memories
            .iter()
            .map(|(name, memory)| Ok((name.clone(), cx.add_shared_memory(memory)?)))
            .collect::<Result<_>>()?;
        Ok(CoreInstance(Arc::new(exports)))
    }
}

impl CoreInstance {
    fn export(&self, name: &str) -> Result<Extern> {
        let item = self.0.get(name).copied();
        item.ok_or_else(|| anyhow!("there is no export {name:?}"))
    }
}
