//! Channels between a guest and other tasks of the host.

use super::FromStream;
use crate::stream::{LiftItem, Source, StreamConsumer, StreamResult};
use crate::{Result, StoreContextMut};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The sending half of a channel: see `futures_channel::mpsc`.
pub use futures_channel::mpsc::{Receiver, Sender};

/// A channel from the host to whoever reads the stream: what is sent is produced. Beyond what the reader takes at once, it holds `capacity` items and
/// one for each sender.
///
/// The stream ends when every sender is dropped; sending fails once nobody can read any more.
///
/// ```
/// use tidegate::stream::{StreamReader, ready::producer_channel};
/// use tidegate::{Engine, Store};
///
/// # fn main() -> tidegate::Result<()> {
/// let mut store = Store::new(&Engine::default(), ());
/// let (mut sender, producer) = producer_channel::<u32>(8);
/// let mut reader = StreamReader::new(&mut store, producer)?;
/// sender.try_send(1)?;
/// reader.close(&mut store)?;
/// assert!(sender.try_send(2).is_err());
/// # Ok(())
/// # }
/// ```
pub fn producer_channel<T>(capacity: usize) -> (Sender<T>, FromStream<Receiver<T>>) {
    let (sender, receiver) = futures_channel::mpsc::channel(capacity);
    (sender, FromStream::new(receiver))
}

/// A channel from whoever writes to the stream to the host: what is written is received. It holds `capacity` items and one more; beyond that, the writer
/// waits.
///
/// The receiver gets `None` when nobody can write any more; the writer learns that the stream is closed once the receiver is dropped.
pub fn consumer_channel<T>(capacity: usize) -> (ChannelConsumer<T>, Receiver<T>) {
    let (sender, receiver) = futures_channel::mpsc::channel(capacity);
    (ChannelConsumer { sender }, receiver)
}

/// The consumer of [`consumer_channel`]. A write is complete as soon as the channel holds some of its items.
#[derive(Debug)]
pub struct ChannelConsumer<T> {
    sender: Sender<T>,
}

impl<D: Send + 'static, T: LiftItem> StreamConsumer<D> for ChannelConsumer<T> {
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut some = false;
        loop {
            match self.sender.poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
                Poll::Pending if some => break,
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
            let mut item = None;
            source.read(&mut store, &mut item)?;
            let Some(item) = item else { break };
            if self.sender.start_send(item).is_err() {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            some = true;
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
