//! Reading a directory.

use std::fmt;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{RawDir, SeekFrom};

use super::{ErrorCode, FileType};

/// How much of a directory is read at once, in bytes. The longest entry takes 280.
const BUFFER: usize = 16 * 1024;

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
/// whatever is created and removed meanwhile. What one call of the system gave is kept until all of it was given out, so that small pieces are
/// not read again and again; the beginning is always read anew. A position that was never given out leads to some entry of the same directory, or to an
/// error.
pub struct Listing {
    fd: OwnedFd,
    /// The directory's own number, which `..` is given too: a parent's may be outside.
    inode: u64,
    buffer: Box<[MaybeUninit<u8>]>,
    /// What the last call of the system gave.
    found: Vec<Found>,
    names: Vec<u8>,
    /// Where the system's own position is.
    position: u64,
}

/// An entry, without its name.
struct Found {
    next: u64,
    inode: u64,
    file_type: FileType,
    /// Where its name ends; it begins where the one before ends.
    name_end: usize,
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
            found: Vec::new(),
            names: Vec::new(),
            position: 0,
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
        let known = self.found.iter().position(|entry| entry.next == position);
        let mut index = match known {
            Some(before) if position > 0 => before + 1,
            _ => {
                self.fetch(position)?;
                0
            }
        };
        loop {
            if index == self.found.len() {
                self.fetch(self.position)?;
                index = 0;
            }
            let Some(found) = self.found.get(index) else {
                return Ok(());
            };
            let name_start = match index {
                0 => 0,
                index => self.found[index - 1].name_end,
            };
            let go_on = visit(Entry {
                next: found.next,
                inode: found.inode,
                file_type: found.file_type,
                name: &self.names[name_start..found.name_end],
            });
            if !go_on {
                return Ok(());
            }
            index += 1;
        }
    }

    /// Has the system give what comes from `position` on, as much as it gives at once.
    fn fetch(&mut self, position: u64) -> Result<(), ErrorCode> {
        self.found.clear();
        self.names.clear();
        // Going where one is already may cost the filesystem what it has read ahead.
        if position == 0 || position != self.position {
            rustix::fs::seek(&self.fd, SeekFrom::Start(position))?;
            self.position = position;
        }
        let mut entries = RawDir::new(&self.fd, &mut self.buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            self.names.extend_from_slice(name);
            self.position = entry.next_entry_cookie();
            self.found.push(Found {
                next: self.position,
                inode: match name {
                    b".." => self.inode,
                    _ => entry.ino(),
                },
                file_type: entry.file_type().into(),
                name_end: self.names.len(),
            });
            if entries.is_buffer_empty() {
                break;
            }
        }
        Ok(())
    }
}
