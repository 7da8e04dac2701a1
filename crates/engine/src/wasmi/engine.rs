//! Setting the engine up, and preparing modules.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use wasmi::{CompilationMode, Config};

use super::{
    bulk, convert,
    exceptions::{self, Facts, Layout},
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
const MAX_HEIGHT: usize = 4 << 20;

/// Stacks kept for reuse.
const CACHED_STACKS: usize = 64;

#[derive(Clone)]
pub(crate) struct WasmiEngine {
    pub(super) engine: wasmi::Engine,
    /// The clock of time slices.
    pub(super) clock: Arc<AtomicU64>,
    /// Whether guests can be interrupted.
    pub(super) metered: bool,
    /// Whether modules may use exceptions.
    exceptions: bool,
}

impl WasmiEngine {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let mut out = Config::default();
        out.set_max_recursion_depth(MAX_DEPTH)
            .set_max_stack_height(MAX_HEIGHT)
            .set_max_cached_stacks(CACHED_STACKS)
            .consume_fuel(config.interruptible)
            .wasm_multi_value(true)
            .wasm_bulk_memory(true)
            .wasm_reference_types(true)
            .wasm_simd(true)
            .wasm_relaxed_simd(true)
            .wasm_tail_call(true)
            .wasm_extended_const(true)
            .wasm_multi_memory(true)
            .wasm_memory64(true);
        if config.interruptible {
            // Translating a function at its first call would be charged to the guest's fuel, which is handed out in small
            // amounts.
            out.compilation_mode(CompilationMode::Eager);
        }
        Self {
            engine: wasmi::Engine::new(&out),
            clock: Arc::default(),
            metered: config.interruptible,
            exceptions: config.exceptions,
        }
    }

    pub(crate) fn tick(&self) {
        self.clock.fetch_add(1, Ordering::Relaxed);
    }

    /// A serialised module is the binary module, so it depends on nothing but the set of features.
    pub(crate) fn compatibility(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        ("wasmi", env!("CARGO_PKG_VERSION")).hash(&mut hasher);
        hasher.finish()
    }
}

/// A module, in the forms that it has been needed in so far.
#[derive(Clone)]
pub(crate) struct WasmiModule {
    inner: Arc<Inner>,
}

struct Inner {
    engine: WasmiEngine,
    /// As it was given.
    wasm: Box<[u8]>,
    /// Without its start section, and with large operations by pieces.
    binary: Option<Box<[u8]>>,
    /// What the start function is exported as.
    start: Option<String>,
    /// For isolates without exceptions; none if the module uses them.
    plain: Option<wasmi::Module>,
    /// For isolates with exceptions.
    lowered: OnceLock<Result<Lowered, String>>,
}

/// A module translated for isolates with exceptions.
pub(super) struct Lowered {
    pub(super) module: wasmi::Module,
    pub(super) facts: Facts,
}

impl WasmiModule {
    pub(crate) fn wasm(&self) -> &[u8] {
        &self.inner.wasm
    }

    pub(crate) fn compatibility(&self) -> u64 {
        self.inner.engine.compatibility()
    }

    pub(super) fn start(&self) -> Option<&str> {
        self.inner.start.as_deref()
    }

    /// The form for isolates without exceptions.
    pub(super) fn plain(&self) -> Option<&wasmi::Module> {
        self.inner.plain.as_ref()
    }

    /// The form for isolates with exceptions, made at first use.
    pub(super) fn lowered(&self) -> Result<&Lowered, EngineError> {
        let inner = &*self.inner;
        let lowered = inner.lowered.get_or_init(|| {
            let binary = inner.binary.as_deref().unwrap_or(&inner.wasm);
            let facts = exceptions::facts(binary).map_err(|error| error.to_string())?;
            Ok(lower(&inner.engine, binary, facts)?.0)
        });
        match lowered {
            Ok(lowered) => Ok(lowered),
            Err(message) => Err(EngineError::InvalidModule {
                message: message.clone(),
                offset: None,
            }),
        }
    }
}

