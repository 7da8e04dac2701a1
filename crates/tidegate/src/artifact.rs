//! The serialised form of components: each embedded module as the engine compiled it, then the adapters of its groups, the plan, and the binary.
//!
//! ```text
//! 0      the artifact of the largest module, which is mapped when it is loaded from a file
//!        the artifacts of the other modules, in order
//!        the plan; nothing if it has no stored form, or is to be made of the binary again
//!        the binary
//!        for each module: length of its artifact (8 bytes)
//! n      8   length of the largest artifact
//! n + 8  8   length of the binary
//! n + 16 8   length of the plan
//! n + 24 4   number of modules
//! n + 28 4   which of them is the largest
//! n + 32 4   format version
//! n + 36 4   checksum (CRC-32) of all that is not an artifact, and therefore has no checksum of its own
//! n + 40 8   magic "TIDECOMP"
//! ```
//!
//! Numbers are little-endian.

use crate::{Component, Engine, Result};
use anyhow::{Context as _, bail, ensure};
use crc32fast::Hasher;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use tidegate_core::plan::{ModuleIdx, Plan, PlanLimits};
use tidegate_engine as engine;

const MAGIC: &[u8; 8] = b"TIDECOMP";
const VERSION: u32 = 4;
const TRAILER: usize = 48;
const SUM: std::ops::Range<usize> = 36..40;

impl Component {
    /// Whether these bytes are what [`serialize`](Self::serialize) gave, or its end: the last eight bytes tell.
    pub fn is_precompiled(bytes: &[u8]) -> bool {
        bytes.ends_with(MAGIC)
    }

    /// The component with its compiled code, for [`deserialize`](Self::deserialize).
    ///
    /// # Errors
    /// The engine cannot serialise it.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let kind = self.engine().kind();
        let own = (0..self.plan().modules.len()).map(|index| {
            let index = ModuleIdx(u32::try_from(index)?);
            Ok(self.module(index, kind)?.serialize()?)
        });
        let adapters =
            (0..self.adapter_count()).map(|index| Ok(self.adapters(index, kind)?.serialize()?));
        let artifacts = own.chain(adapters).collect::<Result<Vec<_>>>()?;
        let lengths = artifacts.iter().map(|artifact| artifact.len() as u64);
        let largest = largest(lengths.clone());
        let binary = self.bytes();
        let plan = self.plan().to_bytes().unwrap_or_default();
        let mut meta: Vec<u8> = lengths.flat_map(u64::to_le_bytes).collect();
        let mut trailer = [0; TRAILER];
        let first = artifacts.get(largest).map_or(0, Vec::len) as u64;
        trailer[..8].copy_from_slice(&first.to_le_bytes());
        trailer[8..16].copy_from_slice(&(binary.len() as u64).to_le_bytes());
        trailer[16..24].copy_from_slice(&(plan.len() as u64).to_le_bytes());
        trailer[24..28].copy_from_slice(&u32::try_from(artifacts.len())?.to_le_bytes());
        trailer[28..32].copy_from_slice(&u32::try_from(largest)?.to_le_bytes());
        trailer[32..36].copy_from_slice(&VERSION.to_le_bytes());
        trailer[40..].copy_from_slice(MAGIC);
        let sum = checksum(&plan, binary, &meta, &trailer);
        trailer[SUM].copy_from_slice(&sum.to_le_bytes());
        meta.extend_from_slice(&trailer);
        let mut out = Vec::with_capacity(
            artifacts.iter().map(Vec::len).sum::<usize>() + plan.len() + binary.len() + meta.len(),
        );
        if let Some(artifact) = artifacts.get(largest) {
            out.extend_from_slice(artifact);
        }
        for (index, artifact) in artifacts.iter().enumerate() {
            if index != largest {
                out.extend_from_slice(artifact);
            }
        }
        out.extend_from_slice(&plan);
        out.extend_from_slice(binary);
        out.extend_from_slice(&meta);
        Ok(out)
    }

    /// Loads what [`serialize`](Self::serialize) gave, without validating or compiling it again.
    ///
    /// Only for engines whose [`trust_artifacts`](engine::EngineConfig::trust_artifacts) is set, which says what that takes.
    ///
    /// # Errors
    /// Bytes that are damaged, or were made by another version or with other settings.
    pub fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        let trailer = bytes
            .last_chunk::<TRAILER>()
            .context("the precompiled component is truncated")?;
        let (first, rest) = usize::try_from(word(trailer, 0))
            .ok()
            .and_then(|length| bytes.split_at_checked(length))
            .context("the precompiled component is truncated")?;
        load(engine, rest, |core| {
            Ok(engine::Module::deserialize(core, first)?)
        })
    }

    /// Loads what [`serialize`](Self::serialize) gave from a file. The machine code of the largest module is mapped rather than read, so that what does
    /// not run takes no memory, and processes share what does.
    ///
    /// While the component lives, the file must not be changed in place; it may be removed or replaced by a rename.
    ///
    /// # Errors
    /// As [`deserialize`](Self::deserialize); the file cannot be read.
    pub fn deserialize_file(engine: &Engine, mut file: File) -> Result<Self> {
        let mut trailer = [0; TRAILER];
        let start = file.seek(SeekFrom::End(-(TRAILER as i64)));
        let start = start.context("the precompiled component is truncated")?;
        file.read_exact(&mut trailer)?;
        let first = word(&trailer, 0);
        ensure!(first <= start, "the precompiled component is truncated");
        file.seek(SeekFrom::Start(first))?;
        let mut rest = Vec::with_capacity(usize::try_from(start - first)? + TRAILER);
        file.read_to_end(&mut rest)?;
        load(engine, &rest, |core| {
            Ok(engine::Module::deserialize_file(core, file, first)?)
        })
    }
}

