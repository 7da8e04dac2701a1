//! Compiled core modules.

use crate::component::to_binary;
use crate::{Engine, EngineKind, Result};
use std::fs::File;
use std::sync::{Arc, OnceLock};
use tidegate_core::plan::{CoreExternType, CoreModuleType};
use tidegate_engine as engine;
use tidegate_engine::waits;

/// A core module: validated and compiled. Cheap to clone.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    engine: Engine,
    bytes: Box<[u8]>,
    wasmtime: OnceLock<engine::Module>,
    wasmi: OnceLock<engine::Module>,
}

impl Module {
    /// Compiles a module from its binary, or its text if feature `wat` is on.
    ///
    /// # Errors
    /// Malformed, invalid or unsupported bytes, with the offset.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Self> {
        let bytes = match engine.has_threads() {
            true => waits::rewritten(&to_binary(bytes.as_ref())?)?
                .into_owned()
                .into(),
            false => to_binary(bytes.as_ref())?,
        };
        let module = Self(Arc::new(Inner {
            engine: engine.clone(),
            bytes,
            wasmtime: OnceLock::new(),
            wasmi: OnceLock::new(),
        }));
        module.compiled(engine.kind())?;
        Ok(module)
    }

    /// Whether these bytes are what [`serialize`](Self::serialize) gave, or its end: the last eight bytes tell.
    pub fn is_precompiled(bytes: &[u8]) -> bool {
        engine::Module::is_artifact(bytes)
    }

    /// A module from what one was compiled to before; see [`tidegate_engine::Module::deserialize`] for the trust that this needs.
    ///
    /// # Errors
    /// Bytes that are corrupt, or were compiled with other settings or by another version.
    pub fn deserialize(engine: &Engine, artifact: &[u8]) -> Result<Self> {
        let kind = engine.kind();
        let compiled = engine::Module::deserialize(engine.core(kind)?, artifact)?;
        Ok(Self::from_compiled(engine, kind, compiled))
    }

    /// As [`deserialize`](Self::deserialize), from a file whose machine code is mapped rather than read, so that what does not run takes no memory.
    ///
    /// While the module lives, the file must not be changed in place; it may be removed or replaced by a rename.
    ///
    /// # Errors
    /// As [`deserialize`](Self::deserialize); the file cannot be read.
    pub fn deserialize_file(engine: &Engine, file: File) -> Result<Self> {
        let kind = engine.kind();
        let length = file.metadata()?.len();
        let compiled = engine::Module::deserialize_file(engine.core(kind)?, file, length)?;
        Ok(Self::from_compiled(engine, kind, compiled))
    }

    pub(crate) fn from_compiled(
        engine: &Engine,
        kind: EngineKind,
        compiled: engine::Module,
    ) -> Self {
        let module = Self(Arc::new(Inner {
            engine: engine.clone(),
            bytes: Box::default(),
            wasmtime: OnceLock::new(),
            wasmi: OnceLock::new(),
        }));
        module.slot(kind).get_or_init(|| compiled);
        module
    }

    /// What the module was compiled to, for [`deserialize`](Self::deserialize).
    ///
    /// # Errors
    /// The engine cannot serialize it.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        Ok(self.compiled(self.0.engine.kind())?.serialize()?)
    }

    /// What it imports.
    pub fn imports(&self) -> Vec<engine::Import> {
        let mut imports = self.compiled_imports().to_vec();
        imports.retain(|import| !waits::is_added(import));
        imports
    }

    /// What the compiled code imports, with what stands for waits.
    pub(crate) fn compiled_imports(&self) -> &[engine::Import] {
        self.any().map(engine::Module::imports).unwrap_or_default()
    }

    /// What it exports.
    pub fn exports(&self) -> Vec<engine::Export> {
        self.any()
            .map(|module| module.exports().to_vec())
            .unwrap_or_default()
    }

    fn any(&self) -> Option<&engine::Module> {
        self.0.wasmtime.get().or_else(|| self.0.wasmi.get())
    }

    fn slot(&self, kind: EngineKind) -> &OnceLock<engine::Module> {
        match kind {
            EngineKind::Wasmtime => &self.0.wasmtime,
            EngineKind::Wasmi => &self.0.wasmi,
        }
    }

    /// The module as compiled by a core engine, which may happen now.
    pub(crate) fn compiled(&self, kind: EngineKind) -> Result<&engine::Module> {
        let slot = self.slot(kind);
        if let Some(module) = slot.get() {
            return Ok(module);
        }
        let module = engine::Module::new(self.0.engine.core(kind)?, &self.0.bytes)?;
        Ok(slot.get_or_init(|| module))
    }

    /// Whether a component that wants a module of type `wanted` can use this one; why not, if not.
    pub(crate) fn check(&self, wanted: &CoreModuleType) -> Result<(), String> {
        for (name, ty) in &wanted.exports {
            let exports = self.exports();
            let Some(export) = exports.iter().find(|export| *export.name == **name) else {
                return Err(format!("it does not export `{name}`"));
            };
            if !matches_kind(&export.ty, ty) {
                return Err(format!(
                    "its export `{name}` is a {} of another type",
                    export.ty.kind()
                ));
            }
        }
        for import in self.imports() {
            let given = wanted
                .imports
                .iter()
                .find(|(module, name, _)| **module == *import.module && **name == *import.name);
            match given {
                Some((_, _, ty)) if matches_kind(&import.ty, ty) => {}
                Some(_) => {
                    return Err(format!(
                        "its import `{}` `{}` is of another type",
                        import.module, import.name
                    ));
                }
                None => {
                    return Err(format!(
                        "it imports `{}` `{}`, which is not given",
                        import.module, import.name
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Whether both are of one kind, and of one type where they are functions; sizes are compared when the module is instantiated.
fn matches_kind(a: &engine::ExternType, b: &CoreExternType) -> bool {
    match (a, b) {
        (engine::ExternType::Func(a), CoreExternType::Func(b)) => {
            let same = |a: &[engine::ValType], b: &[wasmparser::ValType]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_string() == b.to_string())
            };
            same(&a.params, &b.params) && same(&a.results, &b.results)
        }
        (engine::ExternType::Memory(_), CoreExternType::Memory(_))
        | (engine::ExternType::Table(_), CoreExternType::Table(_))
        | (engine::ExternType::Global(_), CoreExternType::Global(_))
        | (engine::ExternType::Tag(_), CoreExternType::Tag(_)) => true,
        _ => false,
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").finish_non_exhaustive()
    }
}
