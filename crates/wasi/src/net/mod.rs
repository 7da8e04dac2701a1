//! Sockets, name lookup, and the policy that allows them.
//!
//! Sockets are state machines as `wasi:sockets` 0.2 describes them: an operation is started, then
//! finished, and answers [`ErrorCode::WouldBlock`] in between. Nothing here waits; every socket has
//! a readiness. The operations of 0.3 are made of the same.

mod address;
mod connection;
mod datagrams;
mod error;
mod incoming;
mod keep_alive;
mod lookup;
mod options;
mod policy;
mod tcp;
mod udp;

pub use address::Family;
pub use connection::{Connection, TcpInput};
pub use datagrams::{Datagram, IncomingDatagrams, OutgoingDatagram, OutgoingDatagrams, SendError};
pub use error::ErrorCode;
pub use incoming::{Arrival, Incoming};
pub use lookup::Lookup;
pub use options::{Direction, SocketOptions};
pub use policy::{Policy, Rule, RuleError};
pub use tcp::{ShutdownType, TcpSocket};
pub use udp::UdpSocket;
