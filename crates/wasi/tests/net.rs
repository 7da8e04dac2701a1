//! Sockets over the loopback interface.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_wasi::io::{Drains, InputStream, OutputStream, Readiness, StreamError, is_ready_now};
use tidegate_wasi::net::{
    Arrival, Connection, Direction, ErrorCode, Family, Incoming, OutgoingDatagram, Policy,
    SendError, ShutdownType, TcpSocket, UdpSocket,
};

async fn soon(readiness: Readiness) {
    tokio::time::timeout(Duration::from_secs(10), readiness)
        .await
        .expect("becomes ready");
}

fn loopback(family: Family) -> SocketAddr {
    match family {
        Family::Ipv4 => "127.0.0.1:0".parse().unwrap(),
        Family::Ipv6 => "[::1]:0".parse().unwrap(),
    }
}

fn listener(family: Family) -> TcpSocket {
    let mut socket = TcpSocket::new(family).unwrap();
    socket
        .start_bind(&Policy::everything(), loopback(family))
        .unwrap();
    socket.finish_bind().unwrap();
    socket.start_listen().unwrap();
    socket.finish_listen().unwrap();
    socket
}

async fn connect(to: SocketAddr) -> Result<(TcpSocket, Connection), ErrorCode> {
    let mut socket = TcpSocket::new(Family::of(&to.ip()))?;
    socket.start_connect(&Policy::everything(), to)?;
    loop {
        match socket.finish_connect(&Drains::default()) {
            Err(ErrorCode::WouldBlock) => soon(socket.ready()).await,
            answer => return answer.map(|connection| (socket, connection)),
        }
    }
}

struct Pair {
    client: (TcpSocket, InputStream, OutputStream),
    server: (TcpSocket, InputStream, OutputStream),
}

async fn pair() -> Pair {
    let mut listener = listener(Family::Ipv4);
    assert_eq!(
        listener.accept(&Drains::default()).err(),
        Some(ErrorCode::WouldBlock)
    );
    let client = connect(listener.local_address().unwrap()).await.unwrap();
    soon(listener.ready()).await;
    let server = listener.accept(&Drains::default()).unwrap();
    let streams = |(socket, connection): (TcpSocket, Connection)| {
        (
            socket,
            InputStream::new(connection.input),
            OutputStream::new(connection.output),
        )
    };
    Pair {
        client: streams(client),
        server: streams(server),
    }
}

#[tokio::test]
async fn bytes_cross_a_connection_both_ways_and_the_end_follows() {
    let mut pair = pair().await;
    pair.client
        .2
        .blocking_write_and_flush(b"ping")
        .await
        .unwrap();
    assert_eq!(pair.server.1.blocking_read(10).await.unwrap(), b"ping");
    pair.server
        .2
        .blocking_write_and_flush(b"pong")
        .await
        .unwrap();
    assert_eq!(pair.client.1.blocking_read(10).await.unwrap(), b"pong");
    assert_eq!(
        pair.client.0.local_address().unwrap(),
        pair.server.0.remote_address().unwrap()
    );
    drop(pair.client);
    assert!(matches!(
        pair.server.1.blocking_read(10).await,
        Err(StreamError::Closed)
    ));
}

