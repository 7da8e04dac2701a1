//! Endpoints over files of the sandboxed filesystem.
//!
//! Regular files are read and written where the guest runs, between the page cache and the given
//! slice. What the page cache does not have is fetched in a thread, and the read tried again. Named pipes and devices never wait either: they say when they are ready.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use super::descriptor::{Descriptor, Direction};
use super::endpoint::{Input, Kind, Output, Read, Write};
use super::off_thread::{OffThread, file_fetched};
use super::readiness::{Readiness, ready_now};
use crate::fs::{ErrorCode, File, FileType};

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
    /// The size of the file when it was asked for last.
    size: u64,
    /// Under way since a read found nothing in the page cache.
    fetch: Option<Arc<OffThread<()>>>,
}

/// For fewer bytes a copy takes no longer than finding out whether they are there.
const ASKED_FROM: u64 = 16 * 1024;

impl FileInput {
    /// Reads `file` from `offset` on, or, for a pipe or device, whatever comes next.
    pub fn new(file: Arc<File>, offset: u64) -> Self {
        Self {
            file,
            offset,
            size: 0,
            fetch: None,
        }
    }
}

impl Input for FileInput {
    fn try_read(&mut self, buf: &mut [u8]) -> Read {
        if buf.is_empty() {
            return Read::Bytes(0);
        }
        let len = buf.len();
        let mut slices = [IoSliceMut::new(buf)];
        let answer = match self.fetch.take() {
            Some(fetch) if fetch.answer().is_none() => {
                self.fetch = Some(fetch);
                return Read::WouldBlock;
            }
            // Read even if it is gone again already, or this might never end.
            Some(_) => self.file.read_at(&mut slices, self.offset),
            None if self.file.is_always_ready() => {
                self.file.read_at_cached(&mut slices, self.offset)
            }
            None => self.file.read(&mut slices),
        };
        match answer {
            Ok(0) => Read::Closed,
            Ok(count) => {
                self.offset = self.offset.saturating_add(count as u64);
                Read::Bytes(count)
            }
            Err(ErrorCode::WouldBlock) => {
                if self.file.is_always_ready() {
                    self.fetch = Some(file_fetched(&self.file, self.offset, len));
                }
                Read::WouldBlock
            }
            Err(code) => Read::Failed(code.into()),
        }
    }

    /// What is not in the page cache is not available: it takes a wait.
    fn available(&mut self, len: u64) -> Option<u64> {
        let regular = self.file.file_type() == FileType::RegularFile;
        if len < ASKED_FROM || !regular || self.fetch.is_some() {
            return None;
        }
        if self.size.saturating_sub(self.offset) < len {
            self.size = self.file.stat().ok()?.size;
        }
        let rest = self
            .size
            .checked_sub(self.offset)
            .filter(|&rest| rest > 0)?;
        let mut first = [0];
        let probe = self
            .file
            .read_at_cached(&mut [IoSliceMut::new(&mut first)], self.offset);
        matches!(probe, Ok(1)).then_some(rest)
    }

    fn ready(&mut self) -> Readiness {
        if let Some(fetch) = &self.fetch {
            return fetch.ready();
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Access, Advice, Dir, OpenOptions, Opened};

    #[test]
    fn what_is_cached_is_known_beforehand_up_to_the_end() {
        let tmp = tempfile::tempdir().unwrap();
        std::fs::write(tmp.path().join("file"), vec![1; 100_000]).unwrap();
        let dir = Dir::open_ambient(tmp.path(), Access::ReadOnly).unwrap();
        let options = OpenOptions {
            read: true,
            ..OpenOptions::default()
        };
        let Ok(Opened::File(file)) = dir.open("file", &options) else {
            panic!("it is a file");
        };
        let mut input = FileInput::new(file, 90_000);
        assert_eq!(input.available(10), None);
        assert_eq!(input.available(65_536), Some(10_000));
        assert!(matches!(
            input.try_read(&mut [0; 65_536]),
            Read::Bytes(10_000)
        ));
        assert_eq!(input.available(65_536), None);
        std::fs::write(tmp.path().join("file"), vec![1; 120_000]).unwrap();
        assert_eq!(input.available(65_536), Some(20_000));
        assert!(matches!(input.try_read(&mut [0; 5]), Read::Bytes(5)));
    }

    #[tokio::test]
    async fn cold_file_is_read_whole_and_never_where_the_guest_runs() {
        let tmp = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(tmp.path().join("file"), &content).unwrap();
        let dir = Dir::open_ambient(tmp.path(), Access::ReadOnly).unwrap();
        let options = OpenOptions {
            read: true,
            ..OpenOptions::default()
        };
        let Ok(Opened::File(file)) = dir.open("file", &options) else {
            panic!("it is a file");
        };
        file.sync().unwrap();
        // Some filesystems keep it all the same; then there is nothing to wait for.
        file.advise(0, 0, Advice::DontNeed).unwrap();
        let mut input = FileInput::new(file, 0);
        let (mut found, mut buf) = (Vec::<u8>::new(), [0; 10_000]);
        loop {
            match input.try_read(&mut buf) {
                Read::Bytes(count) => found.extend(&buf[..count]),
                Read::WouldBlock => input.ready().await,
                Read::Closed => break,
                Read::Failed(error) => panic!("{error}"),
            }
        }
        assert!(found == content, "every byte, in order");
    }
}
