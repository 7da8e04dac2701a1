//! Functions that cross the Canonical ABI.

use super::{Canon, CoreDef, ImportIdx, InstanceIdx, LiftIdx, OptionsIdx};
use crate::types::FuncTypeIdx;

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

/// A core function type.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CoreFuncType {
    /// Parameters, in order.
    pub params: Box<[wasmparser::ValType]>,
    /// Results, in order.
    pub results: Box<[wasmparser::ValType]>,
}