#[tokio::test]
async fn slow_receiver_holds_the_sender_back_and_nothing_is_lost() {
    let mut pair = pair().await;
    let mut sent: u64 = 0;
    let mut byte = 0u8;
    while sent < 64 << 20 {
        let permit = pair.client.2.check_write().unwrap();
        if permit == 0 {
            break;
        }
        let chunk: Vec<u8> = (0..permit)
            .map(|_| {
                byte = byte.wrapping_add(1);
                byte
            })
            .collect();
        pair.client.2.write(&chunk).unwrap();
        sent += permit;
    }
    assert!(!is_ready_now(&mut pair.client.2.ready()));
    pair.client.0.shutdown(ShutdownType::Send).unwrap();
    let mut received: u64 = 0;
    let mut expected = 0u8;
    loop {
        match pair.server.1.blocking_read(u64::MAX).await {
            Ok(bytes) => {
                for found in &bytes {
                    expected = expected.wrapping_add(1);
                    assert_eq!(*found, expected);
                }
                received += bytes.len() as u64;
            }
            Err(StreamError::Closed) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn shutdown_closes_the_streams_and_may_be_repeated() {
    let mut pair = pair().await;
    pair.server
        .2
        .blocking_write_and_flush(b"unread")
        .await
        .unwrap();
    soon(pair.client.1.ready()).await;
    for _ in 0..2 {
        pair.client.0.shutdown(ShutdownType::Receive).unwrap();
        assert!(matches!(pair.client.1.read(10), Err(StreamError::Closed)));
    }
    for _ in 0..2 {
        pair.client.0.shutdown(ShutdownType::Both).unwrap();
        assert!(matches!(
            pair.client.2.check_write(),
            Err(StreamError::Closed)
        ));
    }
    assert!(matches!(
        pair.server.1.blocking_read(1).await,
        Err(StreamError::Closed)
    ));
    assert_eq!(
        listener(Family::Ipv4).shutdown(ShutdownType::Both),
        Err(ErrorCode::InvalidState)
    );
}

#[tokio::test]
async fn nobody_listening_is_a_refusal_and_closes_the_socket() {
    let free = listener(Family::Ipv4).local_address().unwrap();
    let mut socket = TcpSocket::new(Family::Ipv4).unwrap();
    let mut answer = socket.start_connect(&Policy::everything(), free);
    while answer.is_ok() || answer == Err(ErrorCode::WouldBlock) {
        soon(socket.ready()).await;
        answer = socket.finish_connect(&Drains::default()).map(drop);
    }
    assert_eq!(answer, Err(ErrorCode::ConnectionRefused));
    assert_eq!(
        socket.start_connect(&Policy::everything(), free),
        Err(ErrorCode::InvalidState)
    );
    assert_eq!(
        socket.finish_connect(&Drains::default()).err(),
        Some(ErrorCode::NotInProgress)
    );
    assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
}

#[tokio::test]
async fn reset_by_the_peer_is_reported_once_with_its_code() {
    let mut pair = pair().await;
    pair.client.2.blocking_write_and_flush(b"x").await.unwrap();
    soon(pair.server.1.ready()).await;
    // Closing with unread bytes resets the connection.
    drop(pair.server);
    match pair.client.1.blocking_read(1).await {
        Err(StreamError::LastOperationFailed(error)) => assert_eq!(
            ErrorCode::of_stream(&error),
            Some(ErrorCode::ConnectionReset)
        ),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        pair.client.1.blocking_read(1).await,
        Err(StreamError::Closed)
    ));
}

#[test]
fn tcp_operations_in_the_wrong_state_are_refused() {
    let all = &Policy::everything();
    let mut socket = TcpSocket::new(Family::Ipv4).unwrap();
    assert_eq!(socket.finish_bind(), Err(ErrorCode::NotInProgress));
    assert_eq!(socket.finish_listen(), Err(ErrorCode::NotInProgress));
    assert_eq!(socket.start_listen(), Err(ErrorCode::InvalidState));
    assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
    assert_eq!(socket.remote_address(), Err(ErrorCode::InvalidState));
    socket.start_bind(all, loopback(Family::Ipv4)).unwrap();
    assert_eq!(
        socket.start_bind(all, loopback(Family::Ipv4)),
        Err(ErrorCode::ConcurrencyConflict)
    );
    assert_eq!(socket.start_listen(), Err(ErrorCode::ConcurrencyConflict));
    socket.finish_bind().unwrap();
    assert_eq!(
        socket.start_bind(all, loopback(Family::Ipv4)),
        Err(ErrorCode::InvalidState)
    );
    assert_eq!(
        socket.accept(&Drains::default()).err(),
        Some(ErrorCode::InvalidState)
    );
    socket.start_listen().unwrap();
    assert!(!socket.is_listening());
    socket.finish_listen().unwrap();
    assert!(socket.is_listening());
    assert_eq!(
        socket.start_connect(all, "127.0.0.1:9".parse().unwrap()),
        Err(ErrorCode::InvalidState)
    );
}

#[test]
fn addresses_that_make_no_sense_are_invalid() {
    let all = &Policy::everything();
    let mut v4 = TcpSocket::new(Family::Ipv4).unwrap();
    let mut v6 = TcpSocket::new(Family::Ipv6).unwrap();
    for address in ["[::1]:0", "224.0.0.1:0", "255.255.255.255:0"] {
        assert_eq!(
            v4.start_bind(all, address.parse().unwrap()),
            Err(ErrorCode::InvalidArgument)
        );
    }
    assert_eq!(
        v6.start_bind(all, "[::ffff:127.0.0.1]:0".parse().unwrap()),
        Err(ErrorCode::InvalidArgument)
    );
    for address in ["0.0.0.0:80", "127.0.0.1:0", "224.0.0.1:80", "[::1]:80"] {
        assert_eq!(
            v4.start_connect(all, address.parse().unwrap()),
            Err(ErrorCode::InvalidArgument)
        );
    }
    assert_eq!(
        v4.start_bind(all, "192.0.2.1:0".parse().unwrap()),
        Err(ErrorCode::AddressNotBindable)
    );
    let taken = listener(Family::Ipv4);
    assert_eq!(
        v4.start_bind(all, taken.local_address().unwrap()),
        Err(ErrorCode::AddressInUse)
    );
    v4.start_bind(all, loopback(Family::Ipv4)).unwrap();
}

#[test]
fn policy_decides_before_the_host_is_asked() {
    let nothing = &Policy::nothing();
    let mut socket = TcpSocket::new(Family::Ipv4).unwrap();
    assert_eq!(
        socket.start_bind(nothing, loopback(Family::Ipv4)),
        Err(ErrorCode::AccessDenied)
    );
    assert_eq!(
        socket.start_connect(nothing, "127.0.0.1:9".parse().unwrap()),
        Err(ErrorCode::AccessDenied)
    );
    let mut udp = UdpSocket::new(Family::Ipv4, Policy::nothing()).unwrap();
    assert_eq!(
        udp.start_bind(loopback(Family::Ipv4)),
        Err(ErrorCode::AccessDenied)
    );
}

#[test]
fn options_keep_what_is_set_and_refuse_zero() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut socket = TcpSocket::new(family).unwrap();
        let invalid = Err(ErrorCode::InvalidArgument);
        assert_eq!(socket.set_listen_backlog_size(0), invalid);
        assert_eq!(socket.set_keep_alive_idle_time(0), invalid);
        assert_eq!(socket.set_keep_alive_interval(0), invalid);
        assert_eq!(socket.set_keep_alive_count(0), invalid);
        assert_eq!(socket.options().set_hop_limit(0), invalid);
        for direction in [Direction::Receive, Direction::Send] {
            assert_eq!(socket.options().set_buffer_size(direction, 0), invalid);
            socket
                .options()
                .set_buffer_size(direction, u64::MAX)
                .unwrap();
            socket
                .options()
                .set_buffer_size(direction, 0x10000)
                .unwrap();
            assert_eq!(socket.options().buffer_size(direction), Ok(0x10000));
        }
        socket.set_listen_backlog_size(u64::MAX).unwrap();
        socket.set_keep_alive_enabled(true).unwrap();
        assert_eq!(socket.keep_alive_enabled(), Ok(true));
        socket.set_keep_alive_idle_time(1).unwrap();
        assert_eq!(socket.keep_alive_idle_time(), Ok(1_000_000_000));
        socket.set_keep_alive_idle_time(u64::MAX).unwrap();
        socket.set_keep_alive_interval(2_000_000_000).unwrap();
        assert_eq!(socket.keep_alive_interval(), Ok(2_000_000_000));
        socket.set_keep_alive_interval(u64::MAX).unwrap();
        socket.set_keep_alive_count(3).unwrap();
        assert_eq!(socket.keep_alive_count(), Ok(3));
        socket.set_keep_alive_count(u32::MAX).unwrap();
        socket.options().set_hop_limit(42).unwrap();
        assert_eq!(socket.options().hop_limit(), Ok(42));
    }
}

