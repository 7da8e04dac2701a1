//! Sockets, name lookup, and the policy that allows them.
//!
//! Sockets are state machines as `wasi:sockets` describes them: an operation is started, then
//! finished, and answers [`ErrorCode::WouldBlock`] in between. Nothing here waits; every socket has
//! a readiness.

mod address;
mod error;
mod lookup;
mod options;
mod policy;
mod tcp;
mod udp;

pub use address::Family;
pub use error::ErrorCode;
pub use lookup::Lookup;
pub use options::{Direction, SocketOptions};
pub use policy::{Policy, Rule, RuleError};
pub use tcp::{Connection, ShutdownType, TcpSocket};
pub use udp::{
    Datagram, IncomingDatagrams, OutgoingDatagram, OutgoingDatagrams, SendError, UdpSocket,
};
