//! What a component imports and exports.

use super::{CoreFuncType, FuncDef, ImportIdx, InstanceIdx, ModuleDef};
use crate::types::{FuncTypeIdx, ResourceIdx, ValType};

/// A leaf of what the root component imports.
///
/// Instance imports are flattened: `wasi:io/streams@0.2.0` with a function `f` gives a leaf with the path
/// `["wasi:io/streams@0.2.0", "f"]`.
#[derive(Debug)]
pub struct Import {
    /// The names from the root to the leaf, never empty.
    pub path: Vec<Box<str>>,
    /// For the first name: the interface it implements, if the component says so by `(implements "…")`.
    pub implements: Option<Box<str>>,
    /// What kind of thing it must be.
    pub kind: ImportKind,
}

/// What an imported leaf must be.
#[derive(Debug)]
pub enum ImportKind {
    /// A component function of this type.
    Func(FuncTypeIdx),
    /// A resource type, known to the plan under this index.
    Resource(ResourceIdx),
    /// A core module with at most these imports and at least these exports.
    Module(Box<CoreModuleType>),
    /// An instance that has no leaf of its own: nothing, or only types. It may be missing.
    EmptyInstance,
}

/// The type of an imported core module.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CoreModuleType {
    /// Module name, field name and type of what it may import.
    pub imports: Vec<(Box<str>, Box<str>, CoreExternType)>,
    /// Name and type of what it must export.
    pub exports: Vec<(Box<str>, CoreExternType)>,
}

/// The type of a core import or export, as far as linking compares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CoreExternType {
    /// A function; also the type of an exception tag, which is its payload's.
    Func(CoreFuncType),
    /// An exception tag with these parameters.
    Tag(CoreFuncType),
    /// A memory.
    Memory(wasmparser::MemoryType),
    /// A table.
    Table(wasmparser::TableType),
    /// A global.
    Global(wasmparser::GlobalType),
}

/// Where a resource type comes from.
#[derive(Debug)]
pub enum Resource {
    /// The root imports it.
    Imported(ImportIdx),
    /// `(type (resource (rep …) (dtor …)))` in a component instance; its destructor is set by [`Step::Resource`](super::Step::Resource).
    Defined {
        /// The instance that implements it.
        instance: InstanceIdx,
        /// Whether its representation is an `i64`, not an `i32`.
        rep64: bool,
    },
}

/// What the root exports under a name.
#[derive(Debug)]
pub enum Export {
    /// A function.
    Func {
        /// Which one.
        def: FuncDef,
        /// Its type.
        ty: FuncTypeIdx,
    },
    /// A core module.
    Module(ModuleDef),
    /// A resource type.
    Resource(ResourceIdx),
    /// A value type.
    Type(ValType),
    /// A function type.
    FuncType(FuncTypeIdx),
    /// The type of an instance or a component.
    OpaqueType,
    /// An instance.
    Instance(Vec<(Box<str>, Export)>),
    /// A component; it can be named but not be used from outside.
    Component,
}
