//! Components that run against WASI 0.2, on both engines.

use std::time::Duration;

use tidegate::{Component, Config, Engine, EngineKind, Linker, ResourceTable, Store, Strategy};
use tidegate_wasi::fs::Access;
use tidegate_wasi::io::{BytesInput, Capture, Input, Output, Read, Write, pipe};
use tidegate_wasi::net::Policy;
use tidegate_wasi::p2::bindings::Command;
use tidegate_wasi::p2::{WasiCtxView, WasiView, add_to_linker};
use tidegate_wasi::{I32Exit, WasiCtx, WasiCtxBuilder};

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

fn engine(kind: EngineKind) -> Engine {
    let mut config = Config::new();
    config.strategy(Strategy::Always(kind));
    Engine::new(&config).unwrap()
}

const ENGINES: [EngineKind; 2] = [EngineKind::Wasmtime, EngineKind::Wasmi];

/// Runs a command to its end, and until its output is out.
async fn run(
    kind: EngineKind,
    component: impl AsRef<[u8]>,
    builder: WasiCtxBuilder,
) -> tidegate::Result<Result<(), ()>> {
    let engine = engine(kind);
    let component = Component::new(&engine, component)?;
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker)?;
    let state = State {
        ctx: builder.build(),
        table: ResourceTable::new(),
    };
    let drains = state.ctx.drains();
    let mut store = Store::new(&engine, state);
    let result = async {
        let command = Command::instantiate_async(&mut store, &component, &linker).await?;
        command.wasi_cli_run().call_run(&mut store).await
    };
    let result = tokio::time::timeout(Duration::from_secs(60), result)
        .await
        .expect("ends in time");
    drains.finished().await;
    result
}