/// Loads a component from what follows its largest module, and that module by `load_first`.
fn load(
    engine: &Engine,
    rest: &[u8],
    load_first: impl FnOnce(&engine::Engine) -> Result<engine::Module>,
) -> Result<Component> {
    let (rest, trailer) = rest
        .split_last_chunk::<TRAILER>()
        .context("the precompiled component is truncated")?;
    ensure!(
        &trailer[40..] == MAGIC,
        "it is not a precompiled component, or not all of it"
    );
    ensure!(
        half(trailer, 32) == VERSION,
        "the precompiled component was made by another version of the format"
    );
    let (count, largest) = (half(trailer, 24) as usize, half(trailer, 28) as usize);
    let mut rest = rest;
    let lengths = take_last(&mut rest, count as u64 * 8)?;
    let binary = take_last(&mut rest, word(trailer, 8))?;
    let plan = take_last(&mut rest, word(trailer, 16))?;
    if half(trailer, SUM.start) != checksum(plan, binary, lengths, trailer) {
        bail!("the precompiled component is damaged");
    }
    let kind = engine.kind();
    let core = engine.core(kind)?;
    // One that another release stored, or that has no stored form, is made again.
    let plan = match Plan::from_bytes(plan, binary.len()) {
        Ok(plan) => plan,
        Err(_) => Plan::of_validated(binary, &PlanLimits::default())?,
    };
    let component = Component::planned(engine, binary.into(), plan);
    let own = component.plan().modules.len();
    ensure!(
        own <= count,
        "the precompiled component is of another binary"
    );
    // What was grouped otherwise has other adapters. They are compiled when they are needed.
    let same_groups = component.adapter_count() == count - own;
    let set = |index: usize, module: engine::Module| match index.checked_sub(own) {
        None => component.set_module(ModuleIdx(index as u32), kind, module),
        Some(index) if same_groups => component.set_adapters(index, kind, module),
        Some(_) => {}
    };
    if count > 0 {
        set(largest, load_first(core)?);
    }
    let (lengths, _) = lengths.as_chunks::<8>();
    for (index, length) in lengths.iter().enumerate() {
        if index != largest {
            let artifact = take_first(&mut rest, u64::from_le_bytes(*length))?;
            set(index, engine::Module::deserialize(core, artifact)?);
        }
    }
    ensure!(
        rest.is_empty(),
        "the precompiled component has something appended"
    );
    Ok(component)
}

/// The index of the largest; 0 if there are none.
fn largest(lengths: impl Iterator<Item = u64>) -> usize {
    let largest = lengths.enumerate().max_by_key(|(_, length)| *length);
    largest.map_or(0, |(index, _)| index)
}

