//! Endpoints over anything that implements tokio's `AsyncRead` or `AsyncWrite`.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::endpoint::{Flush, Input, Output, Read, Write};
use super::readiness::Readiness;

/// The most an [`AsyncInput`] reads ahead, in bytes. It does so only while somebody waits for it.
const READ_AHEAD: usize = 8 * 1024;

/// An input over an `AsyncRead`.
///
/// A read goes straight into the caller's slice. Only a wait, which has no slice to read into, reads
/// ahead, at most 8 KiB. Whatever the reader needs to make progress (a runtime, for example) must
/// be running elsewhere.
pub struct AsyncInput(Arc<Mutex<Reading>>);

struct Reading {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    /// Read ahead, not yet given out: `ahead[start..]`.
    ahead: Vec<u8>,
    start: usize,
    /// An end or error that a wait came upon, to be given out after `ahead`.
    end: Option<Read>,
    wakers: Arc<Wakers>,
}

impl AsyncInput {
    /// Reads from `reader`.
    pub fn new(reader: impl AsyncRead + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Reading {
            reader: Box::pin(reader),
            ahead: Vec::new(),
            start: 0,
            end: None,
            wakers: Arc::default(),
        })))
    }
}

impl Input for AsyncInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        let mut reading = lock(&self.0);
        let rest = &reading.ahead[reading.start..];
        if !rest.is_empty() {
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            reading.start += count;
            return Read::Bytes(count);
        }
        match reading.end.take() {
            Some(Read::Closed) => {
                reading.end = Some(Read::Closed);
                Read::Closed
            }
            Some(end) => end,
            None if buf.is_empty() => Read::Bytes(0),
            None => reading.poll_read(buf),
        }
    }

    fn ready(&mut self) -> Readiness {
        let reading = Arc::clone(&self.0);
        Box::pin(std::future::poll_fn(move |cx| {
            lock(&reading).poll_ready(cx.waker())
        }))
    }
}

impl Reading {
    fn poll_read(&mut self, buf: &mut [u8]) -> Read {
        let waker = Waker::from(Arc::clone(&self.wakers));
        let room = buf.len();
        let mut buf = ReadBuf::new(buf);
        match self
            .reader
            .as_mut()
            .poll_read(&mut Context::from_waker(&waker), &mut buf)
        {
            Poll::Pending => Read::WouldBlock,
            Poll::Ready(Ok(())) if buf.filled().is_empty() => {
                self.end = Some(Read::Closed);
                Read::Closed
            }
            // A reader may have put another buffer in the place of ours.
            Poll::Ready(Ok(())) => Read::Bytes(buf.filled().len()).within(room),
            Poll::Ready(Err(error)) => Read::Failed(error),
        }
    }

    fn poll_ready(&mut self, waker: &Waker) -> Poll<()> {
        if self.start < self.ahead.len() || self.end.is_some() {
            return Poll::Ready(());
        }
        self.wakers.add(waker);
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.resize(READ_AHEAD, 0);
        let answer = self.poll_read(&mut ahead);
        ahead.truncate(match answer {
            Read::Bytes(count) => count,
            _ => 0,
        });
        self.ahead = ahead;
        self.start = 0;
        match answer {
            Read::WouldBlock => return Poll::Pending,
            Read::Failed(error) => self.end = Some(Read::Failed(error)),
            Read::Bytes(_) | Read::Closed => {}
        }
        Poll::Ready(())
    }
}

/// An output over an `AsyncWrite`.
///
/// A write goes straight from the caller's slice. Its flush is the writer's flush, its close the
/// writer's shutdown, as far as that goes without waiting.
pub struct AsyncOutput(Arc<Mutex<Writing>>);

struct Writing {
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    /// Whether the last operation is still waiting.
    wait: Wait,
    wakers: Arc<Wakers>,
}

/// What the last operation could not do. `AsyncWrite` has no readiness: its wakers are told of
/// progress on the operation that was tried, and so is the wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Nothing,
    Progress,
}

impl AsyncOutput {
    /// Writes to `writer`.
    pub fn new(writer: impl AsyncWrite + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Writing {
            writer: Box::pin(writer),
            wait: Wait::Nothing,
            wakers: Arc::default(),
        })))
    }
}

impl Writing {
    /// Forgets the wakes of earlier operations, before the next one can be woken.
    fn begin(&mut self) {
        self.wait = Wait::Nothing;
        lock(&self.wakers.0).woken = false;
    }
}