fn lower(engine: &WasmiEngine, binary: &[u8], facts: Facts) -> Result<(Lowered, Layout), String> {
    let (binary, layout) = exceptions::lower(binary, &facts).map_err(|error| error.to_string())?;
    let module = wasmi::Module::new(&engine.engine, &binary).map_err(|error| error.to_string())?;
    Ok((Lowered { module, facts }, layout))
}

pub(crate) fn module(engine: &WasmiEngine, wasm: &[u8]) -> Result<Module, EngineError> {
    let sections = sections::read(wasm);
    let (binary, start) = match sections.rewritten {
        Some((binary, start)) => (Some(binary.into_boxed_slice()), Some(start)),
        None => (None, None),
    };
    let by_pieces = match engine.metered {
        true => bulk::rewrite(binary.as_deref().unwrap_or(wasm)),
        false => None,
    };
    let binary = by_pieces.map(Vec::into_boxed_slice).or(binary);
    let code = binary.as_deref().unwrap_or(wasm);
    let lowered = OnceLock::new();
    let (plain, info) = match wasmi::Module::new(&engine.engine, code) {
        Ok(plain) => {
            let info = info(&plain, None, &sections.imports, start.as_deref())?;
            (Some(plain), info)
        }
        // The engine refuses modules that use exceptions. Whether that is why is found out only then.
        Err(error) => match exceptions::facts(code) {
            Ok(facts) if facts.uses_exceptions && engine.exceptions => {
                let invalid = |message| EngineError::InvalidModule {
                    message,
                    offset: None,
                };
                let (made, layout) = lower(engine, code, facts).map_err(invalid)?;
                let translated = Some((&made.facts, &layout));
                let info = info(
                    &made.module,
                    translated,
                    &sections.imports,
                    start.as_deref(),
                )?;
                let _ = lowered.set(Ok(made));
                (None, info)
            }
            _ => {
                // Offsets are to be those of the module as it was given.
                let original = wasmi::Module::validate(&engine.engine, wasm).err();
                return Err(convert::invalid_module(&original.unwrap_or(error)));
            }
        },
    };
    let info = ModuleInfo {
        name: sections.name,
        memories: sections.memories,
        tables: sections.tables,
        ..info
    };
    let inner = Inner {
        engine: engine.clone(),
        wasm: wasm.into(),
        binary,
        start,
        plain,
        lowered,
    };
    Ok(Module {
        inner: ModuleInner::Wasmi(WasmiModule {
            inner: Arc::new(inner),
        }),
        info: Arc::new(info),
    })
}

/// What a module imports and exports, apart from what the adapter has added.
fn info(
    module: &wasmi::Module,
    translated: Option<(&Facts, &Layout)>,
    kinds: &[ImportKind],
    start: Option<&str>,
) -> Result<ModuleInfo, EngineError> {
    let mut imports: Vec<Import> = module
        .imports()
        .filter(|import| translated.is_none_or(|(_, layout)| import.module() != layout.module))
        .map(|import| Import {
            module: import.module().into(),
            name: import.name().into(),
            ty: convert::extern_type(import.ty()),
        })
        .collect();
    let mut exports = Vec::new();
    for export in module.exports() {
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
    if let Some((facts, _)) = translated {
        let tag = |index| ExternType::Tag(convert::payload_type(facts.payload(index)));
        for (index, (module, name)) in (0..).zip(&facts.imported_tags) {
            imports.push(Import {
                module: module.clone(),
                name: name.clone(),
                ty: tag(index),
            });
        }
        for (name, index) in &facts.exported_tags {
            exports.push(Export {
                name: name.clone(),
                ty: tag(*index),
            });
        }
    }
    Ok(ModuleInfo {
        name: None,
        imports: in_order(imports, kinds),
        exports,
        memories: 0,
        tables: 0,
        uses_exceptions: translated.is_some(),
        is_checked: false,
    })
}

/// A module's imports in their own order: so far they are grouped by kind.
fn in_order(grouped: Vec<Import>, kinds: &[ImportKind]) -> Vec<Import> {
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    order.sort_by_key(|index| kinds[*index]);
    let mut imports: Vec<(usize, Import)> = order.into_iter().zip(grouped).collect();
    imports.sort_by_key(|(index, _)| *index);
    imports.into_iter().map(|(_, import)| import).collect()
}