fn take_first<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let (taken, left) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .context("the precompiled component is truncated")?;
    *rest = left;
    Ok(taken)
}

fn take_last<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let (left, taken) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(rest.len().checked_sub(length)?))
        .context("the precompiled component is truncated")?;
    *rest = left;
    Ok(taken)
}

fn word(trailer: &[u8; TRAILER], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&trailer[at..at + 8]);
    u64::from_le_bytes(bytes)
}

fn half(trailer: &[u8; TRAILER], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&trailer[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// It finds accidents, not forgeries.
fn checksum(plan: &[u8], binary: &[u8], lengths: &[u8], trailer: &[u8; TRAILER]) -> u32 {
    let mut hasher = Hasher::new();
    for part in [
        plan,
        binary,
        lengths,
        &trailer[..SUM.start],
        &trailer[SUM.end..],
    ] {
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use crate::{Component, Config, Engine, EngineKind, Linker, Store, Strategy};

    const COMPONENT: &str = r#"(component
        (core module $n (func (export "n") (result i32) (i32.const 2)))
        (core instance $n (instantiate $n))
        (core module $m
            (import "n" "n" (func $n (result i32)))
            (func (export "f") (result i32) (i32.add (i32.const 40) (call $n)))
            (func (export "g") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m (with "n" (instance $n))))
        (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;

    fn trusting(kind: EngineKind) -> Engine {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        config.core().trust_artifacts = true;
        Engine::new(&config).unwrap()
    }

    #[test]
    fn a_component_runs_as_it_was_compiled() {
        for kind in EngineKind::ALL {
            let engine = trusting(kind);
            let artifact = Component::new(&engine, COMPONENT)
                .unwrap()
                .serialize()
                .unwrap();
            assert!(Component::is_precompiled(&artifact));
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&artifact).unwrap();
            for component in [
                Component::deserialize(&engine, &artifact).unwrap(),
                Component::deserialize_file(&engine, file).unwrap(),
            ] {
                let mut store = Store::new(&engine, ());
                let instance = Linker::new(&engine)
                    .instantiate(&mut store, &component)
                    .unwrap();
                let f = instance
                    .get_typed_func::<(), (u32,)>(&mut store, "f")
                    .unwrap();
                assert_eq!(f.call(&mut store, ()).unwrap(), (42,));
            }
        }
    }

    #[test]
    fn a_component_without_a_stored_plan_is_planned_again() {
        let text = r#"(component
            (import "m" (core module (import "" "n" (memory 1)) (export "g" (global v128))))
            (core module $m (func (export "f") (result i32) (i32.const 42)))
            (core instance $i (instantiate $m))
            (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
        let engine = trusting(EngineKind::Wasmtime);
        let component = Component::new(&engine, text).unwrap();
        assert!(component.plan().to_bytes().is_none());
        let artifact = component.serialize().unwrap();
        let loaded = Component::deserialize(&engine, &artifact).unwrap();
        assert_eq!(loaded.plan().imports.len(), 1);
        assert_eq!(loaded.plan().exports.len(), 1);
    }

    #[test]
    fn damaged_artifacts_are_refused() {
        let engine = trusting(EngineKind::Wasmi);
        let artifact = Component::new(&engine, COMPONENT)
            .unwrap()
            .serialize()
            .unwrap();
        for at in 0..artifact.len() {
            assert!(
                Component::deserialize(&engine, &artifact[..at]).is_err(),
                "cut off at {at}"
            );
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&artifact[..at]).unwrap();
            assert!(
                Component::deserialize_file(&engine, file).is_err(),
                "file cut off at {at}"
            );
            let mut damaged = artifact.clone();
            damaged[at] ^= 1;
            assert!(
                Component::deserialize(&engine, &damaged).is_err(),
                "byte {at} was changed"
            );
        }
    }

    #[test]
    fn an_engine_that_does_not_trust_artifacts_takes_none() {
        let artifact = Component::new(&trusting(EngineKind::Wasmtime), COMPONENT)
            .unwrap()
            .serialize()
            .unwrap();
        assert!(Component::deserialize(&Engine::default(), &artifact).is_err());
    }
}
