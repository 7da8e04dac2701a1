//! What readers of streams and futures have in common.

use super::ends::{HostEnd, Wanted, attach, forget};
use crate::baton::Runtime;
use crate::{AsContextMut, Result, Val};
use std::any::{Any, TypeId};
use std::pin::Pin;
use tidegate_core::abi::{FutureAny, StreamAny};
use tidegate_core::runtime::{HostReader, PayloadId, SharedKind, Side};

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
