//! Sockets that listen and sockets they accept.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;

/// A guest with a listening socket, its descriptor, and a peer that is connected.
fn connected() -> (Guest, u32, u32, TcpStream) {
    let mut guest = Guest::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = guest.host.listen(listener).unwrap();
    assert_eq!(listener, 5, "after the preopens");
    let peer = TcpStream::connect(address).unwrap();
    call!(guest, sock_accept(listener, 0, OUT)).unwrap();
    let socket = guest.get_u32(OUT);
    (guest, listener, socket, peer)
}

fn recv(guest: &mut Guest, fd: u32, len: u32, flags: u32) -> Result<Vec<u8>, Errno> {
    let count = guest.iovecs(&[(DATA, len / 2), (DATA + len / 2, len - len / 2)]);
    call!(guest, sock_recv(fd, LIST, count, flags, OUT, OUT + 4))?;
    assert_eq!(guest.get_u16(OUT + 4), 0);
    let received = guest.get_u32(OUT);
    Ok(guest.get(DATA, received as usize).to_vec())
}

#[test]
fn accepted_socket_sends_and_receives() {
    let (mut guest, _, socket, mut peer) = connected();
    assert_eq!(guest.fdstat(socket).unwrap().0, filetype::SOCKET_STREAM);
    peer.write_all(b"hello").unwrap();
    assert_eq!(
        recv(&mut guest, socket, 2, 1).unwrap(),
        b"h",
        "peeked, first buffer only"
    );
    assert_eq!(recv(&mut guest, socket, 100, 0).unwrap(), b"hello");
    guest.put(DATA, b"answer");
    let count = guest.iovecs(&[(DATA, 3), (DATA + 3, 3)]);
    call!(guest, sock_send(socket, LIST, count, 0, OUT)).unwrap();
    assert_eq!(guest.get_u32(OUT), 6);
    assert_eq!(guest.write(socket, b"!"), Ok(1));
    call!(guest, sock_shutdown(socket, 2)).unwrap();
    let mut answer = String::new();
    peer.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "answer!");
    assert_eq!(guest.write(socket, b"!"), Err(Errno::Pipe));
    drop(peer);
    assert_eq!(recv(&mut guest, socket, 100, 0).unwrap(), b"");
    assert_eq!(call!(guest, fd_seek(socket, 0, 0, OUT)), Err(Errno::Spipe));
}

#[test]
fn receiving_all_waits_until_all_is_there() {
    let (mut guest, _, socket, mut peer) = connected();
    let sender = std::thread::spawn(move || {
        for part in ["ab", "cde", "fgh"] {
            peer.write_all(part.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        peer
    });
    assert_eq!(recv(&mut guest, socket, 7, 2).unwrap(), b"abcdefg");
    drop(sender.join().unwrap());
    assert_eq!(
        recv(&mut guest, socket, 7, 2).unwrap(),
        b"h",
        "the end came first"
    );
}

#[test]
fn accepting_waits_unless_nonblocking() {
    let (mut guest, listener, _, peer) = connected();
    call!(guest, fd_fdstat_set_flags(listener, 4)).unwrap();
    assert_eq!(
        call!(guest, sock_accept(listener, 0, OUT)),
        Err(Errno::Again)
    );
    call!(guest, fd_fdstat_set_flags(listener, 0)).unwrap();
    let address = peer.peer_addr().unwrap();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        TcpStream::connect(address).unwrap()
    });
    call!(guest, sock_accept(listener, 4, OUT)).unwrap();
    let socket = guest.get_u32(OUT);
    let _second = late.join().unwrap();
    assert_eq!(
        recv(&mut guest, socket, 4, 0),
        Err(Errno::Again),
        "it is nonblocking"
    );
    assert_eq!(recv(&mut guest, socket, 4, 2), Err(Errno::Again));
}

#[test]
fn only_sockets_are_sockets() {
    let (mut guest, listener, socket, _peer) = connected();
    let file = guest.open(ROOT, "file", 1, ALL).unwrap();
    for fd in [0, 1, ROOT, file] {
        assert_eq!(call!(guest, sock_accept(fd, 0, OUT)), Err(Errno::NotSock));
        assert_eq!(call!(guest, sock_shutdown(fd, 1)), Err(Errno::NotSock));
        assert_eq!(recv(&mut guest, fd, 4, 0), Err(Errno::NotSock));
        assert_eq!(
            call!(guest, sock_send(fd, LIST, 0, 0, OUT)),
            Err(Errno::NotSock)
        );
    }
    assert_eq!(call!(guest, sock_shutdown(99, 1)), Err(Errno::Badf));
    assert_eq!(call!(guest, sock_accept(socket, 0, OUT)), Err(Errno::Inval));
    assert_eq!(
        call!(guest, sock_accept(listener, 1, OUT)),
        Err(Errno::Inval)
    );
    assert_eq!(
        call!(guest, sock_shutdown(listener, 1)),
        Err(Errno::NotConn)
    );
    assert_eq!(call!(guest, sock_shutdown(socket, 0)), Err(Errno::Inval));
    assert_eq!(
        call!(guest, sock_send(socket, LIST, 0, 1, OUT)),
        Err(Errno::Inval)
    );
    assert_eq!(recv(&mut guest, socket, 4, 4), Err(Errno::Inval));
    assert_eq!(recv(&mut guest, listener, 4, 0), Err(Errno::Inval));
    assert_eq!(guest.read(listener, 4), Err(Errno::Inval));
}
