//! What can go wrong here other than a trap or an error of a host function.

use crate::limits::LimitExceeded;

/// Errors of the engine layer itself. Guest traps are [`Trap`](crate::Trap); errors of host functions pass through
/// unchanged.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The configuration cannot be had.
    #[error("this engine configuration cannot be used: {0}")]
    Config(String),
    /// A module is malformed, or uses what the engine or its configuration does not have.
    #[error("invalid module: {message}")]
    InvalidModule {
        /// What is wrong.
        message: String,
        /// Where in the module, in bytes, if known.
        offset: Option<usize>,
    },
    /// Precompiled bytes that cannot be used.
    #[error("unusable precompiled module: {0}")]
    Artifact(&'static str),
    /// The things given for a module's imports do not fit.
    #[error("cannot link module: {0}")]
    Link(String),
    /// A limit of the isolate was hit.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// The engine has no room for another instance, memory, table or stack.
    #[error("the engine is full: {0}")]
    Full(String),
    /// A blocking host function wanted to block in a call that cannot be parked.
    #[error(
        "a host function would have to wait, but it was reached by a plain call; use a call on a stack of its own"
    )]
    CannotBlock,
    /// A value whose type does not cross this interface.
    #[error("{0}")]
    Unsupported(String),
    /// The engine layer was used in a way its documentation rules out.
    #[error("engine misuse: {0}")]
    Misuse(&'static str),
}