#[tokio::test]
async fn accepted_sockets_inherit_the_listeners_options() {
    let mut listener = listener(Family::Ipv4);
    listener.set_keep_alive_enabled(true).unwrap();
    listener.set_keep_alive_count(5).unwrap();
    listener.options().set_hop_limit(42).unwrap();
    let _client = connect(listener.local_address().unwrap()).await.unwrap();
    soon(listener.ready()).await;
    let (accepted, _connection) = listener.accept(&Drains::default()).unwrap();
    assert_eq!(accepted.keep_alive_enabled(), Ok(true));
    assert_eq!(accepted.keep_alive_count(), Ok(5));
    assert_eq!(accepted.options().hop_limit(), Ok(42));
}

fn bound(family: Family) -> UdpSocket {
    let mut socket = UdpSocket::new(family, Policy::everything()).unwrap();
    assert_eq!(socket.finish_bind(), Err(ErrorCode::NotInProgress));
    assert_eq!(socket.stream(None).err(), Some(ErrorCode::InvalidState));
    socket.start_bind(loopback(family)).unwrap();
    assert_eq!(
        socket.start_bind(loopback(family)),
        Err(ErrorCode::ConcurrencyConflict)
    );
    socket.finish_bind().unwrap();
    assert_eq!(
        socket.start_bind(loopback(family)),
        Err(ErrorCode::InvalidState)
    );
    socket
}

