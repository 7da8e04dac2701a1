//! Program files: what they are, and loading them.

use crate::cache::Cache;
use crate::run::Needs;
use crate::{progress, trust};
use anyhow::{Context as _, Result, bail};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
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
    read_open(path, &mut open(path)?)
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| unreadable(path))
}

fn unreadable(path: &Path) -> String {
    format!("cannot read {}", path.display())
}

/// Reads the rest of an open file, as [`read`] does.
fn read_open(path: &Path, file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .with_context(|| unreadable(path))?;
    if Kind::of(&bytes).is_some() {
        return Ok(bytes);
    }
    if bytes.starts_with(b"\x7fELF") {
        bail!(
            "{} is no WebAssembly; if it was precompiled, then not by `tidegate compile`, or the end is missing",
            path.display()
        );
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

/// Whether a binary is a module of several threads: one that imports a shared memory.
pub fn uses_threads(bytes: &[u8]) -> bool {
    if Kind::of(bytes) != Some(Kind::Module) {
        return false;
    }
    // What is malformed is reported when it is compiled.
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(wasmparser::Payload::ImportSection(imports)) => {
                return imports.into_imports().any(|import| {
                    matches!(import, Ok(import) if matches!(import.ty, wasmparser::TypeRef::Memory(ty) if ty.shared))
                });
            }
            Ok(wasmparser::Payload::CodeSectionStart { .. }) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    false
}

impl Program {
    /// Loads a file, compiling it unless it is precompiled or the cache has it. `engine` makes the engine that is needed: one that can interrupt
    /// guests that compute, if that is asked for, but not for what was compiled before without.
    ///
    /// # Errors
    /// The file cannot be read, or is not valid, with the offset.
    pub fn load(
        path: &Path,
        cache: Option<&Cache>,
        interruptible: bool,
        engine: impl Fn(Needs) -> Result<Engine>,
    ) -> Result<(Engine, Self)> {
        let context = || format!("cannot load {}", path.display());
        let mut file = open(path)?;
        // What was compiled before says itself what for, and fits one of these.
        let plain = engine(Needs::default())?;
        match Self::load_precompiled(&mut file, &plain) {
            Ok(None) => {}
            Ok(Some(program)) => return Ok((plain, program)),
            Err(error) => {
                let threads = engine(Needs::threads())?;
                return match Self::load_precompiled(&mut file, &threads) {
                    Ok(Some(program)) => Ok((threads, program)),
                    _ => Err(error).with_context(context),
                };
            }
        }
        let bytes = read_open(path, &mut file)?;
        let engine = match uses_threads(&bytes) {
            true => engine(Needs::threads())?,
            false if interruptible => engine(Needs {
                interruptible,
                ..Needs::default()
            })?,
            false => plain,
        };
        let program = Self::cached(path, &bytes, &engine, cache).with_context(context)?;
        Ok((engine, program))
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
        if let Ok(mut entry) = File::open(cache.path(&key))
            && let Ok(Some(program)) = Self::load_precompiled(&mut entry, engine)
        {
            return Ok(program);
        }
        let program = Self::compile(path, bytes, engine)?;
        if let Ok(artifact) = program.serialize() {
            // A cache that cannot be written must not keep the program from running.
            let _ = cache.put(&key, &artifact);
        }
        Ok(program)
    }

    /// Loads a file that holds what [`serialize`](Self::serialize) gave; `None` if it holds something else, and then nothing of it has been read.
    fn load_precompiled(file: &mut File, engine: &Engine) -> Result<Option<Self>> {
        // A pipe has no end to look at, and cannot be mapped.
        let Ok(end) = last_bytes(file) else {
            return Ok(None);
        };
        let component = Component::is_precompiled(&end);
        if !component && !Module::is_precompiled(&end) {
            return Ok(None);
        }
        // What is checked is the file that is open, whatever its name means by now.
        trust::check(&file.metadata()?)?;
        let file = file.try_clone()?;
        Ok(Some(if component {
            Self::Component(Component::deserialize_file(engine, file)?)
        } else {
            Self::Module(Module::deserialize_file(engine, file)?)
        }))
    }

    /// The compiled form, as a file that [`load`](Self::load) takes.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        match self {
            Self::Module(module) => module.serialize(),
            Self::Component(component) => component.serialize(),
        }
    }
}

/// What tells precompiled files from others; the file is at its beginning then.
fn last_bytes(file: &mut File) -> io::Result<[u8; 8]> {
    let mut end = [0; 8];
    let found = file
        .seek(SeekFrom::End(-(end.len() as i64)))
        .and_then(|_| file.read_exact(&mut end));
    file.rewind()?;
    found.map(|()| end)
}
