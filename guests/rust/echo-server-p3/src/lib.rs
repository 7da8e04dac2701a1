//! `echo-server-p3 ADDRESS:PORT [CONNECTIONS [forward|copy]]`: sends every connection back what it receives: WASI 0.3.
//!
//! It says on standard output where it listens, serves all connections at once, and ends after so many, or never. With
//! `forward`, the default, what arrives is handed on without being looked at; with `copy` it goes through the guest.

use std::net::SocketAddr;

use console_p3::{Arguments, outcome, print};
use futures_util::StreamExt;
use wasip3::sockets::types::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
};
use wasip3::wit_bindgen::rt::async_support::{StreamReader, StreamResult, StreamWriter};

const BUFFER: usize = 16 * 1024;

struct Server;

impl wasip3::exports::cli::run::Guest for Server {
    async fn run() -> Result<(), ()> {
        outcome(serve().await).await
    }
}

async fn serve() -> Result<(), String> {
    let mut arguments = Arguments::new();
    let local: SocketAddr = arguments.next("address and port")?;
    let connections: usize = arguments.next_or("number of connections", usize::MAX)?;
    let copies = match arguments.next_or("mode", "forward".to_owned())?.as_str() {
        "forward" => false,
        "copy" => true,
        other => return Err(format!("`{other}` is neither `forward` nor `copy`")),
    };
    let failed = |what: &'static str| move |code: ErrorCode| format!("cannot {what}: {code:?}");
    let (family, local) = wasi_address(local);
    let listener = TcpSocket::create(family).map_err(failed("make a socket"))?;
    listener.bind(local).map_err(failed("bind"))?;
    // A hint only; with the usual one, some of many clients at once would have to try again.
    let _ = listener.set_listen_backlog_size(1024);
    let accepted = listener.listen().map_err(failed("listen"))?;
    let local = listener
        .get_local_address()
        .map_err(failed("tell its address"))?;
    print(format!("listening on {}\n", std_address(local)))
        .await
        .map_err(|code| format!("cannot write standard output: {code:?}"))?;
    futures_util::stream::unfold(accepted, async |mut accepted| {
        Some((accepted.next().await?, accepted))
    })
    .take(connections)
    .for_each_concurrent(None, |socket| async move {
        // A client that breaks its connection is its own affair.
        let _ = echo(&socket, copies).await;
    })
    .await;
    Ok(())
}

async fn echo(socket: &TcpSocket, copies: bool) -> Result<(), ErrorCode> {
    let (bytes, received) = socket.receive();
    if copies {
        let (writer, reader) = wasip3::wit_stream::new();
        let sent = socket.send(reader);
        copy(bytes, writer).await;
        sent.await?;
    } else {
        socket.send(bytes).await?;
    }
    received.await
}

async fn copy(mut from: StreamReader<u8>, mut to: StreamWriter<u8>) {
    let mut buffer = Vec::with_capacity(BUFFER);
    loop {
        let (result, bytes) = from.read(buffer).await;
        let unsent = to.write_all(bytes).await;
        if !unsent.is_empty() || result == StreamResult::Dropped {
            return;
        }
        buffer = unsent;
    }
}

fn wasi_address(address: SocketAddr) -> (IpAddressFamily, IpSocketAddress) {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            let address = (a, b, c, d);
            let port = v4.port();
            let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address });
            (IpAddressFamily::Ipv4, address)
        }
        SocketAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.ip().segments();
            let address = IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: v6.scope_id(),
            });
            (IpAddressFamily::Ipv6, address)
        }
    }
}

fn std_address(address: IpSocketAddress) -> SocketAddr {
    match address {
        IpSocketAddress::Ipv4(v4) => {
            let (a, b, c, d) = v4.address;
            ([a, b, c, d], v4.port).into()
        }
        IpSocketAddress::Ipv6(v6) => {
            let (a, b, c, d, e, f, g, h) = v6.address;
            ([a, b, c, d, e, f, g, h], v6.port).into()
        }
    }
}

wasip3::cli::command::export!(Server);
