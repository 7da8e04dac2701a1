//! Setting the engine up, and compiling.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use super::{
    checks::{self, Words},
    convert,
};
use crate::{
    config::{EngineConfig, Pooling},
    error::EngineError,
    module::{Module, ModuleInfo, ModuleInner},
    types::{Export, Import, MemoryType},
};

/// The engine, and what its modules are instantiated with where guests can be interrupted while they compute.
#[derive(Clone)]
pub(crate) struct WasmtimeEngine {
    pub(super) inner: wasmtime::Engine,
    pub(super) words: Option<Arc<Words>>,
    threads: bool,
}

impl WasmtimeEngine {
    /// # Errors
    /// The configuration cannot be had.
    pub(crate) fn new(config: &EngineConfig) -> Result<Self, EngineError> {
        let inner = engine(config)?;
        let words = config.interruptible.then(|| Words::new(&inner));
        Ok(Self {
            words: words.transpose()?,
            threads: config.threads,
            inner,
        })
    }

    /// Moves the clock of time slices on.
    pub(crate) fn tick(&self) {
        if let Some(words) = &self.words {
            words.tick();
        }
    }

    /// A hash of what compiled code depends on.
    pub(crate) fn compatibility(&self) -> u64 {
        compatibility(&self.inner, self.words.is_some())
    }
}

fn engine(config: &EngineConfig) -> Result<wasmtime::Engine, EngineError> {
    let mut out = Config::new();
    out.cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(config.canonicalize_nans)
        .parallel_compilation(config.parallel_compilation)
        .max_wasm_stack(config.max_wasm_stack)
        // A stack of its own must hold what a thread's would, and what a parked guest had used of it when it is resumed.
        .async_stack_size(config.native_stack.saturating_add(config.max_wasm_stack))
        .memory_init_cow(true)
        .wasm_multi_value(true)
        .wasm_bulk_memory(true)
        .wasm_reference_types(true)
        .wasm_simd(true)
        .wasm_relaxed_simd(true)
        .wasm_tail_call(true)
        .wasm_extended_const(true)
        .wasm_multi_memory(true)
        .wasm_memory64(true)
        .wasm_exceptions(config.exceptions)
        .wasm_threads(true)
        // Modules that have any are refused where there are to be none: see `module`.
        .shared_memory(config.threads || config.interruptible)
        // Hints are given with checks only; those of modules go.
        .wasm_branch_hinting(config.interruptible)
        .wasm_gc(false)
        // Only backtraces of the host's would use it, taken in a function that a guest calls: they end at the guest instead, and code takes
        // less time to compile and to load. What is told of a guest's trap does not come from it.
        .native_unwind_info(cfg!(windows))
        .wasm_function_references(false);
    if let Some(bytes) = config.memory_reservation {
        out.memory_reservation(bytes);
    }
    if let Some(bytes) = config.memory_guard {
        out.memory_guard_size(bytes);
    }
    if let Some(pooling) = &config.pooling {
        out.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(pooling)));
    }
    wasmtime::Engine::new(&out).map_err(|error| EngineError::Config(format!("{error:#}")))
}

fn pool(pooling: &Pooling) -> PoolingAllocationConfig {
    let mut out = PoolingAllocationConfig::default();
    out.total_core_instances(pooling.instances)
        .total_memories(pooling.memories)
        .total_tables(pooling.tables)
        .total_stacks(pooling.stacks)
        .max_memory_size(pooling.max_memory_bytes)
        .table_elements(pooling.table_elements)
        .max_core_instance_size(16 << 20)
        .max_memories_per_module(100)
        .max_tables_per_module(100)
        .linear_memory_keep_resident(pooling.keep_resident)
        .table_keep_resident(pooling.keep_resident)
        .pagemap_scan(Enabled::Auto);
    out
}

/// A hash of what the code of modules with or without checks depends on.
pub(crate) fn compatibility(engine: &wasmtime::Engine, is_checked: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    is_checked.then_some(checks::VERSION).hash(&mut hasher);
    hasher.finish()
}

pub(crate) fn module(engine: &WasmtimeEngine, wasm: &[u8]) -> Result<Module, EngineError> {
    let compile = |wasm| wasmtime::Module::from_binary(&engine.inner, wasm);
    let compiled = if engine.words.is_some() {
        // What is wrong with a module is told by its own offsets, and nothing can name what is added to it.
        wasmtime::Module::validate(&engine.inner, wasm)
            .map_err(|error| convert::invalid_module(&error))?;
        let checked = checks::rewrite(wasm, engine.threads).map_err(|message| {
            EngineError::InvalidModule {
                message,
                offset: None,
            }
        })?;
        compile(&checked)
    } else {
        compile(wasm)
    };
    match compiled {
        Ok(inner) => Ok(finish(engine, inner)),
        Err(error) => Err(convert::invalid_module(&error)),
    }
}

/// # Safety
/// `bytes` must be what the engine's own serialisation gave: they are executed.
pub(crate) unsafe fn deserialize(
    engine: &WasmtimeEngine,
    bytes: &[u8],
) -> Result<Module, EngineError> {
    // SAFETY: passed on to the caller.
    match unsafe { wasmtime::Module::deserialize(&engine.inner, bytes) } {
        Ok(inner) => Ok(finish(engine, inner)),
        Err(_) => Err(EngineError::Artifact("the engine refuses it")),
    }
}

/// # Safety
/// `file` must begin with what the engine's own serialisation gave, and stay as it is: it is mapped and executed.
pub(crate) unsafe fn deserialize_file(
    engine: &WasmtimeEngine,
    file: std::fs::File,
) -> Result<Module, EngineError> {
    // SAFETY: passed on to the caller.
    match unsafe { wasmtime::Module::deserialize_open_file(&engine.inner, file) } {
        Ok(inner) => Ok(finish(engine, inner)),
        Err(_) => Err(EngineError::Artifact("the engine refuses it")),
    }
}

pub(crate) fn shared_memory(
    engine: &WasmtimeEngine,
    ty: &MemoryType,
) -> Result<wasmtime::SharedMemory, EngineError> {
    if !engine.threads {
        return Err(EngineError::Unsupported(
            "shared memories need an engine that is set up for threads".into(),
        ));
    }
    let unsupported = |error: wasmtime::Error| EngineError::Unsupported(format!("{error:#}"));
    let ty = wasmtime::MemoryTypeBuilder::new()
        .min(ty.minimum)
        .max(ty.maximum)
        .memory64(ty.memory64)
        .shared(ty.shared)
        .page_size_log2(ty.page_size_log2)
        .build()
        .map_err(unsupported)?;
    wasmtime::SharedMemory::new(&engine.inner, ty).map_err(unsupported)
}

fn finish(engine: &WasmtimeEngine, inner: wasmtime::Module) -> Module {
    let is_checked = engine.words.is_some();
    let added = if is_checked { checks::IMPORTS } else { 0 };
    let resources = inner.resources_required();
    let info = ModuleInfo {
        name: inner.name().map(Into::into),
        imports: inner
            .imports()
            .take(inner.imports().len() - added)
            .map(|import| Import {
                module: import.module().into(),
                name: import.name().into(),
                ty: convert::extern_type(&import.ty()),
            })
            .collect(),
        exports: inner
            .exports()
            .map(|export| Export {
                name: export.name().into(),
                ty: convert::extern_type(&export.ty()),
            })
            .collect(),
        memories: resources.num_memories,
        tables: resources.num_tables,
        uses_exceptions: false,
        is_checked,
    };
    Module {
        inner: ModuleInner::Wasmtime(inner),
        info: Arc::new(info),
    }
}
