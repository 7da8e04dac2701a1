//! The two ends of a TCP connection.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::net::Shutdown;

use crate::io::{
    Descriptor, Direction, Drains, FdOutput, Flush, Input, Kind, Output, Read, Readiness,
    SharedOutput, Write, ready_now,
};

/// The two ends of a connection. The socket of the operating system is closed when both of them and
/// the [`TcpSocket`](super::TcpSocket) are gone.
pub struct Connection {
    /// What the other side sends.
    pub input: TcpInput,
    /// What the other side receives.
    pub output: SharedOutput,
}

impl Connection {
    pub(super) fn new(descriptor: &Arc<Descriptor>, fd: &Arc<OwnedFd>, drains: &Drains) -> Self {
        let output = TcpOutput(FdOutput::from_descriptor(Arc::clone(descriptor)));
        Self {
            input: TcpInput {
                descriptor: Arc::clone(descriptor),
                receive: ReceiveSide {
                    fd: Arc::clone(fd),
                    closed: Arc::default(),
                },
                closes: false,
            },
            output: SharedOutput::new(output).counted_by(drains),
        }
    }
}

/// The receiving direction, as whoever may shut it down knows it.
#[derive(Clone)]
pub(super) struct ReceiveSide {
    fd: Arc<OwnedFd>,
    /// Shut down: what the kernel still holds is not wanted any more.
    closed: Arc<AtomicBool>,
}

impl ReceiveSide {
    pub(super) fn close(&self) {
        if !self.closed.swap(true, Ordering::AcqRel) {
            // Wakes whoever waits for bytes; a connection that is gone already has nobody waiting.
            let _ = rustix::net::shutdown(&self.fd, Shutdown::Read);
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// The receiving direction of a connection.
pub struct TcpInput {
    descriptor: Arc<Descriptor>,
    receive: ReceiveSide,
    /// Whether dropping it shuts the direction down.
    closes: bool,
}

impl TcpInput {
    pub(super) fn side(&self) -> ReceiveSide {
        self.receive.clone()
    }

    /// The same, and when it is dropped the direction is shut down, as WASI 0.3 wants it.
    pub fn closing_when_dropped(mut self) -> Self {
        self.closes = true;
        self
    }
}

impl Drop for TcpInput {
    fn drop(&mut self) {
        if self.closes {
            self.receive.close();
        }
    }
}

impl Input for TcpInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        if self.receive.is_closed() {
            return Read::Closed;
        }
        self.descriptor.try_read(buf)
    }

    fn try_read_vec(&mut self, max: usize) -> (Vec<u8>, Read) {
        if self.receive.is_closed() {
            return (Vec::new(), Read::Closed);
        }
        self.descriptor.try_read_vec(max)
    }

    fn available(&mut self, len: u64) -> Option<u64> {
        if self.receive.is_closed() {
            return None;
        }
        self.descriptor.available(len)
    }

    fn ready(&mut self) -> Readiness {
        if self.receive.is_closed() {
            return ready_now();
        }
        self.descriptor.ready(Direction::Read)
    }

    fn kind(&self) -> Kind {
        Kind::Socket
    }
}

/// The sending direction of a connection. Closing it sends the end.
struct TcpOutput(FdOutput);

impl Output for TcpOutput {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        self.0.try_write(bytes)
    }

    fn try_flush(&mut self) -> Flush {
        self.0.try_flush()
    }

    fn ready(&mut self) -> Readiness {
        self.0.ready()
    }

    fn close(&mut self) {
        let _ = rustix::net::shutdown(&self.0, Shutdown::Write);
    }

    fn kind(&self) -> Kind {
        Kind::Socket
    }
}
