//! Opening files and directories below a directory.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags};

use super::resolve::open_beneath;
use super::{Dir, ErrorCode, File};

/// How to open. All off by default: opens what exists, follows no link at the end of the path, and
/// gives a file that can be neither read nor written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// For reading.
    pub read: bool,
    /// For writing; a directory is refused.
    pub write: bool,
    /// Writes go to the end of the file, wherever that is by then.
    pub append: bool,
    /// Create a regular file where there is nothing (`O_CREAT`).
    pub create: bool,
    /// With `create`: fail where there is something (`O_EXCL`).
    pub exclusive: bool,
    /// Make the file empty (`O_TRUNC`).
    pub truncate: bool,
    /// Fail for anything but a directory (`O_DIRECTORY`).
    pub directory: bool,
    /// Follow a symbolic link at the end of the path.
    pub follow: bool,
    /// Data is on the device when a write returns (`O_DSYNC`).
    pub dsync: bool,
    /// Data and attributes are on the device when a write returns (`O_SYNC`).
    pub sync: bool,
    /// The same guarantee for what a read finds (`O_RSYNC`).
    pub rsync: bool,
}

impl OpenOptions {
    fn flags(&self) -> OFlags {
        // Nothing here may wait: without `NONBLOCK`, opening a named pipe waits for its other end.
        // Regular files and directories do not know the flag.
        let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        flags |= match (self.read, self.write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        for (wanted, flag) in [
            (self.create, OFlags::CREATE),
            (self.create && self.exclusive, OFlags::EXCL),
            (self.truncate, OFlags::TRUNC),
            (self.directory, OFlags::DIRECTORY),
            (!self.follow, OFlags::NOFOLLOW),
            (self.dsync, OFlags::DSYNC),
            (self.sync, OFlags::SYNC),
            (self.rsync, OFlags::RSYNC),
        ] {
            if wanted {
                flags |= flag;
            }
        }
        flags
    }
}

/// What was opened.
#[derive(Debug, Clone)]
pub enum Opened {
    /// Anything but a directory.
    File(Arc<File>),
    /// A directory.
    Dir(Arc<Dir>),
}

impl Dir {
    /// Opens what `path` leads to. What is opened inherits this directory's access.
    ///
    /// Never waits: a named pipe opens at once for reading, and for writing only while somebody
    /// reads it.
    ///
    /// # Errors
    /// `ReadOnly` for `write`, `create` or `truncate` below a read-only directory; `Invalid` for
    /// `create` with `directory`; `Loop` for a symbolic link at the end that is not followed;
    /// `IsDirectory` for a directory to be written; and whatever the path itself leads to.
    pub fn open(&self, path: &str, options: &OpenOptions) -> Result<Opened, ErrorCode> {
        if options.write || options.create || options.truncate {
            self.access().demand_write()?;
        }
        if options.create && options.directory {
            return Err(ErrorCode::Invalid);
        }
        let mode = if options.create {
            Mode::from_raw_mode(0o666)
        } else {
            Mode::empty()
        };
        let fd = open_beneath(self.as_fd(), path, options.flags(), mode)?;
        let stat = rustix::fs::fstat(&fd)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        Ok(if kind == FileType::Directory {
            Opened::Dir(Arc::new(Dir::from_fd(fd, self.access())))
        } else {
            Opened::File(Arc::new(File::new(fd, kind.into(), options, self.access())))
        })
    }
}