fn datagram(data: &[u8], remote: Option<SocketAddr>) -> OutgoingDatagram {
    OutgoingDatagram {
        data: data.to_vec(),
        remote,
    }
}

#[tokio::test]
async fn datagrams_arrive_whole_with_their_sender() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let (mut left, mut right) = (bound(family), bound(family));
        let (left_address, right_address) = (
            left.local_address().unwrap(),
            right.local_address().unwrap(),
        );
        let (_, mut send) = left.stream(None).unwrap();
        let (mut receive, _) = right.stream(None).unwrap();
        assert_eq!(receive.receive(9).unwrap(), []);
        assert!(!is_ready_now(&mut receive.ready()));
        assert!(send.check_send().unwrap() >= 2);
        let both = [
            datagram(b"one", Some(right_address)),
            datagram(b"", Some(right_address)),
        ];
        assert_eq!(send.send(&both).unwrap(), 2);
        soon(receive.ready()).await;
        assert_eq!(receive.receive(0).unwrap(), []);
        let first = receive.receive(1).unwrap();
        assert_eq!(first[0].data, b"one");
        assert_eq!(first[0].remote, left_address);
        soon(receive.ready()).await;
        assert_eq!(receive.receive(9).unwrap()[0].data, b"");
    }
}

#[tokio::test]
async fn one_peer_means_nobody_else_is_heard_or_sent_to() {
    let family = Family::Ipv4;
    let (mut server, mut friend, mut stranger) = (bound(family), bound(family), bound(family));
    let server_address = server.local_address().unwrap();
    let friend_address = friend.local_address().unwrap();
    let (_, mut stranger_out) = stranger.stream(None).unwrap();
    stranger_out.check_send().unwrap();
    // Sent before the server chose its peer, so the kernel has queued it.
    stranger_out
        .send(&[datagram(b"spam", Some(server_address))])
        .unwrap();
    let (mut receive, mut send) = server.stream(Some(friend_address)).unwrap();
    assert_eq!(server.remote_address(), Ok(friend_address));
    let (mut friend_in, mut friend_out) = friend.stream(Some(server_address)).unwrap();
    friend_out.check_send().unwrap();
    friend_out.send(&[datagram(b"hello", None)]).unwrap();
    let mut heard = Vec::new();
    while heard.is_empty() {
        soon(receive.ready()).await;
        heard = receive.receive(9).unwrap();
    }
    assert_eq!(heard[0].data, b"hello");
    send.check_send().unwrap();
    assert_eq!(
        send.send(&[datagram(b"x", Some(stranger.local_address().unwrap()))]),
        Err(SendError::Code(ErrorCode::InvalidArgument))
    );
    assert_eq!(
        send.send(&[datagram(b"hi", Some(friend_address))]).unwrap(),
        1
    );
    soon(friend_in.ready()).await;
    assert_eq!(friend_in.receive(1).unwrap()[0].data, b"hi");
}

