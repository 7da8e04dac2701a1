//! Core types: what modules import and export, and the values that may cross the interface.

use std::fmt;

/// A core value type.
///
/// Only the four number types cross the interface, as 64-bit words; the others are named so that the types of a module's
/// imports and exports can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// A 32-bit integer: the low half of a word, the high half zero.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float: its bits in the low half of a word, the high half zero.
    F32,
    /// A 64-bit float: its bits.
    F64,
    /// A 128-bit vector. Does not cross the interface.
    V128,
    /// `funcref`. Does not cross the interface.
    FuncRef,
    /// `externref`. Does not cross the interface.
    ExternRef,
    /// Any other reference type, such as a typed function reference or `exnref`. Does not cross the interface.
    OtherRef,
}

impl ValType {
    /// Whether values of this type cross the interface.
    pub fn is_number(self) -> bool {
        matches!(self, Self::I32 | Self::I64 | Self::F32 | Self::F64)
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::FuncRef => "funcref",
            Self::ExternRef => "externref",
            Self::OtherRef => "ref",
        })
    }
}

/// A core function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct FuncType {
    /// Parameters, in order.
    pub params: Vec<ValType>,
    /// Results, in order.
    pub results: Vec<ValType>,
}

impl FuncType {
    /// A function type from its parameters and results.
    pub fn new(
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> Self {
        Self {
            params: params.into_iter().collect(),
            results: results.into_iter().collect(),
        }
    }

    /// How many slots a call needs: parameters go in and results come out at the front of the same words.
    pub fn slots(&self) -> usize {
        self.params.len().max(self.results.len())
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValType]| {
            f.write_str("(")?;
            for (index, ty) in types.iter().enumerate() {
                if index > 0 {
                    f.write_str(" ")?;
                }
                ty.fmt(f)?;
            }
            f.write_str(")")
        };
        list(f, &self.params)?;
        f.write_str(" -> ")?;
        list(f, &self.results)
    }
}

/// The type of a linear memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryType {
    /// Pages at the start.
    pub minimum: u64,
    /// Pages it can grow to, if bounded.
    pub maximum: Option<u64>,
    /// Addressed with `i64`.
    pub memory64: bool,
    /// Shared between threads.
    pub shared: bool,
    /// The page size in bytes, as a power of two: 16 unless custom page sizes are used.
    pub page_size_log2: u8,
}

/// The type of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableType {
    /// What its elements are.
    pub element: ValType,
    /// Elements at the start.
    pub minimum: u64,
    /// Elements it can grow to, if bounded.
    pub maximum: Option<u64>,
    /// Indexed with `i64`.
    pub table64: bool,
}

/// The type of a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlobalType {
    /// What it holds.
    pub content: ValType,
    /// Whether it can be set.
    pub mutable: bool,
}

/// The type of something imported or exported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A linear memory.
    Memory(MemoryType),
    /// A table.
    Table(TableType),
    /// A global.
    Global(GlobalType),
    /// An exception tag; the type's parameters are its payload.
    Tag(FuncType),
}

impl ExternType {
    /// What kind of thing this is, in the specification's word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Func(_) => "func",
            Self::Memory(_) => "memory",
            Self::Table(_) => "table",
            Self::Global(_) => "global",
            Self::Tag(_) => "tag",
        }
    }
}

/// An import of a module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Import {
    /// The first name.
    pub module: String,
    /// The second name.
    pub name: String,
    /// What must be given.
    pub ty: ExternType,
}

/// An export of a module.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it is.
    pub ty: ExternType,
}
