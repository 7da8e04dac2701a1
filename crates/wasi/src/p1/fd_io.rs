//! Reading, writing and positions.

use std::io::SeekFrom;
use std::sync::Arc;

use super::memory::{Iovecs, Slot};
use super::table::{Entry, Resource};
use super::types::{Errno, fdflags, rights};
use super::{Memory, Preview1, Progress, Stop};
use crate::fs::{Advice, ErrorCode};
use crate::io::{
    Descriptor, Direction, Flush, Input, Output, Read, Readiness, Write, file_fetched, file_ready,
    off_thread,
};

/// Buffers that hold no more than this together are written at once, so that a line that a program
/// puts together from pieces stays together.
const GATHERED: usize = 4096;

impl Preview1 {
    /// `fd_read`: reads into a list of buffers and stores at `nread` how many bytes came, 0 at the
    /// end. Waits for the first byte only, or for the device where a file is not in the page cache.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_read)
    ///
    /// Fails with `badf` for what is not open or not for reading, `isdir` for directories,
    /// `notcapable` without the right `fd_read`, `inval` for a listening socket or a list that is
    /// too long, `again` instead of waiting for a `nonblock` descriptor.
    pub(super) fn fd_read(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        nread: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get_mut(fd)?;
        let iovecs = memory.iovecs(iovs, iovs_len)?;
        let nread = memory.slot::<4>(nread)?;
        let nonblocking = entry.is_nonblocking();
        if !matches!(entry.resource, Resource::Dir(_) | Resource::Output(_)) {
            entry.demand(rights::FD_READ)?;
        }
        let count = match &mut entry.resource {
            Resource::Input(input) => {
                let count = read_some(memory, &iovecs, |buffer| input.try_read(buffer))?;
                count.ok_or_else(|| would_block(nonblocking, || input.ready()))?
            }
            Resource::Socket(socket) => {
                let count = read_some(memory, &iovecs, |buffer| socket.try_read(buffer))?;
                count.ok_or_else(|| would_block(nonblocking, || read_ready(socket)))?
            }
            Resource::File(file) => {
                let mut slices = memory.slices_mut(&iovecs);
                let result = match self.resume.take() {
                    Some(Progress::Fetched) => file.read(&mut slices),
                    _ => file.read_cached(&mut slices),
                };
                match result {
                    Err(ErrorCode::WouldBlock) if file.is_always_ready() => {
                        let position = file.seek(SeekFrom::Current(0))?;
                        let fetched = file_fetched(file, position, iovecs.total());
                        return Err(self.resume.wait(Progress::Fetched, fetched.ready()));
                    }
                    Err(ErrorCode::WouldBlock) => {
                        return Err(would_block(nonblocking, || file_ready(file, false)));
                    }
                    result => result?,
                }
            }
            Resource::Dir(_) => return Err(Errno::Isdir.into()),
            Resource::Output(_) => return Err(Errno::Badf.into()),
            Resource::Listener(_) => return Err(Errno::Inval.into()),
        };
        put_count(memory, nread, count)
    }

