//! An open file.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};
use rustix::time::Timespec;

use super::stat::timestamps;
use super::{Access, ErrorCode, FileType, OpenOptions, SetTime, Stat};

/// The offset by which `preadv2` and `pwritev2` mean the file's own position.
const AT_POSITION: u64 = u64::MAX;

/// How a file will be read, as a hint to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// No particular way.
    Normal,
    /// From lower to higher offsets.
    Sequential,
    /// In no order.
    Random,
    /// Soon.
    WillNeed,
    /// Not soon.
    DontNeed,
    /// Once.
    NoReuse,
}

/// An open file of any kind but directory.
///
/// Reads and writes move bytes between the kernel and the caller's slices, with no copy between.
/// A file has one position, used by [`read`](Self::read), [`write`](Self::write) and
/// [`append`](Self::append); the operations with an offset neither use nor move it.
#[derive(Debug)]
pub struct File {
    /// Non-blocking, so that named pipes and devices answer [`ErrorCode::WouldBlock`].
    fd: Arc<OwnedFd>,
    kind: FileType,
    read: bool,
    write: bool,
    access: Access,
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl File {
    pub(super) fn new(fd: OwnedFd, kind: FileType, options: &OpenOptions, access: Access) -> Self {
        Self {
            fd: Arc::new(fd),
            kind,
            read: options.read,
            write: options.write,
            access,
        }
    }

    /// What the file is.
    pub fn file_type(&self) -> FileType {
        self.kind
    }

    /// Whether it was opened for reading.
    pub fn may_read(&self) -> bool {
        self.read
    }

    /// Whether it was opened for writing.
    pub fn may_write(&self) -> bool {
        self.write
    }

    /// Whether the file is a terminal.
    pub fn is_terminal(&self) -> bool {
        rustix::termios::isatty(&self.fd)
    }

    /// The operating system's descriptor, to wait on.
    pub fn descriptor(&self) -> &Arc<OwnedFd> {
        &self.fd
    }

    /// Whether reads and writes never have to wait for somebody else.
    pub fn is_always_ready(&self) -> bool {
        matches!(
            self.kind,
            FileType::RegularFile | FileType::BlockDevice | FileType::Directory
        )
    }

    /// Whether a read would answer anything but [`ErrorCode::WouldBlock`]. A named pipe that nobody
    /// has opened for writing yet is not ready; one that everybody closed is at its end.
    pub fn is_readable(&self) -> bool {
        self.is_always_ready() || poll_now(self.as_fd(), PollFlags::IN)
    }

    /// Whether a write would answer anything but [`ErrorCode::WouldBlock`].
    pub fn is_writable(&self) -> bool {
        self.is_always_ready() || poll_now(self.as_fd(), PollFlags::OUT)
    }

    /// Reads at the position and moves it on; 0 is the end of the file.
    ///
    /// # Errors
    /// `BadDescriptor` unless open for reading, `WouldBlock` for a pipe or device that has nothing.
    pub fn read(&self, into: &mut [IoSliceMut<'_>]) -> Result<usize, ErrorCode> {
        if !self.read {
            return Err(ErrorCode::BadDescriptor);
        }
        // A read from a pipe without a writer says "end" even before the first writer came.
        if self.kind == FileType::Fifo && !self.is_readable() {
            return Err(ErrorCode::WouldBlock);
        }
        retry(|| rustix::io::readv(&self.fd, into))
    }

    /// [`read`](Self::read) that does not wait for a device either: what a regular file does not have
    /// in the page cache is `WouldBlock`. Where the host cannot tell, it waits.
    ///
    /// # Errors
    /// As for [`read`](Self::read).
    pub fn read_cached(&self, into: &mut [IoSliceMut<'_>]) -> Result<usize, ErrorCode> {
        self.read_without_waiting(into, AT_POSITION)
            .unwrap_or_else(|| self.read(into))
    }

    /// [`read_at`](Self::read_at) that does not wait for a device either, as
    /// [`read_cached`](Self::read_cached).
    ///
    /// # Errors
    /// As for [`read_at`](Self::read_at).
    pub fn read_at_cached(
        &self,
        into: &mut [IoSliceMut<'_>],
        offset: u64,
    ) -> Result<usize, ErrorCode> {
        let offset = checked_offset(offset)?;
        self.read_without_waiting(into, offset)
            .unwrap_or_else(|| self.read_at(into, offset))
    }

    /// `None`: this file, or the host, is not one for that.
    fn read_without_waiting(
        &self,
        into: &mut [IoSliceMut<'_>],
        offset: u64,
    ) -> Option<Result<usize, ErrorCode>> {
        if self.kind != FileType::RegularFile || !self.read {
            return None;
        }
        let flags = ReadWriteFlags::NOWAIT;
        match retry(|| rustix::io::preadv2(&self.fd, into, offset, flags)) {
            Err(ErrorCode::Unsupported | ErrorCode::Invalid) => None,
            answer => Some(answer),
        }
    }

    /// Reads at `offset`, in bytes.
    ///
    /// # Errors
    /// `BadDescriptor` unless open for reading, `InvalidSeek` for a pipe, `Invalid` for an offset
    /// of 2^63 or more.
    pub fn read_at(&self, into: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, ErrorCode> {
        if !self.read {
            return Err(ErrorCode::BadDescriptor);
        }
        let offset = checked_offset(offset)?;
        retry(|| rustix::io::preadv(&self.fd, into, offset))
    }

    /// Reads at `offset`, in bytes, into fresh memory, at most `max` bytes.
    ///
    /// # Errors
    /// As for [`read_at`](Self::read_at).
    pub fn read_at_vec(&self, max: usize, offset: u64) -> Result<Vec<u8>, ErrorCode> {
        let mut bytes = Vec::with_capacity(max);
        // Spare capacity is filled whole, and the allocator may have given more.
        if !self.read || max == 0 || bytes.capacity() != max {
            bytes.resize(max, 0);
            let count = self.read_at(&mut [IoSliceMut::new(&mut bytes)], offset)?;
            bytes.truncate(count);
            return Ok(bytes);
        }
        let offset = checked_offset(offset)?;
        let spare =
            || rustix::io::pread(&self.fd, rustix::buffer::spare_capacity(&mut bytes), offset);
        retry(spare)?;
        Ok(bytes)
    }

    /// Writes at the position and moves it on. May take less than all.
    ///
    /// # Errors
    /// `BadDescriptor` unless open for writing, `WouldBlock` for a pipe or device that takes
    /// nothing, `Pipe` when nobody reads any more, and the host's limits.
    pub fn write(&self, from: &[IoSlice<'_>]) -> Result<usize, ErrorCode> {
        self.demand_open_for_writing()?;
        retry(|| rustix::io::writev(&self.fd, from))
    }

    /// Writes at the end of the file and moves the position behind what was written. Nobody else's
    /// write comes between.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn append(&self, from: &[IoSlice<'_>]) -> Result<usize, ErrorCode> {
        self.demand_open_for_writing()?;
        if self.kind != FileType::RegularFile {
            return self.write(from);
        }
        retry(|| rustix::io::pwritev2(&self.fd, from, AT_POSITION, ReadWriteFlags::APPEND))
    }

    /// Writes at `offset`, in bytes; what lies between the end of the file and there reads as zeros.
    ///
    /// # Errors
    /// `BadDescriptor` unless open for writing, `InvalidSeek` for a pipe, `Invalid` for an offset
    /// of 2^63 or more, and the host's limits.
    pub fn write_at(&self, from: &[IoSlice<'_>], offset: u64) -> Result<usize, ErrorCode> {
        self.demand_open_for_writing()?;
        let offset = checked_offset(offset)?;
        retry(|| rustix::io::pwritev(&self.fd, from, offset))
    }

    /// Moves the position and says where it is now, in bytes from the beginning.
    ///
    /// # Errors
    /// `Invalid` for a position below 0 or beyond 2^63, `InvalidSeek` for a pipe.
    pub fn seek(&self, to: std::io::SeekFrom) -> Result<u64, ErrorCode> {
        let to = match to {
            std::io::SeekFrom::Start(offset) => SeekFrom::Start(checked_offset(offset)?),
            std::io::SeekFrom::Current(delta) => SeekFrom::Current(delta),
            std::io::SeekFrom::End(delta) => SeekFrom::End(delta),
        };
        Ok(rustix::fs::seek(&self.fd, to)?)
    }

    /// What is known about the file.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn stat(&self) -> Result<Stat, ErrorCode> {
        Ok(rustix::fs::fstat(&self.fd)?.into())
    }

    /// Cuts the file off, or extends it with zeros, to `size` bytes.
    ///
    /// # Errors
    /// `ReadOnly` below a read-only directory, `BadDescriptor` unless open for writing, `Invalid`
    /// for anything but a regular file or a size of 2^63 or more, `FileTooLarge`.
    pub fn set_size(&self, size: u64) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        self.demand_open_for_writing()?;
        let size = checked_offset(size)?;
        Ok(rustix::fs::ftruncate(&self.fd, size)?)
    }

    /// Sets the file's times.
    ///
    /// # Errors
    /// `ReadOnly` below a read-only directory, however the file was opened; `Invalid` for more than
    /// 999,999,999 nanoseconds; `NotPermitted` for a file of somebody else's.
    pub fn set_times(&self, accessed: SetTime, modified: SetTime) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        let times = timestamps(accessed, modified)?;
        Ok(rustix::fs::futimens(&self.fd, &times)?)
    }

    /// Reserves `len` bytes from `offset` on, and extends the file to hold them.
    ///
    /// # Errors
    /// `ReadOnly`, `BadDescriptor` unless open for writing, `Invalid` for no length or a range that
    /// ends beyond 2^63, `Unsupported` where the filesystem cannot, `InsufficientSpace`.
    pub fn allocate(&self, offset: u64, len: u64) -> Result<(), ErrorCode> {
        self.access.demand_write()?;
        self.demand_open_for_writing()?;
        let end = offset.checked_add(len).ok_or(ErrorCode::Invalid)?;
        checked_offset(end)?;
        Ok(rustix::fs::fallocate(
            &self.fd,
            FallocateFlags::empty(),
            offset,
            len,
        )?)
    }

    /// Tells the host how the range will be read; a length of 0 means up to the end.
    ///
    /// # Errors
    /// `InvalidSeek` for a pipe, `Invalid` for an offset of 2^63 or more.
    pub fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<(), ErrorCode> {
        use rustix::fs::Advice as Host;
        checked_offset(offset)?;
        let advice = match advice {
            Advice::Normal => Host::Normal,
            Advice::Sequential => Host::Sequential,
            Advice::Random => Host::Random,
            Advice::WillNeed => Host::WillNeed,
            Advice::DontNeed => Host::DontNeed,
            Advice::NoReuse => Host::NoReuse,
        };
        let len = std::num::NonZeroU64::new(len.min(i64::MAX as u64));
        Ok(rustix::fs::fadvise(&self.fd, offset, len, advice)?)
    }

    /// Brings data and attributes to the device.
    ///
    /// # Errors
    /// `Io` when the device failed; `Invalid` for what has no device.
    pub fn sync(&self) -> Result<(), ErrorCode> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// Brings data, and the attributes needed to find it, to the device.
    ///
    /// # Errors
    /// As for [`sync`](Self::sync).
    pub fn sync_data(&self) -> Result<(), ErrorCode> {
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }

    /// Whether the two are one file, however they were opened.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn is_same_object(&self, other: &Self) -> Result<bool, ErrorCode> {
        let (own, other) = (self.stat()?, other.stat()?);
        Ok((own.device, own.inode) == (other.device, other.inode))
    }

    fn demand_open_for_writing(&self) -> Result<(), ErrorCode> {
        if self.write {
            Ok(())
        } else {
            Err(ErrorCode::BadDescriptor)
        }
    }
}

/// Positions are signed in the kernel, and -1 has a meaning of its own there.
fn checked_offset(offset: u64) -> Result<u64, ErrorCode> {
    match i64::try_from(offset) {
        Ok(_) => Ok(offset),
        Err(_) => Err(ErrorCode::Invalid),
    }
}

/// Asks the host, without waiting, whether `fd` is ready for one of `events`; an error or a
/// hang-up is something to report, so it counts.
pub(crate) fn poll_now(fd: BorrowedFd<'_>, events: PollFlags) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, events)];
    let no_time = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    retry(|| rustix::event::poll(&mut fds, Some(&no_time))).is_ok_and(|ready| ready > 0)
}

/// A signal to the host process is none of the guest's business.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, ErrorCode> {
    loop {
        match call() {
            Err(Errno::INTR) => continue,
            result => return result.map_err(ErrorCode::from),
        }
    }
}
