//! Many guests wait at once, each in an instance of its own.

use super::rt::{
    Component, Destination, Linker, Result, Store, StoreContextMut, StreamProducer, StreamReader,
    StreamResult, TypedFunc, VecBuffer, engine_for, store, subject,
};
use crate::measure::{Subject, processor_time, resident};
use futures::executor::block_on;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Who waits, and how often somebody has begun to.
#[derive(Default)]
struct Waiting {
    guests: Vec<Guest>,
    /// How many times a guest has begun to wait.
    times: AtomicUsize,
    /// Whoever waits for that.
    watcher: Mutex<Option<Waker>>,
}

#[derive(Default)]
struct Guest {
    may_read: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

fn take(waker: &Mutex<Option<Waker>>) -> Option<Waker> {
    waker.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn keep(waker: &Mutex<Option<Waker>>, cx: &Context<'_>) {
    let mut kept = waker.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *kept {
        Some(kept) => kept.clone_from(cx.waker()),
        kept => *kept = Some(cx.waker().clone()),
    }
}

impl Waiting {
    /// Lets a guest have a byte.
    fn wake(&self, guest: usize) {
        self.guests[guest].may_read.store(true, Ordering::Release);
        if let Some(waker) = take(&self.guests[guest].waker) {
            waker.wake();
        }
    }
}

/// Produces a byte for one guest whenever it is told to.
struct Bytes {
    waiting: Arc<Waiting>,
    guest: usize,
}

impl StreamProducer<()> for Bytes {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, ()>,
        destination: Destination<'a, u8, VecBuffer<u8>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let guest = &self.waiting.guests[self.guest];
        if guest.may_read.swap(false, Ordering::AcqRel) {
            let mut direct = destination.as_direct(store, 1);
            direct.remaining()[0] = 7;
            direct.mark_written(1);
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        keep(&guest.waker, cx);
        self.waiting.times.fetch_add(1, Ordering::AcqRel);
        if let Some(watcher) = take(&self.waiting.watcher) {
            watcher.wake();
        }
        Poll::Pending
    }
}

/// So many guests that wait.
struct Parked {
    store: Store<()>,
    waiting: Arc<Waiting>,
}

impl Parked {
    /// With stacks of so many bytes, half of them for the guest's frames, or of the size that each runtime has by itself.
    fn new(bytes: &[u8], guests: usize, stack: Option<usize>) -> Result<Self> {
        let engine = engine_for(guests, stack)?;
        let component = Component::new(&engine, bytes)?;
        let pre = Linker::new(&engine).instantiate_pre(&component)?;
        let mut store = store(&engine);
        let waiting = Arc::new(Waiting {
            guests: std::iter::repeat_with(Guest::default)
                .take(guests)
                .collect(),
            ..Waiting::default()
        });
        for guest in 0..guests {
            let instance = block_on(pre.instantiate_async(&mut store))?;
            let park: TypedFunc<(StreamReader<u8>,), ()> =
                instance.get_typed_func(&mut store, "park")?;
            let producer = Bytes {
                waiting: waiting.clone(),
                guest,
            };
            let reader = StreamReader::new(&mut store, producer)?;
            block_on(park.call_async(&mut store, (reader,)))?;
        }
        let mut parked = Self { store, waiting };
        parked.run_until(guests)?;
        Ok(parked)
    }

    /// Runs until guests have begun to wait so many times in all.
    fn run_until(&mut self, times: usize) -> Result<()> {
        let waiting = &*self.waiting;
        block_on(self.store.run_concurrent(async |_| {
            std::future::poll_fn(|cx| {
                keep(&waiting.watcher, cx);
                if waiting.times.load(Ordering::Acquire) >= times {
                    return Poll::Ready(());
                }
                Poll::Pending
            })
            .await
        }))
    }

    fn begun(&self) -> usize {
        self.waiting.times.load(Ordering::Acquire)
    }
}

/// One of them after another reads a byte and waits again.
pub fn wake_one(bytes: &[u8], guests: usize) -> Result<Subject> {
    let mut parked = Parked::new(bytes, guests, None)?;
    let mut next = 0;
    Ok(subject(move |n| {
        for _ in 0..n {
            next = (next + 1) % guests;
            let begun = parked.begun();
            parked.waiting.wake(next);
            parked.run_until(begun + 1)?;
        }
        Ok(n)
    }))
}

/// All of them read a byte and wait again.
pub fn wake_all(bytes: &[u8], guests: usize) -> Result<Subject> {
    let mut parked = Parked::new(bytes, guests, None)?;
    Ok(subject(move |n| {
        for _ in 0..n {
            let begun = parked.begun();
            (0..guests).for_each(|guest| parked.waiting.wake(guest));
            parked.run_until(begun + guests)?;
        }
        Ok(n)
    }))
}

/// How many bytes one of them takes of the machine's memory, page tables included. To be run once, in a process that has not freed any.
pub fn memory(bytes: &[u8], guests: usize, stack: Option<usize>) -> Result<Subject> {
    let bytes = bytes.to_vec();
    Ok(subject(move |_| {
        // What the first ones take that the others share.
        let _first = Parked::new(&bytes, 10, stack)?;
        let before = resident();
        let _parked = Parked::new(&bytes, guests, stack)?;
        Ok(resident().saturating_sub(before) / guests as u64)
    }))
}

/// How much processor time the process takes in three seconds in which all of them wait, in nanoseconds.
pub fn idle(bytes: &[u8], guests: usize) -> Result<Subject> {
    let bytes = bytes.to_vec();
    Ok(subject(move |_| {
        let mut parked = Parked::new(&bytes, guests, None)?;
        let before = processor_time();
        block_on(parked.store.run_concurrent(async |_| {
            let (told, over) = futures::channel::oneshot::channel::<()>();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(3));
                let _ = told.send(());
            });
            let _ = over.await;
        }))?;
        Ok(processor_time().saturating_sub(before))
    }))
}
