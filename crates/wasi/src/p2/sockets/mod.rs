//! `wasi:sockets`.

mod convert;
mod lookup;
mod network;
mod tcp;
mod udp;

pub use network::Network;

use super::error::NetFault;

type Answer<T> = std::result::Result<T, NetFault>;
