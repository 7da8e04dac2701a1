//! Compiled modules and their serialised form.

use std::{fs::File, sync::Arc};

use crate::{
    artifact,
    config::{Engine, EngineInner, EngineKind},
    error::EngineError,
    types::{Export, Import},
};

/// A compiled core module. Cheap to clone.
#[derive(Clone)]
pub struct Module {
    pub(crate) inner: ModuleInner,
    pub(crate) info: Arc<ModuleInfo>,
}

#[derive(Clone)]
pub(crate) enum ModuleInner {
    Wasmtime(::wasmtime::Module),
    Wasmi(crate::wasmi::WasmiModule),
}

/// What both adapters know of a module.
#[derive(Debug)]
pub(crate) struct ModuleInfo {
    pub(crate) name: Option<String>,
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
    /// Memories it defines, imported ones apart.
    pub(crate) memories: u32,
    /// Tables it defines, imported ones apart.
    pub(crate) tables: u32,
    /// Whether it needs an isolate prepared for exceptions.
    pub(crate) uses_exceptions: bool,
    /// Whether it was compiled with checks of the wasmtime adapter.
    pub(crate) is_checked: bool,
}

impl Module {
    /// Validates and compiles a binary module.
    ///
    /// # Errors
    /// [`EngineError::InvalidModule`], with the offset where the module is malformed.
    pub fn new(engine: &Engine, wasm: &[u8]) -> Result<Self, EngineError> {
        match &engine.inner {
            EngineInner::Wasmtime(inner) => crate::wasmtime::module(inner, wasm),
            EngineInner::Wasmi(inner) => crate::wasmi::module(inner, wasm),
        }
    }

    /// The module's name, from its name section.
    pub fn name(&self) -> Option<&str> {
        self.info.name.as_deref()
    }

    /// What it imports, in order.
    pub fn imports(&self) -> &[Import] {
        &self.info.imports
    }

    /// What it exports, in order.
    pub fn exports(&self) -> &[Export] {
        &self.info.exports
    }

    /// Whether it uses exceptions in a way that its isolate must be prepared for: see
    /// [`Isolate::enable_exceptions`](crate::Isolate::enable_exceptions). Always false on wasmtime.
    pub fn uses_exceptions(&self) -> bool {
        self.info.uses_exceptions
    }

    /// Compiles now what would otherwise be compiled, or prepared for fast instantiation, at first use.
    ///
    /// # Errors
    /// The system cannot give the memory it needs.
    pub fn prepare(&self) -> Result<(), EngineError> {
        match &self.inner {
            ModuleInner::Wasmtime(module) => module
                .initialize_copy_on_write_image()
                .map_err(|error| EngineError::Config(error.to_string())),
            ModuleInner::Wasmi(_) => Ok(()),
        }
    }

    /// The compiled form as bytes, for [`deserialize`](Self::deserialize).
    ///
    /// They carry a version, a hash of everything in the engine's set-up that compiled code depends on, and a checksum.
    ///
    /// # Errors
    /// The engine cannot serialise, with its reason.
    pub fn serialize(&self) -> Result<Vec<u8>, EngineError> {
        match &self.inner {
            ModuleInner::Wasmtime(module) => {
                let code = module
                    .serialize()
                    .map_err(|error| EngineError::Config(error.to_string()))?;
                Ok(artifact::seal(
                    EngineKind::Wasmtime,
                    crate::wasmtime::compatibility(module.engine(), self.info.is_checked),
                    code,
                ))
            }
            ModuleInner::Wasmi(module) => Ok(artifact::seal(
                EngineKind::Wasmi,
                module.compatibility(),
                module.wasm().to_vec(),
            )),
        }
    }

    /// Whether these bytes are what [`serialize`](Self::serialize) gave, or its end: the last eight bytes tell.
    pub fn is_artifact(bytes: &[u8]) -> bool {
        bytes.ends_with(artifact::MAGIC)
    }

    /// Loads what [`serialize`](Self::serialize) gave.
    ///
    /// Bytes that were truncated, damaged or made by another engine, version or configuration are found out and refused.
    ///
    /// Compiled machine code is executed as it stands, so this is for engines that were set up with
    /// [`EngineConfig::trust_artifacts`](crate::EngineConfig::trust_artifacts) only, which says what that takes. (On wasmi the bytes hold
    /// the module itself, which is validated again; the rule is the same for both.)
    ///
    /// # Errors
    /// [`EngineError::Artifact`].
    pub fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Self, EngineError> {
        check_trust(engine)?;
        let payload = artifact::open(bytes, engine.kind(), engine.compatibility())?;
        match &engine.inner {
            // SAFETY: whoever set `trust_artifacts` vouches for the origin of `bytes`, and the trailer has shown them to be
            // complete and made by this very version and configuration.
            EngineInner::Wasmtime(inner) => unsafe { crate::wasmtime::deserialize(inner, payload) },
            EngineInner::Wasmi(inner) => crate::wasmi::module(inner, payload),
        }
    }

    /// Loads what [`serialize`](Self::serialize) gave from the first `length` bytes of a file, whatever follows them. Machine code is mapped rather
    /// than read, so that what does not run takes no memory, and processes share what does.
    ///
    /// While the module lives, the file must not be changed in place, which
    /// [`EngineConfig::trust_artifacts`](crate::EngineConfig::trust_artifacts) vouches for as well; it may be removed or replaced by a rename.
    ///
    /// # Errors
    /// [`EngineError::Artifact`], also for a file that cannot be read.
    pub fn deserialize_file(
        engine: &Engine,
        mut file: File,
        length: u64,
    ) -> Result<Self, EngineError> {
        check_trust(engine)?;
        let (kind, compatibility) = (engine.kind(), engine.compatibility());
        match &engine.inner {
            EngineInner::Wasmtime(inner) => {
                artifact::check_file(&mut file, length, kind, compatibility)?;
                // SAFETY: whoever set `trust_artifacts` vouches for the origin of the file and for that nobody changes it, and the trailer
                // has shown it to be complete and made by this very version and configuration.
                unsafe { crate::wasmtime::deserialize_file(inner, file) }
            }
            EngineInner::Wasmi(inner) => {
                let bytes = artifact::read(&mut file, length)?;
                let payload = artifact::open(&bytes, kind, compatibility)?;
                crate::wasmi::module(inner, payload)
            }
        }
    }
}

fn check_trust(engine: &Engine) -> Result<(), EngineError> {
    if engine.config().trust_artifacts {
        return Ok(());
    }
    Err(EngineError::Artifact(
        "the engine was not set up to trust precompiled modules (`trust_artifacts`)",
    ))
}

impl Engine {
    /// A hash of everything that precompiled modules depend on: this crate's artifact format, the engine, its version and
    /// the settings that change code. Artifacts are usable by engines with an equal hash only, which makes it a good part
    /// of a cache key.
    pub fn compatibility(&self) -> u64 {
        *self.compatibility.get_or_init(|| match &self.inner {
            EngineInner::Wasmtime(engine) => engine.compatibility(),
            EngineInner::Wasmi(engine) => engine.compatibility(),
        })
    }
}
