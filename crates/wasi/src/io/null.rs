//! The endpoints that are connected to nothing.

use super::{Input, Output, Read, Readiness, Write, ready_now};

/// An input that is at its end from the start.
#[derive(Debug, Default, Clone, Copy)]
pub struct EmptyInput;

impl Input for EmptyInput {
    fn try_read(&mut self, _buf: &mut [u8]) -> Read {
        Read::Closed
    }

    fn ready(&mut self) -> Readiness {
        ready_now()
    }
}

/// An output that accepts everything and keeps nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct DiscardOutput;

impl Output for DiscardOutput {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        Write::Bytes(bytes.len())
    }

    fn ready(&mut self) -> Readiness {
        ready_now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_input_ends_at_once_and_discarding_output_takes_all() {
        assert!(matches!(EmptyInput.try_read(&mut [0; 4]), Read::Closed));
        assert!(matches!(DiscardOutput.try_write(b"gone"), Write::Bytes(4)));
    }
}
