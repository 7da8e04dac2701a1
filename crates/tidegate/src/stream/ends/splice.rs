//! A producer and a consumer at the two ends of one stream or future: items go from one to the other, and no guest is entered.

use super::Wanted;
use super::table::HostEnds;
use crate::StoreContextMut;
use crate::baton::Baton;
use crate::concurrent::HostWork;
use crate::stream::WriteBuffer;
use crate::stream::destination::Chunk;
use anyhow::Result;
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_core::runtime::{SharedId, Side};

/// How many times items are moved before others get their turn.
const ROUNDS: usize = 32;

/// A producer of `T`s.
pub(in crate::stream) trait ProduceItems<T, D: Send + 'static>: Send {
    /// Asks for more items: into the chunk, or into what is [left](Self::left).
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        chunk: &mut Chunk<T>,
    ) -> Result<Produced>;

    /// What comes after the chunk.
    fn left(&mut self) -> &mut dyn WriteBuffer<T>;
}

/// What a producer says.
pub(in crate::stream) enum Produced {
    Pending,
    Some,
    /// There will be no more than there is now.
    Last,
}

/// A consumer of `T`s.
pub(in crate::stream) trait ConsumeItems<T, D: Send + 'static>: Send {
    /// Offers items. `before`: it has taken some before, and did not say that it is ready since.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        items: &mut dyn WriteBuffer<T>,
        before: bool,
    ) -> Result<Consumed>;
}

/// What a consumer says.
pub(in crate::stream) enum Consumed {
    /// It is not ready for more; whether it took some.
    Pending {
        some: bool,
    },
    Some,
    /// It takes no more.
    Last,
}

/// A producer of one value.
pub(in crate::stream) trait ProduceValue<T, D: Send + 'static>: Send {
    fn poll(&mut self, cx: &mut Context<'_>, store: StoreContextMut<'_, D>) -> Poll<Result<T>>;
}

/// A consumer of one value.
pub(in crate::stream) trait ConsumeValue<T, D: Send + 'static>: Send {
    /// Offers the value, or none if it took it `before`. Gives whether it is done.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        value: &mut Option<T>,
        before: bool,
    ) -> Result<bool>;
}

/// Takes the host's writable end for a splice with a consumer of `T`s, if it produces such.
pub(in crate::stream) fn take_items<I: Send + 'static>(
    ends: &mut HostEnds,
    shared: SharedId,
) -> Option<I> {
    let held = ends.take(shared, Side::Writable)?;
    match held
        .end
        .into_any(Wanted::Items)
        .map(|items| items.downcast::<I>())
    {
        Ok(Ok(items)) => Some(*items),
        _ => None,
    }
}

/// Items on their way from a producer to a consumer.
pub(in crate::stream) struct Splice<T, D> {
    producer: Box<dyn ProduceItems<T, D>>,
    consumer: Box<dyn ConsumeItems<T, D>>,
    chunk: Box<Chunk<T>>,
    /// Whether the producer will make no more.
    last: bool,
    /// Whether the consumer has taken items and not said that it is ready since.
    holding: bool,
}

impl<T: Send + 'static, D: Send + 'static> Splice<T, D> {
    pub(in crate::stream) fn new(
        producer: Box<dyn ProduceItems<T, D>>,
        consumer: Box<dyn ConsumeItems<T, D>>,
    ) -> Self {
        Self {
            producer,
            consumer,
            chunk: Box::default(),
            last: false,
            holding: false,
        }
    }

    /// Moves items until one of them waits. Gives whether that is all.
    fn run(&mut self, place: &mut Baton, cx: &mut Context<'_>) -> Result<Poll<()>> {
        for _ in 0..ROUNDS {
            let mut items: &mut dyn WriteBuffer<T> = &mut *self.chunk;
            if items.remaining().is_empty() {
                items = self.producer.left();
            }
            if items.remaining().is_empty() && !self.holding {
                if self.last {
                    return Ok(Poll::Ready(()));
                }
                let store = StoreContextMut::new(place);
                match self.producer.poll(cx, store, &mut self.chunk)? {
                    Produced::Pending => return Ok(Poll::Pending),
                    Produced::Some => {}
                    Produced::Last => self.last = true,
                }
                continue;
            }
            let store = StoreContextMut::new(place);
            match self.consumer.poll(cx, store, items, self.holding)? {
                Consumed::Pending { some } => {
                    self.holding |= some;
                    return Ok(Poll::Pending);
                }
                Consumed::Some => self.holding = false,
                Consumed::Last => return Ok(Poll::Ready(())),
            }
        }
        cx.waker().wake_by_ref();
        Ok(Poll::Pending)
    }
}

impl<T: Send + 'static, D: Send + 'static> HostWork for Splice<T, D> {
    fn poll(self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().run(place, cx).unwrap_or_else(given_up)
    }
}

/// A value on its way from a producer to a consumer.
pub(in crate::stream) struct SpliceValue<T, D> {
    producer: Box<dyn ProduceValue<T, D>>,
    consumer: Box<dyn ConsumeValue<T, D>>,
    value: Box<Option<T>>,
    /// Whether it was produced.
    produced: bool,
}

impl<T: Send + 'static, D: Send + 'static> SpliceValue<T, D> {
    pub(in crate::stream) fn new(
        producer: Box<dyn ProduceValue<T, D>>,
        consumer: Box<dyn ConsumeValue<T, D>>,
    ) -> Self {
        Self {
            producer,
            consumer,
            value: Box::new(None),
            produced: false,
        }
    }

    fn run(&mut self, place: &mut Baton, cx: &mut Context<'_>) -> Result<Poll<()>> {
        if !self.produced {
            match self.producer.poll(cx, StoreContextMut::new(place)) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(value) => *self.value = Some(value?),
            }
            self.produced = true;
        }
        let before = self.value.is_none();
        let store = StoreContextMut::new(place);
        let done = self.consumer.poll(cx, store, &mut self.value, before)?;
        Ok(if done { Poll::Ready(()) } else { Poll::Pending })
    }
}

impl<T: Send + 'static, D: Send + 'static> HostWork for SpliceValue<T, D> {
    fn poll(self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().run(place, cx).unwrap_or_else(given_up)
    }
}

/// An error with no guest to trap: both objects are dropped, which is how each learns of it.
fn given_up(error: anyhow::Error) -> Poll<()> {
    tracing::error!("what connects two of the host's ends of a stream or future ended: {error:#}");
    Poll::Ready(())
}
