//! Components that run against WASI 0.3, on both engines.

use std::path::Path;
use std::time::Duration;

use tidegate::{Component, Config, Engine, EngineKind, Linker, ResourceTable, Store, Strategy};
use tidegate_wasi::io::{BytesInput, Capture, Input, Output, Read, Readiness, Write, pipe};
use tidegate_wasi::p3::bindings::Command;
use tidegate_wasi::p3::{WasiCtxView, WasiView};
use tidegate_wasi::{WasiCtx, WasiCtxBuilder, p2, p3};

struct State {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn wasi(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

const ENGINES: [EngineKind; 2] = [EngineKind::Wasmtime, EngineKind::Wasmi];

/// A store, and a component of `tests/p3` in it.
async fn instantiate(
    kind: EngineKind,
    name: &str,
    builder: WasiCtxBuilder,
) -> (Store<State>, Command) {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind));
    let engine = Engine::new(&config).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/p3")
        .join(name);
    let component = Component::new(&engine, std::fs::read(path).unwrap()).unwrap();
    let mut linker = Linker::new(&engine);
    p2::add_to_linker(&mut linker).unwrap();
    p3::add_to_linker(&mut linker).unwrap();
    let state = State {
        ctx: builder.build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, state);
    let command = Command::instantiate_async(&mut store, &component, &linker)
        .await
        .unwrap();
    (store, command)
}

