//! The guests.

use crate::{Generation, Run, Source, Work, bytes as input, runtime};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Module, Result, Store};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2, p3};

struct State {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.ctx,
            table: &mut self.table,
        }
    }
}

/// A standard input.
#[derive(Clone)]
struct Stdin {
    source: Source,
    /// It has been waited for since the last read.
    woken: Arc<AtomicBool>,
}

impl Stdin {
    fn poll(&self, cx: &mut Context<'_>, begun: &mut bool) -> Poll<()> {
        if self.source == Source::Ready || self.woken.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        self.woken.store(*begun, Ordering::Relaxed);
        if *begun {
            return Poll::Ready(());
        }
        *begun = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn take(&self) -> bool {
        self.source == Source::Ready || self.woken.swap(false, Ordering::Relaxed)
    }
}

impl IsTerminal for Stdin {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Stdin {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(Reader(self.clone(), false))
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

impl InputStream for Stdin {
    fn read(&mut self, size: usize) -> std::result::Result<bytes::Bytes, StreamError> {
        let count = if self.take() {
            size.min(input().len())
        } else {
            0
        };
        Ok(bytes::Bytes::from_static(&input()[..count]))
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdin {
    async fn ready(&mut self) {
        let mut begun = false;
        std::future::poll_fn(|cx| self.poll(cx, &mut begun)).await
    }
}

struct Reader(Stdin, bool);

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(stdin, begun) = &mut *self;
        std::task::ready!(stdin.poll(cx, begun));
        *begun = false;
        stdin.take();
        buf.put_slice(&input()[..buf.remaining().min(input().len())]);
        Poll::Ready(Ok(()))
    }
}

/// A standard output that counts what it gets.
#[derive(Clone)]
struct Stdout(Arc<AtomicU64>);

impl IsTerminal for Stdout {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdout {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Stdout {
    fn write(&mut self, bytes: bytes::Bytes) -> std::result::Result<(), StreamError> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn flush(&mut self) -> std::result::Result<(), StreamError> {
        Ok(())
    }

    fn check_write(&mut self) -> std::result::Result<usize, StreamError> {
        Ok(256 << 10)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Stdout {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Stdout {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Pooling, and everything else at its default.
fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.wasm_component_model_async_stackful(true);
    config.allocation_strategy(InstanceAllocationStrategy::pooling());
    Engine::new(&config)
}

pub fn instantiate(bytes: &[u8]) -> Result<Run> {
    let engine = engine()?;
    let component = Component::new(&engine, bytes)?;
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_async(&mut linker)?;
    let pre = linker.instantiate_pre(&component)?;
    Ok(Box::new(move |n| {
        runtime().block_on(async {
            for _ in 0..n {
                let state = State {
                    ctx: WasiCtxBuilder::new().build(),
                    table: ResourceTable::new(),
                };
                let mut store = Store::new(&engine, state);
                pre.instantiate_async(&mut store).await?;
            }
            Ok(n)
        })
    }))
}

pub fn guest(bytes: &[u8], path: &Path, work: Work) -> Result<Run> {
    let written = Arc::new(AtomicU64::new(0));
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdin(Stdin {
            source: work.stdin,
            woken: Arc::default(),
        })
        .stdout(Stdout(Arc::clone(&written)))
        .allow_blocking_current_thread(true)
        .preopened_dir(path, "/", FsPerms::ReadWrite)?
        .allow_tcp(true)
        .inherit_network();
    let engine = engine()?;
    let total = move |sum| sum + written.swap(0, Ordering::Relaxed);
    if work.generation == Generation::P1 {
        let module = Module::new(&engine, bytes)?;
        let mut linker = wasmtime::Linker::<WasiP1Ctx>::new(&engine);
        p1::add_to_linker_async(&mut linker, |wasi| wasi)?;
        let mut store = Store::new(&engine, builder.build_p1());
        let instance = runtime().block_on(linker.instantiate_async(&mut store, &module))?;
        let run = instance.get_typed_func::<(u64, u32, u32), u64>(&mut store, work.name)?;
        return Ok(Box::new(move |n| {
            let params = (n, work.size, work.arg);
            Ok(total(
                runtime().block_on(run.call_async(&mut store, params))?,
            ))
        }));
    }
    let component = Component::new(&engine, bytes)?;
    let mut linker = Linker::new(&engine);
    p2::add_to_linker_async(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    let state = State {
        ctx: builder.build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, state);
    let instance = runtime().block_on(linker.instantiate_async(&mut store, &component))?;
    let run = instance.get_typed_func::<(u64, u32, u32), (u64,)>(&mut store, work.name)?;
    Ok(Box::new(move |n| {
        let params = (n, work.size, work.arg);
        let (sum,) = runtime().block_on(run.call_async(&mut store, params))?;
        Ok(total(sum))
    }))
}
