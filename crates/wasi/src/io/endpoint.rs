//! The two directions of an endpoint, and what their operations answer.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Readiness;

/// What a read that never waits came to.
#[derive(Debug)]
pub enum Read {
    /// This many bytes, at least one unless the buffer was empty, are at the start of the buffer. More than it holds
    /// is taken for a failure.
    Bytes(usize),
    /// Nothing now: wait for [`Input::ready`] and try again.
    WouldBlock,
    /// The end: there will be no more bytes.
    Closed,
    /// The read failed. Bytes that arrived before the failure were reported by earlier reads.
    Failed(io::Error),
}

/// What a write that never waits came to.
#[derive(Debug)]
pub enum Write {
    /// The sink took this many bytes from the start, at least one unless there were none. More than there were is taken
    /// for a failure.
    Bytes(usize),
    /// Nothing was taken: wait for [`Output::ready`] and try again.
    WouldBlock,
    /// The sink will never take a byte again, without an error to report.
    Closed,
    /// The write failed and nothing of it was taken. A broken pipe is such a failure.
    Failed(io::Error),
}

impl Read {
    /// The answer to a read into `room` bytes; a failure, if it claims more than that.
    pub(crate) fn within(self, room: usize) -> Self {
        match self {
            Self::Bytes(count) if count > room => Self::Failed(claims("input", count, room)),
            answer => answer,
        }
    }
}

impl Write {
    /// The answer to a write of `offered` bytes; a failure, if it claims more than that.
    pub(crate) fn within(self, offered: usize) -> Self {
        match self {
            Self::Bytes(count) if count > offered => Self::Failed(claims("output", count, offered)),
            answer => answer,
        }
    }
}

/// An endpoint of the embedder's broke its contract: how much was moved is not known any more, so that nothing may follow.
fn claims(endpoint: &str, claimed: usize, offered: usize) -> io::Error {
    io::Error::other(format!(
        "the host's {endpoint} claims to have moved {claimed} bytes of {offered}"
    ))
}

/// How far a flush has come.
#[derive(Debug)]
pub enum Flush {
    /// Everything written before is where the sink promises to bring it.
    Done,
    /// Not yet: wait for [`Output::ready`] and ask again.
    Pending,
    /// The flush failed; what was written before may be lost.
    Failed(io::Error),
}

/// What an endpoint is connected to, as far as a guest may learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A terminal, with a person at the other end.
    Terminal,
    /// A regular file.
    File,
    /// A pipe, named or not, within the host or between processes.
    Pipe,
    /// A socket.
    Socket,
    /// A character device that is no terminal.
    CharacterDevice,
    /// Anything else.
    Other,
}

/// Where bytes enter the host.
pub trait Input: Send + 'static {
    /// Reads into `buf` what is there now, without waiting. An empty `buf` reads nothing, and
    /// answers `Bytes(0)` or, where that is already known, `Closed`.
    fn try_read(&mut self, buf: &mut [u8]) -> Read;

    /// Reads into fresh memory what is there now, at most `max` bytes: like
    /// [`try_read`](Self::try_read), for those who want a `Vec`. Inputs that can read into memory
    /// that was never written do so.
    fn try_read_vec(&mut self, max: usize) -> (Vec<u8>, Read) {
        let mut bytes = vec![0; max];
        let answer = self.try_read(&mut bytes);
        bytes.truncate(match answer {
            Read::Bytes(count) => count,
            _ => 0,
        });
        (bytes, answer)
    }

    /// How many bytes a read of `len` bytes would find now, be it more than `len`: at least one. `None` if that takes reading, or
    /// longer than copying so many bytes. Others may take them first.
    fn available(&mut self, len: u64) -> Option<u64> {
        let _ = len;
        None
    }

    /// Done once [`try_read`](Self::try_read) would answer anything but `WouldBlock`. It may be
    /// early (try again, wait again), never late, and may be dropped at any time: no byte is lost.
    fn ready(&mut self) -> Readiness;

    /// What is at the other end.
    fn kind(&self) -> Kind {
        Kind::Other
    }

    /// Reads and forgets up to `len` bytes, without waiting.
    fn try_skip(&mut self, len: u64) -> Read {
        let mut scrap = [0; 4096];
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(scrap.len());
        self.try_read(&mut scrap[..len])
    }
}

/// Where bytes leave the host.
pub trait Output: Send + 'static {
    /// Hands over the start of `bytes`, as much as the sink takes without waiting.
    fn try_write(&mut self, bytes: &[u8]) -> Write;

    /// Brings what was written to where the sink promises to bring it: begins that when it has not
    /// begun, and says how far it is. Most sinks have nothing to bring: their writes are done when
    /// accepted.
    fn try_flush(&mut self) -> Flush {
        Flush::Done
    }

    /// No more will be written: tells the other side where that is possible. Dropping an output
    /// closes it as well.
    fn close(&mut self) {}

    /// Done once [`try_write`](Self::try_write) and [`try_flush`](Self::try_flush) would not answer
    /// `WouldBlock` and `Pending`. It may be early, never late, and may be dropped at any time.
    fn ready(&mut self) -> Readiness;

    /// What is at the other end.
    fn kind(&self) -> Kind {
        Kind::Other
    }
}

impl<I: Input + ?Sized> Input for Box<I> {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        (**self).try_read(buf)
    }
    fn try_read_vec(&mut self, max: usize) -> (Vec<u8>, Read) {
        (**self).try_read_vec(max)
    }
    fn available(&mut self, len: u64) -> Option<u64> {
        (**self).available(len)
    }
    fn ready(&mut self) -> Readiness {
        (**self).ready()
    }
    fn kind(&self) -> Kind {
        (**self).kind()
    }
    fn try_skip(&mut self, len: u64) -> Read {
        (**self).try_skip(len)
    }
}

impl<O: Output + ?Sized> Output for Box<O> {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        (**self).try_write(bytes)
    }
    fn try_flush(&mut self) -> Flush {
        (**self).try_flush()
    }
    fn ready(&mut self) -> Readiness {
        (**self).ready()
    }
    fn close(&mut self) {
        (**self).close();
    }
    fn kind(&self) -> Kind {
        (**self).kind()
    }
}

/// An [`Input`] that several holders read from, such as stdin: each byte goes to one of them.
#[derive(Clone)]
pub struct SharedInput(Arc<Mutex<dyn Input>>);

impl SharedInput {
    /// Shares `input`.
    pub fn new(input: impl Input) -> Self {
        Self(Arc::new(Mutex::new(input)))
    }

    fn lock(&self) -> MutexGuard<'_, dyn Input + 'static> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Input for SharedInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        self.lock().try_read(buf)
    }
    fn try_read_vec(&mut self, max: usize) -> (Vec<u8>, Read) {
        self.lock().try_read_vec(max)
    }
    fn available(&mut self, len: u64) -> Option<u64> {
        self.lock().available(len)
    }
    fn ready(&mut self) -> Readiness {
        self.lock().ready()
    }
    fn kind(&self) -> Kind {
        self.lock().kind()
    }
    fn try_skip(&mut self, len: u64) -> Read {
        self.lock().try_skip(len)
    }
}
