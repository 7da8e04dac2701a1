//! `tcp-socket`.

use tidegate::{Access, Accessor, FutureReader, Resource, Result, StreamReader};

use super::super::bindings::wasi::sockets::types::{self, IpAddressFamily, IpSocketAddress};
use super::super::stream::{self, Ending};
use super::Answer;
use super::arrivals::Arrivals;
use crate::io::{Flush, Kind, Output, Readiness, SharedOutput, Write};
use crate::net::{self, Connection, Direction, ErrorCode, TcpInput};
use crate::view::{Wasi, WasiCtxView};

/// A TCP socket, with the ends of its connection that the guest has not asked for yet. Each can be asked for once.
pub struct TcpSocket {
    socket: net::TcpSocket,
    input: Option<TcpInput>,
    output: Option<SharedOutput>,
}

impl TcpSocket {
    /// A socket of which nothing is known yet.
    fn unconnected(socket: net::TcpSocket) -> Self {
        Self {
            socket,
            input: None,
            output: None,
        }
    }

    pub(super) fn connected(socket: net::TcpSocket, connection: Connection) -> Self {
        let mut this = Self::unconnected(socket);
        this.take_ends(connection);
        this
    }

    fn take_ends(&mut self, connection: Connection) {
        self.input = Some(connection.input);
        self.output = Some(connection.output);
    }
}

/// A handle to a socket.
type Socket = Resource<TcpSocket>;

impl WasiCtxView<'_> {
    fn tcp(&self, socket: &Socket) -> Answer<&net::TcpSocket> {
        Ok(&self.table.get(socket)?.socket)
    }

    fn start_connecting(&mut self, socket: &Socket, remote: IpSocketAddress) -> Answer<()> {
        let socket = &mut self.table.get_mut(socket)?.socket;
        Ok(socket.start_connect(&self.ctx.network, remote.into())?)
    }

    /// Finishes connecting, or says what to wait for.
    fn finish_connecting(&mut self, socket: &Socket) -> Answer<Option<Readiness>> {
        let socket = self.table.get_mut(socket)?;
        match socket.socket.finish_connect(&self.ctx.drains) {
            Ok(connection) => {
                socket.take_ends(connection);
                Ok(None)
            }
            Err(ErrorCode::WouldBlock) => Ok(Some(socket.socket.ready())),
            Err(code) => Err(code.into()),
        }
    }
}