#[test]
fn sending_needs_a_permit_and_sensible_addresses() {
    let mut socket = bound(Family::Ipv4);
    let own = socket.local_address().unwrap();
    let (_, mut send) = socket.stream(None).unwrap();
    assert_eq!(send.send(&[]), Ok(0));
    assert!(matches!(
        send.send(&[datagram(b"x", Some(own))]),
        Err(SendError::BeyondPermit {
            count: 1,
            permit: 0
        })
    ));
    for remote in [
        None,
        Some("127.0.0.1:0"),
        Some("0.0.0.0:9"),
        Some("[::1]:9"),
    ] {
        send.check_send().unwrap();
        let remote = remote.map(|text| text.parse().unwrap());
        assert_eq!(
            send.send(&[datagram(b"x", remote)]),
            Err(SendError::Code(ErrorCode::InvalidArgument))
        );
    }
    send.check_send().unwrap();
    let huge = vec![0; 70_000];
    assert_eq!(
        send.send(&[datagram(&huge, Some(own))]),
        Err(SendError::Code(ErrorCode::DatagramTooLarge))
    );
    send.check_send().unwrap();
    assert_eq!(
        send.send(&[datagram(b"x", Some(own)), datagram(&huge, Some(own))]),
        Ok(1)
    );
}

#[test]
fn older_streams_of_a_socket_stop_working() {
    let mut socket = bound(Family::Ipv4);
    let (mut receive, mut send) = socket.stream(None).unwrap();
    let _newer = socket.stream(None).unwrap();
    assert_eq!(receive.receive(1), Err(ErrorCode::InvalidState));
    assert_eq!(send.check_send(), Err(ErrorCode::InvalidState));
    assert!(is_ready_now(&mut receive.ready()));
}

async fn next(incoming: &Incoming) -> (TcpSocket, Connection) {
    loop {
        match incoming.next(&Drains::default()).unwrap() {
            Arrival::Connection(socket, connection) => return (socket, connection),
            Arrival::Wait(ready) => soon(ready).await,
        }
    }
}

#[tokio::test]
async fn listening_binds_by_itself_and_connections_come_after_the_socket_is_gone() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut listener = TcpSocket::new(family).unwrap();
        assert_eq!(listener.listening().err(), Some(ErrorCode::InvalidState));
        let incoming = listener.listen(&Policy::everything()).unwrap();
        assert!(listener.is_listening());
        assert_eq!(
            listener.listen(&Policy::everything()).err(),
            Some(ErrorCode::InvalidState)
        );
        let mut to = loopback(family);
        to.set_port(listener.local_address().unwrap().port());
        drop(listener);
        assert!(matches!(
            incoming.next(&Drains::default()),
            Ok(Arrival::Wait(_))
        ));
        let (client, _ends) = connect(to).await.unwrap();
        let (accepted, _its_ends) = next(&incoming).await;
        assert_eq!(accepted.remote_address(), client.local_address());
    }
}

#[test]
fn listening_unbound_needs_permission_to_bind() {
    let mut listener = TcpSocket::new(Family::Ipv4).unwrap();
    let connects_only = Policy::nothing().allow_connect("*".parse().unwrap());
    assert_eq!(
        listener.listen(&connects_only).err(),
        Some(ErrorCode::AccessDenied)
    );
}

#[tokio::test]
async fn port_of_the_hosts_choice_can_be_bound_again_while_its_connections_end() {
    let mut first = TcpSocket::new(Family::Ipv4).unwrap();
    let anywhere = loopback(Family::Ipv4);
    first.bind(&Policy::everything(), anywhere).unwrap();
    let incoming = first.listen(&Policy::everything()).unwrap();
    let local = first.local_address().unwrap();
    let _client = connect(local).await.unwrap();
    // The side that closes first keeps the port.
    drop((next(&incoming).await, incoming, first));
    let mut second = TcpSocket::new(Family::Ipv4).unwrap();
    second.bind(&Policy::everything(), local).unwrap();
    second.listen(&Policy::everything()).unwrap();
}

