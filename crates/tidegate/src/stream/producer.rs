//! What the host supplies for writable ends.

use super::{Destination, StreamResult, WriteBuffer};
use crate::{Error, Result, StoreContextMut};
use std::any::{Any, TypeId};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The host's writable end of a stream: called when the guest reads.
///
/// ```
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use tidegate::stream::{Destination, StreamProducer, StreamResult};
/// use tidegate::{Result, StoreContextMut};
///
/// /// Counts down, one number at a time.
/// struct Countdown(u32);
///
/// impl<D: Send + 'static> StreamProducer<D> for Countdown {
///     type Item = u32;
///     type Buffer = Option<u32>;
///
///     fn poll_produce(
///         mut self: Pin<&mut Self>,
///         _: &mut Context<'_>,
///         _: StoreContextMut<'_, D>,
///         mut destination: Destination<'_, u32, Option<u32>>,
///         _: bool,
///     ) -> Poll<Result<StreamResult>> {
///         if self.0 == 0 {
///             return Poll::Ready(Ok(StreamResult::Dropped));
///         }
///         destination.set_buffer(Some(self.0));
///         self.0 -= 1;
///         Poll::Ready(Ok(StreamResult::Completed))
///     }
/// }
/// ```
pub trait StreamProducer<D: Send + 'static>: Send + 'static {
    /// What it produces.
    type Item;
    /// What holds items that the reader did not take yet; they are served before the producer is called again.
    type Buffer: WriteBuffer<Self::Item> + Default;

    /// Produces items into `destination`. Called when the guest reads, and again whenever the waker was woken while the guest waits.
    ///
    /// | situation | answer |
    /// | --- | --- |
    /// | items at hand | at least one into the destination if there is [room](Destination::remaining), then `Completed`; `Dropped` if there will be no more, with or without last items |
    /// | nothing now, `finish` is false | keep the waker, write nothing, `Pending` |
    /// | nothing now, `finish` is true: the reader wants its buffer back | `Cancelled` at once; `Pending` only while an operation that has begun must come to its end |
    /// | no room: the reader asks whether it would wait | `Completed`, with or without items in the buffer, if the next call will likely not wait; `Pending` if it would |
    /// | more items than there is room | all of them into the buffer: the rest serves later reads |
    /// | an error that nobody can recover from | `Err`: the guest traps, and its instance is unusable. Others travel by another way, for instance a future |
    ///
    /// Whatever breaks these rules makes the guest trap with a [`Breach`](super::Breach). The producer is dropped after `Dropped` and errors, and when the
    /// reader is.
    ///
    /// # Errors
    /// Whatever ends the guest.
    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        destination: Destination<'_, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>>;

    /// Gives what is behind this producer, for [`StreamReader::try_into`](super::StreamReader::try_into) with the type `ty` of something
    /// that the producer wraps. The producer itself is found without this.
    ///
    /// # Errors
    /// The producer, unchanged, if it has no such thing to give.
    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any + Send>, Pin<Box<Self>>> {
        let _ = ty;
        Err(me)
    }
}

/// The host's writable end of a future: called when the guest reads.
///
/// Every `Future` whose output is a `Result` is one: its `Ok` is the value, its `Err` makes the guest trap.
///
/// ```
/// use tidegate::stream::FutureReader;
/// use tidegate::{Engine, Result, Store};
///
/// # fn main() -> Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// // To be passed to a function that takes a `future<u32>`.
/// let mut answer = FutureReader::new(&mut store, async { Result::<u32>::Ok(42) })?;
/// # answer.close(&mut store)?;
/// # Ok(())
/// # }
/// ```
pub trait FutureProducer<D: Send + 'static>: Send + 'static {
    /// What it produces.
    type Item;

    /// Produces the value: `Some`. `Pending` keeps the waker. `None`, or `Pending` while something that has begun must come to its end, is for when
    /// `finish` is true: the reader does not want to wait any longer now (it may read again).
    ///
    /// `None` while `finish` is false makes the guest trap with a [`Breach`](super::Breach). The producer is dropped after the value and errors, and when
    /// the reader is.
    ///
    /// # Errors
    /// Whatever ends the guest.
    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<Result<Option<Self::Item>>>;
}

impl<D, F, T, E> FutureProducer<D> for F
where
    D: Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    E: Into<Error>,
{
    type Item = T;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        finish: bool,
    ) -> Poll<Result<Option<T>>> {
        match self.poll(cx) {
            Poll::Ready(Ok(value)) => Poll::Ready(Ok(Some(value))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending if finish => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    }
}
