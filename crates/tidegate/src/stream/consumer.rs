//! What the host supplies for readable ends.

use super::{Source, StreamResult};
use crate::{Result, StoreContextMut};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The host's readable end of a stream: called when the guest writes.
///
/// ```
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use tidegate::stream::{Source, StreamConsumer, StreamResult};
/// use tidegate::{Result, StoreContextMut};
///
/// /// Adds up what it gets, in the store's data.
/// struct Sum;
///
/// impl StreamConsumer<u64> for Sum {
///     type Item = u32;
///
///     fn poll_consume(
///         self: Pin<&mut Self>,
///         _: &mut Context<'_>,
///         mut store: StoreContextMut<'_, u64>,
///         mut source: Source<'_, u32>,
///         _: bool,
///     ) -> Poll<Result<StreamResult>> {
///         let mut numbers = Vec::with_capacity(256);
///         source.read(&mut store, &mut numbers)?;
///         *store.data_mut() += numbers.iter().map(|&number| u64::from(number)).sum::<u64>();
///         Poll::Ready(Ok(StreamResult::Completed))
///     }
/// }
/// ```
pub trait StreamConsumer<D: Send + 'static>: Send + 'static {
    /// What it consumes.
    type Item;

    /// Consumes items from `source`. Called when the guest writes, and again whenever the waker was woken while the guest waits.
    ///
    /// | situation | answer |
    /// | --- | --- |
    /// | can take items | at least one from the source if there is one, then `Completed`; `Dropped` if it will take no more, with or without having taken some |
    /// | cannot take items now, `finish` is false | keep the waker, `Pending` |
    /// | took items, and does not want the writer to go on yet | `Pending`: the writer waits (this is backpressure). The rest of the items, or none, is offered again when the waker was woken |
    /// | `finish` is true: the writer wants its buffer back | `Cancelled` at once, with or without having taken some; `Pending` only while an operation that has begun must come to its end |
    /// | no items: the writer asks whether it would wait | `Completed` once at least one item can be taken by the next call; `Pending` until then |
    /// | an error that nobody can recover from | `Err`: the guest traps, and its instance is unusable |
    ///
    /// Whatever breaks these rules makes the guest trap with a [`Breach`](super::Breach). The consumer is dropped after `Dropped` and errors, and when the
    /// writer is.
    ///
    /// # Errors
    /// Whatever ends the guest.
    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<Result<StreamResult>>;
}

/// The host's readable end of a future: called when the guest writes.
///
/// ```
/// use std::pin::Pin;
/// use std::task::{Context, Poll};
/// use tidegate::stream::{FutureConsumer, Source};
/// use tidegate::{Result, StoreContextMut};
///
/// /// Keeps the text in the store's data.
/// struct Keep;
///
/// impl FutureConsumer<Option<String>> for Keep {
///     type Item = String;
///
///     fn poll_consume(
///         self: Pin<&mut Self>,
///         _: &mut Context<'_>,
///         mut store: StoreContextMut<'_, Option<String>>,
///         mut source: Source<'_, String>,
///         _: bool,
///     ) -> Poll<Result<()>> {
///         let mut text = None;
///         source.read(&mut store, &mut text)?;
///         *store.data_mut() = text;
///         Poll::Ready(Ok(()))
///     }
/// }
/// ```
pub trait FutureConsumer<D: Send + 'static>: Send + 'static {
    /// What it consumes.
    type Item;

    /// Takes the value from `source`, then `Ready`. `Pending` keeps the waker and holds the writer back, also after taking the value. `Ready` without having taken
    /// the value is for when `finish` is true: the writer does not want to wait any longer now (it may write again).
    ///
    /// `Ready` without having taken it while `finish` is false makes the guest trap with a [`Breach`](super::Breach). The consumer is dropped
    /// afterwards, and when the writer is gone without a value.
    ///
    /// # Errors
    /// Whatever ends the guest.
    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, Self::Item>,
        finish: bool,
    ) -> Poll<Result<()>>;
}
