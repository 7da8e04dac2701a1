//! An open directory, and what can be done below it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::resolve::{open_beneath, parent};
use super::stat::timestamps;
use super::{Access, ErrorCode, Listing, SetTime, Stat};

/// An open directory. Paths are relative to it and cannot lead out of it.
///
/// Every operation here goes to the filesystem and comes back; on a slow one it takes as long as it
/// takes, and nothing else.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    access: Access,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    /// Opens a directory of the host, by the host's own authority.
    ///
    /// # Errors
    /// When `path` cannot be opened, or is no directory.
    pub fn open_ambient(path: &Path, access: Access) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd, access })
    }

    pub(super) fn from_fd(fd: OwnedFd, access: Access) -> Self {
        Self { fd, access }
    }

    /// What may be done below it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// What is known about the directory itself.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn stat(&self) -> Result<Stat, ErrorCode> {
        Ok(rustix::fs::fstat(&self.fd)?.into())
    }

    /// Sets the directory's own times.
    ///
    /// # Errors
    /// `ReadOnly` without write access, `Invalid` for more than 999,999,999 nanoseconds.
    pub fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        let times = timestamps(accessed, modified)?;
        Ok(rustix::fs::futimens(&self.fd, &times)?)
    }

    /// Brings the directory's entries to the device.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn sync(&self) -> Result<(), ErrorCode> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Begins to read the entries. Several listings of one directory do not disturb each other.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn list(&self) -> Result<Listing, ErrorCode> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, ".", flags, Mode::empty())?;
        Listing::new(fd)
    }

    /// What is known about the file `path` leads to; with `follow`, about what a symbolic link at
    /// its end leads to, else about the link.
    ///
    /// # Errors
    /// Whatever the path leads to.
    pub fn stat_at(&self, path: &str, follow: bool) -> Result<Stat, ErrorCode> {
        let fd = self.open_entry(path, follow)?;
        Ok(rustix::fs::fstat(fd)?.into())
    }

    /// Sets the times of the file `path` leads to; `follow` as for [`stat_at`](Self::stat_at).
    ///
    /// # Errors
    /// `ReadOnly` without write access, `Invalid` for more than 999,999,999 nanoseconds, and
    /// whatever the path leads to.
    pub fn set_times_at(
        &self,
        path: &str,
        follow: bool,
        accessed: SetTime,
        modified: SetTime,
    ) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        let times = timestamps(accessed, modified)?;
        if !follow {
            let parent = parent(self.as_fd(), path)?;
            if parent.is_plain_name() {
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                return Ok(rustix::fs::utimensat(&parent, parent.last, &times, flags)?);
            }
        }
        let fd = self.open_entry(path, follow)?;
        Ok(rustix::fs::utimensat(fd, "", &times, AtFlags::EMPTY_PATH)?)
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// `ReadOnly` without write access, `Exist` where there is something, even a dangling link.
    pub fn create_dir(&self, path: &str) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        let parent = parent(self.as_fd(), path)?;
        let mode = Mode::from_raw_mode(0o777);
        Ok(rustix::fs::mkdirat(&parent, parent.last, mode)?)
    }

    /// Removes an empty directory. A symbolic link to one is none.
    ///
    /// # Errors
    /// `ReadOnly` without write access, `NotEmpty`, `NotDirectory`, `Invalid` for a path that ends
    /// in `.`, `Busy` for a mount point.
    pub fn remove_dir(&self, path: &str) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        let parent = parent(self.as_fd(), path)?;
        if !parent.is_plain_name() {
            // A link with a trailing slash means what it leads to, which may be outside.
            self.open_entry(path, true)?;
        }
        Ok(rustix::fs::unlinkat(
            &parent,
            parent.last,
            AtFlags::REMOVEDIR,
        )?)
    }

    /// Removes a name of anything but a directory; a symbolic link itself, not what it leads to.
    ///
    /// # Errors
    /// `ReadOnly` without write access, `IsDirectory`, `NotDirectory` for a file with a trailing
    /// slash.
    pub fn unlink(&self, path: &str) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        let parent = parent(self.as_fd(), path)?;
        Ok(rustix::fs::unlinkat(
            &parent,
            parent.last,
            AtFlags::empty(),
        )?)
    }

    /// Moves `path` to `to_path` below `to`, over whatever file or empty directory is there.
    ///
    /// # Errors
    /// `ReadOnly` unless both directories may be written, `CrossDevice` between filesystems, and
    /// POSIX's `IsDirectory`, `NotDirectory`, `NotEmpty`, `Busy` and `Invalid` (into itself).
    pub fn rename(&self, path: &str, to: &Dir, to_path: &str) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        to.access.demand_write()?;
        let from = parent(self.as_fd(), path)?;
        let to = parent(to.as_fd(), to_path)?;
        Ok(rustix::fs::renameat(&from, from.last, &to, to.last)?)
    }

    /// Gives the file at `path` a second name, `to_path` below `to`. A symbolic link at the end of
    /// `path` is linked itself.
    ///
    /// Both directories must be writable: with a second name under a writable directory, a file
    /// that was granted for reading could be written.
    ///
    /// # Errors
    /// `ReadOnly` unless both directories may be written, `Exist`, `NotPermitted` for a directory,
    /// `CrossDevice` between filesystems.
    pub fn link(&self, path: &str, to: &Dir, to_path: &str) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        to.access.demand_write()?;
        let from = parent(self.as_fd(), path)?;
        let to = parent(to.as_fd(), to_path)?;
        if !from.is_plain_name() {
            // The kernel would follow a link with a trailing slash, out of the sandbox. What is
            // there can only be a directory, which has no second name.
            self.open_entry(path, true)?;
            return Err(ErrorCode::NotPermitted);
        }
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(&from, from.last, &to, to.last, flags)?)
    }

    /// Creates a symbolic link with the given contents, which need not lead anywhere.
    ///
    /// # Errors
    /// `ReadOnly` without write access, `NotPermitted` for absolute contents, which would mean one
    /// thing to the guest and another to the host, `Exist`, and `NoEntry` for empty contents.
    pub fn symlink(&self, contents: &str, path: &str) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        super::resolve::check(contents)?;
        let parent = parent(self.as_fd(), path)?;
        Ok(rustix::fs::symlinkat(contents, &parent, parent.last)?)
    }

    /// The contents of a symbolic link, at most 4095 bytes.
    ///
    /// # Errors
    /// `Invalid` for anything that is no symbolic link, `IllegalByteSequence` for contents that are
    /// not UTF-8, `NotPermitted` for absolute contents, which name a place outside.
    pub fn read_link(&self, path: &str) -> Result<String, ErrorCode> {
        let parent = parent(self.as_fd(), path)?;
        if !parent.is_plain_name() {
            // The kernel would follow a link with a trailing slash, out of the sandbox.
            self.open_entry(path, true)?;
            return Err(ErrorCode::Invalid);
        }
        let contents = rustix::fs::readlinkat(&parent, parent.last, Vec::new())?;
        let contents = contents
            .into_string()
            .map_err(|_| ErrorCode::IllegalByteSequence)?;
        if contents.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        Ok(contents)
    }

    /// Whether the two are one directory.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn is_same_object(&self, other: &Self) -> Result<bool, ErrorCode> {
        let (own, other) = (self.stat()?, other.stat()?);
        Ok((own.device, own.inode) == (other.device, other.inode))
    }

    /// Opens the entry itself, whatever it is, with no right to read or write it.
    fn open_entry(&self, path: &str, follow: bool) -> Result<OwnedFd, ErrorCode> {
        let mut flags = OFlags::PATH;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        open_beneath(self.as_fd(), path, flags, Mode::empty())
    }
}
