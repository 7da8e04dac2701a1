//! What an instantiation does.

use super::{CoreInstanceIdx, ImportIdx, InstanceIdx, ModuleIdx, TrampolineIdx};
use crate::types::ResourceIdx;
use std::sync::Arc;

/// One thing to do.
#[derive(Debug)]
pub enum Step {
    /// Instantiate a core module and run its start function. Makes the next core instance.
    Instantiate {
        /// In which component instance.
        instance: InstanceIdx,
        /// The module.
        module: ModuleDef,
        /// What satisfies its imports: module name, field name, definition.
        args: Vec<(Arc<str>, Arc<str>, CoreDef)>,
        /// Whether it has a start function, or may have one: an imported module.
        starts: bool,
    },
    /// Create a fresh resource type.
    Resource {
        /// Which one.
        resource: ResourceIdx,
        /// Its destructor, a core function from the representation to nothing.
        dtor: Option<CoreDef>,
    },
}

/// A core module to instantiate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModuleDef {
    /// An embedded one.
    Static(ModuleIdx),
    /// An imported one.
    Import(ImportIdx),
}

/// A core definition: something that a core module can be instantiated with, or that an option refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CoreDef {
    /// An export of a core instance made before.
    Export {
        /// The instance.
        instance: CoreInstanceIdx,
        /// The export's name.
        name: Arc<str>,
    },
    /// A function made by a `canon` definition.
    Trampoline(TrampolineIdx),
}
