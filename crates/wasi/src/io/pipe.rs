//! A pipe within the host's memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::endpoint::{Input, Kind, Output, Read, Write};
use super::readiness::Readiness;

/// A pipe that holds up to `capacity` bytes (at least 1), for guests to be connected by, or for the
/// embedder to feed one.
///
/// Dropping the writing end is the end of the stream, after what is still in the pipe. Writing
/// when the reading end was dropped is a broken pipe.
pub fn pipe(capacity: usize) -> (PipeInput, PipeOutput) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            bytes: VecDeque::new(),
            capacity: capacity.max(1),
            reader: true,
            writer: true,
        }),
        changed: Arc::new(Notify::new()),
    });
    (PipeInput(Arc::clone(&shared)), PipeOutput(shared))
}

/// The end of a [`pipe`] that is read.
pub struct PipeInput(Arc<Shared>);

/// The end of a [`pipe`] that is written.
pub struct PipeOutput(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Told of every change that may end a wait.
    changed: Arc<Notify>,
}

struct State {
    /// Never longer than `capacity`.
    bytes: VecDeque<u8>,
    capacity: usize,
    reader: bool,
    writer: bool,
}

impl State {
    fn readable(&self) -> bool {
        !self.bytes.is_empty() || !self.writer
    }

    fn writable(&self) -> bool {
        self.bytes.len() < self.capacity || !self.reader
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(self: &Arc<Self>, is_ready: fn(&State) -> bool) -> Readiness {
        let shared = Arc::clone(self);
        Box::pin(async move {
            loop {
                let mut changed = std::pin::pin!(shared.changed.notified());
                // Registered before looking, so that no change goes unnoticed.
                changed.as_mut().enable();
                if is_ready(&shared.lock()) {
                    return;
                }
                changed.await;
            }
        })
    }
}

impl Input for PipeInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        let mut state = self.0.lock();
        if state.bytes.is_empty() {
            return match state.writer {
                false => Read::Closed,
                true if buf.is_empty() => Read::Bytes(0),
                true => Read::WouldBlock,
            };
        }
        let count = buf.len().min(state.bytes.len());
        let (front, back) = state.bytes.as_slices();
        let split = count.min(front.len());
        buf[..split].copy_from_slice(&front[..split]);
        buf[split..count].copy_from_slice(&back[..count - split]);
        state.bytes.drain(..count);
        drop(state);
        self.0.changed.notify_waiters();
        Read::Bytes(count)
    }

    fn ready(&mut self) -> Readiness {
        self.0.wait(State::readable)
    }

    fn kind(&self) -> Kind {
        Kind::Pipe
    }
}

impl Output for PipeOutput {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        let mut state = self.0.lock();
        if !state.writer {
            return Write::Closed;
        }
        if !state.reader {
            return Write::Failed(std::io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(state.capacity - state.bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Write::WouldBlock;
        }
        state.bytes.extend(&bytes[..count]);
        drop(state);
        self.0.changed.notify_waiters();
        Write::Bytes(count)
    }

    fn ready(&mut self) -> Readiness {
        self.0.wait(State::writable)
    }

    fn close(&mut self) {
        self.0.lock().writer = false;
        self.0.changed.notify_waiters();
    }

    fn kind(&self) -> Kind {
        Kind::Pipe
    }
}

impl Drop for PipeInput {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.reader = false;
        state.bytes = VecDeque::new();
        drop(state);
        self.0.changed.notify_waiters();
    }
}

impl Drop for PipeOutput {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::readiness::is_ready_now;
    use super::*;

    #[test]
    fn bytes_come_out_in_order_across_the_wrap() {
        let (mut input, mut output) = pipe(5);
        let mut out: Vec<u8> = Vec::new();
        let mut sent = 0u8;
        while out.len() < 40 {
            let chunk = [sent, sent + 1, sent + 2];
            if let Write::Bytes(count) = output.try_write(&chunk) {
                sent += count as u8;
            }
            let mut buf = [0; 2];
            if let Read::Bytes(count) = input.try_read(&mut buf) {
                out.extend(&buf[..count]);
            }
        }
        assert_eq!(out, (0..out.len() as u8).collect::<Vec<_>>());
    }

    #[test]
    fn full_pipe_would_block_and_is_ready_after_a_read() {
        let (mut input, mut output) = pipe(3);
        assert!(matches!(output.try_write(b"four"), Write::Bytes(3)));
        assert!(matches!(output.try_write(b"r"), Write::WouldBlock));
        let mut ready = output.ready();
        assert!(!is_ready_now(&mut ready));
        assert!(matches!(input.try_read(&mut [0; 1]), Read::Bytes(1)));
        assert!(is_ready_now(&mut ready));
    }

    #[test]
    fn reader_gets_the_rest_before_the_end() {
        let (mut input, mut output) = pipe(8);
        output.try_write(b"ab");
        drop(output);
        let mut buf = [0; 8];
        assert!(matches!(input.try_read(&mut buf), Read::Bytes(2)));
        assert!(is_ready_now(&mut input.ready()));
        assert!(matches!(input.try_read(&mut buf), Read::Closed));
    }

    #[test]
    fn writer_without_a_reader_is_ready_and_breaks() {
        let (input, mut output) = pipe(1);
        output.try_write(b"x");
        drop(input);
        assert!(is_ready_now(&mut output.ready()));
        assert!(matches!(
            output.try_write(b"y"),
            Write::Failed(e) if e.kind() == std::io::ErrorKind::BrokenPipe
        ));
    }

    #[test]
    fn empty_buffer_reads_nothing_and_does_not_block() {
        let (mut input, output) = pipe(1);
        assert!(matches!(input.try_read(&mut []), Read::Bytes(0)));
        drop(output);
        assert!(matches!(input.try_read(&mut []), Read::Closed));
    }
}
