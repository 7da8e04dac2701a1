//! Endpoints over files of the sandboxed filesystem.
//!
//! Regular files are read and written where the guest runs, between the page cache and the given
//! slice. Named pipes and devices never wait either: they say when they are ready.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use super::descriptor::{Descriptor, Direction};
use super::endpoint::{Input, Kind, Output, Read, Write};
use super::readiness::{Readiness, ready_now};
use crate::fs::{ErrorCode, File};

/// Done once `file` can be read (or, with `write`, written) without waiting.
pub fn file_ready(file: &Arc<File>, write: bool) -> Readiness {
    if file.is_always_ready() {
        return ready_now();
    }
    let descriptor = Descriptor::nonblocking(Arc::clone(file.descriptor()), Kind::Other);
    Arc::new(descriptor).ready(if write {
        Direction::Write
    } else {
        Direction::Read
    })
}

/// Reads a file from an offset on. Several inputs over one file do not interfere.
pub struct FileInput {
    file: Arc<File>,
    /// The next byte, in bytes from the beginning; of no meaning for what has no position.
    offset: u64,
}

impl FileInput {
    /// Reads `file` from `offset` on, or, for a pipe or device, whatever comes next.
    pub fn new(file: Arc<File>, offset: u64) -> Self {
        Self { file, offset }
    }
}

impl Input for FileInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        if buf.is_empty() {
            return Read::Bytes(0);
        }
        let mut slices = [IoSliceMut::new(buf)];
        let answer = if self.file.is_always_ready() {
            self.file.read_at(&mut slices, self.offset)
        } else {
            self.file.read(&mut slices)
        };
        match answer {
            Ok(0) => Read::Closed,
            Ok(count) => {
                self.offset = self.offset.saturating_add(count as u64);
                Read::Bytes(count)
            }
            Err(ErrorCode::WouldBlock) => Read::WouldBlock,
            Err(code) => Read::Failed(code.into()),
        }
    }

    fn ready(&mut self) -> Readiness {
        file_ready(&self.file, false)
    }

    fn kind(&self) -> Kind {
        Kind::File
    }
}

/// Writes a file from an offset on, or at its end.
pub struct FileOutput {
    file: Arc<File>,
    place: Place,
}

/// Where the next byte goes.
enum Place {
    At(u64),
    End,
}

impl FileOutput {
    /// Writes `file` from `offset` on, or, for a pipe or device, simply on.
    pub fn at(file: Arc<File>, offset: u64) -> Self {
        Self {
            file,
            place: Place::At(offset),
        }
    }

    /// Writes at the end of `file`, wherever that is by then.
    pub fn append(file: Arc<File>) -> Self {
        Self {
            file,
            place: Place::End,
        }
    }
}

impl Output for FileOutput {
    fn try_write(&mut self, bytes: &[u8]) -> Write {
        if bytes.is_empty() {
            return Write::Bytes(0);
        }
        let slices = [IoSlice::new(bytes)];
        let answer = match &mut self.place {
            Place::At(offset) if self.file.is_always_ready() => {
                let answer = self.file.write_at(&slices, *offset);
                if let Ok(count) = answer {
                    *offset = offset.saturating_add(count as u64);
                }
                answer
            }
            Place::At(_) => self.file.write(&slices),
            Place::End => self.file.append(&slices),
        };
        match answer {
            Ok(0) | Err(ErrorCode::WouldBlock) => Write::WouldBlock,
            Ok(count) => Write::Bytes(count),
            Err(code) => Write::Failed(code.into()),
        }
    }

    fn ready(&mut self) -> Readiness {
        file_ready(&self.file, true)
    }

    fn kind(&self) -> Kind {
        Kind::File
    }
}
