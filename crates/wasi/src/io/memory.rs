//! Bytes that are there before the run, and bytes that are kept until after it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::endpoint::{Input, Output, Read, Write};
use super::readiness::{Readiness, ready_now};

/// An input that gives out bytes the embedder had at hand, then ends.
#[derive(Debug, Clone)]
pub struct BytesInput {
    bytes: Arc<[u8]>,
    position: usize,
}

impl BytesInput {
    /// Gives out `bytes`.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            bytes: bytes.into(),
            position: 0,
        }
    }
}

impl Input for BytesInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        let rest = &self.bytes[self.position..];
        if rest.is_empty() {
            return Read::Closed;
        }
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        self.position += count;
        Read::Bytes(count)
    }

    fn ready(&mut self) -> Readiness {
        ready_now()
    }
}

/// An output that keeps what was written, up to a limit. Clones share it: keep one, give one away.
#[derive(Debug, Clone)]
pub struct Capture {
    kept: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Capture {
    /// Keeps up to `limit` bytes. A write beyond it fails with
    /// [`StorageFull`](std::io::ErrorKind::StorageFull).
    pub fn new(limit: usize) -> Self {
        Self {
            kept: Arc::default(),
            limit,
        }
    }

    /// What was written so far.
    pub fn contents(&self) -> Vec<u8> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output for Capture {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        let mut kept = self.lock();
        let count = bytes.len().min(self.limit - kept.len().min(self.limit));
        if count == 0 && !bytes.is_empty() {
            return Write::Failed(std::io::ErrorKind::StorageFull.into());
        }
        kept.extend_from_slice(&bytes[..count]);
        Write::Bytes(count)
    }

    fn ready(&mut self) -> Readiness {
        ready_now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_gives_all_bytes_then_ends() {
        let mut input = BytesInput::new(*b"abc");
        let mut buf = [0; 2];
        assert!(matches!(input.try_read(&mut buf), Read::Bytes(2)));
        assert!(matches!(input.try_read(&mut buf), Read::Bytes(1)));
        assert!(matches!(input.try_read(&mut buf), Read::Closed));
    }

    #[test]
    fn capture_takes_up_to_its_limit_and_then_fails() {
        let kept = Capture::new(3);
        let mut output = kept.clone();
        assert!(matches!(output.try_write(b"four"), Write::Bytes(3)));
        assert!(matches!(output.try_write(b"r"), Write::Failed(_)));
        assert_eq!(kept.contents(), b"fou");
    }
}
