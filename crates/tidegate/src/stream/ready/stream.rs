//! Any `futures` stream.

use crate::stream::{Destination, StreamProducer, StreamResult};
use crate::{Result, StoreContextMut};
use futures_core::Stream;
use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How many items are asked for at once.
const BATCH: usize = 1024;

/// Produces what a `futures` stream gives.
///
/// The stream is asked for as many items as the reader takes (but at most 1,024 at once), so that no more is taken from it than is read; if the reader
/// asks whether it would wait, for one.
///
/// `StreamReader::try_into::<FromStream<S>>` and `try_into::<S>` give the stream back.
#[derive(Debug)]
pub struct FromStream<S> {
    stream: S,
}

impl<S> FromStream<S> {
    /// Produces what `stream` gives.
    pub fn new(stream: S) -> Self {
        Self { stream }
    }

    /// The stream.
    pub fn into_inner(self) -> S {
        self.stream
    }
}

impl<D, S> StreamProducer<D> for FromStream<S>
where
    D: Send + 'static,
    S: Stream<Item: Send + 'static> + Send + Unpin + 'static,
{
    type Item = S::Item;
    type Buffer = VecDeque<S::Item>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        mut destination: Destination<'_, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let room = destination.remaining().unwrap_or(BATCH).clamp(1, BATCH);
        let mut items = destination.take_buffer();
        let mut result = StreamResult::Completed;
        while items.len() < room {
            match Pin::new(&mut self.stream).poll_next(cx) {
                Poll::Ready(Some(item)) => items.push_back(item),
                Poll::Ready(None) => {
                    result = StreamResult::Dropped;
                    break;
                }
                Poll::Pending if !items.is_empty() => break,
                Poll::Pending if finish => {
                    result = StreamResult::Cancelled;
                    break;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        destination.set_buffer(items);
        Poll::Ready(Ok(result))
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any + Send>, Pin<Box<Self>>> {
        if ty == TypeId::of::<S>() {
            Ok(Box::new(Pin::into_inner(me).stream))
        } else {
            Err(me)
        }
    }
}