impl types::HostTcpSocket<Wasi> for WasiCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> Answer<Socket> {
        let socket = TcpSocket::unconnected(net::TcpSocket::new(family.into())?);
        Ok(self.table.push(socket)?)
    }

    fn bind(&mut self, socket: Socket, local: IpSocketAddress) -> Answer<()> {
        let socket = &mut self.table.get_mut(&socket)?.socket;
        Ok(socket.bind(&self.ctx.network, local.into())?)
    }

    async fn connect<T: Send + 'static>(
        accessor: &Accessor<T, Wasi>,
        socket: Socket,
        remote: IpSocketAddress,
    ) -> Answer<()> {
        accessor.with(|mut access| access.get().start_connecting(&socket, remote))??;
        while let Some(ready) =
            accessor.with(|mut access| access.get().finish_connecting(&socket))??
        {
            ready.await;
        }
        Ok(())
    }

    fn listen<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        socket: Socket,
    ) -> Answer<StreamReader<Socket>> {
        let getter = access.getter();
        let view = access.get();
        let listener = &mut view.table.get_mut(&socket)?.socket;
        let incoming = listener.listen(&view.ctx.network)?;
        let arrivals = Arrivals::new(incoming, view.ctx.drains.clone(), getter);
        Ok(StreamReader::new(access, arrivals)?)
    }

    fn send<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        socket: Socket,
        data: StreamReader<u8>,
    ) -> Result<FutureReader<Ending<types::ErrorCode>>> {
        let output = access.get().table.get_mut(&socket)?.output.take();
        let output = output.map(Sending).ok_or(types::ErrorCode::InvalidState);
        stream::write(access, data, output)
    }

    fn receive<T: Send + 'static>(
        mut access: Access<'_, T, Wasi>,
        socket: Socket,
    ) -> Result<(StreamReader<u8>, FutureReader<Ending<types::ErrorCode>>)> {
        let input = access.get().table.get_mut(&socket)?.input.take();
        let input = input.map(TcpInput::closing_when_dropped);
        stream::read(access, input.ok_or(types::ErrorCode::InvalidState))
    }

    fn get_local_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.tcp(&socket)?.local_address()?.into())
    }

    fn get_remote_address(&mut self, socket: Socket) -> Answer<IpSocketAddress> {
        Ok(self.tcp(&socket)?.remote_address()?.into())
    }

    fn get_is_listening(&mut self, socket: Socket) -> Result<bool> {
        Ok(self.table.get(&socket)?.socket.is_listening())
    }

    fn get_address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.socket.family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        let socket = &mut self.table.get_mut(&socket)?.socket;
        Ok(socket.set_listen_backlog_size(value)?)
    }

    fn get_keep_alive_enabled(&mut self, socket: Socket) -> Answer<bool> {
        Ok(self.tcp(&socket)?.keep_alive_enabled()?)
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, value: bool) -> Answer<()> {
        Ok(self.tcp(&socket)?.set_keep_alive_enabled(value)?)
    }

    fn get_keep_alive_idle_time(&mut self, socket: Socket) -> Answer<u64> {
        Ok(self.tcp(&socket)?.keep_alive_idle_time()?)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, value: u64) -> Answer<()> {
        Ok(self.tcp(&socket)?.set_keep_alive_idle_time(value)?)
    }

    fn get_keep_alive_interval(&mut self, socket: Socket) -> Answer<u64> {
        Ok(self.tcp(&socket)?.keep_alive_interval()?)
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, value: u64) -> Answer<()> {
        Ok(self.tcp(&socket)?.set_keep_alive_interval(value)?)
    }

    fn get_keep_alive_count(&mut self, socket: Socket) -> Answer<u32> {
        Ok(self.tcp(&socket)?.keep_alive_count()?)
    }

    fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> Answer<()> {
        Ok(self.tcp(&socket)?.set_keep_alive_count(value)?)
    }

    fn get_hop_limit(&mut self, socket: Socket) -> Answer<u8> {
        Ok(self.tcp(&socket)?.options().hop_limit()?)
    }

    fn set_hop_limit(&mut self, socket: Socket, value: u8) -> Answer<()> {
        Ok(self.tcp(&socket)?.options().set_hop_limit(value)?)
    }

    fn get_receive_buffer_size(&mut self, socket: Socket) -> Answer<u64> {
        let options = self.tcp(&socket)?.options();
        Ok(options.buffer_size(Direction::Receive)?)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        let options = self.tcp(&socket)?.options();
        Ok(options.set_buffer_size(Direction::Receive, value)?)
    }

    fn get_send_buffer_size(&mut self, socket: Socket) -> Answer<u64> {
        let options = self.tcp(&socket)?.options();
        Ok(options.buffer_size(Direction::Send)?)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> Answer<()> {
        let options = self.tcp(&socket)?.options();
        Ok(options.set_buffer_size(Direction::Send, value)?)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

/// The sending direction, which ends when its one stream does. (Other shared outputs are there for the next stream.)
struct Sending(SharedOutput);

impl Output for Sending {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        self.0.try_write(bytes)
    }

    fn try_flush(&mut self) -> Flush {
        self.0.try_flush()
    }

    fn close(&mut self) {
        SharedOutput::close(&self.0);
    }

    fn ready(&mut self) -> Readiness {
        self.0.ready()
    }

    fn kind(&self) -> Kind {
        self.0.kind()
    }
}
