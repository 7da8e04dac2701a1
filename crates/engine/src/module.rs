//! Compiled modules and their serialised form.

use std::sync::Arc;

use crate::{
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
                    crate::wasmtime::compatibility(module.engine()),
                    &code,
                ))
            }
            ModuleInner::Wasmi(module) => Ok(artifact::seal(
                EngineKind::Wasmi,
                module.compatibility(),
                module.wasm(),
            )),
        }
    }

    /// Whether these bytes are what [`serialize`](Self::serialize) gave, from their beginning.
    pub fn is_artifact(bytes: &[u8]) -> bool {
        bytes.starts_with(artifact::MAGIC)
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
        if !engine.config().trust_artifacts {
            return Err(EngineError::Artifact(
                "the engine was not set up to trust precompiled modules (`trust_artifacts`)",
            ));
        }
        let payload = artifact::open(bytes, engine.kind(), engine.compatibility())?;
        match &engine.inner {
            // SAFETY: whoever set `trust_artifacts` vouches for the origin of `bytes`, and the header has shown them to be
            // complete and made by this very version and configuration.
            EngineInner::Wasmtime(inner) => unsafe { crate::wasmtime::deserialize(inner, payload) },
            EngineInner::Wasmi(inner) => crate::wasmi::module(inner, payload),
        }
    }
}

impl Engine {
    /// A hash of everything that precompiled modules depend on: this crate's artifact format, the engine, its version and
    /// the settings that change code. Artifacts are usable by engines with an equal hash only, which makes it a good part
    /// of a cache key.
    pub fn compatibility(&self) -> u64 {
        match &self.inner {
            EngineInner::Wasmtime(engine) => crate::wasmtime::compatibility(engine),
            EngineInner::Wasmi(engine) => engine.compatibility(),
        }
    }
}

/// The envelope of serialised modules.
///
/// ```text
/// 0   8   magic "TIDEGATE"
/// 8   1   format version
/// 9   1   engine: 0 wasmtime, 1 wasmi
/// 10  6   zero
/// 16  8   compatibility hash, little endian
/// 24  8   payload length
/// 32  8   checksum of bytes 0..32 and the payload
/// 40      payload
/// ```
mod artifact {
    use super::*;

    pub(super) const MAGIC: &[u8; 8] = b"TIDEGATE";
    const VERSION: u8 = 1;
    const HEADER: usize = 40;

    pub(super) fn seal(kind: EngineKind, compatibility: u64, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + payload.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, engine_byte(kind)]);
        out.extend_from_slice(&[0; 6]);
        out.extend_from_slice(&compatibility.to_le_bytes());
        out.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        let sum = checksum(&out, payload);
        out.extend_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(payload);
        out
    }

    pub(super) fn open(
        bytes: &[u8],
        kind: EngineKind,
        compatibility: u64,
    ) -> Result<&[u8], EngineError> {
        let Some((header, payload)) = bytes.split_at_checked(HEADER) else {
            return Err(EngineError::Artifact("it is too short"));
        };
        if &header[..8] != MAGIC {
            return Err(EngineError::Artifact("it is not a precompiled module"));
        }
        if header[8] != VERSION {
            return Err(EngineError::Artifact(
                "it was made by another version of the format",
            ));
        }
        if header[9] != engine_byte(kind) {
            return Err(EngineError::Artifact("it was made for another engine"));
        }
        if word(header, 16) != compatibility {
            return Err(EngineError::Artifact(
                "it was made by another version or configuration of the engine",
            ));
        }
        if word(header, 24) != payload.len() as u64 {
            return Err(EngineError::Artifact(
                "it is truncated or has something appended",
            ));
        }
        if word(header, 32) != checksum(&header[..32], payload) {
            return Err(EngineError::Artifact("it is damaged"));
        }
        Ok(payload)
    }

    fn engine_byte(kind: EngineKind) -> u8 {
        match kind {
            EngineKind::Wasmtime => 0,
            EngineKind::Wasmi => 1,
        }
    }

    fn word(header: &[u8], at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    /// A fast 64-bit checksum (multiply and fold, eight bytes a step): machine code of many megabytes is checked at every
    /// start, so a byte-wise one would be felt.
    fn checksum(header: &[u8], payload: &[u8]) -> u64 {
        const K: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut sum = K ^ payload.len() as u64;
        for part in [header, payload] {
            let mut words = part.chunks_exact(8);
            for word in &mut words {
                sum = fold(
                    sum ^ u64::from_le_bytes(word.try_into().expect("chunks of eight")),
                    K,
                );
            }
            let mut last = [0; 8];
            let rest = words.remainder();
            last[..rest.len()].copy_from_slice(rest);
            sum = fold(sum ^ u64::from_le_bytes(last), K);
        }
        sum
    }

    fn fold(value: u64, by: u64) -> u64 {
        // A zero word must still move the sum on, hence the addition before the multiplication.
        let product = u128::from(value.wrapping_add(0xd1b5_4a32_d192_ed03) | 1) * u128::from(by);
        (product as u64) ^ ((product >> 64) as u64) ^ value.rotate_left(29)
    }
}
