//! An output as a guest of `wasi:io/streams` sees it.

use super::input_stream::{InputStream, READ_CHUNK};
use super::output_state::{OutputState, Progress};
use super::readiness::{Readiness, ready_now};
use super::sink::SharedOutput;
use super::stream_error::StreamError;
use super::window::WINDOW_CEILING;

/// A [`SharedOutput`] with the rules of `output-stream`: a permit for each write, a flush that holds
/// back further writes until it is over, an error that is reported once.
///
/// What the sink does not take at once is kept in host memory: never more than the permit, which
/// starts at 64 KiB, grows to a ceiling (256 KiB unless set) while the sink takes everything, and
/// shrinks to what a slow sink takes. It is written on in the background, also after the stream is
/// dropped.
pub struct OutputStream {
    sink: SharedOutput,
    state: OutputState,
}

/// Zeroes for `write-zeroes` to be written from.
static ZEROES: [u8; 4096] = [0; 4096];

impl OutputStream {
    /// A stream that writes to `sink`.
    pub fn new(sink: SharedOutput) -> Self {
        Self::with_ceiling(sink, WINDOW_CEILING)
    }

    /// A stream whose permit never exceeds `ceiling` bytes.
    pub fn with_ceiling(sink: SharedOutput, ceiling: u64) -> Self {
        Self {
            sink,
            state: OutputState::new(ceiling),
        }
    }

    /// `output-stream.check-write`: how many bytes the next write may hold; 0 for none now.
    ///
    /// # Errors
    /// As `output-stream.check-write` has them.
    pub fn check_write(&mut self) -> Result<u64, StreamError> {
        self.state.check_write(self.sink.progress())
    }

