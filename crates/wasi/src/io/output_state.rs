//! The rules of an output stream, without its I/O: permit, flush, latched error, close.

use std::io;

use super::stream_error::{BLOCKING_WRITE_LIMIT, Misuse, StreamError};
use super::window::Window;

/// How far the sink is with what it was given.
#[derive(Debug)]
pub(crate) enum Progress {
    /// It has everything, and every flush that was asked for has finished.
    Idle,
    /// Bytes or a flush are still on their way.
    Busy,
    /// It accepts no more.
    Closed,
    /// Background work failed since the last time somebody was told.
    Failed(io::Error),
}

/// One guest's view of a sink.
///
/// An error is returned once and closes the stream. The permit is what `check_write` returned last,
/// less what was written since; asking for a flush takes it away.
#[derive(Debug)]
pub(crate) struct OutputState {
    open: bool,
    permit: u64,
    window: Window,
}

impl OutputState {
    pub(crate) fn new(ceiling: u64) -> Self {
        Self {
            open: true,
            permit: 0,
            window: Window::new(ceiling),
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Grants a permit: 0 while the sink is busy.
    pub(crate) fn check_write(&mut self, progress: Progress) -> Result<u64, StreamError> {
        self.settle(progress)?;
        Ok(self.permit)
    }

    /// Decides whether a `write` of `len` bytes may go ahead.
    pub(crate) fn admit(&mut self, len: u64) -> Result<(), StreamError> {
        if !self.open {
            return Err(StreamError::Closed);
        }
        match self.permit.checked_sub(len) {
            Some(rest) => {
                self.permit = rest;
                Ok(())
            }
            None => Err(Misuse::BeyondPermit {
                len,
                permit: self.permit,
            }
            .into()),
        }
    }

    /// Decides whether a blocking write of `len` bytes may go ahead; it needs no permit.
    pub(crate) fn admit_blocking(&mut self, len: u64) -> Result<(), StreamError> {
        if len > BLOCKING_WRITE_LIMIT {
            return Err(Misuse::BeyondBlockingLimit { len }.into());
        }
        if self.open {
            Ok(())
        } else {
            Err(StreamError::Closed)
        }
    }

    /// The sink took `taken` of `offered` bytes at once.
    pub(crate) fn handed_over(&mut self, offered: u64, taken: u64) {
        self.window.adapt(offered, taken);
    }

    /// A flush was asked for: no writes until it is over.
    pub(crate) fn flush(&mut self) -> Result<(), StreamError> {
        if !self.open {
            return Err(StreamError::Closed);
        }
        self.permit = 0;
        Ok(())
    }

    /// An operation failed in the foreground.
    pub(crate) fn fail(&mut self, error: io::Error) -> StreamError {
        if !self.open {
            return StreamError::Closed;
        }
        self.close();
        StreamError::LastOperationFailed(error)
    }

    /// No more operations.
    pub(crate) fn close(&mut self) {
        self.open = false;
        self.permit = 0;
    }

    /// Takes note of the sink's progress.
    pub(crate) fn settle(&mut self, progress: Progress) -> Result<(), StreamError> {
        if !self.open {
            return Err(StreamError::Closed);
        }
        match progress {
            Progress::Idle => self.permit = self.window.size(),
            Progress::Busy => self.permit = 0,
            Progress::Closed => {
                self.close();
                return Err(StreamError::Closed);
            }
            Progress::Failed(error) => return Err(self.fail(error)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::{WINDOW_CEILING, WINDOW_START};
    use super::*;

    fn state() -> OutputState {
        OutputState::new(WINDOW_CEILING)
    }

    fn broken() -> io::Error {
        io::ErrorKind::BrokenPipe.into()
    }

    #[test]
    fn write_without_check_is_misuse() {
        assert!(matches!(
            state().admit(1),
            Err(StreamError::Misuse(Misuse::BeyondPermit {
                len: 1,
                permit: 0
            }))
        ));
    }

    #[test]
    fn write_of_nothing_needs_no_permit() {
        assert!(state().admit(0).is_ok());
    }

    #[test]
    fn write_up_to_the_permit_is_admitted_and_one_more_byte_is_misuse() {
        let mut state = state();
        let permit = state.check_write(Progress::Idle).unwrap();
        assert_eq!(permit, WINDOW_START);
        state.admit(permit).unwrap();
        assert!(matches!(
            state.admit(1),
            Err(StreamError::Misuse(Misuse::BeyondPermit { .. }))
        ));
    }

    #[test]
    fn permit_is_zero_while_the_sink_is_busy() {
        let mut state = state();
        assert_eq!(state.check_write(Progress::Busy).unwrap(), 0);
        assert!(state.check_write(Progress::Idle).unwrap() > 0);
    }

    #[test]
    fn flush_takes_the_permit_away_until_it_is_over() {
        let mut state = state();
        state.check_write(Progress::Idle).unwrap();
        state.flush().unwrap();
        assert!(matches!(state.admit(1), Err(StreamError::Misuse(_))));
        assert_eq!(state.check_write(Progress::Busy).unwrap(), 0);
        assert!(state.check_write(Progress::Idle).unwrap() > 0);
    }

    #[test]
    fn background_error_is_reported_once_then_closed() {
        let mut state = state();
        assert!(matches!(
            state.check_write(Progress::Failed(broken())),
            Err(StreamError::LastOperationFailed(e)) if e.kind() == io::ErrorKind::BrokenPipe
        ));
        assert!(matches!(
            state.check_write(Progress::Idle),
            Err(StreamError::Closed)
        ));
        assert!(matches!(state.admit(0), Err(StreamError::Closed)));
        assert!(matches!(state.flush(), Err(StreamError::Closed)));
        assert!(matches!(state.admit_blocking(1), Err(StreamError::Closed)));
        assert!(matches!(state.fail(broken()), StreamError::Closed));
    }

    #[test]
    fn write_after_the_stream_closed_is_an_error_and_no_trap() {
        let mut state = state();
        let permit = state.check_write(Progress::Idle).unwrap();
        state.fail(broken());
        assert!(matches!(state.admit(permit), Err(StreamError::Closed)));
    }

    #[test]
    fn blocking_write_takes_4096_bytes_without_a_permit_and_no_more() {
        let mut state = state();
        state.admit_blocking(4096).unwrap();
        assert!(matches!(
            state.admit_blocking(4097),
            Err(StreamError::Misuse(Misuse::BeyondBlockingLimit {
                len: 4097
            }))
        ));
    }

    #[test]
    fn slow_sink_gets_a_smaller_permit() {
        let mut state = state();
        let permit = state.check_write(Progress::Idle).unwrap();
        state.admit(permit).unwrap();
        state.handed_over(permit, 8192);
        assert_eq!(state.check_write(Progress::Idle).unwrap(), 8192);
    }
}
