//! Exports of modules, found once for all of their instances.

use crate::{
    module::{Module, ModuleInner},
    signature::Signature,
    types::ExternType,
};

/// An export of a module: [`Cx::export_of`](crate::Cx::export_of) gives an instance's, without a look at names and types.
#[derive(Clone)]
pub struct ModuleExport {
    pub(crate) inner: ExportInner,
    /// If it is a function.
    pub(crate) signature: Option<Signature>,
}

#[derive(Clone)]
pub(crate) enum ExportInner {
    Wasmtime(::wasmtime::ModuleExport),
    /// The interpreter's instances know exports by name only.
    Wasmi(Box<str>),
}

impl Module {
    /// An export, by name.
    pub fn export(&self, name: &str) -> Option<ModuleExport> {
        let export = self.exports().iter().find(|export| *export.name == *name)?;
        Some(ModuleExport {
            inner: match &self.inner {
                ModuleInner::Wasmtime(module) => {
                    ExportInner::Wasmtime(module.get_export_index(name)?)
                }
                ModuleInner::Wasmi(_) => ExportInner::Wasmi(name.into()),
            },
            signature: match &export.ty {
                ExternType::Func(ty) => Some(Signature::of(ty)),
                _ => None,
            },
        })
    }
}

impl std::fmt::Debug for ModuleExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModuleExport").finish_non_exhaustive()
    }
}
