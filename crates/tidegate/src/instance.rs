//! Component instances, and looking up what they export.

use crate::call::canon::Callee;
use crate::link::InstanceData;
use crate::module::Module;
use crate::{AsContextMut, Func, Result, TypedFunc, WrongStore};
use anyhow::{Context, bail};
use std::sync::Arc;
use tidegate_core::abi::{LiftResult, LowerParams};
use tidegate_core::plan::{Export, FuncDef, ImportIdx, LiftIdx, names};

/// An instance of a component. Cheap to clone; it lives as long as its store.
#[derive(Clone)]
pub struct Instance(Arc<InstanceData>);

/// An export of a component, found by name once: a path of positions in its export tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportIndex(Box<[usize]>);

/// How an export may be named: by its name at the top level, or by an [`ExportIndex`].
pub trait ExportName {
    /// Finds it.
    fn find(&self, component: &crate::Component) -> Option<ExportIndex>;
}

impl ExportName for &str {
    fn find(&self, component: &crate::Component) -> Option<ExportIndex> {
        component.export_index(None, self)
    }
}

impl ExportName for &ExportIndex {
    fn find(&self, _: &crate::Component) -> Option<ExportIndex> {
        Some((*self).clone())
    }
}

impl ExportName for ExportIndex {
    fn find(&self, _: &crate::Component) -> Option<ExportIndex> {
        Some(self.clone())
    }
}

impl crate::Component {
    /// Finds an export, at the top level or in an exported instance: by its name, or, for an interface with a version, by a
    /// compatible version of it.
    pub fn export_index(&self, instance: Option<&ExportIndex>, name: &str) -> Option<ExportIndex> {
        let (exports, mut path) = match instance {
            None => (&self.plan().exports, Vec::new()),
            Some(index) => match self.export(index)? {
                Export::Instance(exports) => (exports, index.0.to_vec()),
                _ => return None,
            },
        };
        let position = |name: &str| exports.iter().position(|(other, _)| **other == *name);
        path.push(position(name).or_else(|| {
            position(names::newest_compatible(
                name,
                exports.iter().map(|(other, _)| &**other),
            )?)
        })?);
        Some(ExportIndex(path.into()))
    }

    fn export(&self, index: &ExportIndex) -> Option<&Export> {
        let (&last, path) = index.0.split_last()?;
        let mut exports = &self.plan().exports;
        for &position in path {
            match &exports.get(position)?.1 {
                Export::Instance(inner) => exports = inner,
                _ => return None,
            }
        }
        Some(&exports.get(last)?.1)
    }
}

impl Instance {
    pub(crate) fn new(data: Arc<InstanceData>) -> Self {
        Self(data)
    }

    #[cfg(test)]
    pub(crate) fn data(&self) -> &InstanceData {
        &self.0
    }

    /// The component that it is an instance of.
    pub fn component(&self) -> &crate::Component {
        &self.0.shared.component
    }

    /// Finds an export, at the top level or in an exported instance.
    pub fn get_export_index(
        &self,
        _store: impl AsContextMut,
        instance: Option<&ExportIndex>,
        name: &str,
    ) -> Option<ExportIndex> {
        self.component().export_index(instance, name)
    }

    /// An exported function.
    pub fn get_func(&self, store: impl AsContextMut, name: impl ExportName) -> Option<Func> {
        self.func(store, &name).ok()
    }

    /// An exported function, with its type checked.
    ///
    /// # Errors
    /// No such export, or one of another type.
    pub fn get_typed_func<P: LowerParams, R: LiftResult>(
        &self,
        store: impl AsContextMut,
        name: impl ExportName,
    ) -> Result<TypedFunc<P, R>> {
        self.func(store, &name)?.typed()
    }

    /// An exported core module.
    pub fn get_module(&self, _store: impl AsContextMut, name: impl ExportName) -> Option<Module> {
        let index = name.find(self.component())?;
        match self.component().export(&index)? {
            Export::Module(def) => self.0.module(*def).ok(),
            _ => None,
        }
    }

    fn func(&self, mut store: impl AsContextMut, name: &impl ExportName) -> Result<Func> {
        let index = name
            .find(self.component())
            .context("the component has no such export")?;
        match self.component().export(&index) {
            Some(Export::Func {
                def: FuncDef::Lift(lift),
                ..
            }) => self.lifted(&mut store, *lift),
            Some(Export::Func {
                def: FuncDef::Import(import),
                ..
            }) => self.imported(&mut store, *import),
            _ => bail!("the export is not a function"),
        }
    }

    fn lifted(&self, store: &mut impl AsContextMut, lift: LiftIdx) -> Result<Func> {
        let place = store.as_context_mut().slot;
        if place.id != self.0.store {
            return Err(WrongStore.into());
        }
        Ok(Func {
            callee: Arc::new(self.0.callee(place, lift)?),
            reexport: None,
        })
    }

    /// A function that is exported as it was imported.
    fn imported(&self, store: &mut impl AsContextMut, import: ImportIdx) -> Result<Func> {
        let place = store.as_context_mut().slot;
        if place.id != self.0.store {
            return Err(WrongStore.into());
        }
        let reexport = self.0.reexport(place, import)?;
        let door = reexport.open(place)?;
        Ok(Func {
            callee: Arc::new(Callee::clone(&door)),
            reexport: Some(reexport),
        })
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").finish_non_exhaustive()
    }
}
