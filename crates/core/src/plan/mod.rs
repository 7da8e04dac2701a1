//! The instantiation plan: what a component's binary is decoded into, once.
//!
//! A component is a program that instantiates core modules and nested components and wires their definitions together. All of that wiring is
//! static, so [`Plan::new`] runs it symbolically: nested components are inlined, aliases and instance exports are followed to
//! what they name, and what remains is a flat list of [`Step`]s over flat index spaces.

mod canon;
mod core_module;
mod decode;
mod error;
mod imports;
mod limits;
pub mod names;
mod nesting;
mod planner;
mod scope;
mod signature;
mod static_check;
#[cfg(test)]
mod tests;
mod type_definitions;
mod validate;

pub use error::PlanError;
pub use limits::PlanLimits;

use crate::types::{FuncTypeIdx, ResourceIdx, Types, ValType};
use std::ops::Range;
use std::sync::Arc;

macro_rules! index {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// The position in its list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

index! {
    /// A component instance: an index into [`Plan::instances`]. Index 0 is the root.
    InstanceIdx
    /// A core instance, numbered in the order of [`Step::Instantiate`].
    CoreInstanceIdx
    /// An embedded core module: an index into [`Plan::modules`].
    ModuleIdx
    /// A leaf that the root component imports: an index into [`Plan::imports`].
    ImportIdx
    /// A `canon` definition that makes a core function: an index into [`Plan::trampolines`].
    TrampolineIdx
    /// A `canon lift`: an index into [`Plan::lifts`].
    LiftIdx
    /// Canonical options: an index into [`Plan::options`].
    OptionsIdx
}

/// A decoded and validated component, ready to be linked and instantiated any number of times.
#[derive(Debug, Default)]
pub struct Plan {
    /// The types that the plan refers to.
    pub types: Types,
    /// The embedded core modules, as ranges of the component's binary.
    pub modules: Vec<Range<usize>>,
    /// The component instances that an instantiation creates, parents before children.
    pub instances: Vec<ComponentInstance>,
    /// What the root needs from outside.
    pub imports: Vec<Import>,
    /// The resource types that occur: imported ones and those defined by an instance of the plan.
    pub resources: Vec<Resource>,
    /// Every `canon` definition that makes a core function.
    pub trampolines: Vec<Trampoline>,
    /// Every `canon lift`.
    pub lifts: Vec<Lift>,
    /// The canonical options in use.
    pub options: Vec<Options>,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What the root exports.
    pub exports: Vec<(Box<str>, Export)>,
}

impl Plan {
    /// Decodes, validates and plans a component, with default limits.
    ///
    /// # Errors
    /// The binary is malformed, invalid or too large, or uses what Tidegate does not support.
    pub fn new(bytes: &[u8]) -> Result<Plan, PlanError> {
        Self::with_limits(bytes, &PlanLimits::default())
    }

    /// The same with limits of your own.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn with_limits(bytes: &[u8], limits: &PlanLimits) -> Result<Plan, PlanError> {
        let decoded = decode::decode(bytes, validate::features(), limits)?;
        static_check::check(&decoded.root, limits)?;
        validate::validate(bytes)?;
        planner::plan(bytes, decoded, limits)
    }

    /// Plans a binary that [`new`](Self::new) has accepted before, without validating it again: when its compiled form comes from a
    /// cache, for instance.
    ///
    /// # Errors
    /// The binary was not valid after all, as far as that is noticed.
    pub fn of_validated(bytes: &[u8], limits: &PlanLimits) -> Result<Plan, PlanError> {
        let decoded = decode::decode(bytes, validate::features(), limits)?;
        planner::plan(bytes, decoded, limits)
    }
}

/// A component instance.
#[derive(Debug)]
pub struct ComponentInstance {
    /// The instance whose component definition instantiated this one; `None` for the root.
    pub parent: Option<InstanceIdx>,
    /// A name for messages: the names of the instantiation, from the root down.
    pub name: Box<str>,
}

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

/// A core function type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CoreFuncType {
    /// Parameters, in order.
    pub params: Box<[wasmparser::ValType]>,
    /// Results, in order.
    pub results: Box<[wasmparser::ValType]>,
}

/// Where a resource type comes from.
#[derive(Debug)]
pub enum Resource {
    /// The root imports it.
    Imported(ImportIdx),
    /// `(type (resource (rep …) (dtor …)))` in a component instance; its destructor is set by [`Step::Resource`].
    Defined {
        /// The instance that implements it.
        instance: InstanceIdx,
    },
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

/// A component function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FuncDef {
    /// One that the root imports.
    Import(ImportIdx),
    /// One lifted from core code.
    Lift(LiftIdx),
}

