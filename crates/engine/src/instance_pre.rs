//! Modules with the host functions that they are instantiated with, the same for any number of isolates.

use crate::{
    config::EngineKind,
    error::EngineError,
    host_type::HostType,
    isolate::IsolateData,
    module::{Module, ModuleInner},
};

/// A host function that is defined once, rather than in each isolate: [`IsolateData::call`] finds by its number, and by what
/// [the isolate has](crate::Isolate::set_local), what it is to do.
#[derive(Clone, Debug)]
pub struct SharedFunc {
    /// Its type.
    pub ty: HostType,
    /// Its number.
    pub number: usize,
    /// Whether it may block, so that it is [`IsolateData::call_blocking`] that runs it.
    pub blocks: bool,
}

/// A module whose imports are partly or wholly shared host functions: instantiating it makes nothing for these.
pub struct InstancePre<D: IsolateData> {
    pub(crate) inner: PreInner<D>,
}

pub(crate) enum PreInner<D: IsolateData> {
    Wasmtime(crate::wasmtime::WasmtimePre<D>),
    Wasmi(crate::wasmi::WasmiPre),
}

impl<D: IsolateData> InstancePre<D> {
    /// A module, with a shared host function or nothing for each of its imports.
    ///
    /// # Errors
    /// [`EngineError::Link`] where a function does not fit; [`EngineError::Unsupported`] for types that do not cross the interface;
    /// [`EngineError::Misuse`] if they are not as many as the imports.
    ///
    /// # Panics
    /// A type was used with another engine.
    pub fn new(module: &Module, funcs: Vec<Option<SharedFunc>>) -> Result<Self, EngineError> {
        if funcs.len() != module.imports().len() {
            return Err(EngineError::Misuse(
                "another number of functions than the module has imports",
            ));
        }
        Ok(Self {
            inner: match &module.inner {
                ModuleInner::Wasmtime(_) => {
                    PreInner::Wasmtime(crate::wasmtime::WasmtimePre::new(module, &funcs)?)
                }
                ModuleInner::Wasmi(_) => PreInner::Wasmi(crate::wasmi::WasmiPre {
                    module: module.clone(),
                    funcs: funcs.into(),
                }),
            },
        })
    }

    /// The module.
    pub fn module(&self) -> &Module {
        match &self.inner {
            PreInner::Wasmtime(pre) => pre.module(),
            PreInner::Wasmi(pre) => &pre.module,
        }
    }

    /// Which engine it is for.
    pub fn kind(&self) -> EngineKind {
        match &self.inner {
            PreInner::Wasmtime(_) => EngineKind::Wasmtime,
            PreInner::Wasmi(_) => EngineKind::Wasmi,
        }
    }
}

/// What is wrong with the other imports of a prepared module.
pub(crate) const OTHER_IMPORTS: EngineError =
    EngineError::Misuse("another number of imports than the prepared module wants");

/// What is wrong with an isolate.
pub(crate) const NO_LOCAL: EngineError =
    EngineError::Misuse("the isolate has nothing for shared host functions to find");
