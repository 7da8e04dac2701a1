//! Readable ends of futures.

use super::ends::{
    ConsumeValue, FutureConsumerEnd, FutureProducerEnd, ProduceValue, SpliceValue, attach, forget,
    take_items,
};
use super::{FutureConsumer, FutureProducer, Item, LiftItem, LowerItem, ReadableEnd, reader};
use crate::{AsContextMut, ComponentType, Lift, Lower, Result};
use std::fmt;
use std::marker::PhantomData;
use tidegate_core::abi::{
    FlatReader, FlatWriter, FutureAny, Layout, LiftContext, LowerContext, TypeContext, TypeMismatch,
};
use tidegate_core::runtime::{SharedKind, Side};
use tidegate_core::types::{TypeDef, ValType};

/// The readable end of a `future<T>` that the host holds: `T` is `()` for a future without an element type.
///
/// As a parameter, result or field it is what the component's type calls `future<T>`. Lowering it gives the end away.
///
/// It is a name of the end: one that is neither given to a guest, [piped](Self::pipe) nor [closed](Self::close) stays, with its producer, for as
/// long as its store.
pub struct FutureReader<T> {
    any: FutureAny,
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
        let shared = runtime
            .state
            .take_reader(SharedKind::Future, self.any.reader())?;
        let end = FutureConsumerEnd::<C, S::Data>::new(consumer);
        if !runtime.streams.contains(shared, Side::Writable) {
            attach(runtime, shared, Side::Readable, Box::new(end));
            return Ok(());
        }
        type Producer<T, D> = Box<dyn ProduceValue<T, D>>;
        let producer = take_items::<Producer<T, S::Data>>(&mut runtime.streams, shared);
        forget(runtime, shared, Side::Writable);
        forget(runtime, shared, Side::Readable);
        let Some(producer) = producer else {
            anyhow::bail!(
                "the producer at the other end of the future makes a value of another type than `{}`",
                std::any::type_name::<T>()
            );
        };
        let consumer: Box<dyn ConsumeValue<T, S::Data>> = Box::new(end);
        let splice = SpliceValue::new(producer, consumer);
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

impl<T> fmt::Debug for FutureReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FutureReader").field(&self.any).finish()
    }
}

impl<T: Item> ComponentType for FutureReader<T> {
    const LAYOUT: Layout = FutureAny::LAYOUT;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        let element = match ty.type_idx().map(|index| cx.types.def(index)) {
            Some(TypeDef::Future(element)) => *element,
            _ => return Err(TypeMismatch::kind("future", cx, ty)),
        };
        T::typecheck_item(element, cx).map_err(|mismatch| mismatch.within("future"))
    }
}

impl<T: Item> Lift for FutureReader<T> {
    fn lift_flat(cx: &mut LiftContext<'_>, ty: ValType, src: &mut FlatReader<'_>) -> Result<Self> {
        Ok(Self::named(FutureAny::lift_flat(cx, ty, src)?))
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> Result<Self> {
        Ok(Self::named(FutureAny::lift_mem(cx, ty, ptr)?))
    }
}

impl<T: Item> Lower for FutureReader<T> {
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