/// `canon lift`.
#[derive(Debug)]
pub struct Lift {
    /// The instance whose definition it is.
    pub instance: InstanceIdx,
    /// The core function.
    pub core: CoreDef,
    /// Its component-level type.
    pub ty: FuncTypeIdx,
    /// Its options.
    pub options: OptionsIdx,
    /// The core function's type, as the component-level type and the options have it.
    pub core_type: CoreFuncType,
}

/// Canonical options, resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Options {
    /// How strings are encoded.
    pub encoding: StringEncoding,
    /// The linear memory.
    pub memory: Option<CoreDef>,
    /// Whether that memory has 64-bit addresses.
    pub memory64: bool,
    /// The allocator.
    pub realloc: Option<CoreDef>,
    /// Called after a lifted function's results were read.
    pub post_return: Option<CoreDef>,
    /// The async ABI.
    pub async_: bool,
    /// The callback of an async lift.
    pub callback: Option<CoreDef>,
}

/// The encoding of strings in an instance's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum StringEncoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-16, little endian, 2-byte aligned.
    Utf16,
    /// Latin-1, or UTF-16 if the length's high bit is set.
    Latin1OrUtf16,
}

/// A core function that the runtime provides to a component instance.
#[derive(Debug)]
pub struct Trampoline {
    /// The instance whose definition it is.
    pub instance: InstanceIdx,
    /// What it does.
    pub canon: Canon,
    /// Its core type.
    pub core_type: CoreFuncType,
}

/// A `canon` definition, apart from `canon lift`. Names and immediates are those of the specification's binary format.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Canon {
    Lower {
        func: FuncDef,
        ty: FuncTypeIdx,
        options: OptionsIdx,
    },
    ResourceNew(ResourceIdx),
    ResourceDrop(ResourceIdx),
    ResourceRep(ResourceIdx),
    TaskReturn {
        result: Option<ValType>,
        options: OptionsIdx,
    },
    TaskCancel,
    ContextGet {
        ty64: bool,
        slot: u32,
    },
    ContextSet {
        ty64: bool,
        slot: u32,
    },
    BackpressureInc,
    BackpressureDec,
    SubtaskCancel {
        async_: bool,
    },
    SubtaskDrop,
    /// In this and the following, `ty` is the `stream` or `future` type itself.
    StreamNew(ValType),
    StreamRead {
        ty: ValType,
        options: OptionsIdx,
    },
    StreamWrite {
        ty: ValType,
        options: OptionsIdx,
    },
    StreamCancelRead {
        ty: ValType,
        async_: bool,
    },
    StreamCancelWrite {
        ty: ValType,
        async_: bool,
    },
    StreamDropReadable(ValType),
    StreamDropWritable(ValType),
    FutureNew(ValType),
    FutureRead {
        ty: ValType,
        options: OptionsIdx,
    },
    FutureWrite {
        ty: ValType,
        options: OptionsIdx,
    },
    FutureCancelRead {
        ty: ValType,
        async_: bool,
    },
    FutureCancelWrite {
        ty: ValType,
        async_: bool,
    },
    FutureDropReadable(ValType),
    FutureDropWritable(ValType),
    ErrorContextNew {
        options: OptionsIdx,
    },
    ErrorContextDebugMessage {
        options: OptionsIdx,
    },
    ErrorContextDrop,
    WaitableSetNew,
    WaitableSetWait {
        cancellable: bool,
        memory: CoreDef,
        memory64: bool,
    },
    WaitableSetPoll {
        cancellable: bool,
        memory: CoreDef,
        memory64: bool,
    },
    WaitableSetDrop,
    WaitableJoin,
    ThreadIndex,
    /// `table`: the function table; `table64`: whether its indices are `i64`; `ty64`: whether its functions take an `i64`.
    ThreadNewIndirect {
        table: CoreDef,
        table64: bool,
        ty64: bool,
    },
    ThreadResumeLater,
    ThreadSuspend {
        cancellable: bool,
    },
    ThreadYield {
        cancellable: bool,
    },
    ThreadSuspendThenResume {
        cancellable: bool,
    },
    ThreadYieldThenResume {
        cancellable: bool,
    },
    ThreadSuspendThenPromote {
        cancellable: bool,
    },
    ThreadYieldThenPromote {
        cancellable: bool,
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
