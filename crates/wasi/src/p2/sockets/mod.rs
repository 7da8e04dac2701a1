//! `wasi:sockets`.

mod convert;
mod lookup;
mod network;
mod tcp;
mod udp;

pub use network::Network;

use crate::fault::NetFault;

type Answer<T> = std::result::Result<T, NetFault>;
