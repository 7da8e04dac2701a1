//! Host functions and calls that run side by side, on both engines.

mod arguments;
mod calls;
mod cancel;
mod deadlock;
mod deferred_results;
mod destructors;
mod ended_callers;
mod functions;
mod late_results;
mod nested;
mod on_callers_stack;
mod on_top;
mod on_top_values;
mod plain;
mod start;
mod tasks;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tidegate::{
    Accessor, Component, Config, Engine, EngineKind, Instance, Linker, Result, Store, Strategy,
    TypedFunc,
};

const GUEST: &str = include_str!("guest.wat");

/// What the store has: a line of whatever happened.
type Log = Vec<String>;

/// Opens for those who wait at it, as often as it was opened.
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(u32, Vec<Waker>)>>);

impl Gate {
    fn open(&self) {
        let mut gate = self.0.lock().unwrap();
        gate.0 += 1;
        gate.1.drain(..).for_each(Waker::wake);
    }

    async fn pass(&self) {
        std::future::poll_fn(|cx| {
            let mut gate = self.0.lock().unwrap();
            if gate.0 > 0 {
                gate.0 -= 1;
                return Poll::Ready(());
            }
            gate.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// What `wait` does: 0 gives 100 at once; 1 waits at the gate and gives 101; 2 watches for its cancellation as well, and gives 7 then; 3 fails; 4 fails
/// after the gate.
fn wait<'a>(
    gate: Gate,
    alive: Arc<()>,
    accessor: &'a Accessor<Log>,
    n: u32,
) -> BoxFuture<'a, Result<(u32,)>> {
    Box::pin(async move {
        let log = |line: &str| accessor.with(|mut access| access.get().push(line.to_owned()));
        log(&format!("begin {n}"))?;
        let _alive = alive;
        match n {
            1 => gate.pass().await,
            2 => {
                let mut passes = std::pin::pin!(gate.pass());
                let mut cancelled = std::pin::pin!(accessor.cancelled());
                let partial = std::future::poll_fn(|cx| match cancelled.as_mut().poll(cx) {
                    Poll::Ready(()) => Poll::Ready(true),
                    Poll::Pending => passes.as_mut().poll(cx).map(|()| false),
                });
                if partial.await {
                    return Ok((7,));
                }
            }
            3 => anyhow::bail!("cannot wait"),
            4 => {
                gate.pass().await;
                anyhow::bail!("cannot wait any more");
            }
            _ => {}
        }
        log(&format!("end {n}"))?;
        Ok((100 + n,))
    })
}

type BoxFuture<'a, R> = Pin<Box<dyn Future<Output = R> + Send + 'a>>;

struct Guest {
    store: Store<Log>,
    instance: Instance,
    gate: Gate,
    /// One for each future of `wait` there is, besides this and the linker's.
    alive: Arc<()>,
}

impl Guest {
    fn new(kind: EngineKind) -> Self {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        let engine = Engine::new(&config).unwrap();
        let component = Component::new(&engine, GUEST).unwrap();
        let mut linker = Linker::new(&engine);
        let gate = Gate::default();
        let alive = Arc::new(());
        let (gates, counted) = (gate.clone(), alive.clone());
        linker
            .root()
            .func_wrap_concurrent("wait", move |accessor: &Accessor<Log>, (n,): (u32,)| {
                wait(gates.clone(), counted.clone(), accessor, n)
            })
            .unwrap();
        let mut store = Store::new(&engine, Log::new());
        let instance = linker.instantiate(&mut store, &component).unwrap();
        Self {
            store,
            instance,
            gate,
            alive,
        }
    }

    fn func(&mut self, name: &str) -> TypedFunc<(u32,), (u32,)> {
        self.instance.get_typed_func(&mut self.store, name).unwrap()
    }

    /// How many calls of `wait` have futures that are not gone.
    fn waiting(&self) -> usize {
        // The linker's function is in the store.
        Arc::strong_count(&self.alive) - 2
    }
}

fn each(test: impl Fn(Guest)) {
    for kind in EngineKind::ALL {
        test(Guest::new(kind));
    }
}

/// Polls a future once.
fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Lets other futures of the same task go on for a while.
async fn turns(count: usize) {
    for _ in 0..count {
        let mut yielded = false;
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if std::mem::replace(&mut yielded, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
