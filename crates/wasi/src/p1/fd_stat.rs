//! What is known about descriptors, their flags and rights.

use super::table::Resource;
use super::types::{Errno, encode_filestat, fdflags, rights};
use super::{Memory, Preview1, Stop};
use crate::fs::{FileType, SetTime, Stat, Timestamp};

/// The flags that can be changed while a file is open. The others concern how the host opened it.
const CHANGEABLE: u16 = fdflags::APPEND | fdflags::NONBLOCK;

impl Preview1 {
    /// `fd_close`: closes a descriptor, whatever it is open on.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_close)
    ///
    /// Fails with `badf`.
    pub(super) fn fd_close(&mut self, _memory: &mut Memory<'_>, fd: u32) -> Result<(), Stop> {
        drop(self.table.remove(fd)?);
        Ok(())
    }

    /// `fd_renumber`: moves what `fd` is open on over `to`, which is closed. Renumbering a
    /// descriptor to itself does nothing.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_renumber)
    ///
    /// Fails with `badf` unless both are open.
    pub(super) fn fd_renumber(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        to: u32,
    ) -> Result<(), Stop> {
        Ok(self.table.renumber(fd, to)?)
    }

    /// `fd_fdstat_get`: stores 24 bytes: type, flags (at 2), rights (at 8) and the rights handed on
    /// to what is opened through it (at 16).
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_fdstat_get)
    ///
    /// Fails with `badf`.
    pub(super) fn fd_fdstat_get(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        stat: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let slot = memory.slot::<24>(stat)?;
        let mut out = [0; 24];
        out[0] = entry.filetype();
        out[2..4].copy_from_slice(&entry.flags.to_le_bytes());
        out[8..16].copy_from_slice(&entry.base.to_le_bytes());
        out[16..24].copy_from_slice(&entry.inheriting.to_le_bytes());
        memory.put(slot, out);
        Ok(())
    }

    /// `fd_fdstat_set_flags`: sets `append` and `nonblock`.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_fdstat_set_flags)
    ///
    /// Fails with `badf`, `inval` for unknown flags, `notcapable` without the right
    /// `fd_fdstat_set_flags`, `notsup` for a change of `dsync`, `rsync` or `sync`.
    pub(super) fn fd_fdstat_set_flags(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        flags: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get_mut(fd)?;
        let flags = parse_fdflags(flags)?;
        entry.demand(rights::FD_FDSTAT_SET_FLAGS)?;
        if (flags ^ entry.flags) & !CHANGEABLE != 0 {
            return Err(Errno::NotSup.into());
        }
        entry.flags = flags;
        Ok(())
    }

    /// `fd_fdstat_set_rights`: drops rights.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_fdstat_set_rights)
    ///
    /// Fails with `badf`, and `notcapable` for rights the descriptor does not have; then nothing
    /// changes.
    pub(super) fn fd_fdstat_set_rights(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        base: u64,
        inheriting: u64,
    ) -> Result<(), Stop> {
        let entry = self.table.get_mut(fd)?;
        if base & !entry.base != 0 || inheriting & !entry.inheriting != 0 {
            return Err(Errno::NotCapable.into());
        }
        entry.base = base;
        entry.inheriting = inheriting;
        Ok(())
    }

    /// `fd_filestat_get`: stores 64 bytes about the file. For a stream only its type is known.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_filestat_get)
    ///
    /// Fails with `badf`, and `notcapable` without the right `fd_filestat_get`.
    pub(super) fn fd_filestat_get(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        stat: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let slot = memory.slot::<64>(stat)?;
        entry.demand(rights::FD_FILESTAT_GET)?;
        let out = match &entry.resource {
            Resource::File(file) => encode_filestat(&file.stat()?),
            Resource::Dir(open) => encode_filestat(&open.dir.stat()?),
            Resource::Input(_)
            | Resource::Output(_)
            | Resource::Listener(_)
            | Resource::Socket(_) => {
                let mut out = encode_filestat(&Stat {
                    device: 0,
                    inode: 0,
                    file_type: FileType::Unknown,
                    links: 0,
                    size: 0,
                    accessed: Timestamp::default(),
                    modified: Timestamp::default(),
                    changed: Timestamp::default(),
                });
                out[16] = entry.filetype();
                out
            }
        };
        memory.put(slot, out);
        Ok(())
    }

    /// `fd_filestat_set_size`: cuts the file off, or extends it with zeros, to `size` bytes.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_filestat_set_size)
    ///
    /// Fails with `badf`, `isdir` for directories, `inval` for what has no size or 2^63 and more,
    /// `notcapable` without the right `fd_filestat_set_size`, `rofs` below a read-only directory,
    /// `fbig` beyond the host's limit.
    pub(super) fn fd_filestat_set_size(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        size: u64,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let file = entry.file(rights::FD_FILESTAT_SET_SIZE, Errno::Inval)?;
        Ok(file.set_size(size)?)
    }

    /// `fd_filestat_set_times`: sets the times of access (`atim`) and modification (`mtim`), in
    /// nanoseconds since 1970, as `flags` says: 1 and 4 to the given time, 2 and 8 to the present.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_filestat_set_times)
    ///
    /// Fails with `badf`, `inval` for both of one time or unknown flags, `notcapable` without the
    /// right `fd_filestat_set_times`, `rofs` below a read-only directory, `notsup` for streams.
    pub(super) fn fd_filestat_set_times(
        &mut self,
        _memory: &mut Memory<'_>,
        fd: u32,
        atim: u64,
        mtim: u64,
        flags: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get(fd)?;
        let (accessed, modified) = parse_times(atim, mtim, flags)?;
        let granted = entry.demand(rights::FD_FILESTAT_SET_TIMES);
        match &entry.resource {
            Resource::File(file) => {
                granted?;
                Ok(file.set_times(accessed, modified)?)
            }
            Resource::Dir(open) => {
                granted?;
                Ok(open.dir.set_times(accessed, modified)?)
            }
            _ => Err(Errno::NotSup.into()),
        }
    }
}

/// Fails with `inval` for unknown flags.
pub(super) fn parse_fdflags(flags: u32) -> Result<u16, Errno> {
    match u16::try_from(flags) {
        Ok(flags) if flags & !fdflags::ALL == 0 => Ok(flags),
        _ => Err(Errno::Inval),
    }
}

/// Fails with `inval` for unknown flags, and for a time to be set to two values.
pub(super) fn parse_times(atim: u64, mtim: u64, flags: u32) -> Result<(SetTime, SetTime), Errno> {
    if flags & !0b1111 != 0 {
        return Err(Errno::Inval);
    }
    let one = |time, flags| match flags & 0b11 {
        0 => Ok(SetTime::Keep),
        1 => Ok(SetTime::At(Timestamp::from_nanoseconds(time))),
        2 => Ok(SetTime::Now),
        _ => Err(Errno::Inval),
    };
    Ok((one(atim, flags)?, one(mtim, flags >> 2)?))
}
