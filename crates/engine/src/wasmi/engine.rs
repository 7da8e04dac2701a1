//! Setting the engine up, and preparing modules.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use wasmi::Config;

use super::{
    convert,
    sections::{self, ImportKind},
};
use crate::{
    config::EngineConfig,
    error::EngineError,
    module::{Module, ModuleInfo, ModuleInner},
    types::{Export, ExternType, Import},
};

/// Nested guest calls on one stack. Guest frames are on the interpreter's heap, not on the native stack.
const MAX_DEPTH: usize = 50_000;

/// Bytes of guest locals and operands on one stack.
const MAX_HEIGHT: usize = 16 << 20;

/// Stacks kept for reuse.
const CACHED_STACKS: usize = 64;

#[derive(Clone)]
pub(crate) struct WasmiEngine {
    pub(super) engine: wasmi::Engine,
    /// The clock of time slices.
    pub(super) epoch: Arc<AtomicU64>,
    /// Whether guests can be interrupted.
    pub(super) metered: bool,
}

impl WasmiEngine {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let mut out = Config::default();
        out.set_max_recursion_depth(MAX_DEPTH)
            .set_max_stack_height(MAX_HEIGHT)
            .set_max_cached_stacks(CACHED_STACKS)
            .consume_fuel(config.epoch_interruption)
            .wasm_multi_value(true)
            .wasm_bulk_memory(true)
            .wasm_reference_types(true)
            .wasm_simd(true)
            .wasm_relaxed_simd(true)
            .wasm_tail_call(true)
            .wasm_extended_const(true)
            .wasm_multi_memory(true)
            .wasm_memory64(true);
        Self {
            engine: wasmi::Engine::new(&out),
            epoch: Arc::default(),
            metered: config.epoch_interruption,
        }
    }

    pub(crate) fn increment_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
    }

    /// A serialised module is the binary module, so it depends on nothing but the set of features.
    pub(crate) fn compatibility(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        ("wasmi", env!("CARGO_PKG_VERSION")).hash(&mut hasher);
        hasher.finish()
    }
}

#[derive(Clone)]
pub(crate) struct WasmiModule {
    pub(super) module: wasmi::Module,
    /// What the start function is exported as.
    pub(super) start: Option<Arc<str>>,
    wasm: Arc<[u8]>,
    compatibility: u64,
}

impl WasmiModule {
    pub(crate) fn wasm(&self) -> &[u8] {
        &self.wasm
    }

    pub(crate) fn compatibility(&self) -> u64 {
        self.compatibility
    }
}

pub(crate) fn module(engine: &WasmiEngine, wasm: &[u8]) -> Result<Module, EngineError> {
    let sections = sections::read(wasm);
    let (binary, start) = match &sections.rewritten {
        Some((binary, start)) => (&binary[..], Some(start.as_str())),
        None => (wasm, None),
    };
    let inner = wasmi::Module::new(&engine.engine, binary).map_err(|error| {
        // Offsets are to be those of the module as it was given.
        let error = wasmi::Module::validate(&engine.engine, wasm)
            .err()
            .unwrap_or(error);
        convert::invalid_module(&error)
    })?;
    let mut exports = Vec::new();
    for export in inner.exports() {
        let ty = convert::extern_type(export.ty());
        if Some(export.name()) != start {
            exports.push(Export {
                name: export.name().into(),
                ty,
            });
        } else if ty != ExternType::Func(Default::default()) {
            return Err(EngineError::InvalidModule {
                message: "the start function has parameters or results".into(),
                offset: None,
            });
        }
    }
    let info = ModuleInfo {
        name: sections.name.clone(),
        imports: imports(&inner, &sections.imports),
        exports,
        memories: sections.memories,
        tables: sections.tables,
        uses_exceptions: false,
    };
    let module = WasmiModule {
        start: start.map(Into::into),
        module: inner,
        wasm: wasm.into(),
        compatibility: engine.compatibility(),
    };
    Ok(Module {
        inner: ModuleInner::Wasmi(module),
        info: Arc::new(info),
    })
}

/// A module's imports in their own order: the engine gives them grouped by kind.
fn imports(module: &wasmi::Module, kinds: &[ImportKind]) -> Vec<Import> {
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    order.sort_by_key(|index| kinds[*index]);
    let mut imports: Vec<(usize, Import)> = order
        .into_iter()
        .zip(module.imports())
        .map(|(index, import)| {
            let import = Import {
                module: import.module().into(),
                name: import.name().into(),
                ty: convert::extern_type(import.ty()),
            };
            (index, import)
        })
        .collect();
    imports.sort_by_key(|(index, _)| *index);
    imports.into_iter().map(|(_, import)| import).collect()
}
