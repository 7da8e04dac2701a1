//! TCP: the echo server and its client, and what the policy forbids.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use tidegate::EngineKind;
use tidegate_wasi::WasiCtx;
use tidegate_wasi::io::{Capture, Input, PipeInput, Read, pipe};
use tidegate_wasi::net::Policy;

use crate::{ENGINES, bytes, run};

/// What the server says when it listens.
pub async fn address(stdout: &mut PipeInput) -> String {
    let mut line = Vec::new();
    let mut buf = [0; 100];
    while !line.ends_with(b"\n") {
        match stdout.try_read(&mut buf) {
            Read::Bytes(count) => line.extend(&buf[..count]),
            Read::WouldBlock => stdout.ready().await,
            other => panic!("{other:?} after {line:?}"),
        }
    }
    let line = String::from_utf8(line).unwrap();
    line.trim().rsplit(' ').next().unwrap().to_owned()
}

/// Serves so many connections while `client` is at work with the server's address.
async fn with_server<R>(
    kind: EngineKind,
    connections: &str,
    mode: &str,
    client: impl AsyncFnOnce(String) -> R,
) -> R {
    let (mut told, stdout) = pipe(1000);
    let said = Capture::new(1000);
    let builder = WasiCtx::builder()
        .args(["server", "127.0.0.1:0", connections, mode])
        .network(Policy::nothing().allow_bind("127.0.0.1".parse().unwrap()))
        .stdout(stdout)
        .stderr(said.clone());
    let served = run(kind, "echo-server-p3.wasm", builder);
    let client = async { client(address(&mut told).await).await };
    let (served, answer) = tokio::join!(served, client);
    let said = said.contents();
    assert_eq!(
        served.unwrap(),
        Ok(()),
        "{}",
        String::from_utf8_lossy(&said)
    );
    answer
}

#[tokio::test]
async fn thousand_connections_at_once_come_back_whole() {
    for kind in ENGINES {
        for mode in ["forward", "copy"] {
            let (kept, said) = (Capture::new(1000), Capture::new(1000));
            let ended = with_server(kind, "1000", mode, async |address| {
                let builder = WasiCtx::builder()
                    .args(["client", &address, "1000", "5000"])
                    .network(Policy::nothing().allow_connect(address.parse().unwrap()))
                    .stdout(kept.clone())
                    .stderr(said.clone());
                run(kind, "echo-client-p3.wasm", builder).await
            })
            .await;
            let said = said.contents();
            assert_eq!(ended.unwrap(), Ok(()), "{}", String::from_utf8_lossy(&said));
            assert_eq!(
                kept.contents(),
                b"1000 connections at once, 5000 bytes over each and back\n"
            );
        }
    }
}

#[tokio::test]
async fn big_transfer_through_a_slow_start_of_the_reader_comes_back_whole() {
    for kind in ENGINES {
        for mode in ["forward", "copy"] {
            with_server(kind, "1", mode, async |address| {
                let talking = tokio::task::spawn_blocking(move || {
                    let sent = bytes(20 << 20);
                    let mut out = TcpStream::connect(address).unwrap();
                    let mut back = out.try_clone().unwrap();
                    let copy = sent.clone();
                    let writing = std::thread::spawn(move || {
                        out.write_all(&copy).unwrap();
                        out.shutdown(Shutdown::Write).unwrap();
                    });
                    // More than all buffers on the way hold, so the server has to wait.
                    std::thread::sleep(std::time::Duration::from_millis(200));
                    let mut came = Vec::new();
                    back.read_to_end(&mut came).unwrap();
                    writing.join().unwrap();
                    assert!(came == sent, "{mode}: {} bytes came", came.len());
                });
                talking.await.unwrap();
            })
            .await;
        }
    }
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_denied() {
    for kind in ENGINES {
        for (name, word, what) in [
            ("echo-server-p3.wasm", "127.0.0.1:0", "cannot bind"),
            ("echo-client-p3.wasm", "127.0.0.1:9", "cannot connect"),
        ] {
            // Something else is allowed.
            let policy = Policy::nothing()
                .allow_bind("127.0.0.2".parse().unwrap())
                .allow_connect("127.0.0.1:10".parse().unwrap());
            let said = Capture::new(1000);
            let builder = WasiCtx::builder()
                .args(["guest", word, "1"])
                .network(policy)
                .stderr(said.clone());
            assert_eq!(run(kind, name, builder).await.unwrap(), Err(()));
            let said = String::from_utf8(said.contents()).unwrap();
            assert!(said.contains(what), "{said}");
            assert!(said.contains("AccessDenied"), "{said}");
        }
    }
}

#[tokio::test]
async fn nobody_listening_is_told_to_the_guest() {
    for kind in ENGINES {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let said = Capture::new(1000);
        let builder = WasiCtx::builder()
            .args(["client", &address, "1"])
            .network(Policy::everything())
            .stderr(said.clone());
        let ended = run(kind, "echo-client-p3.wasm", builder).await;
        assert_eq!(ended.unwrap(), Err(()));
        let said = String::from_utf8(said.contents()).unwrap();
        assert!(said.contains("ConnectionRefused"), "{said}");
    }
}
