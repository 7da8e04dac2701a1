//! An input as a guest of `wasi:io/streams` sees it.

use super::counters::Counters;
use super::endpoint::{Input, Read};
use super::null::EmptyInput;
use super::readiness::{Readiness, ready_now};
use super::stream_error::StreamError;

/// The most one read returns, in bytes, whatever the guest asks for: the guest's number is a wish,
/// and is never allocated.
pub const READ_CHUNK: usize = 64 * 1024;

/// An [`Input`] with the rules of `input-stream`: an error is reported once, then the stream is
/// closed; no bytes means "not now", and never the end.
pub struct InputStream {
    input: Box<dyn Input>,
    open: bool,
    counters: Counters,
}

/// A stream that is closed already.
impl Default for InputStream {
    fn default() -> Self {
        Self {
            open: false,
            ..Self::new(EmptyInput)
        }
    }
}

impl InputStream {
    /// A stream that reads from `input`.
    pub fn new(input: impl Input) -> Self {
        Self {
            input: Box::new(input),
            open: true,
            counters: Counters::default(),
        }
    }

    /// What was read through this stream so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Reads what is there now into `buf`; 0 means "not now" unless `buf` is empty.
    ///
    /// # Errors
    /// As `input-stream.read` has them.
    pub fn read_into(&mut self, buf: &mut [u8]) -> Result<usize, StreamError> {
        if !self.open {
            return Err(StreamError::Closed);
        }
        let len = buf.len();
        let answer = self.input.try_read(buf).within(len);
        self.settle(answer)
    }

    /// How many of `len` bytes a read would find now, if that is known beforehand: at least one, at most [`READ_CHUNK`].
    pub fn available(&mut self, len: u64) -> Option<usize> {
        if !self.open || len == 0 {
            return None;
        }
        let len = clamp(len);
        let there = self.input.available(len as u64)?;
        Some(clamp(there).min(len))
    }

    /// `input-stream.read`: at most `len` bytes, at most [`READ_CHUNK`], and none if there are none
    /// now.
    ///
    /// # Errors
    /// As `input-stream.read` has them.
    pub fn read(&mut self, len: u64) -> Result<Vec<u8>, StreamError> {
        if !self.open {
            return Err(StreamError::Closed);
        }
        let max = clamp(len);
        let (bytes, answer) = self.input.try_read_vec(max);
        let answer = match answer {
            Read::Bytes(count) => Read::Bytes(count.max(bytes.len())),
            other => other,
        };
        self.settle(answer.within(max))?;
        Ok(bytes)
    }

    /// `input-stream.blocking-read`: waits for at least one byte, unless `len` is 0. May be
    /// dropped at any time without losing a byte.
    ///
    /// # Errors
    /// As `input-stream.blocking-read` has them.
    pub async fn blocking_read(&mut self, len: u64) -> Result<Vec<u8>, StreamError> {
        loop {
            let bytes = self.read(len)?;
            if len == 0 || !bytes.is_empty() {
                return Ok(bytes);
            }
            drop(bytes);
            self.input.ready().await;
        }
    }

    /// `input-stream.skip`: how many bytes were skipped, at most `len`.
    ///
    /// # Errors
    /// As `input-stream.skip` has them.
    pub fn skip(&mut self, len: u64) -> Result<u64, StreamError> {
        if !self.open {
            return Err(StreamError::Closed);
        }
        let answer = self.input.try_skip(len);
        let most = usize::try_from(len).unwrap_or(usize::MAX);
        Ok(self.settle(answer.within(most))? as u64)
    }

    /// `input-stream.blocking-skip`: waits for at least one byte, unless `len` is 0.
    ///
    /// # Errors
    /// As `input-stream.blocking-skip` has them.
    pub async fn blocking_skip(&mut self, len: u64) -> Result<u64, StreamError> {
        loop {
            let count = self.skip(len)?;
            if len == 0 || count > 0 {
                return Ok(count);
            }
            self.input.ready().await;
        }
    }

    /// Done once a read would give bytes or an error.
    pub fn ready(&mut self) -> Readiness {
        if self.open {
            self.input.ready()
        } else {
            ready_now()
        }
    }

