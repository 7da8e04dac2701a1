//! Bytes that go straight into and out of guests.

use crate::guest::{BLOCKED, bytes, cancelled, completed, dropped};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tidegate::StreamReader;
use tidegate::stream::ready::{FromAsyncRead, IntoAsyncWrite};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[test]
fn an_async_read_is_produced() {
    bytes(|mut guest| {
        let source: &'static [u8] = b"hello world";
        let reader = StreamReader::new(&mut guest.store, FromAsyncRead::new(source)).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(0).unwrap(), completed(0));
        assert_eq!(guest.read(5).unwrap(), completed(5));
        assert_eq!(guest.data::<u8>(5), b"hello");
        assert_eq!(guest.read(100).unwrap(), completed(6));
        assert_eq!(guest.data::<u8>(6), b" world");
        assert_eq!(guest.read(100).unwrap(), dropped(0));
    });
}

/// Fails, or waits for ever.
struct Broken(bool);

impl AsyncRead for Broken {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0 {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        } else {
            Poll::Pending
        }
    }
}

#[test]
fn an_error_of_a_read_goes_where_it_was_wanted() {
    bytes(|mut guest| {
        let seen = Arc::new(Mutex::new(None));
        let told = seen.clone();
        let producer = FromAsyncRead::new(Broken(true))
            .with_errors(move |error| *told.lock().unwrap() = Some(error.kind()));
        let reader = StreamReader::new(&mut guest.store, producer).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(5).unwrap(), dropped(0));
        assert_eq!(*seen.lock().unwrap(), Some(io::ErrorKind::ConnectionReset));
        guest.drop_readable().unwrap();

        let reader = StreamReader::new(&mut guest.store, FromAsyncRead::new(Broken(true))).unwrap();
        guest.give(reader).unwrap();
        let error = guest.read(5).unwrap_err();
        assert!(error.downcast_ref::<io::Error>().is_some(), "{error:#}");
    });
}

#[test]
fn a_read_that_waits_can_be_cancelled() {
    bytes(|mut guest| {
        let reader =
            StreamReader::new(&mut guest.store, FromAsyncRead::new(Broken(false))).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(5).unwrap(), BLOCKED);
        assert_eq!(guest.cancel_read().unwrap(), cancelled(0));
    });
}

/// Takes three bytes at a time, and as many bytes in all as it was made for.
#[derive(Clone)]
struct Narrow {
    taken: Arc<Mutex<Vec<u8>>>,
    room: usize,
    flushed: Arc<Mutex<usize>>,
}

impl AsyncWrite for Narrow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.room == 0 {
            return Poll::Pending;
        }
        let count = bytes.len().min(3).min(self.room);
        self.room -= count;
        self.taken.lock().unwrap().extend(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        *self.flushed.lock().unwrap() = self.taken.lock().unwrap().len();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn an_async_write_takes_all_and_is_flushed() {
    bytes(|mut guest| {
        let narrow = Narrow {
            taken: Arc::default(),
            room: 10,
            flushed: Arc::default(),
        };
        let reader = guest.make::<StreamReader<u8>>().unwrap();
        reader
            .pipe(&mut guest.store, IntoAsyncWrite::new(narrow.clone()))
            .unwrap();
        assert_eq!(guest.write(b"hello".to_vec()).unwrap(), completed(5));
        assert_eq!(*narrow.flushed.lock().unwrap(), 5);
        assert_eq!(guest.write(b"wide world".to_vec()).unwrap(), BLOCKED);
        assert_eq!(guest.cancel_write().unwrap(), cancelled(5));
        assert_eq!(*narrow.taken.lock().unwrap(), b"hellowide ");
    });
}
