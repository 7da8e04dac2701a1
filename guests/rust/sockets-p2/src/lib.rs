//! Talks to itself over the loopback interface, by TCP and UDP, and looks up names: WASI 0.2.
//!
//! What it finds wrong it says on standard error, and fails.

use wasip2::cli::{stderr::get_stderr, stdout::get_stdout};
use wasip2::clocks::monotonic_clock;
use wasip2::io::poll::poll;
use wasip2::io::streams::StreamError;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use wasip2::sockets::tcp::{ShutdownType, TcpSocket};
use wasip2::sockets::tcp_create_socket::create_tcp_socket;
use wasip2::sockets::udp::{OutgoingDatagram, UdpSocket};
use wasip2::sockets::udp_create_socket::create_udp_socket;

type Answer<T> = Result<T, String>;

struct Sockets;

impl wasip2::exports::cli::run::Guest for Sockets {
    fn run() -> Result<(), ()> {
        match tcp().and_then(|()| udp()).and_then(|()| lookup()) {
            Ok(()) => {
                let _ = get_stdout().blocking_write_and_flush(b"sockets work\n");
                Ok(())
            }
            Err(reason) => {
                let reason = reason + "\n";
                let _ = get_stderr().blocking_write_and_flush(reason.as_bytes());
                Err(())
            }
        }
    }
}

/// Says where something went wrong.
fn at<T, E: std::fmt::Debug>(place: &str, result: Result<T, E>) -> Answer<T> {
    result.map_err(|error| format!("{place}: {error:?}"))
}

fn check(place: &str, holds: bool) -> Answer<()> {
    holds.then_some(()).ok_or_else(|| place.to_owned())
}

fn loopback(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (127, 0, 0, 1),
    })
}

fn port(address: IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(v4) => v4.port,
        IpSocketAddress::Ipv6(v6) => v6.port,
    }
}

/// More than all buffers on the way hold, so that the sender must wait.
const LONG: usize = 8 << 20;

fn tcp() -> Answer<()> {
    let network = instance_network();
    let listener = at("create", create_tcp_socket(IpAddressFamily::Ipv4))?;
    at("bind", listener.start_bind(&network, loopback(0)))?;
    at("bind", listener.finish_bind())?;
    at("listen", listener.start_listen())?;
    at("listen", listener.finish_listen())?;
    check("listens", listener.is_listening())?;
    let address = at("address", listener.local_address())?;
    check("nobody came yet", matches!(listener.accept(), Err(ErrorCode::WouldBlock)))?;

    let client = at("create", create_tcp_socket(IpAddressFamily::Ipv4))?;
    at("connect", client.start_connect(&network, address))?;
    let (client_in, client_out) = finish_connect(&client)?;
    listener.subscribe().block();
    let (server, server_in, server_out) = at("accept", listener.accept())?;
    check(
        "addresses meet",
        port(at("peer", server.remote_address())?) == port(at("own", client.local_address())?),
    )?;

    at("write", client_out.blocking_write_and_flush(b"flood"))?;
    check("read", at("read", server_in.blocking_read(100))? == b"flood")?;

    // One guest on both ends of a full connection: it must never wait for one end alone.
    let (mut sent, mut received) = (0, 0);
    let (can_write, can_read) = (server_out.subscribe(), client_in.subscribe());
    let piece: Vec<u8> = (0..65_536_usize).map(|n| (n % 251) as u8).collect();
    while received < LONG {
        let permit = at("permit", server_out.check_write())?.min((LONG - sent) as u64);
        if permit > 0 {
            let from = sent % 251;
            let len = piece.len() - 251;
            let len = len.min(permit as usize);
            at("write", server_out.write(&piece[from..from + len]))?;
            sent += len;
            continue;
        }
        let bytes = match client_in.read(1 << 20) {
            Ok(bytes) => bytes,
            Err(error) => return Err(format!("read after {received} bytes: {error:?}")),
        };
        if bytes.is_empty() {
            if sent < LONG {
                poll(&[&can_write, &can_read]);
            } else {
                can_read.block();
            }
        }
        for byte in bytes {
            check("bytes in order", usize::from(byte) == received % 251)?;
            received += 1;
        }
    }
    drop((can_write, can_read));

    at("shutdown", server.shutdown(ShutdownType::Send))?;
    check("the end", matches!(client_in.blocking_read(1), Err(StreamError::Closed)))?;
    check("closed output", matches!(server_out.check_write(), Err(StreamError::Closed)))?;
    drop((server_in, server_out, client_in, client_out));
    drop((server, client, listener));

    let lonely = at("create", create_tcp_socket(IpAddressFamily::Ipv4))?;
    let refused = match lonely.start_connect(&network, address) {
        Ok(()) => finish_connect(&lonely).err(),
        Err(error) => Some(format!("{error:?}")),
    };
    check(
        "nobody listens any more",
        refused.is_some_and(|text| text.contains("ConnectionRefused") || text.contains("connection-refused")),
    )
}

