//! TCP sockets: the state machine of `wasi:sockets/tcp`, over the operating system's sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::address::check_unicast;
use super::connection::ReceiveSide;
use super::{Connection, ErrorCode, Family, Incoming, Policy, SocketOptions};
use crate::io::{Descriptor, Direction, Drains, Readiness, SharedOutput, ready_now};

/// A TCP socket.
///
/// A method that does not fit the state answers `InvalidState`; starting something while something
/// else is in progress, `ConcurrencyConflict`; finishing what was not started, `NotInProgress`.
pub struct TcpSocket {
    pub(super) fd: Arc<OwnedFd>,
    descriptor: Arc<Descriptor>,
    family: Family,
    state: State,
    /// As asked for; takes effect when the socket listens.
    backlog: i32,
}

enum State {
    Unbound,
    BindInProgress,
    Bound,
    ListenInProgress,
    Listening,
    ConnectInProgress,
    Connected {
        output: SharedOutput,
        receive: ReceiveSide,
    },
    /// A failed connection attempt: nothing is left to do but drop the socket.
    Closed,
}

/// Which directions to shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownType {
    /// Nothing more is wanted from the other side.
    Receive,
    /// Nothing more will be sent.
    Send,
    /// Both.
    Both,
}

const DEFAULT_BACKLOG: i32 = 128;

impl TcpSocket {
    /// A new socket, unbound.
    ///
    /// # Errors
    /// `NotSupported` when the host lacks the family, `NewSocketLimit`.
    pub fn new(family: Family) -> Result<Self, ErrorCode> {
        let fd = open(family, SocketType::STREAM)?;
        Ok(Self::from_fd(fd, family, State::Unbound))
    }

    fn from_fd(fd: OwnedFd, family: Family, state: State) -> Self {
        let fd = Arc::new(fd);
        Self {
            descriptor: Arc::new(Descriptor::socket(Arc::clone(&fd))),
            fd,
            family,
            state,
            backlog: DEFAULT_BACKLOG,
        }
    }

