//! Why a component is refused.

use crate::types::TypeError;

/// Why a component cannot be decoded into a [`Plan`](super::Plan).
///
/// Offsets count bytes from the start of the binary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The binary is a core module.
    #[error("not a component: this is a core WebAssembly module")]
    CoreModule,
    /// The binary is malformed or invalid.
    #[error("invalid component: {message} (at offset {offset:#x})")]
    Invalid {
        /// What is wrong.
        message: String,
        /// Where.
        offset: usize,
    },
    /// A type breaks a limit.
    #[error("invalid component: {source} (at offset {offset:#x})")]
    Type {
        /// What is wrong.
        source: TypeError,
        /// Where.
        offset: usize,
    },
    /// A component is larger than [`PlanLimits`](super::PlanLimits) allow.
    #[error(
        "component too large: more than {limit} {what} (limit `{option}`, at offset {offset:#x})"
    )]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The field of [`PlanLimits`](super::PlanLimits).
        option: &'static str,
        /// Where the limit was exceeded.
        offset: usize,
    },
    /// A component is valid but uses something that Tidegate does not do.
    #[error("unsupported: {what} (at offset {offset:#x})")]
    Unsupported {
        /// What it uses.
        what: String,
        /// Where.
        offset: usize,
    },
    /// A validated component did not keep what validation promises: a bug of Tidegate.
    #[error(
        "bug in Tidegate, please report: {what} is missing from a valid component (at offset {offset:#x})"
    )]
    Bug {
        /// What was looked up in vain.
        what: &'static str,
        /// Where.
        offset: usize,
    },
}

impl From<wasmparser::BinaryReaderError> for PlanError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        PlanError::Invalid {
            message: error.message().into(),
            offset: error.offset(),
        }
    }
}
