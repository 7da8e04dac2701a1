//! Error contexts: immutable values that carry a message for whoever debugs.

use std::sync::Arc;

/// An error context. Passing it to another instance shares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorContext {
    message: Arc<str>,
}

impl ErrorContext {
    /// An error context with a debug message of at most `limit` bytes: what is longer is cut at a character's boundary.
    pub fn new(message: &str, limit: u32) -> Self {
        let end = message.floor_char_boundary(limit as usize);
        Self {
            message: message[..end].into(),
        }
    }

    /// The message; always the same for one error context.
    pub fn debug_message(&self) -> &str {
        &self.message
    }
}
