//! The serialised form of components: the binary, and each embedded module as the engine compiled it.
//!
//! ```text
//! 0   8   magic "TIDECOMP"
//! 8   8   checksum of all that follows, except the artifacts, which have checksums of their own
//! 16  8   length of the binary
//! 24  …   the binary
//!     …   for each embedded module: length (8 bytes) and artifact
//! ```
//!
//! Numbers are little-endian.

use crate::{Component, Engine, Result};
use anyhow::{Context as _, bail, ensure};
use tidegate_core::plan::{ModuleIdx, Plan, PlanLimits};
use tidegate_engine as engine;

const MAGIC: &[u8; 8] = b"TIDECOMP";
const HEADER: usize = 24;

impl Component {
    /// Whether these bytes are what [`serialize`](Self::serialize) gave, from their beginning.
    pub fn is_precompiled(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// The component with its compiled code, for [`deserialize`](Self::deserialize).
    ///
    /// # Errors
    /// The engine cannot serialise it.
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let binary = self.bytes();
        let length = (binary.len() as u64).to_le_bytes();
        let mut out = Vec::with_capacity(HEADER + binary.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&checksum(&length, binary).to_le_bytes());
        out.extend_from_slice(&length);
        out.extend_from_slice(binary);
        for index in 0..self.plan().modules.len() {
            let index = ModuleIdx(u32::try_from(index)?);
            let artifact = self.module(index, self.engine().kind())?.serialize()?;
            out.extend_from_slice(&(artifact.len() as u64).to_le_bytes());
            out.extend_from_slice(&artifact);
        }
        Ok(out)
    }

    /// Loads what [`serialize`](Self::serialize) gave, without validating or compiling it again.
    ///
    /// Only for engines whose [`trust_artifacts`](engine::EngineConfig::trust_artifacts) is set, which says what that takes.
    ///
    /// # Errors
    /// Bytes that are damaged, or were made by another version or with other settings.
    pub fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        ensure!(
            take(&mut rest, 8)? == MAGIC,
            "it is not a precompiled component"
        );
        let sum = take_word(&mut rest)?;
        let length = take_word(&mut rest)?;
        let binary = take(&mut rest, length)?;
        if sum != checksum(&length.to_le_bytes(), binary) {
            bail!("the precompiled component is damaged");
        }
        let kind = engine.kind();
        let plan = Plan::of_validated(binary, &PlanLimits::default())?;
        let component = Self::planned(engine, binary.into(), plan);
        for index in 0..component.plan().modules.len() {
            let length = take_word(&mut rest)?;
            let module = engine::Module::deserialize(engine.core(kind)?, take(&mut rest, length)?)?;
            component.set_module(ModuleIdx(u32::try_from(index)?), kind, module);
        }
        ensure!(
            rest.is_empty(),
            "the precompiled component has something appended"
        );
        Ok(component)
    }
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8]> {
    let (taken, left) = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .context("the precompiled component is truncated")?;
    *rest = left;
    Ok(taken)
}

fn take_word(rest: &mut &[u8]) -> Result<u64> {
    let mut word = [0; 8];
    word.copy_from_slice(take(rest, 8)?);
    Ok(u64::from_le_bytes(word))
}

/// Eight bytes a step: a binary of many megabytes is summed at every start. It finds accidents, not forgeries.
fn checksum(length: &[u8; 8], binary: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let (words, last) = binary.as_chunks::<8>();
    let sum = words.iter().fold(u64::from_le_bytes(*length), |sum, word| {
        step(sum, u64::from_le_bytes(*word))
    });
    last.iter()
        .fold(sum, |sum, &byte| step(sum, u64::from(byte) + 1))
}

#[cfg(test)]
mod tests {
    use crate::{Component, Config, Engine, EngineKind, Linker, Store, Strategy};

    const COMPONENT: &str = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 42)))
        (core instance $i (instantiate $m))
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
            let component = Component::deserialize(&engine, &artifact).unwrap();
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
