//! Readable ends of futures.

use super::ends::{FutureConsumerEnd, FutureProducerEnd, ProduceValue, SpliceValue};
use super::{FutureConsumer, FutureProducer, Item, LiftItem, LowerItem, ReadableEnd, reader};
use crate::{AsContextMut, Result};
use std::marker::PhantomData;
use tidegate_core::abi::FutureAny;
use tidegate_core::runtime::SharedKind;

/// The readable end of a `future<T>` that the host holds: `T` is `()` for a future without an element type.
///
/// As a parameter, result or field it is what the component's type calls `future<T>`. Lowering it gives the end away.
///
/// It is a name of the end: one that is neither given to a guest, [piped](Self::pipe) nor [closed](Self::close) stays, with its producer, for as
/// long as its store.
pub struct FutureReader<T> {
    pub(super) any: FutureAny,
    items: PhantomData<fn() -> T>,
}

impl<T> FutureReader<T> {
    /// The readable end of a new future that `producer` writes to.
    ///
    /// The producer is called when somebody reads, and dropped after the value, or when nobody can read any more.
    ///
    /// # Errors
    /// None now: reserved for limits.
    pub fn new<S, P>(mut store: S, producer: P) -> Result<Self>
    where
        S: AsContextMut,
        P: FutureProducer<S::Data, Item = T>,
        T: LowerItem,
    {
        let runtime = &mut **store.as_context_mut().slot;
        let end = Box::new(FutureProducerEnd::<P, S::Data>::new(producer));
        let reader = reader::produced(runtime, SharedKind::Future, end);
        Ok(Self::named(FutureAny::new(reader)))
    }

    /// Hands the value to `consumer`.
    ///
    /// The consumer is called when the guest writes, and dropped when nobody can write any more. If the writable end is the host's own, the value goes straight from
    /// its producer to the consumer whenever the store is [driven](crate::Store), and no guest is entered; an error of either ends both then, and is logged.
    ///
    /// # Errors
    /// [`ReaderGone`](tidegate_core::runtime::ReaderGone); the producer at the other end makes a value of another Rust type.
    pub fn pipe<S, C>(self, mut store: S, consumer: C) -> Result<()>
    where
        S: AsContextMut,
        C: FutureConsumer<S::Data, Item = T>,
        T: LiftItem,
    {
        let runtime = &mut **store.as_context_mut().slot;
        reader::pipe(
            runtime,
            SharedKind::Future,
            self.any.reader(),
            Box::new(FutureConsumerEnd::<C, S::Data>::new(consumer)),
            std::any::type_name::<T>(),
            |producer: Box<dyn ProduceValue<T, S::Data>>, end| SpliceValue::new(producer, end),
        )
    }

    /// Drops the end: whoever writes learns that nobody reads any more, and a producer of the host is dropped.
    ///
    /// # Errors
    /// [`ReaderGone`](tidegate_core::runtime::ReaderGone).
    pub fn close(&mut self, store: impl AsContextMut) -> Result<()> {
        self.any.close(store)
    }

    /// The producer behind a reader that never met a guest, or that a guest has passed on without reading.
    ///
    /// # Errors
    /// This reader, unchanged, if there is no `P` behind it.
    pub fn try_into<P: Send + Unpin + 'static>(
        self,
        mut store: impl AsContextMut,
    ) -> Result<P, Self> {
        let runtime = &mut **store.as_context_mut().slot;
        reader::take_object(runtime, SharedKind::Future, self.any.reader()).ok_or(self)
    }

    /// The same without the type of the items.
    pub fn into_any(self) -> FutureAny {
        self.any
    }

    /// A future whose value is believed to be a `T`.
    ///
    /// If it is not, whoever writes traps (or the guest that reads, if the host writes) as soon as it is to be moved.
    pub fn from_any(any: FutureAny) -> Self
    where
        T: Item,
    {
        Self::named(any)
    }

    pub(super) fn named(any: FutureAny) -> Self {
        Self {
            any,
            items: PhantomData,
        }
    }
}
