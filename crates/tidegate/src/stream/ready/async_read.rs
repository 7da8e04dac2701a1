//! Bytes from anything that can be read from.

use crate::stream::{Destination, MAX_CHUNK, StreamProducer, StreamResult};
use crate::{Error, Result, StoreContextMut};
use std::any::{Any, TypeId};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf};

/// Produces the bytes of an `AsyncRead`, which writes them straight into the guest's memory.
///
/// An error ends the stream; it is handed to the function given to [`with_errors`](Self::with_errors), or makes the guest trap if there is none.
///
/// If the reader asks whether it would wait, it is told that it would not, since an `AsyncRead` cannot be asked without reading.
pub struct FromAsyncRead<R> {
    reader: R,
    on_error: Option<Box<dyn FnOnce(io::Error) + Send>>,
}

impl<R> FromAsyncRead<R> {
    /// Produces the bytes of `reader`.
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            on_error: None,
        }
    }

    /// The same, with a function that an error is handed to, instead of being the guest's end: for instance one that completes a future.
    #[must_use]
    pub fn with_errors(mut self, on_error: impl FnOnce(io::Error) + Send + 'static) -> Self {
        self.on_error = Some(Box::new(on_error));
        self
    }

    /// The reader.
    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R> std::fmt::Debug for FromAsyncRead<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FromAsyncRead").finish_non_exhaustive()
    }
}

impl<D, R> StreamProducer<D> for FromAsyncRead<R>
where
    D: Send + 'static,
    R: AsyncRead + Send + Unpin + 'static,
{
    type Item = u8;
    type Buffer = Option<u8>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        destination: Destination<'_, u8, Option<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if destination.remaining() == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut direct = destination.as_direct(store, MAX_CHUNK);
        let mut buffer = ReadBuf::new(direct.remaining());
        let read = Pin::new(&mut self.reader).poll_read(cx, &mut buffer);
        let count = buffer.filled().len();
        match read {
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ok(())) if count == 0 => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {
                direct.mark_written(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => Poll::Ready(match self.on_error.take() {
                Some(on_error) => {
                    on_error(error);
                    Ok(StreamResult::Dropped)
                }
                None => Err(Error::new(error).context("reading for a guest's stream")),
            }),
        }
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Result<Box<dyn Any + Send>, Pin<Box<Self>>> {
        if ty == TypeId::of::<R>() {
            Ok(Box::new(Pin::into_inner(me).reader))
        } else {
            Err(me)
        }
    }
}
