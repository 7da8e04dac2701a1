//! `wasi:sockets/udp` and `wasi:sockets/udp-create-socket`.

use std::net::SocketAddr;

use tidegate::{Resource, Result};

use super::super::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::super::bindings::wasi::sockets::{udp, udp_create_socket};
use super::super::poll::{Pollable, subscribe};
use super::{Answer, Network};
use crate::net::{Direction, IncomingDatagrams, OutgoingDatagram, OutgoingDatagrams, UdpSocket};
use crate::view::WasiCtxView;

type Socket = Resource<UdpSocket>;

impl udp_create_socket::Host for WasiCtxView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> Answer<Socket> {
        let socket = UdpSocket::new(family.into(), self.ctx.network.clone())?;
        Ok(self.table.push(socket)?)
    }
}

impl udp::Host for WasiCtxView<'_> {}

impl udp::HostUdpSocket for WasiCtxView<'_> {
    fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> Answer<()> {
        self.table.get(&network)?;
        Ok(self.table.get_mut(&socket)?.start_bind(local.into())?)
    }

    fn finish_bind(&mut self, socket: Socket) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.finish_bind()?)
    }

    fn stream(
        &mut self,
        socket: Socket,
        remote: Option<IpSocketAddress>,
    ) -> Answer<(Resource<IncomingDatagrams>, Resource<OutgoingDatagrams>)> {
        let socket = self.table.get_mut(&socket)?;
        let (incoming, outgoing) = socket.stream(remote.map(SocketAddr::from))?;
        Ok((self.table.push(incoming)?, self.table.push(outgoing)?))
    }

    fn local_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.table.get(&socket)?.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.table.get(&socket)?.remote_address()?.into())
    }

    fn address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family().into())
    }

    fn unicast_hop_limit(&mut self, socket: Socket) -> Answer<u8> {
        Ok(self.table.get(&socket)?.options().hop_limit()?)
    }

    fn set_unicast_hop_limit(&mut self, socket: Socket, value: u8) -> Answer<()> {
        Ok(self.table.get(&socket)?.options().set_hop_limit(value)?)
    }

    fn receive_buffer_size(&mut self, socket: Socket) -> Answer<u64> {
        let options = self.table.get(&socket)?.options();
        Ok(options.buffer_size(Direction::Receive)?)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        let options = self.table.get(&socket)?.options();
        Ok(options.set_buffer_size(Direction::Receive, value)?)
    }

    fn send_buffer_size(&mut self, socket: Socket) -> Answer<u64> {
        let options = self.table.get(&socket)?.options();
        Ok(options.buffer_size(Direction::Send)?)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        let options = self.table.get(&socket)?.options();
        Ok(options.set_buffer_size(Direction::Send, value)?)
    }

    fn subscribe(&mut self, socket: Socket) -> Result<Resource<Pollable>> {
        subscribe(self.table, &socket)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

impl udp::HostIncomingDatagramStream for WasiCtxView<'_> {
    fn receive(
        &mut self,
        stream: Resource<IncomingDatagrams>,
        max_results: u64,
    ) -> Answer<Vec<udp::IncomingDatagram>> {
        let received = self.table.get_mut(&stream)?.receive(max_results)?;
        let datagrams = received.into_iter().map(|datagram| udp::IncomingDatagram {
            data: datagram.data,
            remote_address: datagram.remote.into(),
        });
        Ok(datagrams.collect())
    }

    fn subscribe(&mut self, stream: Resource<IncomingDatagrams>) -> Result<Resource<Pollable>> {
        subscribe(self.table, &stream)
    }

    fn drop(&mut self, stream: Resource<IncomingDatagrams>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl udp::HostOutgoingDatagramStream for WasiCtxView<'_> {
    fn check_send(&mut self, stream: Resource<OutgoingDatagrams>) -> Answer<u64> {
        Ok(self.table.get_mut(&stream)?.check_send()?)
    }

    fn send(
        &mut self,
        stream: Resource<OutgoingDatagrams>,
        datagrams: Vec<udp::OutgoingDatagram>,
    ) -> Answer<u64> {
        let datagrams: Vec<_> = datagrams
            .into_iter()
            .map(|datagram| OutgoingDatagram {
                data: datagram.data,
                remote: datagram.remote_address.map(SocketAddr::from),
            })
            .collect();
        Ok(self.table.get_mut(&stream)?.send(&datagrams)?)
    }

    fn subscribe(&mut self, stream: Resource<OutgoingDatagrams>) -> Result<Resource<Pollable>> {
        subscribe(self.table, &stream)
    }

    fn drop(&mut self, stream: Resource<OutgoingDatagrams>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
