//! Readable ends of streams.

use super::ends::{ProduceItems, Splice, StreamConsumerEnd, StreamProducerEnd};
use super::{Item, LiftItem, LowerItem, ReadableEnd, StreamConsumer, StreamProducer, reader};
use crate::{AsContextMut, Result};
use std::marker::PhantomData;
use tidegate_core::abi::StreamAny;
use tidegate_core::runtime::SharedKind;

/// The readable end of a `stream<T>` that the host holds: `T` is `()` for a stream without an element type.
///
/// As a parameter, result or field it is what the component's type calls `stream<T>`. Lowering it gives the end away.
///
/// It is a name of the end: one that is neither given to a guest, [piped](Self::pipe) nor [closed](Self::close) stays, with its producer, for as
/// long as its store.
pub struct StreamReader<T> {
    pub(super) any: StreamAny,
    items: PhantomData<fn() -> T>,
}

impl<T> StreamReader<T> {
    /// The readable end of a new stream that `producer` writes to.
    ///
    /// The producer is called when somebody reads, and dropped when nobody can any more.
    ///
    /// # Errors
    /// None now: reserved for limits.
    pub fn new<S, P>(mut store: S, producer: P) -> Result<Self>
    where
        S: AsContextMut,
        P: StreamProducer<S::Data, Item = T>,
        T: LowerItem,
    {
        let runtime = &mut **store.as_context_mut().slot;
        let end = Box::new(StreamProducerEnd::<P, S::Data>::new(producer));
        let reader = reader::produced(runtime, SharedKind::Stream, end);
        Ok(Self::named(StreamAny::new(reader)))
    }

    /// Hands everything that comes out of the stream to `consumer`.
    ///
    /// The consumer is called when the guest writes, and dropped when nobody can write any more. If the writable end is the host's own, items go straight from
    /// its producer to the consumer whenever the store is [driven](crate::Store), and no guest is entered; an error of either ends both then, and is logged.
    ///
    /// # Errors
    /// [`ReaderGone`](tidegate_core::runtime::ReaderGone); the producer at the other end makes items of another Rust type.
    pub fn pipe<S, C>(self, mut store: S, consumer: C) -> Result<()>
    where
        S: AsContextMut,
        C: StreamConsumer<S::Data, Item = T>,
        T: LiftItem,
    {
        let runtime = &mut **store.as_context_mut().slot;
        reader::pipe(
            runtime,
            SharedKind::Stream,
            self.any.reader(),
            Box::new(StreamConsumerEnd::<C, S::Data>::new(consumer)),
            std::any::type_name::<T>(),
            |producer: Box<dyn ProduceItems<T, S::Data>>, end| Splice::new(producer, end),
        )
    }

    /// Drops the end: whoever writes learns that nobody reads any more, and a producer of the host is dropped.
    ///
    /// # Errors
    /// [`ReaderGone`](tidegate_core::runtime::ReaderGone).
    pub fn close(&mut self, store: impl AsContextMut) -> Result<()> {
        self.any.close(store)
    }

    /// The producer behind a reader that never met a guest, or that a guest has passed on without leaving items behind; or what that producer
    /// [wraps](StreamProducer::try_into).
    ///
    /// # Errors
    /// This reader, unchanged, if there is no `P` behind it.
    pub fn try_into<P: Send + Unpin + 'static>(
        self,
        mut store: impl AsContextMut,
    ) -> Result<P, Self> {
        let runtime = &mut **store.as_context_mut().slot;
        reader::take_object(runtime, SharedKind::Stream, self.any.reader()).ok_or(self)
    }

    /// The same without the type of the items.
    pub fn into_any(self) -> StreamAny {
        self.any
    }

    /// A stream whose items are believed to be `T`s.
    ///
    /// If they are not, whoever writes traps (or the guest that reads, if the host writes) as soon as an item is to be moved.
    pub fn from_any(any: StreamAny) -> Self
    where
        T: Item,
    {
        Self::named(any)
    }

    pub(super) fn named(any: StreamAny) -> Self {
        Self {
            any,
            items: PhantomData,
        }
    }
}