    /// Binds to `local`.
    ///
    /// # Errors
    /// `InvalidArgument` for an address of the wrong family, mapped, or of no single host;
    /// `InvalidState` when bound already; `AccessDenied`; `AddressInUse`; `AddressNotBindable`.
    pub fn start_bind(&mut self, policy: &Policy, local: SocketAddr) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound => {}
            State::BindInProgress | State::ListenInProgress | State::ConnectInProgress => {
                return Err(ErrorCode::ConcurrencyConflict);
            }
            _ => return Err(ErrorCode::InvalidState),
        }
        self.family.check_local(&local)?;
        check_unicast(&local)?;
        policy.check_bind_tcp(&local)?;
        // A server that was restarted must not wait for its old connections to time out. With port
        // 0 the option would let the kernel pick a port that is in use; but it must be there before
        // the first connection, which inherits it and keeps the port.
        sockopt::set_socket_reuseaddr(&self.fd, local.port() != 0)?;
        rustix::net::bind(&self.fd, &local).map_err(bind_error)?;
        sockopt::set_socket_reuseaddr(&self.fd, true)?;
        self.state = State::BindInProgress;
        Ok(())
    }

    /// Binds to `local` and finishes that, as WASI 0.3 has it.
    ///
    /// # Errors
    /// As [`start_bind`](Self::start_bind).
    pub fn bind(&mut self, policy: &Policy, local: SocketAddr) -> Result<(), ErrorCode> {
        self.start_bind(policy, local)?;
        self.finish_bind()
    }

    /// Listens, on a port of the host's choice unless bound, and gives the connections that arrive.
    ///
    /// # Errors
    /// `InvalidState` when connected, connecting, listening or closed; `AddressInUse`;
    /// `AccessDenied` when it is not bound and may not be.
    pub fn listen(&mut self, policy: &Policy) -> Result<Incoming, ErrorCode> {
        if matches!(self.state, State::Unbound) {
            self.bind(policy, self.family.any_address())?;
        }
        self.start_listen()?;
        self.finish_listen()?;
        self.listening()
    }

    /// Finishes binding.
    ///
    /// # Errors
    /// `NotInProgress`.
    pub fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::BindInProgress => {
                self.state = State::Bound;
                Ok(())
            }
            _ => Err(ErrorCode::NotInProgress),
        }
    }

    /// Begins to connect to `remote`.
    ///
    /// # Errors
    /// `InvalidArgument` for an address of the wrong family, mapped, unspecified, of no single host
    /// or with port 0; `InvalidState` when connected, listening or closed; `AccessDenied`; and what
    /// the host reports at once, after which the socket is closed.
    pub fn start_connect(&mut self, policy: &Policy, remote: SocketAddr) -> Result<(), ErrorCode> {
        match self.state {
            State::Unbound | State::Bound => {}
            State::BindInProgress | State::ListenInProgress | State::ConnectInProgress => {
                return Err(ErrorCode::ConcurrencyConflict);
            }
            _ => return Err(ErrorCode::InvalidState),
        }
        self.family.check_remote(&remote)?;
        check_unicast(&remote)?;
        policy.check_connect(&remote)?;
        match rustix::net::connect(&self.fd, &remote) {
            Ok(()) | Err(Errno::INPROGRESS) => {
                self.state = State::ConnectInProgress;
                Ok(())
            }
            Err(errno) => {
                self.state = State::Closed;
                Err(connect_error(errno))
            }
        }
    }

    /// Finishes connecting.
    ///
    /// # Errors
    /// `NotInProgress`; `WouldBlock` while the other side has not answered; after any other, such
    /// as `ConnectionRefused`, `Timeout` or `RemoteUnreachable`, the socket is closed.
    pub fn finish_connect(&mut self, drains: &Drains) -> Result<Connection, ErrorCode> {
        if !matches!(self.state, State::ConnectInProgress) {
            return Err(ErrorCode::NotInProgress);
        }
        if !self.descriptor.is_ready(Direction::Write) {
            return Err(ErrorCode::WouldBlock);
        }
        match sockopt::socket_error(&self.fd) {
            Ok(Ok(())) => Ok(self.connected(drains)),
            Ok(Err(errno)) | Err(errno) => {
                self.state = State::Closed;
                Err(connect_error(errno))
            }
        }
    }

    /// Begins to listen.
    ///
    /// # Errors
    /// `InvalidState` unless bound; `AddressInUse`.
    pub fn start_listen(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::Bound => {}
            State::BindInProgress | State::ListenInProgress | State::ConnectInProgress => {
                return Err(ErrorCode::ConcurrencyConflict);
            }
            _ => return Err(ErrorCode::InvalidState),
        }
        rustix::net::listen(&self.fd, self.backlog)?;
        self.state = State::ListenInProgress;
        Ok(())
    }

    /// Finishes beginning to listen.
    ///
    /// # Errors
    /// `NotInProgress`.
    pub fn finish_listen(&mut self) -> Result<(), ErrorCode> {
        match self.state {
            State::ListenInProgress => {
                self.state = State::Listening;
                Ok(())
            }
            _ => Err(ErrorCode::NotInProgress),
        }
    }

    /// Accepts a connection.
    ///
    /// # Errors
    /// `InvalidState` unless listening; `WouldBlock` while there is none; `ConnectionAborted` for
    /// one that is gone already; `NewSocketLimit`.
    pub fn accept(&mut self, drains: &Drains) -> Result<(Self, Connection), ErrorCode> {
        if !matches!(self.state, State::Listening) {
            return Err(ErrorCode::InvalidState);
        }
        self.incoming().accept(drains)
    }

    /// The connections that arrive, once it listens.
    ///
    /// # Errors
    /// `InvalidState` unless listening.
    pub fn listening(&self) -> Result<Incoming, ErrorCode> {
        match self.state {
            State::Listening => Ok(self.incoming()),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    fn incoming(&self) -> Incoming {
        Incoming {
            fd: Arc::clone(&self.fd),
            descriptor: Arc::clone(&self.descriptor),
            family: self.family,
        }
    }

    /// A connection that a listener of `family` accepted. The kernel hands the listener's options on.
    pub(super) fn accepted(fd: OwnedFd, family: Family, drains: &Drains) -> (Self, Connection) {
        let mut socket = Self::from_fd(fd, family, State::Unbound);
        let connection = socket.connected(drains);
        (socket, connection)
    }

    fn connected(&mut self, drains: &Drains) -> Connection {
        let connection = Connection::new(&self.descriptor, &self.fd, drains);
        self.state = State::Connected {
            output: connection.output.clone(),
            receive: connection.input.side(),
        };
        connection
    }

    /// The address this socket is bound to.
    ///
    /// # Errors
    /// `InvalidState` unless bound.
    pub fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.state {
            State::Unbound | State::BindInProgress | State::Closed => Err(ErrorCode::InvalidState),
            _ => local_address(&self.fd),
        }
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// `InvalidState` unless connected.
    pub fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.state {
            State::Connected { .. } => rustix::net::getpeername(&self.fd)?
                .and_then(|address| address.try_into().ok())
                .ok_or(ErrorCode::InvalidState),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// Whether it accepts connections.
    pub fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening)
    }

    /// The kind of its addresses.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Sets how many connections may wait to be accepted.
    ///
    /// # Errors
    /// `InvalidArgument` for 0; `InvalidState` when connected or connecting.
    pub fn set_listen_backlog_size(&mut self, size: u64) -> Result<(), ErrorCode> {
        if size == 0 {
            return Err(ErrorCode::InvalidArgument);
        }
        let backlog = i32::try_from(size).unwrap_or(i32::MAX);
        match self.state {
            State::ConnectInProgress | State::Connected { .. } | State::Closed => {
                return Err(ErrorCode::InvalidState);
            }
            State::ListenInProgress | State::Listening => {
                rustix::net::listen(&self.fd, backlog).map_err(|_| ErrorCode::NotSupported)?;
            }
            State::Unbound | State::BindInProgress | State::Bound => {}
        }
        self.backlog = backlog;
        Ok(())
    }

    /// Hop limit and buffer sizes.
    pub fn options(&self) -> SocketOptions<'_> {
        SocketOptions {
            fd: self.fd.as_fd(),
            family: self.family,
        }
    }

    /// Ends a direction of the connection, after what was written before. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// `InvalidState` unless connected.
    pub fn shutdown(&mut self, which: ShutdownType) -> Result<(), ErrorCode> {
        let State::Connected { output, receive } = &self.state else {
            return Err(ErrorCode::InvalidState);
        };
        if matches!(which, ShutdownType::Receive | ShutdownType::Both) {
            receive.close();
        }
        if matches!(which, ShutdownType::Send | ShutdownType::Both) {
            output.close();
        }
        Ok(())
    }

    /// Done once the operation in progress can be finished, or a connection accepted; at once where
    /// nothing is in progress.
    pub fn ready(&self) -> Readiness {
        match self.state {
            State::ConnectInProgress => self.descriptor.ready(Direction::Write),
            State::Listening => self.descriptor.ready(Direction::Read),
            _ => ready_now(),
        }
    }
}

/// A new socket of the operating system, non-blocking.
pub(super) fn open(family: Family, kind: SocketType) -> Result<OwnedFd, ErrorCode> {
    let domain = match family {
        Family::Ipv4 => AddressFamily::INET,
        Family::Ipv6 => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = rustix::net::socket_with(domain, kind, flags, None)?;
    if family == Family::Ipv6 {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    Ok(fd)
}

pub(super) fn local_address(fd: &OwnedFd) -> Result<SocketAddr, ErrorCode> {
    rustix::net::getsockname(fd)?
        .try_into()
        .map_err(|_| ErrorCode::Unknown)
}

pub(super) fn bind_error(errno: Errno) -> ErrorCode {
    match errno {
        Errno::NOBUFS => ErrorCode::AddressInUse,
        Errno::AFNOSUPPORT => ErrorCode::InvalidArgument,
        other => other.into(),
    }
}

fn connect_error(errno: Errno) -> ErrorCode {
    match errno {
        // The implicit bind found no free port.
        Errno::ADDRNOTAVAIL | Errno::AGAIN => ErrorCode::AddressInUse,
        other => other.into(),
    }
}

impl From<ErrorCode> for io::Error {
    fn from(code: ErrorCode) -> Self {
        Self::other(code)
    }
}