    /// `fd_write`: writes a list of buffers and stores at `nwritten` how many bytes were taken.
    /// Waits until at least one is. With the flag `append` they go to the end of the file.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_write)
    ///
    /// Fails with `badf` for what is not open or not for writing, `isdir` for directories,
    /// `notcapable` without the right `fd_write`, `inval` for a listening socket or a list that is
    /// too long, `again` instead of waiting for a `nonblock` descriptor, `pipe` when nobody reads
    /// any more.
    pub(super) fn fd_write(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        nwritten: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get_mut(fd)?;
        let iovecs = memory.iovecs(iovs, iovs_len)?;
        let nwritten = memory.slot::<4>(nwritten)?;
        let nonblocking = entry.is_nonblocking();
        let append = entry.flags & fdflags::APPEND != 0;
        if !matches!(entry.resource, Resource::Dir(_) | Resource::Input(_)) {
            entry.demand(rights::FD_WRITE)?;
        }
        let count = match &mut entry.resource {
            Resource::Output(output) => {
                let count = write_some(memory, &iovecs, |bytes| output.try_write(bytes))?;
                count.ok_or_else(|| would_block(nonblocking, || output.ready()))?
            }
            Resource::Socket(socket) => {
                let count = write_some(memory, &iovecs, |bytes| socket.try_write(bytes))?;
                count.ok_or_else(|| would_block(nonblocking, || write_ready(socket)))?
            }
            Resource::File(file) => {
                let gathered = memory.gather(&iovecs);
                let slices = gathered.slices();
                let result = if append {
                    file.append(&slices)
                } else {
                    file.write(&slices)
                };
                match result {
                    Err(ErrorCode::WouldBlock) => {
                        return Err(would_block(nonblocking, || file_ready(file, true)));
                    }
                    result => result?,
                }
            }
            Resource::Dir(_) => return Err(Errno::Isdir.into()),
            Resource::Input(_) => return Err(Errno::Badf.into()),
            Resource::Listener(_) => return Err(Errno::Inval.into()),
        };
        put_count(memory, nwritten, count)
    }

    /// `fd_pread`: reads at `offset`, in bytes, and leaves the position.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_pread)
    ///
    /// Fails with `badf`, `isdir` for directories, `spipe` for what has no position, `notcapable`
    /// without the rights `fd_read` and `fd_seek`, `inval` for an offset of 2^63 or more.
    pub(super) fn fd_pread(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        offset: u64,
        nread: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let iovecs = memory.iovecs(iovs, iovs_len)?;
        let nread = memory.slot::<4>(nread)?;
        let file = entry.file(rights::FD_READ | rights::FD_SEEK, Errno::Spipe)?;
        let mut slices = memory.slices_mut(&iovecs);
        let result = match self.resume.take() {
            Some(Progress::Fetched) => file.read_at(&mut slices, offset),
            _ => file.read_at_cached(&mut slices, offset),
        };
        match result {
            Err(ErrorCode::WouldBlock) if file.is_always_ready() => {
                let fetched = file_fetched(file, offset, iovecs.total());
                Err(self.resume.wait(Progress::Fetched, fetched.ready()))
            }
            result => put_count(memory, nread, result?),
        }
    }

    /// `fd_pwrite`: writes at `offset`, in bytes, and leaves the position. As in POSIX the flag
    /// `append` makes no difference.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_pwrite)
    ///
    /// Fails with `badf`, `isdir` for directories, `spipe` for what has no position, `notcapable`
    /// without the rights `fd_write` and `fd_seek`, `inval` for an offset of 2^63 or more, `fbig`
    /// and `nospc` at the host's limits.
    pub(super) fn fd_pwrite(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        offset: u64,
        nwritten: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let iovecs = memory.iovecs(iovs, iovs_len)?;
        let nwritten = memory.slot::<4>(nwritten)?;
        let file = entry.file(rights::FD_WRITE | rights::FD_SEEK, Errno::Spipe)?;
        let count = file.write_at(&memory.gather(&iovecs).slices(), offset)?;
        put_count(memory, nwritten, count)
    }

    /// `fd_seek`: moves the position by `offset` bytes from the beginning (`whence` 0), itself (1)
    /// or the end (2), and stores the new one at `newoffset`.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_seek)
    ///
    /// Fails with `badf`, `isdir` for directories, `spipe` for what has no position, `notcapable`
    /// without the right `fd_seek` (`fd_tell` is enough to stay), `inval` for another `whence` or a
    /// position below 0.
    pub(super) fn fd_seek(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        offset: i64,
        whence: u32,
        newoffset: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let newoffset = memory.slot::<8>(newoffset)?;
        let to = match whence {
            0 => SeekFrom::Start(u64::try_from(offset).map_err(|_| Errno::Inval)?),
            1 => SeekFrom::Current(offset),
            2 => SeekFrom::End(offset),
            _ => return Err(Errno::Inval.into()),
        };
        let position = if to == SeekFrom::Current(0) {
            tell(entry)?
        } else {
            entry.file(rights::FD_SEEK, Errno::Spipe)?.seek(to)?
        };
        memory.put(newoffset, position.to_le_bytes());
        Ok(())
    }

