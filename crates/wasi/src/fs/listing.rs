//! Reading a directory.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{RawDir, SeekFrom};

use super::{ErrorCode, FileType};

/// How much of a directory is read at once, in bytes. The longest entry takes 280.
const BUFFER: usize = 8 * 1024;

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where the listing goes on after this entry.
    pub next: u64,
    /// The entry's number on its device, 0 where it is not known.
    pub inode: u64,
    /// What it is, as far as the directory says.
    pub file_type: FileType,
    /// Its name, as the host has it; most are UTF-8.
    pub name: &'a [u8],
}

/// A directory being read.
///
/// Positions are the filesystem's own, so that entries that are there throughout come once,
/// whatever is created and removed meanwhile, and so that nothing is kept per entry. A position
/// that was never given out leads to some entry of the same directory, or to an error.
pub struct Listing {
    fd: OwnedFd,
    /// The directory's own number, which `..` is given too: a parent's may be outside.
    inode: u64,
    buffer: Box<[MaybeUninit<u8>]>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("fd", &self.fd).finish()
    }
}

impl Listing {
    pub(super) fn new(fd: OwnedFd) -> Result<Self, ErrorCode> {
        let inode = rustix::fs::fstat(&fd)?.st_ino;
        Ok(Self {
            fd,
            inode,
            buffer: Box::new([MaybeUninit::uninit(); BUFFER]),
        })
    }

    /// Gives the entries from `position` on to `visit` until there are no more or it returns
    /// `false`. Position 0 is the beginning; others come from [`Entry::next`]. `.` and `..` are
    /// among the entries.
    ///
    /// # Errors
    /// `Invalid` for a position that the filesystem does not take, and whatever the host reports.
    pub fn read(
        &mut self,
        position: u64,
        mut visit: impl FnMut(Entry<'_>) -> bool,
    ) -> Result<(), ErrorCode> {
        if i64::try_from(position).is_err() {
            return Err(ErrorCode::Invalid);
        }
        rustix::fs::seek(&self.fd, SeekFrom::Start(position))?;
        let mut entries = RawDir::new(&self.fd, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let inode = if name == b".." {
                self.inode
            } else {
                entry.ino()
            };
            let go_on = visit(Entry {
                next: entry.next_entry_cookie(),
                inode,
                file_type: entry.file_type().into(),
                name,
            });
            if !go_on {
                break;
            }
        }
        Ok(())
    }
}