fn finish_connect(
    socket: &TcpSocket,
) -> Answer<(
    wasip2::io::streams::InputStream,
    wasip2::io::streams::OutputStream,
)> {
    loop {
        match socket.finish_connect() {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            result => return at("connect", result),
        }
    }
}

fn bound_udp() -> Answer<(UdpSocket, IpSocketAddress)> {
    let socket = at("create", create_udp_socket(IpAddressFamily::Ipv4))?;
    at("bind", socket.start_bind(&instance_network(), loopback(0)))?;
    at("bind", socket.finish_bind())?;
    let address = at("address", socket.local_address())?;
    Ok((socket, address))
}

fn udp() -> Answer<()> {
    let (left, left_address) = bound_udp()?;
    let (right, right_address) = bound_udp()?;
    let (_left_in, left_out) = at("stream", left.stream(None))?;
    let (right_in, right_out) = at("stream", right.stream(Some(left_address)))?;
    check("may send", at("permit", left_out.check_send())? >= 1)?;
    let datagram = OutgoingDatagram {
        data: b"ebb".to_vec(),
        remote_address: Some(right_address),
    };
    check("sent", at("send", left_out.send(&[datagram]))? == 1)?;

    // Whichever comes first: the datagram, or the end of patience.
    let patience = monotonic_clock::subscribe_duration(10_000_000_000);
    let arrival = right_in.subscribe();
    check("arrives in time", poll(&[&patience, &arrival]) == [1])?;
    let received = at("receive", right_in.receive(10))?;
    check("one datagram", received.len() == 1 && received[0].data == b"ebb")?;
    check(
        "from the sender",
        port(received[0].remote_address) == port(left_address),
    )?;
    check("may send", at("permit", right_out.check_send())? >= 1)?;
    let elsewhere = OutgoingDatagram {
        data: Vec::new(),
        remote_address: Some(right_address),
    };
    check(
        "not to others",
        matches!(right_out.send(&[elsewhere]), Err(ErrorCode::InvalidArgument)),
    )
}

fn lookup() -> Answer<()> {
    let network = instance_network();
    let first = |name: &str| -> Answer<Option<IpAddress>> {
        let found = at(name, resolve_addresses(&network, name))?;
        loop {
            match found.resolve_next_address() {
                Err(ErrorCode::WouldBlock) => found.subscribe().block(),
                result => return at(name, result),
            }
        }
    };
    check(
        "an address is its own",
        matches!(first("127.0.0.1")?, Some(IpAddress::Ipv4((127, 0, 0, 1)))),
    )?;
    check("localhost is found", first("localhost")?.is_some())?;
    check(
        "no name",
        matches!(resolve_addresses(&network, "no name"), Err(ErrorCode::InvalidArgument)),
    )
}

wasip2::cli::command::export!(Sockets);