    /// `fd_tell`: stores the position, in bytes from the beginning.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_tell)
    ///
    /// Fails with `badf`, `isdir` for directories, `spipe` for what has no position, `notcapable`
    /// without the right `fd_tell` or `fd_seek`.
    pub(super) fn fd_tell(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        offset: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let offset = memory.slot::<8>(offset)?;
        let position = tell(entry)?;
        memory.put(offset, position.to_le_bytes());
        Ok(())
    }

    /// `fd_advise`: tells the host how `len` bytes from `offset` on will be used; 0 means up to the
    /// end.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_advise)
    ///
    /// Fails with `badf`, `isdir` for directories, `spipe` for what has no position, `notcapable`
    /// without the right `fd_advise`, `inval` for another advice or an offset of 2^63 or more.
    pub(super) fn fd_advise(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        offset: u64,
        len: u64,
        advice: u32,
    ) -> Result<(), Stop> {
        let file = self.table.get(fd)?.file(rights::FD_ADVISE, Errno::Spipe)?;
        let advice = match advice {
            0 => Advice::Normal,
            1 => Advice::Sequential,
            2 => Advice::Random,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            5 => Advice::NoReuse,
            _ => return Err(Errno::Inval.into()),
        };
        Ok(file.advise(offset, len, advice)?)
    }

    /// `fd_allocate`: reserves `len` bytes from `offset` on, and extends the file to hold them.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_allocate)
    ///
    /// Fails with `badf`, `isdir` for directories, `spipe` for what has no position, `notcapable`
    /// without the right `fd_allocate`, `rofs` below a read-only directory, `inval` for no length,
    /// `notsup` where the filesystem cannot, `fbig` and `nospc` at its limits.
    pub(super) fn fd_allocate(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        offset: u64,
        len: u64,
    ) -> Result<(), Stop> {
        let file = self
            .table
            .get(fd)?
            .file(rights::FD_ALLOCATE, Errno::Spipe)?;
        Ok(file.allocate(offset, len)?)
    }

    /// `fd_sync`: returns when everything written is on the device, or, for a stream, where its
    /// sink promises to bring it.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_sync)
    ///
    /// Fails with `badf`, `notcapable` without the right `fd_sync`, `inval` for inputs and sockets,
    /// `io` when the device failed.
    pub(super) fn fd_sync(&mut self, _memory: &mut Memory<'_>, fd: u32) -> Result<(), Stop> {
        self.flush(fd, rights::FD_SYNC)
    }

    /// `fd_datasync`: as `fd_sync`, without attributes that are not needed to read the data.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_datasync)
    ///
    /// Fails as `fd_sync` does, with the right `fd_datasync`.
    pub(super) fn fd_datasync(&mut self, _memory: &mut Memory<'_>, fd: u32) -> Result<(), Stop> {
        self.flush(fd, rights::FD_DATASYNC)
    }

    fn flush(&mut self, fd: u32, right: u64) -> Result<(), Stop> {
        let entry = self.table.get_mut(fd)?;
        let granted = entry.demand(right);
        let work: Box<dyn FnOnce() -> Result<(), ErrorCode> + Send> = match &mut entry.resource {
            Resource::File(file) => {
                granted?;
                let file = Arc::clone(file);
                Box::new(move || match right {
                    rights::FD_SYNC => file.sync(),
                    _ => file.sync_data(),
                })
            }
            Resource::Dir(open) => {
                granted?;
                let dir = Arc::clone(&open.dir);
                Box::new(move || dir.sync())
            }
            Resource::Output(output) => {
                granted?;
                return match output.try_flush() {
                    Flush::Done => Ok(()),
                    Flush::Pending => Err(Stop::Wait(output.ready())),
                    Flush::Failed(error) => Err(Errno::from(error).into()),
                };
            }
            Resource::Input(_) | Resource::Listener(_) | Resource::Socket(_) => {
                return Err(Errno::Inval.into());
            }
        };
        if let Some(Progress::Synced(task)) = self.resume.take()
            && let Some(result) = task.answer()
        {
            return Ok((*result)?);
        }
        let task = off_thread(work);
        let ready = task.ready();
        Err(self.resume.wait(Progress::Synced(task), ready))
    }
}

