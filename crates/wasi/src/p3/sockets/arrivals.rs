//! The stream that `listen` gives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tidegate::stream::{Destination, StreamProducer, StreamResult};
use tidegate::{Getter, Resource, Result, StoreContextMut};

use super::TcpSocket;
use crate::io::{Drains, Readiness};
use crate::net::{Arrival, Connection, ErrorCode, Incoming, TcpSocket as Accepted};
use crate::view::Wasi;

/// The most connections that are accepted in one turn.
const TURN: usize = 64;

/// Accepts connections while the guest asks for some, and no more than it asks for: the others wait in the kernel's queue.
pub(super) struct Arrivals<T: 'static> {
    incoming: Incoming,
    drains: Drains,
    getter: Getter<T, Wasi>,
    /// Under way since there was no connection.
    wait: Option<Readiness>,
}

impl<T: Send + 'static> Arrivals<T> {
    pub(super) fn new(incoming: Incoming, drains: Drains, getter: Getter<T, Wasi>) -> Self {
        Self {
            incoming,
            drains,
            getter,
            wait: None,
        }
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<std::result::Result<(Accepted, Connection), ErrorCode>> {
        loop {
            ready!(self.poll_wait(cx));
            match self.incoming.next(&self.drains) {
                Ok(Arrival::Connection(socket, connection)) => {
                    return Poll::Ready(Ok((socket, connection)));
                }
                Ok(Arrival::Wait(wait)) => self.wait = Some(wait),
                Err(code) => return Poll::Ready(Err(code)),
            }
        }
    }

    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }
}

/// Nothing in it is pinned in place.
impl<T> Unpin for Arrivals<T> {}

impl<T: Send + 'static> StreamProducer<T> for Arrivals<T> {
    type Item = Resource<TcpSocket>;
    type Buffer = Vec<Resource<TcpSocket>>;

    fn poll_produce(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, T>,
        mut destination: Destination<'_, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        let wanted = destination.remaining().unwrap_or(1).min(TURN);
        if wanted == 0 {
            if this.wait.is_none() {
                this.wait = Some(this.incoming.ready());
            }
            return match this.poll_wait(cx) {
                Poll::Ready(()) => Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Pending => nothing(finish),
            };
        }
        let mut sockets = Vec::new();
        while sockets.len() < wanted {
            let accepted = match this.poll_next(cx) {
                Poll::Ready(accepted) => accepted,
                Poll::Pending if sockets.is_empty() => return nothing(finish),
                Poll::Pending => break,
            };
            let Ok((socket, connection)) = accepted else {
                // The guest hears of the end when it asks again.
                if sockets.is_empty() {
                    return Poll::Ready(Ok(StreamResult::Dropped));
                }
                break;
            };
            let socket = TcpSocket::connected(socket, connection);
            match this.getter.get(store.data_mut()).table.push(socket) {
                Ok(handle) => sockets.push(handle),
                Err(full) if sockets.is_empty() => return Poll::Ready(Err(full.into())),
                Err(_) => break,
            }
        }
        destination.set_buffer(sockets);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

fn nothing(finish: bool) -> Poll<Result<StreamResult>> {
    if finish {
        Poll::Ready(Ok(StreamResult::Cancelled))
    } else {
        Poll::Pending
    }
}
