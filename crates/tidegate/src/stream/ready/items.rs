//! Items that are at hand.

use crate::stream::{Destination, StreamProducer, StreamResult};
use crate::{Result, StoreContextMut};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::iter::Empty;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Produces everything in one answer: the reader takes it piece by piece out of the buffer.
macro_rules! at_hand {
    ($(#[$doc:meta])* [$($generics:tt)*] $producer:ty, $item:ty, $buffer:ty) => {
        $(#[$doc])*
        impl<D: Send + 'static, $($generics)*> StreamProducer<D> for $producer {
            type Item = $item;
            type Buffer = $buffer;

            fn poll_produce(
                self: Pin<&mut Self>,
                _: &mut Context<'_>,
                _: StoreContextMut<'_, D>,
                mut destination: Destination<'_, Self::Item, Self::Buffer>,
                _: bool,
            ) -> Poll<Result<StreamResult>> {
                destination.set_buffer(std::mem::take(self.get_mut()).into());
                Poll::Ready(Ok(StreamResult::Dropped))
            }
        }
    };
}

at_hand! {
    /// Its items, then the end.
    [T: Send + Unpin + 'static] Vec<T>, T, VecDeque<T>
}
at_hand! {
    /// Its items, then the end.
    [T: Send + Unpin + 'static] VecDeque<T>, T, VecDeque<T>
}
at_hand! {
    /// Its bytes, then the end.
    [] Bytes, u8, Bytes
}
at_hand! {
    /// Its bytes, then the end.
    [] BytesMut, u8, BytesMut
}

/// Its items, then the end.
impl<D: Send + 'static, T: Send + Unpin + 'static> StreamProducer<D> for Box<[T]> {
    type Item = T;
    type Buffer = VecDeque<T>;

    fn poll_produce(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        mut destination: Destination<'_, T, VecDeque<T>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        destination.set_buffer(std::mem::take(self.get_mut()).into_vec().into());
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

/// Nothing but the end.
impl<D: Send + 'static, T: Send + 'static> StreamProducer<D> for Empty<T> {
    type Item = T;
    type Buffer = Option<T>;

    fn poll_produce(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        _: Destination<'_, T, Option<T>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}