    fn settle(&mut self, answer: Read) -> Result<usize, StreamError> {
        match answer {
            Read::Bytes(count) => {
                self.counters.moved(count);
                Ok(count)
            }
            Read::WouldBlock => {
                self.counters.stalled();
                Ok(0)
            }
            Read::Closed => {
                self.open = false;
                Err(StreamError::Closed)
            }
            Read::Failed(error) => {
                self.open = false;
                Err(StreamError::LastOperationFailed(error))
            }
        }
    }
}

fn clamp(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX).min(READ_CHUNK)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;
    use std::time::Duration;

    use super::super::endpoint::{Output, Write};
    use super::super::memory::BytesInput;
    use super::super::pipe::pipe;
    use super::super::readiness::is_ready_now;
    use super::*;

    /// Answers what it was told to, one answer a read.
    struct Script(VecDeque<Read>);

    impl Input for Script {
        fn try_read(&mut self, _buf: &mut [u8]) -> Read {
            self.0.pop_front().unwrap_or(Read::Closed)
        }
        fn ready(&mut self) -> Readiness {
            ready_now()
        }
    }

    #[test]
    fn nothing_now_is_an_empty_list_and_the_end_is_closed() {
        let (input, mut output) = pipe(8);
        let mut stream = InputStream::new(input);
        assert_eq!(stream.read(10).unwrap(), b"");
        output.try_write(b"hi");
        assert_eq!(stream.read(1).unwrap(), b"h");
        assert_eq!(stream.read(u64::MAX).unwrap(), b"i");
        drop(output);
        assert!(matches!(stream.read(1), Err(StreamError::Closed)));
        assert!(matches!(stream.read(0), Err(StreamError::Closed)));
        assert_eq!(
            stream.counters(),
            Counters {
                bytes: 2,
                operations: 2,
                stalls: 1
            }
        );
    }

    #[test]
    fn error_is_reported_once_then_closed() {
        let failed = Read::Failed(io::ErrorKind::ConnectionReset.into());
        let mut stream = InputStream::new(Script([failed, Read::Bytes(1)].into()));
        assert!(matches!(
            stream.read(1),
            Err(StreamError::LastOperationFailed(e)) if e.kind() == io::ErrorKind::ConnectionReset
        ));
        assert!(matches!(stream.read(1), Err(StreamError::Closed)));
        assert!(matches!(stream.skip(1), Err(StreamError::Closed)));
        assert!(is_ready_now(&mut stream.ready()));
    }

    #[test]
    fn huge_length_allocates_a_chunk() {
        let mut stream = InputStream::new(BytesInput::new(vec![1; 3 * READ_CHUNK]));
        let bytes = stream.read(u64::MAX).unwrap();
        assert_eq!(bytes.len(), READ_CHUNK);
        assert!(bytes.capacity() <= 2 * READ_CHUNK);
        assert!(stream.skip(u64::MAX).unwrap() > 0);
    }

    #[test]
    fn input_that_claims_more_than_it_was_offered_has_failed() {
        type Use = fn(&mut InputStream) -> Result<(), StreamError>;
        let uses: [Use; 3] = [
            |stream| stream.read(2).map(drop),
            |stream| stream.read_into(&mut [0; 2]).map(drop),
            |stream| stream.skip(2).map(drop),
        ];
        for read in uses {
            let mut stream = InputStream::new(Script([Read::Bytes(3), Read::Bytes(1)].into()));
            let Err(StreamError::LastOperationFailed(error)) = read(&mut stream) else {
                panic!("3 bytes of 2 are believed");
            };
            assert!(error.to_string().contains("3 bytes of 2"), "{error}");
            assert!(matches!(read(&mut stream), Err(StreamError::Closed)));
            assert_eq!(stream.counters(), Counters::default());
        }
    }

    #[tokio::test]
    async fn blocking_read_of_nothing_does_not_wait() {
        let (input, _output) = pipe(8);
        let mut stream = InputStream::new(input);
        assert_eq!(stream.blocking_read(0).await.unwrap(), b"");
        assert_eq!(stream.blocking_skip(0).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn blocking_read_waits_and_may_be_dropped_without_loss() {
        let (input, mut output) = pipe(8);
        let mut stream = InputStream::new(input);
        let brief = Duration::from_millis(5);
        assert!(
            tokio::time::timeout(brief, stream.blocking_read(4))
                .await
                .is_err()
        );
        assert!(matches!(output.try_write(b"late"), Write::Bytes(4)));
        assert_eq!(stream.blocking_skip(1).await.unwrap(), 1);
        assert_eq!(stream.blocking_read(9).await.unwrap(), b"ate");
    }
}
