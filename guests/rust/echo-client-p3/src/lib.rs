//! `echo-client-p3 ADDRESS:PORT [CONNECTIONS [BYTES]]`: talks to an echo server over many connections at once: WASI 0.3.
//!
//! Every connection sends one byte and waits for it to come back. When all have theirs, so that all are known to be open at the
//! same time, each sends the rest, no two the same, and checks every byte that comes back, and the end.

use std::cell::Cell;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Poll, Waker};

use console_p3::{Arguments, outcome, print};
use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, TryStreamExt};
use wasip3::sockets::types::{
    IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
};
use wasip3::wit_bindgen::rt::async_support::{StreamReader, StreamResult};

const BUFFER: usize = 16 * 1024;

struct Client;

impl wasip3::exports::cli::run::Guest for Client {
    async fn run() -> Result<(), ()> {
        outcome(talk().await).await
    }
}

async fn talk() -> Result<(), String> {
    let mut arguments = Arguments::new();
    let remote: SocketAddr = arguments.next("address and port")?;
    let connections: u32 = arguments.next_or("number of connections", 1000)?;
    let bytes: usize = arguments.next_or("number of bytes", 4096)?;
    let all_open = Gate::new(connections as usize);
    (0..connections)
        .map(|seed| connection(remote, seed, bytes, &all_open))
        .collect::<FuturesUnordered<_>>()
        .try_collect::<()>()
        .await?;
    print(format!(
        "{connections} connections at once, {bytes} bytes over each and back\n"
    ))
    .await
    .map_err(|code| format!("cannot write standard output: {code:?}"))
}

async fn connection(
    remote: SocketAddr,
    seed: u32,
    bytes: usize,
    all_open: &Gate,
) -> Result<(), String> {
    let said = |what: &str| format!("connection {seed}: {what}");
    let (family, remote) = wasi_address(remote);
    let socket = TcpSocket::create(family).map_err(|code| said(&format!("no socket: {code:?}")))?;
    socket
        .connect(remote)
        .await
        .map_err(|code| said(&format!("cannot connect: {code:?}")))?;
    let (mut writer, reader) = wasip3::wit_stream::new();
    let sent = socket.send(reader);
    let (mut back, received) = socket.receive();

    let first = vec![!(seed as u8)];
    if !writer.write_all(first.clone()).await.is_empty() {
        return Err(said("the first byte was not taken"));
    }
    if back.next().await != first.first().copied() {
        return Err(said("the first byte did not come back"));
    }
    all_open.pass().await;

    let send = async {
        let mut pattern = Pattern::new(seed);
        let mut left = bytes;
        while left > 0 {
            let now = left.min(BUFFER);
            let piece = pattern.by_ref().take(now).collect();
            if !writer.write_all(piece).await.is_empty() {
                break;
            }
            left -= now;
        }
        drop(writer);
        sent.await
    };
    let (sent, checked) = join(send, check(&mut back, seed, bytes)).await;
    sent.map_err(|code| said(&format!("cannot send: {code:?}")))?;
    checked.map_err(|what| said(&what))?;
    received
        .await
        .map_err(|code| said(&format!("cannot receive: {code:?}")))
}

/// Receives what was sent, and the end.
async fn check(back: &mut StreamReader<u8>, seed: u32, bytes: usize) -> Result<(), String> {
    let mut pattern = Pattern::new(seed);
    let mut buffer = Vec::with_capacity(BUFFER);
    let mut received = 0;
    loop {
        let (result, read) = back.read(buffer).await;
        received += read.len();
        if received > bytes || !pattern.by_ref().take(read.len()).eq(read.iter().copied()) {
            return Err(format!(
                "something else came back within the first {received} bytes"
            ));
        }
        if result == StreamResult::Dropped {
            break;
        }
        buffer = read;
        buffer.clear();
    }
    if received == bytes {
        Ok(())
    } else {
        Err(format!("{received} of {bytes} bytes came back"))
    }
}

/// Opens once so many have come to it.
struct Gate {
    missing: Cell<usize>,
    waiting: Cell<Vec<Waker>>,
}

impl Gate {
    fn new(count: usize) -> Self {
        Self {
            missing: Cell::new(count),
            waiting: Cell::default(),
        }
    }

    async fn pass(&self) {
        self.missing.set(self.missing.get() - 1);
        poll_fn(|cx| {
            let mut waiting = self.waiting.take();
            if self.missing.get() == 0 {
                waiting.into_iter().for_each(Waker::wake);
                return Poll::Ready(());
            }
            waiting.push(cx.waker().clone());
            self.waiting.set(waiting);
            Poll::Pending
        })
        .await;
    }
}

/// Bytes without an end that differ from seed to seed.
struct Pattern(u32);

impl Pattern {
    fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9) | 1)
    }
}

impl Iterator for Pattern {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        Some((self.0 >> 24) as u8)
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

wasip3::cli::command::export!(Client);