fn guest(name: &str) -> Vec<u8> {
    let path = format!("{}/../../guests/wasm/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// Bytes that repeat only after a long while.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

#[tokio::test]
async fn cat_copies_what_is_there() {
    for kind in ENGINES {
        let sent = bytes(1_000_000);
        let kept = Capture::new(usize::MAX);
        let builder = WasiCtx::builder()
            .stdin(BytesInput::new(sent.clone()))
            .stdout(kept.clone());
        assert_eq!(
            run(kind, guest("cat-p2.wasm"), builder).await.unwrap(),
            Ok(())
        );
        assert!(kept.contents() == sent, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cat_waits_for_a_slow_source_and_a_slow_sink() {
    for kind in ENGINES {
        let sent = bytes(200_000);
        let (stdin, mut feed) = pipe(1000);
        let (mut drain, stdout) = pipe(777);
        let source = sent.clone();
        let feeder = tokio::spawn(async move {
            let mut rest = &source[..];
            while !rest.is_empty() {
                match feed.try_write(rest) {
                    Write::Bytes(count) => rest = &rest[count..],
                    Write::WouldBlock => feed.ready().await,
                    other => panic!("{other:?}"),
                }
            }
        });
        let drainer = tokio::spawn(async move {
            let mut all = Vec::new();
            let mut buf = [0; 500];
            loop {
                match drain.try_read(&mut buf) {
                    Read::Bytes(count) => all.extend_from_slice(&buf[..count]),
                    Read::WouldBlock => drain.ready().await,
                    Read::Closed => return all,
                    Read::Failed(error) => panic!("{error}"),
                }
            }
        });
        let builder = WasiCtx::builder().stdin(stdin).stdout(stdout);
        assert_eq!(
            run(kind, guest("cat-p2.wasm"), builder).await.unwrap(),
            Ok(())
        );
        feeder.await.unwrap();
        assert!(drainer.await.unwrap() == sent, "{kind:?}");
    }
}

#[tokio::test]
async fn cat_into_a_broken_pipe_fails_in_the_guest() {
    for kind in ENGINES {
        let (drain, stdout) = pipe(10);
        drop(drain);
        let builder = WasiCtx::builder()
            .stdin(BytesInput::new(bytes(100_000)))
            .stdout(stdout);
        assert_eq!(
            run(kind, guest("cat-p2.wasm"), builder).await.unwrap(),
            Err(())
        );
    }
}

#[tokio::test]
async fn program_made_by_the_adapter_walks_a_tree() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    std::fs::write(dir.path().join("a.txt"), "one two\nthree\n").unwrap();
    std::fs::write(dir.path().join("sub/b.txt"), "four\n").unwrap();
    for kind in ENGINES {
        let kept = Capture::new(usize::MAX);
        let errors = Capture::new(usize::MAX);
        let builder = WasiCtx::builder()
            .args(["tally", "/tree"])
            .stdout(kept.clone())
            .stderr(errors.clone())
            .preopened_dir(dir.path(), "/tree", Access::ReadOnly)
            .unwrap();
        let result = run(kind, guest("tally-p2.wasm"), builder).await;
        let text = String::from_utf8(kept.contents()).unwrap();
        let errors = String::from_utf8(errors.contents()).unwrap();
        assert!(matches!(result, Ok(Ok(()))), "{result:?}\n{text}\n{errors}");
        // 2 files, 3 lines, 4 words, 19 bytes.
        for number in ["2", "3", "4", "19"] {
            assert!(
                text.split(|c: char| !c.is_ascii_digit())
                    .any(|word| word == number),
                "{text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_connect_flood_end_and_refuse() {
    for kind in ENGINES {
        let kept = Capture::new(usize::MAX);
        let errors = Capture::new(usize::MAX);
        let loopback = || "127.0.0.1".parse().unwrap();
        let policy = Policy::nothing()
            .allow_bind(loopback())
            .allow_connect(loopback())
            .allow_lookup(true);
        let builder = WasiCtx::builder()
            .stdout(kept.clone())
            .stderr(errors.clone())
            .network(policy);
        let result = run(kind, guest("sockets-p2.wasm"), builder).await;
        let errors = String::from_utf8(errors.contents()).unwrap();
        assert!(
            matches!(result, Ok(Ok(()))),
            "{kind:?}: {result:?} {errors}"
        );
        assert_eq!(kept.contents(), b"sockets work\n");
    }
}

#[tokio::test]
async fn sockets_without_permission_are_denied() {
    let errors = Capture::new(usize::MAX);
    let builder = WasiCtx::builder().stderr(errors.clone());
    let result = run(EngineKind::Wasmtime, guest("sockets-p2.wasm"), builder).await;
    assert!(matches!(result, Ok(Err(()))), "{result:?}");
    let errors = String::from_utf8(errors.contents()).unwrap();
    assert!(errors.contains("bind"), "{errors}");
}

/// Imports an older version of each interface.
const EXIT: &str = r#"
(component
  (import "wasi:cli/exit@0.2.3" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))
  (core func $exit (canon lower (func $exit "exit-with-code")))
  (core module $m
    (import "wasi" "exit" (func $exit (param i32)))
    (func (export "run") (result i32) (call $exit (i32.const 42)) unreachable))
  (core instance $i (instantiate $m (with "wasi" (instance (export "exit" (func $exit))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $run)))"#;

#[tokio::test]
async fn older_version_is_served_and_exit_is_no_trap() {
    for kind in ENGINES {
        let error = run(kind, EXIT, WasiCtx::builder()).await.unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&I32Exit(42)), "{error:?}");
    }
}

/// Imports a function that no version has.
const UNKNOWN: &str = r#"
(component
  (import "wasi:cli/exit@0.2.0" (instance (export "exit-quietly" (func)))))"#;

#[tokio::test]
async fn unknown_import_is_named() {
    let error = run(EngineKind::Wasmi, UNKNOWN, WasiCtx::builder())
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("exit-quietly"), "{error:#}");
}

/// Writes to stdout without a flush, then traps.
const TRAP: &str = r#"
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error-type))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $out (sub resource)))
    (alias outer 1 $error-type (type $outer-error))
    (export "error" (type $err (eq $outer-error)))
    (type $failure' (variant (case "last-operation-failed" (own $err)) (case "closed")))
    (export "stream-error" (type $failure (eq $failure')))
    (export "[method]output-stream.check-write" (func
      (param "self" (borrow $out)) (result (result u64 (error $failure)))))
    (export "[method]output-stream.write" (func
      (param "self" (borrow $out)) (param "contents" (list u8))
      (result (result (error $failure)))))))
  (alias export $streams "output-stream" (type $out))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $out (type $outer-out))
    (export "output-stream" (type $out (eq $outer-out)))
    (export "get-stdout" (func (result (own $out))))))
  (core module $memory
    (memory (export "memory") 1)
    (data (i32.const 64) "last words")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $memory (instantiate $memory))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $check-write (canon lower
    (func $streams "[method]output-stream.check-write") (memory $memory "memory")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.write") (memory $memory "memory")))
  (core module $m
    (import "wasi" "get-stdout" (func $get-stdout (result i32)))
    (import "wasi" "check-write" (func $check-write (param i32 i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "run") (result i32)
      (local $out i32)
      (local.set $out (call $get-stdout))
      (call $check-write (local.get $out) (i32.const 0))
      (call $write (local.get $out) (i32.const 64) (i32.const 10) (i32.const 0))
      unreachable))
  (core instance $i (instantiate $m (with "wasi" (instance
    (export "get-stdout" (func $get-stdout))
    (export "check-write" (func $check-write))
    (export "write" (func $write))))))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $run (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $run)))"#;