/// Runs a command to its end.
async fn run(
    kind: EngineKind,
    name: &str,
    builder: WasiCtxBuilder,
) -> tidegate::Result<Result<(), ()>> {
    let (mut store, command) = instantiate(kind, name, builder).await;
    let run = command.wasi_cli_run().call_run(&mut store);
    let result = tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .expect("ends in time");
    store.data().ctx.drains().finished().await;
    result
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// Takes all that comes out of a pipe, a little at a time.
async fn drain(mut input: impl Input) -> Vec<u8> {
    let mut all: Vec<u8> = Vec::new();
    let mut buf = [0; 113];
    loop {
        match input.try_read(&mut buf) {
            Read::Bytes(count) => all.extend(&buf[..count]),
            Read::WouldBlock => input.ready().await,
            Read::Closed => return all,
            Read::Failed(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn bytes_arrive_whole_and_in_order_whatever_the_sizes() {
    for kind in ENGINES {
        for (chunk, len) in [(1, 300), (7, 10_000), (4096, 100_000), (65_000, 1_000_000)] {
            let input = text(len);
            let kept = Capture::new(len);
            let builder = WasiCtx::builder()
                .arg("x".repeat(chunk))
                .stdin(BytesInput::new(input.clone()))
                .stdout(kept.clone());
            run(kind, "copy.wat", builder).await.unwrap().unwrap();
            assert!(kept.contents() == input, "{len} bytes, {chunk} at a time");
        }
    }
}

#[tokio::test]
async fn waits_for_both_ends() {
    for kind in ENGINES {
        let (stdin, mut feed) = pipe(100);
        let (taken, stdout) = pipe(50);
        let input = text(20_000);
        let sent = input.clone();
        let feeding = tokio::spawn(async move {
            let mut rest = &sent[..];
            while !rest.is_empty() {
                match feed.try_write(&rest[..rest.len().min(61)]) {
                    Write::Bytes(count) => rest = &rest[count..],
                    Write::WouldBlock => feed.ready().await,
                    other => panic!("{other:?}"),
                }
            }
        });
        let taking = tokio::spawn(drain(taken));
        let builder = WasiCtx::builder()
            .arg("x".repeat(1000))
            .stdin(stdin)
            .stdout(stdout);
        run(kind, "copy.wat", builder).await.unwrap().unwrap();
        feeding.await.unwrap();
        assert!(taking.await.unwrap() == input);
    }
}

#[tokio::test]
async fn a_stream_is_spliced_and_both_generations_write_in_order() {
    for kind in ENGINES {
        let input = text(300_000);
        let kept = Capture::new(1 << 20);
        let builder = WasiCtx::builder()
            .stdin(BytesInput::new(input.clone()))
            .stdout(kept.clone());
        run(kind, "splice.wat", builder).await.unwrap().unwrap();
        assert!(kept.contents() == [&input[..], b"goodbye\n"].concat());
    }
}

/// An input that gives something and then fails.
struct Broken(bool);

impl Input for Broken {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        if std::mem::replace(&mut self.0, true) {
            return Read::Failed(std::io::ErrorKind::Other.into());
        }
        buf[..3].copy_from_slice(b"one");
        Read::Bytes(3)
    }

    fn ready(&mut self) -> Readiness {
        tidegate_wasi::io::ready_now()
    }
}

#[tokio::test]
async fn an_input_that_fails_ends_its_stream_and_the_future_says_why() {
    for kind in ENGINES {
        for name in ["copy.wat", "splice.wat"] {
            let kept = Capture::new(100);
            let builder = WasiCtx::builder()
                .arg("x".repeat(10))
                .stdin(Broken(false))
                .stdout(kept.clone());
            assert_eq!(run(kind, name, builder).await.unwrap(), Err(()), "{name}");
            assert!(kept.contents().starts_with(b"one"), "{name}");
        }
    }
}

#[tokio::test]
async fn an_output_that_fails_drops_the_stream_and_the_future_says_why() {
    for kind in ENGINES {
        for name in ["copy.wat", "splice.wat"] {
            let builder = WasiCtx::builder()
                .arg("x".repeat(10))
                .stdin(BytesInput::new(text(15)))
                .stdout(Capture::new(10));
            let ended = run(kind, name, builder).await;
            assert_eq!(ended.unwrap(), Err(()), "{name}");
        }
    }
}

/// An endpoint that claims more than it was offered.
struct Liar;

impl Input for Liar {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        Read::Bytes(buf.len() + 1)
    }

    fn ready(&mut self) -> Readiness {
        tidegate_wasi::io::ready_now()
    }
}

impl Output for Liar {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        Write::Bytes(bytes.len() + 1)
    }

    fn ready(&mut self) -> Readiness {
        tidegate_wasi::io::ready_now()
    }
}

#[tokio::test]
async fn an_endpoint_that_claims_more_than_it_was_offered_is_not_believed() {
    for kind in ENGINES {
        for name in ["copy.wat", "splice.wat"] {
            let kept = Capture::new(1000);
            let liar_in = WasiCtx::builder().stdin(Liar).stdout(kept.clone());
            let liar_out = WasiCtx::builder()
                .stdin(BytesInput::new(text(15)))
                .stdout(Liar);
            for builder in [liar_in, liar_out] {
                let ended = run(kind, name, builder.arg("x".repeat(10))).await;
                assert_eq!(ended.unwrap(), Err(()), "{name}");
            }
            let bytes = kept.contents();
            assert!(b"goodbye\n".starts_with(&bytes), "{name}: {bytes:?}");
        }
    }
}

#[tokio::test]
async fn a_guest_that_waits_does_not_stop_another() {
    for kind in ENGINES {
        // Nobody takes what the first writes, and nobody feeds it any more.
        let (_taken, stdout) = pipe(10);
        let (stdin, mut feed) = pipe(100);
        assert!(matches!(feed.try_write(&[7; 100]), Write::Bytes(100)));
        let builder = WasiCtx::builder()
            .arg("x".repeat(50))
            .stdin(stdin)
            .stdout(stdout);
        let (mut store, stuck) = instantiate(kind, "copy.wat", builder).await;
        let engine = store.engine().clone();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/p3/copy.wat");
        let component = Component::new(&engine, std::fs::read(path).unwrap()).unwrap();
        let mut linker = Linker::new(&engine);
        p2::add_to_linker(&mut linker).unwrap();
        p3::add_to_linker(&mut linker).unwrap();
        let free = Command::instantiate_async(&mut store, &component, &linker)
            .await
            .unwrap();
        let kept = Capture::new(1000);
        let other = WasiCtx::builder()
            .arg("x".repeat(50))
            .stdin(BytesInput::new(text(500)))
            .stdout(kept.clone())
            .build();
        let ended = store.run_concurrent(async |accessor| {
            let mut first = std::pin::pin!(stuck.wasi_cli_run().call_run(accessor));
            // It has its streams, and waits.
            let waits = tokio::time::timeout(Duration::from_millis(50), &mut first);
            assert!(waits.await.is_err());
            accessor.with(|mut access| access.data_mut().ctx = other)?;
            free.wasi_cli_run().call_run(accessor).await
        });
        let ended = tokio::time::timeout(Duration::from_secs(60), ended)
            .await
            .expect("the first does not hold up the second");
        assert_eq!(ended.unwrap().unwrap(), Ok(()));
        assert_eq!(kept.contents(), text(500));
    }
}
