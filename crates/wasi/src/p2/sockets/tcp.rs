//! `wasi:sockets/tcp` and `wasi:sockets/tcp-create-socket`.

use tidegate::{Resource, Result};

use super::super::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::super::bindings::wasi::sockets::{tcp, tcp_create_socket};
use super::super::poll::{Pollable, subscribe};
use super::{Answer, Network};
use crate::fault::NetFault;
use crate::io::{InputStream, OutputStream};
use crate::net::{Connection, Direction, TcpSocket};
use crate::view::WasiCtxView;

type Socket = Resource<TcpSocket>;

impl WasiCtxView<'_> {
    fn push_connection(
        &mut self,
        connection: Connection,
    ) -> Answer<(Resource<InputStream>, Resource<OutputStream>)> {
        let input = self.table.push(InputStream::new(connection.input))?;
        let output = self
            .push_output(connection.output)
            .map_err(NetFault::Trap)?;
        Ok((input, output))
    }
}

impl tcp_create_socket::Host for WasiCtxView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Answer<Socket> {
        Ok(self.table.push(TcpSocket::new(family.into())?)?)
    }
}

impl tcp::Host for WasiCtxView<'_> {}

impl tcp::HostTcpSocket for WasiCtxView<'_> {
    fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        local: IpSocketAddress,
    ) -> Answer<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&socket)?;
        Ok(socket.start_bind(&self.ctx.network, local.into())?)
    }

    fn finish_bind(&mut self, socket: Socket) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.finish_bind()?)
    }

    fn start_connect(
        &mut self,
        socket: Socket,
        network: Resource<Network>,
        remote: IpSocketAddress,
    ) -> Answer<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&socket)?;
        Ok(socket.start_connect(&self.ctx.network, remote.into())?)
    }

    fn finish_connect(
        &mut self,
        socket: Socket,
    ) -> Answer<(Resource<InputStream>, Resource<OutputStream>)> {
        let socket = self.table.get_mut(&socket)?;
        let connection = socket.finish_connect(&self.ctx.drains)?;
        self.push_connection(connection)
    }

    fn start_listen(&mut self, socket: Socket) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.start_listen()?)
    }

    fn finish_listen(&mut self, socket: Socket) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.finish_listen()?)
    }

    fn accept(
        &mut self,
        socket: Socket,
    ) -> Answer<(Socket, Resource<InputStream>, Resource<OutputStream>)> {
        let listener = self.table.get_mut(&socket)?;
        let (accepted, connection) = listener.accept(&self.ctx.drains)?;
        let accepted = self.table.push(accepted)?;
        let (input, output) = self.push_connection(connection)?;
        Ok((accepted, input, output))
    }

    fn local_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.table.get(&socket)?.local_address()?.into())
    }

    fn remote_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.table.get(&socket)?.remote_address()?.into())
    }

    fn is_listening(&mut self, socket: Socket) -> Result<bool> {
        Ok(self.table.get(&socket)?.is_listening())
    }

    fn address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        Ok(self
            .table
            .get_mut(&socket)?
            .set_listen_backlog_size(value)?)
    }

    fn keep_alive_enabled(&mut self, socket: Socket) -> Answer<bool> {
        Ok(self.table.get(&socket)?.keep_alive_enabled()?)
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, value: bool) -> Answer<()> {
        Ok(self.table.get(&socket)?.set_keep_alive_enabled(value)?)
    }

    fn keep_alive_idle_time(&mut self, socket: Socket) -> Answer<u64> {
        Ok(self.table.get(&socket)?.keep_alive_idle_time()?)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, value: u64) -> Answer<()> {
        Ok(self.table.get(&socket)?.set_keep_alive_idle_time(value)?)
    }

    fn keep_alive_interval(&mut self, socket: Socket) -> Answer<u64> {
        Ok(self.table.get(&socket)?.keep_alive_interval()?)
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, value: u64) -> Answer<()> {
        Ok(self.table.get(&socket)?.set_keep_alive_interval(value)?)
    }

    fn keep_alive_count(&mut self, socket: Socket) -> Answer<u32> {
        Ok(self.table.get(&socket)?.keep_alive_count()?)
    }

    fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> Answer<()> {
        Ok(self.table.get(&socket)?.set_keep_alive_count(value)?)
    }

    fn hop_limit(&mut self, socket: Socket) -> Answer<u8> {
        Ok(self.table.get(&socket)?.options().hop_limit()?)
    }

    fn set_hop_limit(&mut self, socket: Socket, value: u8) -> Answer<()> {
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

    fn shutdown(&mut self, socket: Socket, which: tcp::ShutdownType) -> Answer<()> {
        Ok(self.table.get_mut(&socket)?.shutdown(which.into())?)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
