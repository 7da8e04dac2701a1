//! Components are compiled, loaded, instantiated and dropped.

use super::rt::{
    Component, Engine, InstancePre, Linker, Result, Store, engine, load_artifact, subject,
};
use crate::measure::Subject;

/// Instantiation in a store of its own, and its end.
pub fn instantiate(bytes: &[u8]) -> Result<Subject> {
    let engine: Engine = engine()?;
    let component = Component::new(&engine, bytes)?;
    let pre: InstancePre<()> = Linker::new(&engine).instantiate_pre(&component)?;
    Ok(subject(move |n| {
        for _ in 0..n {
            let mut store = Store::new(&engine, ());
            pre.instantiate(&mut store)?;
        }
        Ok(n)
    }))
}

/// Compilation.
pub fn compile(bytes: &[u8]) -> Result<Subject> {
    let engine: Engine = engine()?;
    let bytes = bytes.to_vec();
    Ok(subject(move |n| {
        for _ in 0..n {
            Component::new(&engine, &bytes)?;
        }
        Ok(n)
    }))
}

/// Loading what was compiled before.
pub fn load(bytes: &[u8]) -> Result<Subject> {
    let engine: Engine = engine()?;
    let artifact = Component::new(&engine, bytes)?.serialize()?;
    Ok(subject(move |n| {
        for _ in 0..n {
            load_artifact(&engine, &artifact)?;
        }
        Ok(n)
    }))
}
