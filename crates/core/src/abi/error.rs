//! A Rust type that does not fit a component's type.

use super::TypeContext;
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

    /// A mismatch with a type of the component, which the message writes out.
    pub fn kind(expected: impl Into<String>, cx: &TypeContext<'_>, found: ValType) -> Self {
        Self::new(expected, cx.types.display(found).to_string())
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
