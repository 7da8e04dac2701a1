//! The connections that arrive at a listening socket.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;

use super::{Connection, ErrorCode, Family, TcpSocket};
use crate::io::{Descriptor, Direction, Drains, Readiness, sleep};

/// The connections that arrive at a listening socket; it outlives the [`TcpSocket`] it came from.
#[derive(Clone)]
pub struct Incoming {
    pub(super) fd: Arc<OwnedFd>,
    pub(super) descriptor: Arc<Descriptor>,
    pub(super) family: Family,
}

/// How long to wait before another try when the host can hold no more sockets. Nothing tells when
/// it can again.
const BREATH: Duration = Duration::from_millis(100);

impl Incoming {
    /// Accepts one connection, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` while there is none; `ConnectionAborted` for one that is gone already;
    /// `NewSocketLimit`.
    pub fn accept(&self, drains: &Drains) -> Result<(TcpSocket, Connection), ErrorCode> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = loop {
            match rustix::net::accept_with(&self.fd, flags) {
                Err(Errno::INTR) => {}
                answer => break answer?,
            }
        };
        Ok(TcpSocket::accepted(fd, self.family, drains))
    }

    /// The next connection that is worth having, without waiting; otherwise what to wait for. What
    /// failed before it could be accepted is passed over, as WASI 0.3 wants it.
    ///
    /// # Errors
    /// When there will be no more connections.
    pub fn next(&self, drains: &Drains) -> Result<Arrival, ErrorCode> {
        // Connections that were given up are many only if somebody does it on purpose, and must not
        // hold the thread then.
        for _ in 0..16 {
            match self.accept(drains) {
                Ok((socket, connection)) => return Ok(Arrival::Connection(socket, connection)),
                Err(ErrorCode::WouldBlock) => return Ok(Arrival::Wait(self.ready())),
                Err(ErrorCode::NewSocketLimit | ErrorCode::OutOfMemory) => {
                    return Ok(Arrival::Wait(sleep(BREATH)));
                }
                Err(code @ (ErrorCode::InvalidArgument | ErrorCode::InvalidState)) => {
                    return Err(code);
                }
                Err(_) => {}
            }
        }
        Ok(Arrival::Wait(self.ready()))
    }

    /// Done once there is a connection to accept.
    pub fn ready(&self) -> Readiness {
        self.descriptor.ready(Direction::Read)
    }
}

/// What came of asking for the next connection.
pub enum Arrival {
    /// It is here.
    Connection(TcpSocket, Connection),
    /// There is none: wait for this and ask again.
    Wait(Readiness),
}
