//! What readers of streams and futures have in common.

use super::ends::{HostEnd, Wanted, attach, forget, take_items};
use super::{FutureReader, Item, StreamReader};
use crate::baton::Runtime;
use crate::concurrent::HostWork;
use crate::{AsContextMut, ComponentType, Lift, Lower, Result, Val};
use anyhow::bail;
use std::any::{Any, TypeId};
use std::fmt;
use std::pin::Pin;
use tidegate_core::abi::{
    FlatReader, FlatWriter, FutureAny, Layout, LiftContext, LowerContext, StreamAny, TypeContext,
    TypeMismatch,
};
use tidegate_core::runtime::{HostReader, PayloadId, SharedKind, Side};
use tidegate_core::types::{TypeDef, ValType};

/// A readable end that the host holds.
///
/// Readers are names: one that is neither given to a guest, piped nor closed stays, with its producer, for as long as its store.
pub trait ReadableEnd {
    /// Drops the end: whoever writes learns that nobody reads any more, and a producer of the host is dropped.
    ///
    /// # Errors
    /// [`ReaderGone`](tidegate_core::runtime::ReaderGone).
    fn close(&mut self, store: impl AsContextMut) -> Result<()>;
}

impl ReadableEnd for StreamAny {
    fn close(&mut self, mut store: impl AsContextMut) -> Result<()> {
        close(
            store.as_context_mut().slot,
            SharedKind::Stream,
            self.reader(),
        )
    }
}

impl ReadableEnd for FutureAny {
    fn close(&mut self, mut store: impl AsContextMut) -> Result<()> {
        close(
            store.as_context_mut().slot,
            SharedKind::Future,
            self.reader(),
        )
    }
}

/// Makes a stream or future whose writable end is `end`.
pub(super) fn produced(
    runtime: &mut Runtime,
    kind: SharedKind,
    end: Box<dyn HostEnd>,
) -> HostReader {
    let shared = runtime.state.host_new(kind, PayloadId::UNSETTLED);
    attach(runtime, shared, Side::Writable, end);
    runtime.state.hold_reader(shared)
}

/// Hands what comes out of a readable end to `end`. If the writable one is the host's own, the two are connected: `splice` makes one work of its producer, a `P` for
/// `item`s, and of `end`.
///
/// # Errors
/// [`ReaderGone`](tidegate_core::runtime::ReaderGone); the producer makes something else.
pub(super) fn pipe<E: HostEnd + 'static, P: Send + 'static, W: HostWork + 'static>(
    runtime: &mut Runtime,
    kind: SharedKind,
    reader: HostReader,
    end: Box<E>,
    item: &str,
    splice: impl FnOnce(P, Box<E>) -> W,
) -> Result<()> {
    let shared = runtime.state.take_reader(kind, reader)?;
    if !runtime.streams.contains(shared, Side::Writable) {
        attach(runtime, shared, Side::Readable, end);
        return Ok(());
    }
    let producer = take_items::<P>(&mut runtime.streams, shared);
    forget(runtime, shared, Side::Writable);
    forget(runtime, shared, Side::Readable);
    let Some(producer) = producer else {
        bail!(
            "the producer at the other end of the {} makes something else than `{item}`",
            kind.name()
        );
    };
    let key = runtime
        .concurrent
        .work
        .insert(Box::pin(splice(producer, end)));
    runtime.concurrent.work.wake(key);
    Ok(())
}

pub(super) fn close(runtime: &mut Runtime, kind: SharedKind, reader: HostReader) -> Result<()> {
    let shared = runtime.state.take_reader(kind, reader)?;
    forget(runtime, shared, Side::Readable);
    Ok(())
}

/// Closes every readable end in a value that nobody will have.
pub(crate) fn close_all(runtime: &mut Runtime, val: &Val) -> Result<()> {
    let mut all = |vals: &mut dyn Iterator<Item = &Val>| {
        for val in vals {
            close_all(runtime, val)?;
        }
        Ok(())
    };
    match val {
        Val::Stream(end) => close(runtime, SharedKind::Stream, end.reader()),
        Val::Future(end) => close(runtime, SharedKind::Future, end.reader()),
        Val::List(vals) | Val::Tuple(vals) => all(&mut vals.iter()),
        Val::Map(entries) => all(&mut entries.iter().flat_map(|(key, val)| [key, val])),
        Val::Record(fields) => all(&mut fields.iter().map(|(_, val)| val)),
        Val::Variant(_, payload) | Val::Option(payload) => all(&mut payload.as_deref().into_iter()),
        Val::Result(result) => {
            let (Ok(payload) | Err(payload)) = result;
            all(&mut payload.as_deref().into_iter())
        }
        _ => Ok(()),
    }
}

/// The object behind a readable end that the host holds, if the host holds the writable one too, and nothing of it would be lost.
pub(super) fn take_object<P: Send + Unpin + 'static>(
    runtime: &mut Runtime,
    kind: SharedKind,
    reader: HostReader,
) -> Option<P> {
    if !runtime.state.holds(reader) {
        return None;
    }
    let shared = reader.shared();
    let held = runtime.streams.take(shared, Side::Writable)?;
    let (end, rest) = held.apart();
    match end.into_any(Wanted::Object(TypeId::of::<P>())) {
        Err(end) => {
            let held = rest.with(end);
            drop(runtime.streams.put_back(shared, Side::Writable, held));
            None
        }
        Ok(object) => {
            // What was taken apart cannot be put back; nobody reads from it any more.
            let _ = close(runtime, kind, reader);
            unpin(object)
        }
    }
}

/// A producer itself comes pinned, what it wraps does not.
fn unpin<P: Unpin + 'static>(object: Box<dyn Any + Send>) -> Option<P> {
    match object.downcast::<Pin<Box<P>>>() {
        Ok(producer) => Some(*Pin::into_inner(*producer)),
        Err(object) => object.downcast::<P>().ok().map(|object| *object),
    }
}

/// `$name<T>` as a value of a component: an `$any` whose items are `T`s.
macro_rules! values {
    ($name:ident, $any:ident, $kind:ident, $word:literal) => {
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.any).finish()
            }
        }

        impl<T: Item> ComponentType for $name<T> {
            const LAYOUT: Layout = $any::LAYOUT;

            fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                let element = match ty.type_idx().map(|index| cx.types.def(index)) {
                    Some(TypeDef::$kind(element)) => *element,
                    _ => return Err(TypeMismatch::kind($word, cx, ty)),
                };
                T::typecheck_item(element, cx).map_err(|mismatch| mismatch.within($word))
            }
        }

        impl<T: Item> Lift for $name<T> {
            fn lift_flat(
                cx: &mut LiftContext<'_>,
                ty: ValType,
                src: &mut FlatReader<'_>,
            ) -> Result<Self> {
                Ok(Self::named($any::lift_flat(cx, ty, src)?))
            }

            fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> Result<Self> {
                Ok(Self::named($any::lift_mem(cx, ty, ptr)?))
            }
        }

        impl<T: Item> Lower for $name<T> {
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
    };
}

values!(StreamReader, StreamAny, Stream, "stream");
values!(FutureReader, FutureAny, Future, "future");
