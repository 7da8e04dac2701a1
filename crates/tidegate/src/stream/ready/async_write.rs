//! Bytes into anything that can be written to.

use crate::stream::{Source, StreamConsumer, StreamResult};
use crate::{Error, Result, StoreContextMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Hands the bytes of a stream to an `AsyncWrite`, straight out of the guest's memory.
///
/// Each write of the guest is flushed before the guest goes on. When nobody can write any more, the writer is dropped without having been shut
/// down. An error ends the stream; it is handed to the function given to [`with_errors`](Self::with_errors), or makes the guest trap if there is none.
pub struct IntoAsyncWrite<W> {
    writer: W,
    /// Whether bytes were written that are not known to be flushed.
    unflushed: bool,
    on_error: Option<Box<dyn FnOnce(io::Error) + Send>>,
}

impl<W> IntoAsyncWrite<W> {
    /// Hands bytes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            unflushed: false,
            on_error: None,
        }
    }

    /// The same, with a function that an error is handed to, instead of being the guest's end: for instance one that completes a future.
    #[must_use]
    pub fn with_errors(mut self, on_error: impl FnOnce(io::Error) + Send + 'static) -> Self {
        self.on_error = Some(Box::new(on_error));
        self
    }

    fn failed(&mut self, error: io::Error) -> Result<StreamResult> {
        match self.on_error.take() {
            Some(on_error) => {
                on_error(error);
                Ok(StreamResult::Dropped)
            }
            None => Err(Error::new(error).context("writing what came through a guest's stream")),
        }
    }
}

impl<W> std::fmt::Debug for IntoAsyncWrite<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IntoAsyncWrite").finish_non_exhaustive()
    }
}

impl<D, W> StreamConsumer<D> for IntoAsyncWrite<W>
where
    D: Send + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut direct = source.as_direct(store);
        while !direct.remaining().is_empty() {
            match Pin::new(&mut self.writer).poll_write(cx, direct.remaining()) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(self.failed(io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(count)) => {
                    direct.mark_read(count);
                    self.unflushed = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(self.failed(error)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            match Pin::new(&mut self.writer).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                Poll::Ready(Err(error)) => return Poll::Ready(self.failed(error)),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}
