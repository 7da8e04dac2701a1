//! `wasi:sockets/network` and `wasi:sockets/instance-network`.

use tidegate::{Resource, Result};

use super::super::bindings::wasi::sockets::{instance_network, network};
use crate::fault::{Fault, NetFault};
use crate::net::ErrorCode;
use crate::view::WasiCtxView;

/// The handle that stands for the network. What it allows is the policy of the guest's context.
#[derive(Debug)]
pub struct Network(());

impl instance_network::Host for WasiCtxView<'_> {
    fn instance_network(&mut self) -> Result<Resource<Network>> {
        Ok(self.table.push(Network(()))?)
    }
}

impl network::Host for WasiCtxView<'_> {
    fn network_error_code(
        &mut self,
        error: Resource<std::io::Error>,
    ) -> Result<Option<network::ErrorCode>> {
        let error = self.table.get(&error)?;
        Ok(ErrorCode::of_stream(error).map(network::ErrorCode::from))
    }

    fn convert_error_code(&mut self, fault: NetFault) -> Result<network::ErrorCode> {
        match fault {
            Fault::Error(code) => Ok(code.into()),
            Fault::Trap(trap) => Err(trap),
        }
    }
}

impl network::HostNetwork for WasiCtxView<'_> {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}
