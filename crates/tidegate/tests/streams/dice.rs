//! Producers and consumers that take pieces and wait as dice fall.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tidegate::stream::{Destination, Source, StreamConsumer, StreamProducer, StreamResult};
use tidegate::{Result, StoreContextMut};

/// A small generator of numbers: the same for the same seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize % sides
    }

    /// Waits, and is woken at once, once in three times.
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        let waits = self.roll(3) == 0;
        if waits {
            cx.waker().wake_by_ref();
        }
        waits
    }
}

pub struct Producer {
    pub bytes: Vec<u8>,
    pub sent: usize,
    pub dice: Dice,
    /// Dropped with it.
    pub _done: futures_channel::oneshot::Sender<()>,
}

impl StreamProducer<()> for Producer {
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, ()>,
        mut destination: Destination<'_, u8, Vec<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if me.dice.waits(cx) {
            return if finish && me.dice.roll(2) == 0 {
                Poll::Ready(Ok(StreamResult::Cancelled))
            } else {
                Poll::Pending
            };
        }
        let rest = &me.bytes[me.sent..];
        let mut count = rest.len().min(1 + me.dice.roll(40));
        if me.dice.roll(2) == 0 {
            destination.set_buffer(rest[..count].to_vec());
        } else {
            let mut direct = destination.as_direct(store, 64);
            let room = direct.remaining();
            count = count.min(room.len());
            room[..count].copy_from_slice(&rest[..count]);
            direct.mark_written(count);
        }
        me.sent += count;
        Poll::Ready(Ok(if me.sent == me.bytes.len() {
            StreamResult::Dropped
        } else {
            StreamResult::Completed
        }))
    }
}

pub struct Consumer {
    pub taken: Arc<Mutex<Vec<u8>>>,
    pub dice: Dice,
    /// Dropped with it.
    pub _done: futures_channel::oneshot::Sender<()>,
}

impl StreamConsumer<()> for Consumer {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, ()>,
        mut source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if me.dice.waits(cx) {
            return if finish && me.dice.roll(2) == 0 {
                Poll::Ready(Ok(StreamResult::Cancelled))
            } else {
                Poll::Pending
            };
        }
        let mut bytes = Vec::with_capacity(1 + me.dice.roll(30));
        if me.dice.roll(2) == 0 {
            source.read(&mut store, &mut bytes)?;
        } else {
            let mut direct = source.as_direct(store);
            let count = direct.remaining().len().min(bytes.capacity());
            bytes.extend(&direct.remaining()[..count]);
            direct.mark_read(count);
        }
        me.taken.lock().unwrap().extend(&bytes);
        if me.dice.waits(cx) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
