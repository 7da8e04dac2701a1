//! A Rust type that does not fit a component's type.

use crate::types::ValType;

/// A Rust type does not stand for the component type it was used with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}expected `{expected}`, found `{found}`", Path(.path))]
pub struct TypeMismatch {
    path: Vec<String>,
    expected: String,
    found: String,
}

impl TypeMismatch {
    /// A mismatch: the Rust type stands for `expected`, the component has `found`.
    pub fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// A mismatch in the kind of type alone.
    pub fn kind(expected: impl Into<String>, found: ValType) -> Self {
        Self::new(expected, kind(found))
    }

    /// Says where: in which parameter, field or case.
    #[must_use]
    pub fn within(mut self, part: impl Into<String>) -> Self {
        self.path.push(part.into());
        self
    }
}

/// A path from the outermost part, recorded from the innermost on.
struct Path<'a>(&'a [String]);

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for part in self.0.iter().rev() {
            write!(f, "{part}: ")?;
        }
        Ok(())
    }
}

/// The name of a kind of type.
pub(super) fn kind(ty: ValType) -> &'static str {
    match ty {
        ValType::Bool => "bool",
        ValType::S8 => "s8",
        ValType::U8 => "u8",
        ValType::S16 => "s16",
        ValType::U16 => "u16",
        ValType::S32 => "s32",
        ValType::U32 => "u32",
        ValType::S64 => "s64",
        ValType::U64 => "u64",
        ValType::F32 => "f32",
        ValType::F64 => "f64",
        ValType::Char => "char",
        ValType::String => "string",
        ValType::ErrorContext => "error-context",
        ValType::List(_) => "list",
        ValType::FixedList(_) => "list of fixed length",
        ValType::Map(_) => "map",
        ValType::Record(_) => "record",
        ValType::Tuple(_) => "tuple",
        ValType::Variant(_) => "variant",
        ValType::Enum(_) => "enum",
        ValType::Option(_) => "option",
        ValType::Result(_) => "result",
        ValType::Flags(_) => "flags",
        ValType::Own(_) => "own",
        ValType::Borrow(_) => "borrow",
        ValType::Stream(_) => "stream",
        ValType::Future(_) => "future",
    }
}
