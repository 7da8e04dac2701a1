//! Every way a network operation can fail.

use std::io;

use rustix::io::Errno;
use thiserror::Error;

/// A closed set of failures, named as in `wasi:sockets/network`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum ErrorCode {
    /// None of the others.
    #[error("unknown network error")]
    Unknown,
    /// The policy or the host forbids it.
    #[error("access denied")]
    AccessDenied,
    /// The host cannot do this.
    #[error("not supported")]
    NotSupported,
    /// An argument makes no sense here.
    #[error("invalid argument")]
    InvalidArgument,
    /// Out of memory.
    #[error("out of memory")]
    OutOfMemory,
    /// It took too long.
    #[error("timed out")]
    Timeout,
    /// Another operation on this socket is in progress.
    #[error("another operation is in progress")]
    ConcurrencyConflict,
    /// A `finish` without its `start`.
    #[error("no such operation is in progress")]
    NotInProgress,
    /// Not finished yet.
    #[error("would block")]
    WouldBlock,
    /// Not possible in the socket's state.
    #[error("invalid state")]
    InvalidState,
    /// Too many sockets.
    #[error("socket limit reached")]
    NewSocketLimit,
    /// Not an address of this host.
    #[error("address not bindable")]
    AddressNotBindable,
    /// The address is in use, or all ports are.
    #[error("address in use")]
    AddressInUse,
    /// No way leads to the address.
    #[error("remote unreachable")]
    RemoteUnreachable,
    /// Nobody listens there.
    #[error("connection refused")]
    ConnectionRefused,
    /// The connection takes no more.
    #[error("connection broken")]
    ConnectionBroken,
    /// The other side reset the connection.
    #[error("connection reset")]
    ConnectionReset,
    /// The connection was aborted.
    #[error("connection aborted")]
    ConnectionAborted,
    /// Larger than a datagram may be.
    #[error("datagram too large")]
    DatagramTooLarge,
    /// No such name, or no suitable address.
    #[error("name cannot be resolved")]
    NameUnresolvable,
    /// The resolver has a temporary problem.
    #[error("temporary failure of the resolver")]
    TemporaryResolverFailure,
    /// The resolver has a lasting problem.
    #[error("permanent failure of the resolver")]
    PermanentResolverFailure,
}

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Self::WouldBlock,
            Errno::ACCESS | Errno::PERM => Self::AccessDenied,
            Errno::NOTSUP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT | Errno::NOPROTOOPT => {
                Self::NotSupported
            }
            Errno::INVAL | Errno::DESTADDRREQ => Self::InvalidArgument,
            Errno::NOMEM | Errno::NOBUFS => Self::OutOfMemory,
            Errno::TIMEDOUT => Self::Timeout,
            Errno::ALREADY | Errno::INPROGRESS => Self::ConcurrencyConflict,
            Errno::NOTCONN | Errno::ISCONN => Self::InvalidState,
            Errno::PIPE => Self::ConnectionBroken,
            Errno::MFILE | Errno::NFILE => Self::NewSocketLimit,
            Errno::ADDRNOTAVAIL => Self::AddressNotBindable,
            Errno::ADDRINUSE => Self::AddressInUse,
            Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::NETUNREACH | Errno::NETDOWN => {
                Self::RemoteUnreachable
            }
            Errno::CONNREFUSED => Self::ConnectionRefused,
            Errno::CONNRESET => Self::ConnectionReset,
            Errno::CONNABORTED => Self::ConnectionAborted,
            Errno::MSGSIZE => Self::DatagramTooLarge,
            _ => Self::Unknown,
        }
    }
}

impl ErrorCode {
    /// The code of an error of a socket's stream, if it is one of the network.
    pub fn of_stream(error: &io::Error) -> Option<Self> {
        if let Some(code) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return Some(*code);
        }
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Some(Self::ConnectionBroken);
        }
        match Self::from(Errno::from_io_error(error)?) {
            Self::Unknown => None,
            code => Some(code),
        }
    }
}
