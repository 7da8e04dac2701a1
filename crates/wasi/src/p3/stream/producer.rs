//! From an endpoint to a guest.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tidegate::stream::{Destination, StreamProducer, StreamResult};
use tidegate::{Result, StoreContextMut};

use super::ending::Ended;
use super::{Code, TURN};
use crate::io::{Input, Read, Readiness};

/// Produces the bytes of an input, straight into the reader's memory.
pub(super) struct Producer<I, E> {
    input: I,
    /// Under way since the input had nothing.
    wait: Option<Readiness>,
    /// Taken when the input has failed.
    ended: Option<Ended<E>>,
}

impl<I, E> Producer<I, E> {
    pub(super) fn new(input: I, ended: Ended<E>) -> Self {
        Self {
            input,
            wait: None,
            ended: Some(ended),
        }
    }
}

/// Endpoints are not pinned.
impl<I, E> Unpin for Producer<I, E> {}

impl<I: Input, E: Code> Producer<I, E> {
    /// Ready once the input was, since it had nothing.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<Read> {
        ready!(self.poll_wait(cx));
        let len = room.len().min(TURN);
        let room = &mut room[..len];
        let mut answer = self.input.try_read(room).within(len);
        if let Read::WouldBlock = answer {
            self.wait = Some(self.input.ready());
            ready!(self.poll_wait(cx));
            answer = self.input.try_read(room).within(len);
        }
        match answer {
            // Ready too early: others have their turn before the next attempt.
            Read::WouldBlock => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            answer => Poll::Ready(answer),
        }
    }

    /// The reader asks whether it would wait.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() {
            self.wait = Some(self.input.ready());
        }
        self.poll_wait(cx)
    }
}

impl<D, I, E> StreamProducer<D> for Producer<I, E>
where
    D: Send + 'static,
    I: Input,
    E: Code,
{
    type Item = u8;
    type Buffer = Vec<u8>;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        destination: Destination<'_, u8, Vec<u8>>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        let pending = || match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        };
        if destination.remaining() == Some(0) {
            return match this.poll_probe(cx) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending => pending(),
            };
        }
        let mut room = destination.as_direct(store, TURN);
        let result = match this.poll_read(cx, room.remaining()) {
            Poll::Pending => return pending(),
            Poll::Ready(Read::Bytes(count)) => {
                room.mark_written(count);
                StreamResult::Completed
            }
            Poll::Ready(Read::Failed(error)) => {
                if let Some(ended) = this.ended.take() {
                    ended.failed(error.into());
                }
                StreamResult::Dropped
            }
            // `poll_read` gives no other.
            Poll::Ready(Read::Closed | Read::WouldBlock) => StreamResult::Dropped,
        };
        Poll::Ready(Ok(result))
    }
}
