//! The host's ends of streams and futures: they take and give pieces, and wait, as the script says.

use crate::World;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate::stream::{
    Destination, FutureConsumer, Source, StreamConsumer, StreamProducer, StreamResult,
};
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
}

/// Waits, and is woken at once, if the script says so.
fn waits(world: &World, cx: &Context<'_>) -> bool {
    let waits = world.byte() % 3 == 1;
    if waits {
        cx.waker().wake_by_ref();
    }
    waits
}

pub struct Producer {
    world: World,
    sent: usize,
    length: usize,
}

impl Producer {
    pub fn new(world: World, length: usize) -> Self {
        Self {
            world,
            sent: 0,
            length,
        }
    }
}

impl StreamProducer<World> for Producer {
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'_, World>,
        mut destination: Destination<'_, u8, Vec<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if waits(&me.world, cx) {
            return match finish {
                true => Poll::Ready(Ok(StreamResult::Cancelled)),
                false => Poll::Pending,
            };
        }
        let count = (me.length - me.sent).min(1 + usize::from(me.world.byte() % 40));
        let items = (me.sent..me.sent + count).map(|item| item as u8).collect();
        destination.set_buffer(items);
        me.sent += count;
        me.world.note(format!("host: produces {count}"));
        Poll::Ready(Ok(match me.sent == me.length {
            true => StreamResult::Dropped,
            false => StreamResult::Completed,
        }))
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.world.note(format!("host: produced {}", self.sent));
    }
}

pub struct Consumer {
    world: World,
    taken: Vec<u8>,
}

impl Consumer {
    pub fn new(world: World) -> Self {
        Self {
            world,
            taken: Vec::new(),
        }
    }
}

impl StreamConsumer<World> for Consumer {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, World>,
        mut source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let me = self.get_mut();
        if waits(&me.world, cx) {
            return match finish {
                true => Poll::Ready(Ok(StreamResult::Cancelled)),
                false => Poll::Pending,
            };
        }
        let mut bytes = Vec::with_capacity(1 + usize::from(me.world.byte() % 30));
        source.read(&mut store, &mut bytes)?;
        me.world.note(format!("host: consumes {bytes:?}"));
        me.taken.extend(&bytes);
        if waits(&me.world, cx) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(match me.taken.len() > 200 {
            true => StreamResult::Dropped,
            false => StreamResult::Completed,
        }))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.world
            .note(format!("host: consumed {}", self.taken.len()));
    }
}

/// Takes the value of a future.
pub struct Taken(pub World);

impl FutureConsumer<World> for Taken {
    type Item = u32;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, World>,
        mut source: Source<'_, u32>,
        finish: bool,
    ) -> Poll<Result<()>> {
        let me = self.get_mut();
        if waits(&me.0, cx) {
            return match finish {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        }
        let mut value = Vec::with_capacity(1);
        source.read(&mut store, &mut value)?;
        me.0.note(format!("host: has {value:x?}"));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.note("host: future is over".to_owned());
    }
}