    /// `output-stream.write`, within the permit.
    ///
    /// # Errors
    /// As `output-stream.write` has them; [`StreamError::Misuse`] beyond the permit.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.state.admit(bytes.len() as u64)?;
        self.hand_over(bytes)
    }

    /// `output-stream.write-zeroes`, within the permit.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_zeroes(&mut self, len: u64) -> Result<(), StreamError> {
        self.state.admit(len)?;
        let mut rest = len;
        while rest > 0 {
            let count = rest.min(ZEROES.len() as u64);
            self.hand_over(&ZEROES[..count as usize])?;
            rest -= count;
        }
        Ok(())
    }

    /// `output-stream.flush`: asks for it, and takes the permit away until it is over.
    ///
    /// # Errors
    /// As `output-stream.flush` has them.
    pub fn flush(&mut self) -> Result<(), StreamError> {
        self.state.flush()?;
        self.sink.flush();
        match self.sink.progress() {
            Progress::Failed(error) => Err(self.state.fail(error)),
            _ => Ok(()),
        }
    }

    /// `output-stream.blocking-flush`. Dropped midway, the flush goes on.
    ///
    /// # Errors
    /// As `output-stream.blocking-flush` has them.
    pub async fn blocking_flush(&mut self) -> Result<(), StreamError> {
        self.flush()?;
        self.finish().await
    }

    /// `output-stream.blocking-write-and-flush`: up to 4096 bytes, outside the permits. Dropped
    /// midway, either nothing was accepted or all of it is on its way.
    ///
    /// # Errors
    /// As `output-stream.blocking-write-and-flush` has them; [`StreamError::Misuse`] beyond 4096.
    pub async fn blocking_write_and_flush(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.state.admit_blocking(bytes.len() as u64)?;
        self.finish().await?;
        self.hand_over(bytes)?;
        self.sink.flush();
        self.finish().await
    }

    /// `output-stream.blocking-write-zeroes-and-flush`.
    ///
    /// # Errors
    /// As [`blocking_write_and_flush`](Self::blocking_write_and_flush).
    pub async fn blocking_write_zeroes_and_flush(&mut self, len: u64) -> Result<(), StreamError> {
        self.state.admit_blocking(len)?;
        self.blocking_write_and_flush(&ZEROES[..len as usize]).await
    }

    /// `output-stream.splice`: moves up to `len` bytes from `source`, as many as can move at once.
    ///
    /// # Errors
    /// As `output-stream.splice` has them, from either stream.
    pub fn splice(&mut self, source: &mut InputStream, len: u64) -> Result<u64, StreamError> {
        let len = len.min(self.check_write()?).min(READ_CHUNK as u64);
        if len == 0 {
            return Ok(0);
        }
        let bytes = source.read(len)?;
        self.write(&bytes)?;
        Ok(bytes.len() as u64)
    }

    /// Done once [`check_write`](Self::check_write) would answer anything but 0.
    pub fn ready(&self) -> Readiness {
        if self.state.is_open() {
            self.sink.settled()
        } else {
            ready_now()
        }
    }

    /// Waits until the sink has everything and every flush is over.
    async fn finish(&mut self) -> Result<(), StreamError> {
        loop {
            match self.sink.progress() {
                Progress::Idle => return Ok(()),
                Progress::Busy => self.sink.settled().await,
                Progress::Closed => {
                    self.state.close();
                    return Err(StreamError::Closed);
                }
                Progress::Failed(error) => return Err(self.state.fail(error)),
            }
        }
    }

    fn hand_over(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        match self.sink.accept(bytes) {
            Ok(taken) => {
                self.state.handed_over(bytes.len() as u64, taken as u64);
                Ok(())
            }
            Err(error) => Err(self.state.fail(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::super::endpoint::{Flush, Input, Output, Read, Write};
    use super::super::memory::{BytesInput, Capture};
    use super::super::pipe::pipe;
    use super::super::readiness::is_ready_now;
    use super::super::stream_error::Misuse;
    use super::super::window::WINDOW_START;
    use super::*;

    /// A sink whose room, flush and failure the test decides.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<GateState>, Notify)>);

    #[derive(Default)]
    struct GateState {
        room: usize,
        taken: Vec<u8>,
        flush_open: bool,
        failure: Option<io::ErrorKind>,
    }

    impl Gate {
        fn set(&self, change: impl FnOnce(&mut GateState)) {
            change(&mut self.0.0.lock().unwrap());
            self.0.1.notify_waiters();
        }
        fn taken(&self) -> Vec<u8> {
            self.0.0.lock().unwrap().taken.clone()
        }
    }

    impl Output for Gate {
        fn try_write(&mut self, bytes: &[u8]) -> Write {
            let mut state = self.0.0.lock().unwrap();
            if let Some(kind) = state.failure {
                return Write::Failed(kind.into());
            }
            let count = bytes.len().min(state.room);
            if count == 0 {
                return Write::WouldBlock;
            }
            state.room -= count;
            state.taken.extend(&bytes[..count]);
            Write::Bytes(count)
        }
        fn try_flush(&mut self) -> Flush {
            let state = self.0.0.lock().unwrap();
            match (state.failure, state.flush_open) {
                (Some(kind), _) => Flush::Failed(kind.into()),
                (None, true) => Flush::Done,
                (None, false) => Flush::Pending,
            }
        }
        fn ready(&mut self) -> Readiness {
            let gate = Arc::clone(&self.0);
            Box::pin(async move {
                loop {
                    let mut changed = std::pin::pin!(gate.1.notified());
                    changed.as_mut().enable();
                    {
                        let state = gate.0.lock().unwrap();
                        if state.room > 0 && state.flush_open || state.failure.is_some() {
                            return;
                        }
                    }
                    changed.await;
                }
            })
        }
    }

    fn gated() -> (Gate, OutputStream) {
        let gate = Gate::default();
        let stream = OutputStream::new(SharedOutput::new(gate.clone()));
        (gate, stream)
    }

    async fn soon(readiness: Readiness) {
        tokio::time::timeout(Duration::from_secs(10), readiness)
            .await
            .expect("becomes ready");
    }

    #[test]
    fn write_without_permit_is_misuse_and_writes_nothing() {
        let kept = Capture::new(100);
        let mut stream = OutputStream::new(SharedOutput::new(kept.clone()));
        assert!(matches!(
            stream.write(b"x"),
            Err(StreamError::Misuse(Misuse::BeyondPermit { .. }))
        ));
        assert_eq!(kept.contents(), b"");
    }

    #[tokio::test]
    async fn stalled_sink_means_no_permit_and_at_most_one_permit_in_memory() {
        let (gate, mut stream) = gated();
        gate.set(|state| state.flush_open = true);
        let permit = stream.check_write().unwrap();
        stream.write(&vec![1; permit as usize]).unwrap();
        assert_eq!(stream.check_write().unwrap(), 0);
        assert!(matches!(stream.write(b"x"), Err(StreamError::Misuse(_))));
        let mut ready = stream.ready();
        assert!(!is_ready_now(&mut ready));
        gate.set(|state| state.room = usize::MAX);
        soon(ready).await;
        assert!(stream.check_write().unwrap() > 0);
        assert_eq!(gate.taken(), vec![1; permit as usize]);
    }

    #[tokio::test]
    async fn remainder_drains_in_the_background_after_the_stream_is_dropped() {
        let gate = Gate::default();
        let drains = super::super::Drains::default();
        let sink = SharedOutput::new(gate.clone()).counted_by(&drains);
        let mut stream = OutputStream::new(sink);
        stream.check_write().unwrap();
        stream.write(b"not lost").unwrap();
        drop(stream);
        assert_eq!(gate.taken(), b"");
        gate.set(|state| {
            state.room = 1000;
            state.flush_open = true;
        });
        tokio::time::timeout(Duration::from_secs(10), drains.finished())
            .await
            .unwrap();
        assert_eq!(gate.taken(), b"not lost");
    }

    #[tokio::test]
    async fn flush_holds_back_writes_until_it_is_over() {
        let (gate, mut stream) = gated();
        gate.set(|state| state.room = 1000);
        stream.check_write().unwrap();
        stream.write(b"abc").unwrap();
        stream.flush().unwrap();
        assert_eq!(stream.check_write().unwrap(), 0);
        let ready = stream.ready();
        gate.set(|state| state.flush_open = true);
        soon(ready).await;
        assert!(stream.check_write().unwrap() > 0);
    }

    #[tokio::test]
    async fn failed_flush_makes_the_stream_ready_and_is_reported_once() {
        let (gate, mut stream) = gated();
        gate.set(|state| state.room = 1000);
        stream.check_write().unwrap();
        stream.write(b"abc").unwrap();
        stream.flush().unwrap();
        let ready = stream.ready();
        gate.set(|state| state.failure = Some(io::ErrorKind::StorageFull));
        soon(ready).await;
        assert!(matches!(
            stream.check_write(),
            Err(StreamError::LastOperationFailed(e)) if e.kind() == io::ErrorKind::StorageFull
        ));
        assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
        assert!(is_ready_now(&mut stream.ready()));
    }

    #[tokio::test]
    async fn failure_while_draining_is_reported_by_the_next_operation() {
        let (gate, mut stream) = gated();
        stream.check_write().unwrap();
        stream.write(b"abc").unwrap();
        let ready = stream.ready();
        gate.set(|state| state.failure = Some(io::ErrorKind::BrokenPipe));
        soon(ready).await;
        assert!(matches!(
            stream.flush(),
            Err(StreamError::LastOperationFailed(_))
        ));
        assert!(matches!(stream.flush(), Err(StreamError::Closed)));
        assert!(matches!(
            stream.blocking_write_and_flush(b"x").await,
            Err(StreamError::Closed)
        ));
    }

    #[test]
    fn output_that_claims_more_than_it_was_offered_has_failed() {
        struct Liar;
        impl Output for Liar {
            fn try_write(&mut self, bytes: &[u8]) -> Write {
                Write::Bytes(bytes.len() + 1)
            }
            fn ready(&mut self) -> Readiness {
                ready_now()
            }
        }
        let sink = SharedOutput::new(Liar);
        let mut stream = OutputStream::new(sink.clone());
        stream.check_write().unwrap();
        let Err(StreamError::LastOperationFailed(error)) = stream.write(b"tide") else {
            panic!("5 bytes of 4 are believed");
        };
        assert!(error.to_string().contains("5 bytes of 4"), "{error}");
        assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
        assert_eq!(sink.counters().bytes, 0);
    }

    #[tokio::test]
    async fn blocking_write_needs_no_permit_and_takes_4096_bytes() {
        let kept = Capture::new(10_000);
        let mut stream = OutputStream::new(SharedOutput::new(kept.clone()));
        stream.blocking_write_and_flush(&[1; 4096]).await.unwrap();
        stream.blocking_write_zeroes_and_flush(2).await.unwrap();
        assert_eq!(kept.contents().len(), 4098);
        for misuse in [
            stream.blocking_write_and_flush(&[1; 4097]).await,
            stream.blocking_write_zeroes_and_flush(u64::MAX).await,
        ] {
            assert!(matches!(
                misuse,
                Err(StreamError::Misuse(Misuse::BeyondBlockingLimit { .. }))
            ));
        }
    }

    #[tokio::test]
    async fn blocking_write_waits_for_a_slow_sink() {
        let (mut input, output) = pipe(10);
        let mut stream = OutputStream::new(SharedOutput::new(output));
        let reader = tokio::spawn(async move {
            let mut all: Vec<u8> = Vec::new();
            loop {
                let mut buf = [0; 7];
                match input.try_read(&mut buf) {
                    Read::Bytes(count) => all.extend(&buf[..count]),
                    Read::WouldBlock => input.ready().await,
                    Read::Closed => return all,
                    Read::Failed(error) => panic!("{error}"),
                }
            }
        });
        let sent: Vec<u8> = (0..4096).map(|n| n as u8).collect();
        stream.blocking_write_and_flush(&sent).await.unwrap();
        drop(stream);
        assert_eq!(reader.await.unwrap(), sent);
    }

    #[test]
    fn zeroes_are_written_within_the_permit() {
        let kept = Capture::new(1 << 20);
        let mut stream = OutputStream::new(SharedOutput::new(kept.clone()));
        assert_eq!(stream.check_write().unwrap(), WINDOW_START);
        stream.write_zeroes(10_000).unwrap();
        assert_eq!(kept.contents(), vec![0; 10_000]);
        assert!(matches!(
            stream.write_zeroes(u64::MAX),
            Err(StreamError::Misuse(_))
        ));
    }

    #[test]
    fn splice_moves_what_both_ends_allow_and_reports_the_end() {
        let kept = Capture::new(100);
        let mut output = OutputStream::with_ceiling(SharedOutput::new(kept.clone()), 4);
        let mut input = InputStream::new(BytesInput::new(*b"abcdef"));
        assert_eq!(output.splice(&mut input, u64::MAX).unwrap(), 4);
        assert_eq!(output.splice(&mut input, 1).unwrap(), 1);
        assert_eq!(output.splice(&mut input, 0).unwrap(), 0);
        assert_eq!(output.splice(&mut input, 9).unwrap(), 1);
        assert!(matches!(
            output.splice(&mut input, 9),
            Err(StreamError::Closed)
        ));
        assert_eq!(kept.contents(), b"abcdef");
    }

    #[test]
    fn streams_on_one_sink_keep_their_order_across_a_stall() {
        let gate = Gate::default();
        let shared = SharedOutput::new(gate.clone());
        let mut first = OutputStream::new(shared.clone());
        let mut second = OutputStream::new(shared);
        first.check_write().unwrap();
        second.check_write().unwrap();
        first.write(b"one ").unwrap();
        second.write(b"two").unwrap();
        gate.set(|state| state.room = 100);
        assert!(first.check_write().unwrap() > 0);
        assert_eq!(gate.taken(), b"one two");
    }
}