fn tell(entry: &Entry) -> Result<u64, Stop> {
    let file = entry.file(0, Errno::Spipe)?;
    if entry.demand(rights::FD_TELL).is_err() {
        entry.demand(rights::FD_SEEK)?;
    }
    Ok(file.seek(SeekFrom::Current(0))?)
}

/// Reads into the buffers until one is not filled. `None`: not a byte came, and the end did not
/// either. A failure after the first byte is left to the next call.
fn read_some(
    memory: &mut Memory<'_>,
    iovecs: &Iovecs,
    mut try_read: impl FnMut(&mut [u8]) -> Read,
) -> Result<Option<usize>, Errno> {
    let mut total = 0;
    for range in iovecs.ranges() {
        let len = range.len();
        match try_read(memory.bytes_mut(range.clone())).within(len) {
            Read::Bytes(count) => {
                total += count;
                if count < len {
                    break;
                }
            }
            Read::WouldBlock if total == 0 => return Ok(None),
            Read::Failed(error) if total == 0 => return Err(error.into()),
            Read::Closed | Read::WouldBlock | Read::Failed(_) => break,
        }
    }
    Ok(Some(total))
}

/// Writes the buffers until one is not taken whole. `None`: not a byte was taken.
fn write_some(
    memory: &Memory<'_>,
    iovecs: &Iovecs,
    mut try_write: impl FnMut(&[u8]) -> Write,
) -> Result<Option<usize>, Errno> {
    let mut gathered = [0; GATHERED];
    let together = iovecs.ranges().len() > 1 && iovecs.total() <= GATHERED;
    let mut write = |bytes: &[u8]| match try_write(bytes).within(bytes.len()) {
        Write::Bytes(count) => Ok(count),
        Write::WouldBlock => Ok(0),
        Write::Closed => Err(Errno::Pipe),
        Write::Failed(error) => Err(error.into()),
    };
    let mut total = 0;
    if together {
        let mut len = 0;
        for range in iovecs.ranges() {
            let bytes = memory.bytes(range.clone());
            gathered[len..len + bytes.len()].copy_from_slice(&bytes);
            len += bytes.len();
        }
        total = write(&gathered[..len])?;
    } else {
        for range in iovecs.ranges() {
            match write(&memory.bytes(range.clone())) {
                Ok(count) => {
                    total += count;
                    if count < range.len() {
                        break;
                    }
                }
                Err(errno) if total == 0 => return Err(errno),
                Err(_) => break,
            }
        }
    }
    Ok((total > 0 || iovecs.ranges().is_empty()).then_some(total))
}

/// What an operation comes to that nothing can be done for now.
pub(super) fn would_block(nonblocking: bool, ready: impl FnOnce() -> Readiness) -> Stop {
    if nonblocking {
        Errno::Again.into()
    } else {
        Stop::Wait(ready())
    }
}

pub(super) fn read_ready(socket: &Arc<Descriptor>) -> Readiness {
    socket.ready(Direction::Read)
}

pub(super) fn write_ready(socket: &Arc<Descriptor>) -> Readiness {
    socket.ready(Direction::Write)
}

/// Counts fit: the lengths of a list of buffers add up to a number of 32 bits.
pub(super) fn put_count(memory: &mut Memory<'_>, slot: Slot<4>, count: usize) -> Result<(), Stop> {
    let count = u32::try_from(count).map_err(|_| Errno::Overflow)?;
    memory.put(slot, count.to_le_bytes());
    Ok(())
}
