//! `wasi:sockets/ip-name-lookup`.

use tidegate::{Accessor, Result};

use super::super::bindings::wasi::sockets::ip_name_lookup;
use super::super::bindings::wasi::sockets::types::IpAddress;
use super::Answer;
use crate::fault::{Fault, NetFault};
use crate::net::{ErrorCode, Lookup};
use crate::view::{Wasi, WasiCtxView};

impl ip_name_lookup::Host<Wasi> for WasiCtxView<'_> {
    async fn resolve_addresses<T: Send + 'static>(
        accessor: &Accessor<T, Wasi>,
        name: String,
    ) -> Answer<Vec<IpAddress>> {
        let mut lookup =
            accessor.with(|mut access| Lookup::start(&access.get().ctx.network, &name))??;
        lookup.ready().await;
        let mut addresses = Vec::new();
        while let Some(address) = lookup.next_address()? {
            addresses.push(address.into());
        }
        if addresses.is_empty() {
            return Err(ErrorCode::NameUnresolvable.into());
        }
        Ok(addresses)
    }

    fn convert_error_code(&mut self, fault: NetFault) -> Result<ip_name_lookup::ErrorCode> {
        match fault {
            Fault::Error(code) => Ok(code.into()),
            Fault::Trap(trap) => Err(trap),
        }
    }
}
