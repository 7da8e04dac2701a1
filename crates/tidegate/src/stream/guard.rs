//! Readers that are closed when they are dropped.

use super::{FutureAny, FutureReader, StreamAny, StreamReader, reader};
use crate::AsContextMut;
use crate::baton::{Baton, Runtime};
use crate::concurrent::HostWork;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use tidegate_core::runtime::{HostReader, SharedKind};

/// Closes what guards have dropped, whenever the store is driven.
#[derive(Clone)]
pub(super) struct Closer {
    dropped: Dropped,
    waker: Waker,
}

type Dropped = Arc<Mutex<Vec<(SharedKind, HostReader)>>>;

impl Closer {
    /// The one of a store.
    fn of(runtime: &mut Runtime) -> Self {
        if let Some(closer) = &runtime.streams.closer {
            return closer.clone();
        }
        let dropped = Dropped::default();
        let work = CloserWork(dropped.clone());
        let key = runtime.concurrent.work.insert_idle(Box::pin(work));
        let waker = runtime.concurrent.work.waker(key);
        let closer = Self { dropped, waker };
        runtime.streams.closer.insert(closer).clone()
    }

    fn close(&self, kind: SharedKind, reader: HostReader) {
        let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
        dropped.push((kind, reader));
        drop(dropped);
        self.waker.wake_by_ref();
    }
}

struct CloserWork(Dropped);

impl HostWork for CloserWork {
    fn poll(self: Pin<&mut Self>, place: &mut Baton, _: &mut Context<'_>) -> Poll<()> {
        let dropped = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (kind, reader) in dropped {
            // It may have been closed by another name of it.
            let _ = reader::close(place, kind, reader);
        }
        Poll::Pending
    }
}

macro_rules! guard {
    ($(#[$doc:meta])* $name:ident, $reader:ident, $any:ident, $kind:ident, $into:ident) => {
        $(#[$doc])*
        pub struct $name<T> {
            any: $any,
            /// Whether it is to be closed.
            armed: bool,
            closer: Closer,
            items: PhantomData<fn() -> T>,
        }

        impl<T> $name<T> {
            /// Guards a reader of this store.
            pub fn new(mut store: impl AsContextMut, reader: $reader<T>) -> Self {
                Self {
                    any: reader.into_any(),
                    armed: true,
                    closer: Closer::of(store.as_context_mut().slot),
                    items: PhantomData,
                }
            }

            /// The reader, unguarded.
            pub fn $into(mut self) -> $reader<T> {
                self.armed = false;
                $reader::named(self.any)
            }
        }

        impl<T> Drop for $name<T> {
            fn drop(&mut self) {
                if self.armed {
                    self.closer.close(SharedKind::$kind, self.any.reader());
                }
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.any).finish()
            }
        }
    };
}

guard! {
    /// A [`StreamReader`] that is closed when it is dropped: at once if the store is being driven, else when it is driven next.
    ///
    /// Dropping it needs no access to the store, and is safe wherever a future is.
    GuardedStreamReader, StreamReader, StreamAny, Stream, into_stream_reader
}
guard! {
    /// A [`FutureReader`] that is closed when it is dropped: at once if the store is being driven, else when it is driven next.
    ///
    /// Dropping it needs no access to the store, and is safe wherever a future is.
    GuardedFutureReader, FutureReader, FutureAny, Future, into_future_reader
}