#[tokio::test]
async fn output_before_a_trap_is_not_lost_however_slow_the_sink() {
    for kind in ENGINES {
        let (mut drain, stdout) = pipe(3);
        let drainer = tokio::spawn(async move {
            let mut all = Vec::new();
            let mut buf = [0; 2];
            loop {
                match drain.try_read(&mut buf) {
                    Read::Bytes(count) => all.extend_from_slice(&buf[..count]),
                    Read::WouldBlock => drain.ready().await,
                    Read::Closed => return all,
                    Read::Failed(error) => panic!("{error}"),
                }
            }
        });
        let builder = WasiCtx::builder().stdout(stdout);
        let error = run(kind, TRAP, builder).await.unwrap_err();
        assert!(
            error.downcast_ref::<tidegate::Trap>().is_some(),
            "{error:?}"
        );
        assert_eq!(drainer.await.unwrap(), b"last words");
    }
}

#[tokio::test]
async fn files_are_read_and_written_in_the_guests_memory() {
    const END: u64 = 1 << 32;
    let text = include_str!("p2/in-place.wat");
    // Small reads go another way than large ones.
    let cases = [
        (100_000, 5000, 5000),
        (100_000, u64::MAX, 65_536),
        (30_000, 65_536, END | 29_000),
        (1000, 65_536, END),
        (1001, 8, END | 1),
    ];
    for kind in ENGINES {
        for (size, length, read) in cases {
            let tmp = tempfile::tempdir().unwrap();
            let from = bytes(size);
            std::fs::write(tmp.path().join("from"), &from).unwrap();
            std::fs::write(tmp.path().join("to"), b"abc").unwrap();
            let engine = engine(kind);
            let component = Component::new(&engine, text).unwrap();
            let mut linker = Linker::new(&engine);
            add_to_linker(&mut linker).unwrap();
            let builder = WasiCtx::builder()
                .preopened_dir(tmp.path(), "/", Access::ReadWrite)
                .unwrap();
            let state = State {
                ctx: builder.build(),
                table: ResourceTable::new(),
            };
            let mut store = Store::new(&engine, state);
            let instance = linker.instantiate_async(&mut store, &component).await;
            let instance = instance.unwrap();
            let copy = instance
                .get_typed_func::<(u64,), ((u64, u64),)>(&mut store, "copy")
                .unwrap();
            let (counts,) = copy.call_async(&mut store, (length,)).await.unwrap();
            let count = read % END;
            assert_eq!(counts, (read, count), "{kind:?}");
            let to = std::fs::read(tmp.path().join("to")).unwrap();
            assert_eq!(&to[..3], b"abc");
            assert!(to[3..] == from[1000..1000 + count as usize], "{kind:?}");
        }
    }
}