impl Output for AsyncOutput {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        if bytes.is_empty() {
            return Write::Bytes(0);
        }
        let writing = &mut *lock(&self.0);
        let waker = Waker::from(Arc::clone(&writing.wakers));
        let cx = &mut Context::from_waker(&waker);
        writing.begin();
        match writing.writer.as_mut().poll_write(cx, bytes) {
            Poll::Pending => {
                writing.wait = Wait::Progress;
                Write::WouldBlock
            }
            Poll::Ready(Ok(0)) => Write::Closed,
            Poll::Ready(Ok(count)) => Write::Bytes(count).within(bytes.len()),
            Poll::Ready(Err(error)) => Write::Failed(error),
        }
    }

    fn try_flush(&mut self) -> Flush {
        let writing = &mut *lock(&self.0);
        let waker = Waker::from(Arc::clone(&writing.wakers));
        let cx = &mut Context::from_waker(&waker);
        writing.begin();
        match writing.writer.as_mut().poll_flush(cx) {
            Poll::Pending => {
                writing.wait = Wait::Progress;
                Flush::Pending
            }
            Poll::Ready(Ok(())) => Flush::Done,
            Poll::Ready(Err(error)) => Flush::Failed(error),
        }
    }

    fn ready(&mut self) -> Readiness {
        let writing = Arc::clone(&self.0);
        Box::pin(std::future::poll_fn(move |cx| {
            let writing = &mut *lock(&writing);
            if writing.wait == Wait::Nothing {
                return Poll::Ready(());
            }
            // Whoever wakes the writer ends the wait: trying again shows what has become possible.
            if writing.wakers.woken_since_added(cx.waker()) {
                writing.wait = Wait::Nothing;
                return Poll::Ready(());
            }
            Poll::Pending
        }))
    }

    fn close(&mut self) {
        let writing = &mut *lock(&self.0);
        let waker = Waker::from(Arc::clone(&writing.wakers));
        let _ = writing
            .writer
            .as_mut()
            .poll_shutdown(&mut Context::from_waker(&waker));
    }
}

/// Everybody who waits for one operation. The operation knows a single waker, which is this.
#[derive(Default)]
struct Wakers(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    wakers: Vec<Waker>,
    /// Woken while nobody had asked to be told, or since they asked.
    woken: bool,
}

impl Wakers {
    fn add(&self, waker: &Waker) {
        let mut waiting = lock(&self.0);
        if !waiting.wakers.iter().any(|other| other.will_wake(waker)) {
            waiting.wakers.push(waker.clone());
        }
    }

    /// Whether a wake came since the last time this was asked; if not, `waker` is told of the next.
    fn woken_since_added(&self, waker: &Waker) -> bool {
        if std::mem::take(&mut lock(&self.0).woken) {
            return true;
        }
        self.add(waker);
        false
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        let wakers = {
            let mut waiting = lock(&self.0);
            waiting.woken = true;
            std::mem::take(&mut waiting.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::super::readiness::is_ready_now;
    use super::*;

    async fn soon(readiness: Readiness) {
        tokio::time::timeout(Duration::from_secs(10), readiness)
            .await
            .expect("becomes ready");
    }

    #[tokio::test]
    async fn bytes_read_ahead_by_a_wait_are_given_out_and_none_is_lost() {
        let (near, mut far) = duplex(64);
        let mut input = AsyncInput::new(near);
        assert!(matches!(input.try_read(&mut [0; 4]), Read::WouldBlock));
        let mut dropped = input.ready();
        assert!(!is_ready_now(&mut dropped));
        far.write_all(b"tides").await.unwrap();
        soon(input.ready()).await;
        drop(dropped);
        let mut buf = [0; 3];
        assert!(matches!(input.try_read(&mut buf), Read::Bytes(3)));
        assert_eq!(&buf, b"tid");
        assert!(matches!(input.try_read(&mut buf), Read::Bytes(2)));
        drop(far);
        soon(input.ready()).await;
        assert!(matches!(input.try_read(&mut buf), Read::Closed));
        assert!(matches!(input.try_read(&mut buf), Read::Closed));
    }

    #[tokio::test]
    async fn all_waiters_wake() {
        let (near, mut far) = duplex(64);
        let mut input = AsyncInput::new(near);
        let waits = [input.ready(), input.ready()].map(tokio::spawn);
        tokio::task::yield_now().await;
        far.write_all(b"x").await.unwrap();
        for wait in waits {
            tokio::time::timeout(Duration::from_secs(10), wait)
                .await
                .unwrap()
                .unwrap();
        }
    }

    #[tokio::test]
    async fn output_waits_for_room_and_continues() {
        let (near, mut far) = duplex(4);
        let mut output = AsyncOutput::new(near);
        assert!(matches!(output.try_write(b"tides"), Write::Bytes(4)));
        assert!(matches!(output.try_write(b"s"), Write::WouldBlock));
        let wait = tokio::spawn(output.ready());
        tokio::task::yield_now().await;
        let mut back = [0; 4];
        far.read_exact(&mut back).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(output.try_write(b"s"), Write::Bytes(1)));
        assert!(matches!(output.try_flush(), Flush::Done));
    }

    /// Claims more than it was offered, as far as an interface lets it.
    struct Liar;

    impl AsyncRead for Liar {
        fn poll_read(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<std::io::Result<()>> {
            let longer = Vec::leak(vec![0; buf.remaining() + 1]);
            let mut other = ReadBuf::new(longer);
            other.set_filled(other.capacity());
            *buf = other;
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Liar {
        fn poll_write(
            self: Pin<&mut Self>,
            _cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<std::io::Result<usize>> {
            Poll::Ready(Ok(buf.len() + 1))
        }
        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn who_claims_more_than_was_offered_has_failed() {
        let mut input = AsyncInput::new(Liar);
        assert!(matches!(input.try_read(&mut [0; 4]), Read::Failed(_)));
        soon(input.ready()).await;
        assert!(matches!(input.try_read(&mut [0; 4]), Read::Failed(_)));
        let mut output = AsyncOutput::new(Liar);
        assert!(matches!(output.try_write(b"tide"), Write::Failed(_)));
    }

    #[tokio::test]
    async fn closed_far_end_is_a_failure() {
        let (near, far) = duplex(4);
        let mut output = AsyncOutput::new(near);
        drop(far);
        assert!(matches!(output.try_write(b"s"), Write::Failed(_)));
    }
}