#[tokio::test]
async fn dropping_the_receiving_end_shuts_it_down_where_that_is_wanted() {
    let incoming = listener(Family::Ipv4);
    let (_client, ends) = connect(incoming.local_address().unwrap()).await.unwrap();
    let (server, its_ends) = next(&incoming.listening().unwrap()).await;
    let mut other = InputStream::new(its_ends.input.closing_when_dropped());
    assert!(!is_ready_now(&mut other.ready()));
    drop(other);
    // The kernel answers whatever still comes; what matters is that sending goes on.
    let mut back = InputStream::new(ends.input);
    let mut out = OutputStream::new(its_ends.output);
    out.blocking_write_and_flush(b"still here").await.unwrap();
    soon(back.ready()).await;
    assert_eq!(back.read(99).unwrap(), b"still here");
    drop(server);
}

#[tokio::test]
async fn datagrams_one_at_a_time_bind_and_connect_by_themselves() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let mut client = UdpSocket::new(family, Policy::everything()).unwrap();
        assert_eq!(client.try_receive(), Err(ErrorCode::InvalidState));
        assert_eq!(client.try_send(b"x", None), Err(ErrorCode::InvalidArgument));
        assert_eq!(client.local_address(), Err(ErrorCode::InvalidState));
        let server = bound(family);
        let to = server.local_address().unwrap();
        assert_eq!(server.try_receive(), Err(ErrorCode::WouldBlock));
        client.try_send(b"one", Some(to)).unwrap();
        assert!(client.local_address().is_ok());
        assert!(client.remote_address().is_err());
        soon(server.ready_to_receive()).await;
        assert_eq!(server.try_receive().unwrap().data, b"one");

        client.connect(to).unwrap();
        let mut elsewhere = to;
        elsewhere.set_port(to.port() ^ 1);
        assert_eq!(
            client.try_send(b"x", Some(elsewhere)),
            Err(ErrorCode::InvalidArgument)
        );
        soon(client.ready_to_send()).await;
        client.try_send(b"two", None).unwrap();
        client.try_send(b"three", Some(to)).unwrap();
        for data in [&b"two"[..], b"three"] {
            soon(server.ready_to_receive()).await;
            let datagram = server.try_receive().unwrap();
            assert_eq!(datagram.data, data);
            assert_eq!(datagram.remote, client.local_address().unwrap());
        }
    }
}

#[test]
fn leaving_a_peer_keeps_the_port() {
    let mut socket = UdpSocket::new(Family::Ipv4, Policy::everything()).unwrap();
    assert_eq!(socket.disconnect(), Err(ErrorCode::InvalidState));
    socket.connect("127.0.0.1:9".parse().unwrap()).unwrap();
    let port = socket.local_address().unwrap().port();
    assert_ne!(port, 0);
    socket.connect("127.0.0.1:10".parse().unwrap()).unwrap();
    assert_eq!(socket.remote_address(), Ok("127.0.0.1:10".parse().unwrap()));
    assert_eq!(socket.local_address().unwrap().port(), port);
    socket.disconnect().unwrap();
    assert_eq!(socket.local_address().unwrap().port(), port);
    assert!(socket.remote_address().is_err());
    let _streams = socket.stream(Some("127.0.0.1:9".parse().unwrap())).unwrap();
    let _streams = socket.stream(None).unwrap();
    assert_eq!(socket.local_address().unwrap().port(), port);
}

#[test]
fn policy_decides_about_single_datagrams_before_anything_is_bound() {
    let policy = Policy::nothing().allow_connect("127.0.0.1:9".parse().unwrap());
    let mut socket = UdpSocket::new(Family::Ipv4, policy).unwrap();
    let forbidden = "127.0.0.1:10".parse().unwrap();
    assert_eq!(
        socket.try_send(b"x", Some(forbidden)),
        Err(ErrorCode::AccessDenied)
    );
    assert_eq!(socket.connect(forbidden), Err(ErrorCode::AccessDenied));
    assert!(socket.local_address().is_err());
    let allowed = "127.0.0.1:9".parse().unwrap();
    socket.try_send(b"x", Some(allowed)).unwrap();
}
