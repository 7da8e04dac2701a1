//! `wasi:sockets/ip-name-lookup`.

use tidegate::{Resource, Result};

use super::super::bindings::wasi::sockets::ip_name_lookup;
use super::super::bindings::wasi::sockets::network::IpAddress;
use super::super::poll::{Pollable, subscribe};
use super::{Answer, Network};
use crate::net::Lookup;
use crate::view::WasiCtxView;

impl ip_name_lookup::Host for WasiCtxView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Answer<Resource<Lookup>> {
        self.table.get(&network)?;
        let lookup = Lookup::start(&self.ctx.network, &name)?;
        Ok(self.table.push(lookup)?)
    }
}

impl ip_name_lookup::HostResolveAddressStream for WasiCtxView<'_> {
    fn resolve_next_address(&mut self, lookup: Resource<Lookup>) -> Answer<Option<IpAddress>> {
        let address = self.table.get_mut(&lookup)?.next_address()?;
        Ok(address.map(IpAddress::from))
    }

    fn subscribe(&mut self, lookup: Resource<Lookup>) -> Result<Resource<Pollable>> {
        subscribe(self.table, &lookup)
    }

    fn drop(&mut self, lookup: Resource<Lookup>) -> Result<()> {
        self.table.delete(lookup)?;
        Ok(())
    }
}
