//! How a guest ends its own run.

/// The error by which a guest that called `exit` (or `proc_exit`) unwinds to the embedder.
///
/// It is not a failure: find it with `error.downcast_ref::<I32Exit>()` and use the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the guest exited with status {0}")]
pub struct I32Exit(
    /// The status the guest asked for, unchanged.
    pub i32,
);

impl I32Exit {
    /// The status as an operating system process can report it: 0 to 255, where whatever does not
    /// fit becomes 1, so that a failure never looks like a success.
    pub fn process_status(self) -> u8 {
        u8::try_from(self.0).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_that_does_not_fit_is_still_a_failure() {
        assert_eq!(I32Exit(0).process_status(), 0);
        assert_eq!(I32Exit(42).process_status(), 42);
        assert_eq!(I32Exit(256).process_status(), 1);
        assert_eq!(I32Exit(-1).process_status(), 1);
    }
}
