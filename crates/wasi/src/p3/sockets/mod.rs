//! `wasi:sockets`, on the sockets of [`net`](crate::net): nothing is allowed unless the guest's policy says so.

mod arrivals;
mod convert;
mod lookup;
mod tcp;
mod udp;

pub use tcp::TcpSocket;

use tidegate::Result;

use super::bindings::wasi::sockets::types;
use crate::fault::{Fault, NetFault};
use crate::view::{Wasi, WasiCtxView};

type Answer<T> = std::result::Result<T, NetFault>;

impl types::Host<Wasi> for WasiCtxView<'_> {
    fn convert_error_code(&mut self, fault: NetFault) -> Result<types::ErrorCode> {
        match fault {
            Fault::Error(code) => Ok(code.into()),
            Fault::Trap(trap) => Err(trap),
        }
    }
}
