//! Any `futures` sink.

use crate::stream::{LiftItem, Source, StreamConsumer, StreamResult};
use crate::{Error, Result, StoreContextMut};
use futures_sink::Sink;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Hands what a stream brings to a `futures` sink.
///
/// Each write of the guest is flushed before the guest goes on: what it knows to be written, the sink has. When nobody can write any more, the sink is
/// dropped without having been closed. An error of the sink makes the guest trap.
#[derive(Debug)]
pub struct IntoSink<S, T> {
    sink: S,
    /// Whether items were sent that are not known to be flushed.
    unflushed: bool,
    items: PhantomData<fn(T)>,
}

impl<S, T> IntoSink<S, T> {
    /// Hands items to `sink`.
    pub fn new(sink: S) -> Self {
        Self {
            sink,
            unflushed: false,
            items: PhantomData,
        }
    }
}

impl<D, S, T> StreamConsumer<D> for IntoSink<S, T>
where
    D: Send + 'static,
    T: LiftItem,
    S: Sink<T, Error: Into<Error>> + Send + Unpin + 'static,
{
    type Item = T;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let unready = if finish {
            Poll::Ready(Ok(StreamResult::Cancelled))
        } else {
            Poll::Pending
        };
        let probe = source.remaining() == 0 && !self.unflushed;
        while source.remaining() > 0 || probe {
            match Pin::new(&mut self.sink).poll_ready(cx) {
                Poll::Pending => return unready,
                Poll::Ready(ready) => ready.map_err(Into::into)?,
            }
            let mut item = None;
            source.read(&mut store, &mut item)?;
            let Some(item) = item else {
                return Poll::Ready(Ok(StreamResult::Completed));
            };
            Pin::new(&mut self.sink)
                .start_send(item)
                .map_err(Into::into)?;
            self.unflushed = true;
        }
        match Pin::new(&mut self.sink).poll_flush(cx) {
            Poll::Pending => unready,
            Poll::Ready(flushed) => {
                flushed.map_err(Into::into)?;
                self.unflushed = false;
                Poll::Ready(Ok(StreamResult::Completed))
            }
        }
    }
}
