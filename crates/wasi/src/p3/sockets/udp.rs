//! `udp-socket`.

use std::net::SocketAddr;

use tidegate::{Accessor, Resource, Result};

use super::super::bindings::wasi::sockets::types::{self, IpAddressFamily, IpSocketAddress};
use super::Answer;
use crate::io::Readiness;
use crate::net::{Datagram, Direction, ErrorCode, UdpSocket};
use crate::view::{Wasi, WasiCtxView};

/// A handle to a socket.
type Socket = Resource<UdpSocket>;

/// What an attempt came to.
enum Attempt<T> {
    Done(T),
    Wait(Readiness),
}

impl WasiCtxView<'_> {
    fn udp(&self, socket: &Socket) -> Answer<&UdpSocket> {
        Ok(self.table.get(socket)?)
    }

    fn try_send(
        &mut self,
        socket: &Socket,
        data: &[u8],
        remote: Option<SocketAddr>,
    ) -> Answer<Attempt<()>> {
        let socket = self.table.get_mut(socket)?;
        match socket.try_send(data, remote) {
            Ok(()) => Ok(Attempt::Done(())),
            Err(ErrorCode::WouldBlock) => Ok(Attempt::Wait(socket.ready_to_send())),
            Err(code) => Err(code.into()),
        }
    }

    fn try_receive(&mut self, socket: &Socket) -> Answer<Attempt<Datagram>> {
        let socket = self.udp(socket)?;
        match socket.try_receive() {
            Ok(datagram) => Ok(Attempt::Done(datagram)),
            Err(ErrorCode::WouldBlock) => Ok(Attempt::Wait(socket.ready_to_receive())),
            Err(code) => Err(code.into()),
        }
    }
}

impl types::HostUdpSocket<Wasi> for WasiCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> Answer<Socket> {
        let socket = UdpSocket::new(family.into(), self.ctx.network.clone())?;
        Ok(self.table.push(socket)?)
    }

    fn bind(&mut self, socket: Socket, local: IpSocketAddress) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.bind(local.into())?)
    }

    fn connect(&mut self, socket: Socket, remote: IpSocketAddress) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.connect(remote.into())?)
    }

    fn disconnect(&mut self, socket: Socket) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.disconnect()?)
    }

    async fn send<T: Send + 'static>(
        accessor: &Accessor<T, Wasi>,
        socket: Socket,
        data: Vec<u8>,
        remote: Option<IpSocketAddress>,
    ) -> Answer<()> {
        let remote = remote.map(SocketAddr::from);
        loop {
            match accessor.with(|mut access| access.get().try_send(&socket, &data, remote))?? {
                Attempt::Done(()) => return Ok(()),
                Attempt::Wait(ready) => ready.await,
            }
        }
    }

    async fn receive<T: Send + 'static>(
        accessor: &Accessor<T, Wasi>,
        socket: Socket,
    ) -> Answer<(Vec<u8>, IpSocketAddress)> {
        loop {
            match accessor.with(|mut access| access.get().try_receive(&socket))?? {
                Attempt::Done(datagram) => return Ok((datagram.data, datagram.remote.into())),
                Attempt::Wait(ready) => ready.await,
            }
        }
    }

    fn get_local_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.udp(&socket)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.udp(&socket)?.remote_address()?.into())
    }

    fn get_address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family().into())
    }

    fn get_unicast_hop_limit(&mut self, socket: Socket) -> Answer<u8> {
        Ok(self.udp(&socket)?.options().hop_limit()?)
    }

    fn set_unicast_hop_limit(&mut self, socket: Socket, value: u8) -> Answer<()> {
        Ok(self.udp(&socket)?.options().set_hop_limit(value)?)
    }

    fn get_receive_buffer_size(&mut self, socket: Socket) -> Answer<u64> {
        let options = self.udp(&socket)?.options();
        Ok(options.buffer_size(Direction::Receive)?)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        let options = self.udp(&socket)?.options();
        Ok(options.set_buffer_size(Direction::Receive, value)?)
    }

    fn get_send_buffer_size(&mut self, socket: Socket) -> Answer<u64> {
        let options = self.udp(&socket)?.options();
        Ok(options.buffer_size(Direction::Send)?)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        let options = self.udp(&socket)?.options();
        Ok(options.set_buffer_size(Direction::Send, value)?)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
