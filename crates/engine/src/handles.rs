//! The things in an isolate: small handles that are copied about.
//!
//! They belong to the isolate they came from. Engines panic when handed those of another.

use crate::signature::Signature;

/// A core instance in an isolate.
#[derive(Clone, Copy, Debug)]
pub struct Instance(pub(crate) InstanceInner);

#[derive(Clone, Copy, Debug)]
pub(crate) enum InstanceInner {
    Wasmtime(::wasmtime::Instance),
    Wasmi(crate::wasmi::WasmiInstance),
}

/// A function in an isolate, guest's or host's.
#[derive(Clone, Copy, Debug)]
pub struct Func {
    pub(crate) inner: FuncInner,
    pub(crate) signature: Signature,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum FuncInner {
    Wasmtime(::wasmtime::Func),
    Wasmi(::wasmi::Func),
}

impl Func {
    /// How many slots a call needs: the larger of the numbers of parameters and results.
    pub fn slots(&self) -> usize {
        usize::from(self.signature.params.max(self.signature.results))
    }

    /// How many parameters it takes.
    pub fn params(&self) -> usize {
        usize::from(self.signature.params)
    }

    /// How many results it gives.
    pub fn results(&self) -> usize {
        usize::from(self.signature.results)
    }
}

/// A linear memory in an isolate.
#[derive(Clone, Copy, Debug)]
pub struct Memory(pub(crate) MemoryInner);

#[derive(Clone, Copy, Debug)]
pub(crate) enum MemoryInner {
    Wasmtime(crate::wasmtime::NumberedMemory),
    Wasmi(::wasmi::Memory),
}

/// A global in an isolate.
#[derive(Clone, Copy, Debug)]
pub struct Global(pub(crate) GlobalInner);

#[derive(Clone, Copy, Debug)]
pub(crate) enum GlobalInner {
    Wasmtime(::wasmtime::Global),
    Wasmi(::wasmi::Global),
}

/// A table in an isolate.
#[derive(Clone, Copy, Debug)]
pub struct Table(pub(crate) TableInner);

#[derive(Clone, Copy, Debug)]
pub(crate) enum TableInner {
    Wasmtime(::wasmtime::Table),
    Wasmi(::wasmi::Table),
}

/// An exception tag in an isolate.
#[derive(Clone, Copy, Debug)]
pub struct Tag(pub(crate) TagInner);

#[derive(Clone, Copy, Debug)]
pub(crate) enum TagInner {
    Wasmtime(::wasmtime::Tag),
    Wasmi(crate::wasmi::WasmiTag),
}

/// A shared memory that an isolate has been told of.
#[derive(Clone, Copy, Debug)]
pub struct SharedMemoryIndex(pub(crate) usize);

/// Something that an instance exports or a module imports. To be used with its own
/// isolate only.
#[derive(Clone, Copy, Debug)]
pub enum Extern {
    /// A function.
    Func(Func),
    /// A linear memory.
    Memory(Memory),
    /// A global.
    Global(Global),
    /// A table.
    Table(Table),
    /// An exception tag.
    Tag(Tag),
    /// A shared memory.
    SharedMemory(SharedMemoryIndex),
}

impl Extern {
    /// What kind of thing this is, in the specification's word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Func(_) => "func",
            Self::Memory(_) | Self::SharedMemory(_) => "memory",
            Self::Global(_) => "global",
            Self::Table(_) => "table",
            Self::Tag(_) => "tag",
        }
    }
}

macro_rules! from {
    ($($variant:ident),*) => {$(
        impl From<$variant> for Extern {
            fn from(value: $variant) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}
from!(Func, Memory, Global, Table, Tag);
