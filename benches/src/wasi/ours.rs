//! The guests on Tidegate.

use super::{Generation, Source, Work, World, bytes as input, runtime};
use crate::measure::Subject;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Poll, Waker};
use tidegate::module::{Module, ModuleLinker};
use tidegate::{Component, Config, Engine, Linker, ResourceTable, Result, Store, TypedFunc};
use tidegate_wasi::fs::Access;
use tidegate_wasi::io::{Input, Output, Read, Readiness, Write};
use tidegate_wasi::p1::{self, Preview1};
use tidegate_wasi::p2::{WasiCtxView, WasiView};
use tidegate_wasi::{WasiCtx, p2, p3};

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

/// A standard input.
struct Stdin {
    source: Source,
    /// It has been waited for since the last read.
    woken: Arc<AtomicBool>,
}

impl Input for Stdin {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        if self.source == Source::Waits && !self.woken.swap(false, Ordering::Relaxed) {
            return Read::WouldBlock;
        }
        let bytes = input();
        let count = buf.len().min(bytes.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        Read::Bytes(count)
    }

    fn available(&mut self, _: u64) -> Option<u64> {
        let there = self.source == Source::Ready || self.woken.load(Ordering::Relaxed);
        there.then_some(input().len() as u64)
    }

    fn ready(&mut self) -> Readiness {
        if self.source == Source::Ready {
            return tidegate_wasi::io::ready_now();
        }
        let (woken, mut begun) = (Arc::clone(&self.woken), false);
        Box::pin(std::future::poll_fn(move |cx| {
            if woken.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            // Others look at it once, without waiting.
            if !cx.waker().will_wake(Waker::noop()) {
                woken.store(begun, Ordering::Relaxed);
                begun = true;
                cx.waker().wake_by_ref();
            }
            match woken.load(Ordering::Relaxed) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }))
    }
}

/// A standard output that counts what it gets.
struct Stdout(Arc<AtomicU64>);

impl Output for Stdout {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        self.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Write::Bytes(bytes.len())
    }

    fn ready(&mut self) -> Readiness {
        tidegate_wasi::io::ready_now()
    }
}

/// The peer's engine settings.
fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.core().pooling.get_or_insert_default().keep_resident = 0;
    Engine::new(&config)
}

/// Instantiation in a store and a context of its own, and its end.
pub fn instantiate(bytes: &[u8]) -> Result<Subject> {
    let engine = engine()?;
    let component = Component::new(&engine, bytes)?;
    let mut linker = Linker::new(&engine);
    p2::add_to_linker(&mut linker)?;
    let pre = linker.instantiate_pre(&component)?;
    Ok(Subject::new(move |n| -> Result<u64> {
        runtime().block_on(async {
            for _ in 0..n {
                let state = State {
                    ctx: WasiCtx::builder().build(),
                    table: ResourceTable::new(),
                };
                let mut store = Store::new(&engine, state);
                pre.instantiate_async(&mut store).await?;
            }
            Ok(n)
        })
    }))
}

/// A guest that does `work`.
pub fn subject(bytes: &[u8], world: &World, work: Work) -> Result<Subject> {
    let written = Arc::new(AtomicU64::new(0));
    let stdin = Stdin {
        source: work.stdin,
        woken: Arc::default(),
    };
    let ctx = WasiCtx::builder()
        .stdin(stdin)
        .stdout(Stdout(Arc::clone(&written)))
        .preopened_dir(world.path(), "/", Access::ReadWrite)?
        .inherit_network()
        .build();
    let engine = engine()?;
    let total = move |sum| sum + written.swap(0, Ordering::Relaxed);
    if work.generation == Generation::P1 {
        let module = Module::new(&engine, bytes)?;
        let mut linker = ModuleLinker::<Preview1>::new(&engine);
        p1::add_to_linker(&mut linker, |wasi| wasi)?;
        let mut store = Store::new(&engine, Preview1::new(ctx));
        let instance = runtime().block_on(linker.instantiate_async(&mut store, &module))?;
        let run = instance.get_func(&mut store, work.name);
        let run = run.expect("the guest exports its loops");
        return Ok(Subject::new(move |n| -> Result<u64> {
            let mut slots = [n, work.size.into(), work.arg.into()];
            runtime().block_on(run.call_async(&mut store, &mut slots))?;
            Ok(total(slots[0]))
        }));
    }
    let component = Component::new(&engine, bytes)?;
    let mut linker = Linker::new(&engine);
    p2::add_to_linker(&mut linker)?;
    p3::add_to_linker(&mut linker)?;
    let state = State {
        ctx,
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, state);
    let instance = runtime().block_on(linker.instantiate_async(&mut store, &component))?;
    let run: TypedFunc<(u64, u32, u32), (u64,)> = instance.get_typed_func(&mut store, work.name)?;
    Ok(Subject::new(move |n| -> Result<u64> {
        let params = (n, work.size, work.arg);
        let (sum,) = runtime().block_on(run.call_async(&mut store, params))?;
        Ok(total(sum))
    }))
}
