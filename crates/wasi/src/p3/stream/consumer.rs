//! From a guest to an endpoint.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tidegate::stream::{Source, StreamConsumer, StreamResult};
use tidegate::{Result, StoreContextMut};

use super::ending::Ended;
use super::{Code, TURN};
use crate::io::{Output, Readiness, Write};

/// Writes what it gets to an output, straight from the writer's memory. It keeps nothing: what the output does not take, it does not take either.
pub(super) struct Consumer<O: Output, E> {
    /// The output, and the one to tell of the end: until it has failed.
    open: Option<(O, Ended<E>)>,
    /// Under way since the output took nothing.
    wait: Option<Readiness>,
}

/// Endpoints are not pinned: the output moves on to be flushed.
impl<O: Output, E> Unpin for Consumer<O, E> {}

impl<O: Output, E> Consumer<O, E> {
    pub(super) fn new(output: O, ended: Ended<E>) -> Self {
        Self {
            open: Some((output, ended)),
            wait: None,
        }
    }

    /// Ready once the output was, since it took nothing.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Write> {
        ready!(self.poll_wait(cx));
        let bytes = &bytes[..bytes.len().min(TURN)];
        let mut answer = self.try_write(bytes);
        if let Write::WouldBlock = answer {
            self.wait = self.open.as_mut().map(|(output, _)| output.ready());
            ready!(self.poll_wait(cx));
            answer = self.try_write(bytes);
        }
        match answer {
            // Ready too early: others have their turn before the next attempt.
            Write::WouldBlock => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            answer => Poll::Ready(answer),
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> Write {
        match &mut self.open {
            Some((output, _)) => output.try_write(bytes).within(bytes.len()),
            None => Write::Closed,
        }
    }

    /// The writer asks whether it would wait.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() {
            self.wait = self.open.as_mut().map(|(output, _)| output.ready());
        }
        self.poll_wait(cx)
    }
}

impl<D, O, E> StreamConsumer<D> for Consumer<O, E>
where
    D: Send + 'static,
    O: Output,
    E: Code,
{
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        let pending = || match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        };
        if source.remaining() == 0 {
            return match this.poll_probe(cx) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending => pending(),
            };
        }
        let mut bytes = source.as_direct(store);
        let error = match this.poll_write(cx, bytes.remaining()) {
            Poll::Pending => return pending(),
            Poll::Ready(Write::Bytes(count)) => {
                bytes.mark_read(count);
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            Poll::Ready(Write::Failed(error)) => error,
            // `poll_write` gives no other.
            Poll::Ready(Write::Closed | Write::WouldBlock) => io::ErrorKind::BrokenPipe.into(),
        };
        if let Some((_, ended)) = this.open.take() {
            ended.failed(error.into());
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// The writer is gone: everything was written.
impl<O: Output, E> Drop for Consumer<O, E> {
    fn drop(&mut self) {
        if let Some((output, ended)) = self.open.take() {
            ended.written(Box::new(output));
        }
    }
}
