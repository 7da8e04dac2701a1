//! Producers and consumers that do what the test says.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tidegate::stream::{
    Destination, FutureConsumer, FutureProducer, Source, StreamConsumer, StreamProducer,
    StreamResult,
};
use tidegate::{Result, StoreContextMut};

/// What one call does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Puts bytes into the buffer, or takes so many items.
    Buffer(&'static [u8], Poll<StreamResult>),
    /// Writes bytes directly.
    Direct(&'static [u8], Poll<StreamResult>),
    /// Claims to have written or read so many bytes more than there is room for.
    Overrun(usize),
    /// Takes so many items, by lifting them.
    Take(usize, Poll<StreamResult>),
    /// Takes so many bytes directly.
    TakeDirect(usize, Poll<StreamResult>),
    /// Only answers.
    Say(Poll<StreamResult>),
    /// Fails.
    Fail,
}

pub const COMPLETED: Poll<StreamResult> = Poll::Ready(StreamResult::Completed);
pub const CANCELLED: Poll<StreamResult> = Poll::Ready(StreamResult::Cancelled);
pub const DROPPED: Poll<StreamResult> = Poll::Ready(StreamResult::Dropped);
pub const PENDING: Poll<StreamResult> = Poll::Pending;

/// What happened.
#[derive(Default)]
pub struct Log {
    /// For each call: how many items could be moved, and `finish`.
    pub calls: Vec<(usize, bool)>,
    /// What was taken.
    pub taken: Vec<u8>,
    waker: Option<Waker>,
    acts: VecDeque<Act>,
    pub dropped: bool,
}

/// The test's side of a script.
#[derive(Clone)]
pub struct Watch(Arc<Mutex<Log>>);

impl Watch {
    pub fn log<R>(&self, f: impl FnOnce(&mut Log) -> R) -> R {
        f(&mut self.0.lock().unwrap())
    }

    /// The calls since it was asked last.
    pub fn calls(&self) -> Vec<(usize, bool)> {
        self.log(|log| std::mem::take(&mut log.calls))
    }

    pub fn taken(&self) -> Vec<u8> {
        self.log(|log| std::mem::take(&mut log.taken))
    }

    pub fn dropped(&self) -> bool {
        self.log(|log| log.dropped)
    }

    /// Adds an act and wakes.
    pub fn wake_to(&self, act: Act) {
        let waker = self.log(|log| {
            log.acts.push_back(act);
            log.waker.take()
        });
        waker.expect("somebody waits").wake();
    }

    /// Wakes, if somebody waits.
    pub fn wake(&self) {
        if let Some(waker) = self.log(|log| log.waker.clone()) {
            waker.wake();
        }
    }

    /// How many acts are left.
    pub fn left(&self) -> usize {
        self.log(|log| log.acts.len())
    }

    pub fn then(&self, act: Act) {
        self.log(|log| log.acts.push_back(act));
    }
}

/// A producer or consumer that follows a script. Where it ends, the test has failed.
pub struct Script(Arc<Mutex<Log>>);

pub fn script(acts: impl IntoIterator<Item = Act>) -> (Script, Watch) {
    let log = Arc::new(Mutex::new(Log {
        acts: acts.into_iter().collect(),
        ..Log::default()
    }));
    (Script(log.clone()), Watch(log))
}

impl Drop for Script {
    fn drop(&mut self) {
        self.0.lock().unwrap().dropped = true;
    }
}

impl Script {
    fn next(&self, cx: &Context<'_>, room: usize, finish: bool) -> Act {
        let mut log = self.0.lock().unwrap();
        log.calls.push((room, finish));
        log.waker = Some(cx.waker().clone());
        log.acts.pop_front().unwrap_or(Act::Fail)
    }
}

impl<D: Send + 'static> StreamProducer<D> for Script {
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut destination: Destination<'_, u8, Vec<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let room = destination.remaining().unwrap_or(usize::MAX);
        match self.next(cx, room, finish) {
            Act::Buffer(bytes, answer) => {
                destination.set_buffer(bytes.to_vec());
                answer.map(Ok)
            }
            Act::Direct(bytes, answer) => {
                let mut direct = destination.as_direct(store, 64);
                direct.write_all(bytes)?;
                answer.map(Ok)
            }
            Act::Overrun(more) => {
                let mut direct = destination.as_direct(store, 64);
                let room = direct.remaining().len();
                direct.mark_written(room + more);
                COMPLETED.map(Ok)
            }
            Act::Say(answer) => answer.map(Ok),
            Act::Fail | Act::Take(..) | Act::TakeDirect(..) => {
                Poll::Ready(Err(tidegate::Error::msg("the script is over")))
            }
        }
    }
}

impl<D: Send + 'static> StreamConsumer<D> for Script {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        match self.next(cx, source.remaining(), finish) {
            Act::Take(count, answer) => {
                let mut items = Vec::with_capacity(count);
                source.read(&mut store, &mut items)?;
                self.0.lock().unwrap().taken.extend(items);
                answer.map(Ok)
            }
            Act::TakeDirect(count, answer) => {
                let mut bytes = vec![0; count];
                let count = source.as_direct(store).read(&mut bytes)?;
                self.0.lock().unwrap().taken.extend(&bytes[..count]);
                answer.map(Ok)
            }
            Act::Overrun(more) => {
                let mut direct = source.as_direct(store);
                let offered = direct.remaining().len();
                direct.mark_read(offered + more);
                COMPLETED.map(Ok)
            }
            Act::Say(answer) => answer.map(Ok),
            Act::Fail | Act::Buffer(..) | Act::Direct(..) => {
                Poll::Ready(Err(tidegate::Error::msg("the script is over")))
            }
        }
    }
}

/// The same for futures of `u32`s: `Buffer(&[n], _)` gives the value `n`, `Take` takes it.
pub struct Value(pub Script);

impl<D: Send + 'static> FutureProducer<D> for Value {
    type Item = u32;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<Result<Option<u32>>> {
        match self.0.next(cx, 1, finish) {
            Act::Buffer(value, _) => Poll::Ready(Ok(value.first().map(|&value| value.into()))),
            Act::Say(answer) => answer.map(|_| Ok(None)),
            _ => Poll::Ready(Err(tidegate::Error::msg("the script is over"))),
        }
    }
}

impl<D: Send + 'static> FutureConsumer<D> for Value {
    type Item = u32;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, u32>,
        finish: bool,
    ) -> Poll<Result<()>> {
        match self.0.next(cx, source.remaining(), finish) {
            Act::Take(_, answer) => {
                let mut value = None;
                source.read(&mut store, &mut value)?;
                self.0
                    .0
                    .lock()
                    .unwrap()
                    .taken
                    .extend(value.map(|value| value as u8));
                answer.map(|_| Ok(()))
            }
            Act::Say(answer) => answer.map(|_| Ok(())),
            _ => Poll::Ready(Err(tidegate::Error::msg("the script is over"))),
        }
    }
}
