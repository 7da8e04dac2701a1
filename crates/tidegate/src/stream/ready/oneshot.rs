//! A guest's future as a future of the host.

use crate::stream::{FutureConsumer, LiftItem, Source};
use crate::{Result, StoreContextMut};
use futures_channel::oneshot as channel;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The receiving half of [`oneshot`]: a `Future` of the value, or of `Canceled` if nobody will write it any more.
pub use futures_channel::oneshot::Receiver as OneshotReceiver;

/// A consumer that hands the value of a future to a `Future` of the host.
///
/// ```
/// use tidegate::stream::ready::oneshot;
/// use tidegate::{FutureReader, Result, Store};
///
/// async fn wait(store: &mut Store<()>, reader: FutureReader<String>) -> Result<String> {
///     let (consumer, value) = oneshot();
///     reader.pipe(&mut *store, consumer)?;
///     Ok(value.await?)
/// }
/// ```
pub fn oneshot<T>() -> (OneshotConsumer<T>, OneshotReceiver<T>) {
    let (sender, receiver) = channel::channel();
    let sender = Some(sender);
    (OneshotConsumer { sender }, receiver)
}

/// The consumer of [`oneshot`].
#[derive(Debug)]
pub struct OneshotConsumer<T> {
    sender: Option<channel::Sender<T>>,
}

impl<D: Send + 'static, T: LiftItem> FutureConsumer<D> for OneshotConsumer<T> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut value = None;
        source.read(&mut store, &mut value)?;
        if let (Some(sender), Some(value)) = (self.sender.take(), value) {
            // Whoever waited may have gone.
            let _ = sender.send(value);
        }
        Poll::Ready(Ok(()))
    }
}
