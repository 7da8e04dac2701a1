//! What WASI calls a descriptor: an open file or directory, and what can be done with either.

use std::sync::Arc;

use super::{
    Advice, Dir, Entries, ErrorCode, File, FileType, MetadataHash, OpenOptions, Opened, SetTime,
    Stat,
};

impl Opened {
    /// The file.
    ///
    /// # Errors
    /// `IsDirectory`.
    pub fn file(&self) -> Result<&Arc<File>, ErrorCode> {
        match self {
            Self::File(file) => Ok(file),
            Self::Dir(_) => Err(ErrorCode::IsDirectory),
        }
    }

    /// The directory.
    ///
    /// # Errors
    /// `NotDirectory`.
    pub fn dir(&self) -> Result<&Arc<Dir>, ErrorCode> {
        match self {
            Self::Dir(dir) => Ok(dir),
            Self::File(_) => Err(ErrorCode::NotDirectory),
        }
    }

    /// The file, to be read.
    ///
    /// # Errors
    /// `IsDirectory`, and `BadDescriptor` for what was not opened for reading.
    pub fn readable(&self) -> Result<Arc<File>, ErrorCode> {
        let file = self.file()?;
        match file.may_read() {
            true => Ok(Arc::clone(file)),
            false => Err(ErrorCode::BadDescriptor),
        }
    }

    /// The file, to be written.
    ///
    /// # Errors
    /// `IsDirectory`, and `BadDescriptor` for what was not opened for writing.
    pub fn writable(&self) -> Result<Arc<File>, ErrorCode> {
        let file = self.file()?;
        match file.may_write() {
            true => Ok(Arc::clone(file)),
            false => Err(ErrorCode::BadDescriptor),
        }
    }

    /// Whether it can be read, or listed.
    pub fn may_read(&self) -> bool {
        match self {
            Self::File(file) => file.may_read(),
            Self::Dir(_) => true,
        }
    }

    /// Whether it is a file that can be written.
    pub fn may_write(&self) -> bool {
        match self {
            Self::File(file) => file.may_write(),
            Self::Dir(_) => false,
        }
    }

    /// Whether it is a directory below which things can be changed.
    pub fn may_mutate_directory(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Dir(dir) => dir.access().may_write(),
        }
    }

    /// What kind of file it is.
    pub fn file_type(&self) -> FileType {
        match self {
            Self::File(file) => file.file_type(),
            Self::Dir(_) => FileType::Directory,
        }
    }

    /// What is known about it.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn stat(&self) -> Result<Stat, ErrorCode> {
        match self {
            Self::File(file) => file.stat(),
            Self::Dir(dir) => dir.stat(),
        }
    }

    /// A number that changes with the file.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn metadata_hash(&self) -> Result<MetadataHash, ErrorCode> {
        Ok(self.stat()?.metadata_hash())
    }

    /// Sets the times.
    ///
    /// # Errors
    /// As [`File::set_times`] and [`Dir::set_times`].
    pub fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<(), ErrorCode> {
        match self {
            Self::File(file) => file.set_times(accessed, modified),
            Self::Dir(dir) => dir.set_times(accessed, modified),
        }
    }

    /// Says how a part of a file will be used.
    ///
    /// # Errors
    /// `BadDescriptor` for a directory, and as [`File::advise`].
    pub fn advise(&self, offset: u64, length: u64, advice: Advice) -> Result<(), ErrorCode> {
        match self {
            Self::File(file) => file.advise(offset, length, advice),
            Self::Dir(_) => Err(ErrorCode::BadDescriptor),
        }
    }

    /// Brings data and attributes to the device. Nothing happens for what was not opened for writing, nor for pipes and devices, which have nothing
    /// to bring.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn sync(&self) -> Result<(), ErrorCode> {
        match self {
            Self::File(file) if file.may_write() => ignore_unsyncable(file.sync()),
            Self::File(_) => Ok(()),
            Self::Dir(dir) => dir.sync(),
        }
    }

    /// Brings data to the device, otherwise as [`sync`](Self::sync).
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn sync_data(&self) -> Result<(), ErrorCode> {
        match self {
            Self::File(file) if file.may_write() => ignore_unsyncable(file.sync_data()),
            Self::File(_) => Ok(()),
            Self::Dir(dir) => dir.sync(),
        }
    }

    /// Whether both are the same file, as far as that can be found out.
    pub fn is_same_object(&self, other: &Self) -> bool {
        let same = match (self, other) {
            (Self::File(one), Self::File(other)) => one.is_same_object(other),
            (Self::Dir(one), Self::Dir(other)) => one.is_same_object(other),
            _ => Ok(false),
        };
        same.unwrap_or(false)
    }

    /// Opens what `path` leads to below a directory, as [`Dir::open`]. With `mutate_directory` the guest asks to change what is below.
    ///
    /// A directory is opened with all that its parent allows, whether or not that was asked for: programs of older toolchains do not ask, and
    /// expect it.
    ///
    /// # Errors
    /// `NotDirectory`; `ReadOnly` for `mutate_directory` below a read-only directory; and as [`Dir::open`].
    pub fn open_at(
        &self,
        path: &str,
        options: &OpenOptions,
        mutate_directory: bool,
    ) -> Result<Self, ErrorCode> {
        let dir = self.dir()?;
        if mutate_directory && !dir.access().may_write() {
            return Err(ErrorCode::ReadOnly);
        }
        dir.open(path, options)
    }

    /// Gives a file a second name, as [`Dir::link`]. Following a symbolic link at the end of `path` is refused, as nothing would say where to.
    ///
    /// # Errors
    /// `NotDirectory`; `Invalid` with `follow`; and as [`Dir::link`].
    pub fn link_at(
        &self,
        follow: bool,
        path: &str,
        to: &Self,
        to_path: &str,
    ) -> Result<(), ErrorCode> {
        let (from, to) = (self.dir()?, to.dir()?);
        if follow {
            return Err(ErrorCode::Invalid);
        }
        from.link(path, to, to_path)
    }

    /// Makes a symbolic link, as [`Dir::symlink`].
    ///
    /// # Errors
    /// `NotDirectory`; `NotPermitted` for absolute contents; and as [`Dir::symlink`].
    pub fn symlink_at(&self, contents: &str, path: &str) -> Result<(), ErrorCode> {
        let dir = self.dir()?;
        if contents.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        dir.symlink(contents, path)
    }

    /// Begins to read the entries of a directory.
    ///
    /// # Errors
    /// `NotDirectory`, and whatever the host reports.
    pub fn entries(&self) -> Result<Entries, ErrorCode> {
        Ok(Entries::new(self.dir()?.list()?))
    }
}

/// Pipes and devices have nothing to bring to a disk, which is no failure.
fn ignore_unsyncable(answer: Result<(), ErrorCode>) -> Result<(), ErrorCode> {
    match answer {
        Err(ErrorCode::Invalid) => Ok(()),
        other => other,
    }
}
