//! Readable ends of streams.

use super::ends::{
    ConsumeItems, ProduceItems, Splice, StreamConsumerEnd, StreamProducerEnd, attach, forget,
    take_items,
};
use super::{Item, LiftItem, LowerItem, ReadableEnd, StreamConsumer, StreamProducer, reader};
use crate::{AsContextMut, ComponentType, Lift, Lower, Result};
use std::fmt;
use std::marker::PhantomData;
use tidegate_core::abi::{
    FlatReader, FlatWriter, Layout, LiftContext, LowerContext, StreamAny, TypeContext, TypeMismatch,
};
use tidegate_core::runtime::{SharedKind, Side};
use tidegate_core::types::{TypeDef, ValType};

/// The readable end of a `stream<T>` that the host holds: `T` is `()` for a stream without an element type.
///
/// As a parameter, result or field it is what the component's type calls `stream<T>`. Lowering it gives the end away.
///
/// It is a name of the end: one that is neither given to a guest, [piped](Self::pipe) nor [closed](Self::close) stays, with its producer, for as
/// long as its store.
pub struct StreamReader<T> {
    any: StreamAny,
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
        let shared = runtime
            .state
            .take_reader(SharedKind::Stream, self.any.reader())?;
        let end = StreamConsumerEnd::<C, S::Data>::new(consumer);
        if !runtime.streams.contains(shared, Side::Writable) {
            attach(runtime, shared, Side::Readable, Box::new(end));
            return Ok(());
        }
        type Producer<T, D> = Box<dyn ProduceItems<T, D>>;
        let producer = take_items::<Producer<T, S::Data>>(&mut runtime.streams, shared);
        forget(runtime, shared, Side::Writable);
        forget(runtime, shared, Side::Readable);
        let Some(producer) = producer else {
            anyhow::bail!(
                "the producer at the other end of the stream makes items of another type than `{}`",
                std::any::type_name::<T>()
            );
        };
        let consumer: Box<dyn ConsumeItems<T, S::Data>> = Box::new(end);
        let splice = Splice::new(producer, consumer);
        let key = runtime.concurrent.work.insert(Box::pin(splice));
        runtime.concurrent.work.wake(key);
        Ok(())
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

impl<T> fmt::Debug for StreamReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamReader").field(&self.any).finish()
    }
}

impl<T: Item> ComponentType for StreamReader<T> {
    const LAYOUT: Layout = StreamAny::LAYOUT;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        let element = match ty.type_idx().map(|index| cx.types.def(index)) {
            Some(TypeDef::Stream(element)) => *element,
            _ => return Err(TypeMismatch::kind("stream", cx, ty)),
        };
        T::typecheck_item(element, cx).map_err(|mismatch| mismatch.within("stream"))
    }
}

impl<T: Item> Lift for StreamReader<T> {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: ValType, src: &mut FlatReader<'_>) -> Result<Self> {
        Ok(Self::named(StreamAny::lift_flat(cx, ty, src)?))
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> Result<Self> {
        Ok(Self::named(StreamAny::lift_mem(cx, ty, ptr)?))
    }
}

impl<T: Item> Lower for StreamReader<T> {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> Result<()> {
        self.any.lower_flat(cx, ty, dst)
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> Result<()> {
        self.any.lower_mem(cx, ty, ptr)
    }
}
