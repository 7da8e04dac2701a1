//! Program files: what they are, and loading them.

use crate::cache::Cache;
use crate::{progress, trust};
use anyhow::{Context as _, Result};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use tidegate::module::Module;
use tidegate::{Component, Engine};

/// A program that is ready to be linked.
pub enum Program {
    /// A core module: WASI 0.1.
    Module(Module),
    /// A component: WASI 0.2.
    Component(Component),
}

/// What a binary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A core module.
    Module,
    /// A component.
    Component,
    /// What `tidegate compile` wrote.
    Precompiled,
}

impl Kind {
    /// What these bytes are; `None` if they are no binary that is known, and so perhaps text.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if wasmparser::Parser::is_component(bytes) {
            Some(Self::Component)
        } else if bytes.starts_with(b"\0asm") {
            Some(Self::Module)
        } else if Module::is_precompiled(bytes) || Component::is_precompiled(bytes) {
            Some(Self::Precompiled)
        } else {
            None
        }
    }
}

/// Reads a program file: a binary as it is, text made a binary.
///
/// # Errors
/// The file cannot be read, or is neither; with the place in the text.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if Kind::of(&bytes).is_some() {
        return Ok(bytes);
    }
    let binary = wat::Parser::new()
        .parse_bytes(Some(path), &bytes)
        .with_context(|| format!("{} is neither WebAssembly nor its text", path.display()))?;
    Ok(match binary {
        // It was a binary of an unknown kind, which the engine will name.
        Cow::Borrowed(_) => bytes,
        Cow::Owned(binary) => binary,
    })
}

impl Program {
    /// Loads a file, compiling it unless it is precompiled or the cache has it.
    ///
    /// # Errors
    /// The file cannot be read, or is not valid, with the offset.
    pub fn load(path: &Path, engine: &Engine, cache: Option<&Cache>) -> Result<Self> {
        let bytes = read(path)?;
        let loaded = match Kind::of(&bytes) {
            Some(Kind::Precompiled) => Self::load_precompiled(path, engine),
            _ => Self::cached(path, &bytes, engine, cache),
        };
        loaded.with_context(|| format!("cannot load {}", path.display()))
    }

    /// Compiles a binary, with a sign of life for the user.
    pub fn compile(path: &Path, bytes: &[u8], engine: &Engine) -> Result<Self> {
        let message = format!("compiling {}", path.display());
        progress::while_working(&message, || match Kind::of(bytes) {
            Some(Kind::Component) => Component::new(engine, bytes).map(Self::Component),
            _ => Module::new(engine, bytes).map(Self::Module),
        })
    }

    fn cached(path: &Path, bytes: &[u8], engine: &Engine, cache: Option<&Cache>) -> Result<Self> {
        let Some(cache) = cache else {
            return Self::compile(path, bytes, engine);
        };
        let key = Cache::key(&engine.compatibility()?.to_le_bytes(), bytes);
        // An entry that is absent, damaged or not to be trusted is replaced.
        if let Ok(program) = Self::load_precompiled(&cache.path(&key), engine) {
            return Ok(program);
        }
        let program = Self::compile(path, bytes, engine)?;
        if let Ok(artifact) = program.serialize() {
            // A cache that cannot be written must not keep the program from running.
            let _ = cache.put(&key, &artifact);
        }
        Ok(program)
    }

    /// Loads a file that holds what [`serialize`](Self::serialize) gave.
    fn load_precompiled(path: &Path, engine: &Engine) -> Result<Self> {
        let mut file = File::open(path)?;
        // What is checked is the file that is open, whatever its name means by now.
        let metadata = file.metadata()?;
        trust::check(&metadata)?;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.read_to_end(&mut bytes)?;
        if Component::is_precompiled(&bytes) {
            Component::deserialize(engine, &bytes).map(Self::Component)
        } else {
            Module::deserialize(engine, &bytes).map(Self::Module)
        }
    }

    /// The compiled form, as a file that [`load`](Self::load) takes.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        match self {
            Self::Module(module) => module.serialize(),
            Self::Component(component) => component.serialize(),
        }
    }
}
