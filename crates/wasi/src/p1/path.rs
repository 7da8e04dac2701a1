//! Operations on paths, all relative to a directory and confined to it.
//!
//! All of them fail with `badf` and `notdir` for a descriptor that is not open or no directory,
//! `notcapable` without the right of their name, `ilseq` for a path that is not UTF-8,
//! `nametoolong` for one of more than 4095 bytes, `inval` for one with a NUL, `noent` for the empty
//! one, and `perm` for one that is absolute or leads out of the directory, be it by `..` or by a
//! symbolic link. Those that change something fail with `rofs` below a read-only directory.

use super::fd_io::put_count;
use super::fd_stat::parse_times;
use super::types::{Errno, encode_filestat, rights};
use super::{Memory, Preview1, Stop};

impl Preview1 {
    /// `path_create_directory`: creates a directory.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_create_directory)
    ///
    /// Fails with `exist` where there is something.
    pub(super) fn path_create_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_CREATE_DIRECTORY)?;
        Ok(dir.create_dir(&memory.path(path, path_len)?)?)
    }

    /// `path_filestat_get`: stores 64 bytes about what the path leads to. With `flags` 1 a symbolic
    /// link at its end is followed.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_filestat_get)
    ///
    /// Fails with `inval` for other flags.
    pub(super) fn path_filestat_get(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        flags: u32,
        path: u32,
        path_len: u32,
        stat: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_FILESTAT_GET)?;
        let slot = memory.slot::<64>(stat)?;
        let follow = parse_lookupflags(flags)?;
        let stat = dir.stat_at(&memory.path(path, path_len)?, follow)?;
        memory.put(slot, encode_filestat(&stat));
        Ok(())
    }

    /// `path_filestat_set_times`: sets times as `fd_filestat_set_times` does, of what the path leads
    /// to. With `flags` 1 a symbolic link at its end is followed.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_filestat_set_times)
    ///
    /// Fails with `inval` for other flags, or a time to be set to two values.
    #[allow(clippy::too_many_arguments, reason = "as many as WASI gives it")]
    pub(super) fn path_filestat_set_times(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        flags: u32,
        path: u32,
        path_len: u32,
        atim: u64,
        mtim: u64,
        fst_flags: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_FILESTAT_SET_TIMES)?;
        let path = &*memory.path(path, path_len)?;
        let follow = parse_lookupflags(flags)?;
        let (accessed, modified) = parse_times(atim, mtim, fst_flags)?;
        Ok(dir.set_times_at(path, follow, accessed, modified)?)
    }

    /// `path_link`: gives a file a second name. A symbolic link at the end of the old path is
    /// linked itself.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_link)
    ///
    /// Fails with `inval` for any `old_flags`: links are not followed here. `exist` where there is
    /// something, `perm` for a directory, `xdev` between filesystems.
    #[allow(clippy::too_many_arguments, reason = "as many as WASI gives it")]
    pub(super) fn path_link(
        &mut self,
        memory: &mut Memory<'_>,
        old_fd: u32,
        old_flags: u32,
        old_path: u32,
        old_path_len: u32,
        new_fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<(), Stop> {
        let old_dir = self.table.dir(old_fd, rights::PATH_LINK_SOURCE)?;
        let new_dir = self.table.dir(new_fd, rights::PATH_LINK_TARGET)?;
        let old_path = &*memory.path(old_path, old_path_len)?;
        let new_path = &*memory.path(new_path, new_path_len)?;
        if old_flags != 0 {
            return Err(Errno::Inval.into());
        }
        Ok(old_dir.link(old_path, new_dir, new_path)?)
    }

    /// `path_readlink`: stores the contents of a symbolic link, cut off where the buffer ends, and at
    /// `bufused` how many bytes that took.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_readlink)
    ///
    /// Fails with `inval` for anything else, `perm` for absolute contents.
    #[allow(clippy::too_many_arguments, reason = "as many as WASI gives it")]
    pub(super) fn path_readlink(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
        buf: u32,
        buf_len: u32,
        bufused: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_READLINK)?;
        let mut buffer = memory.range(buf, buf_len.into())?;
        let bufused = memory.slot::<4>(bufused)?;
        let contents = dir.read_link(&memory.path(path, path_len)?)?;
        let len = contents.len().min(buffer.len());
        buffer.end = buffer.start + len;
        memory
            .bytes_mut(buffer)
            .copy_from_slice(&contents.as_bytes()[..len]);
        put_count(memory, bufused, len)
    }

    /// `path_remove_directory`: removes an empty directory.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_remove_directory)
    ///
    /// Fails with `notempty`, and `notdir` for anything else, also a symbolic link to a directory.
    pub(super) fn path_remove_directory(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_REMOVE_DIRECTORY)?;
        Ok(dir.remove_dir(&memory.path(path, path_len)?)?)
    }

    /// `path_rename`: moves a file or directory, over a file or an empty directory.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_rename)
    ///
    /// Fails with `xdev` between filesystems, `notempty`, `isdir`, `notdir`, and `inval` into itself.
    #[allow(clippy::too_many_arguments, reason = "as many as WASI gives it")]
    pub(super) fn path_rename(
        &mut self,
        memory: &mut Memory<'_>,
        old_fd: u32,
        old_path: u32,
        old_path_len: u32,
        new_fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<(), Stop> {
        let old_dir = self.table.dir(old_fd, rights::PATH_RENAME_SOURCE)?;
        let new_dir = self.table.dir(new_fd, rights::PATH_RENAME_TARGET)?;
        let old_path = &*memory.path(old_path, old_path_len)?;
        let new_path = &*memory.path(new_path, new_path_len)?;
        Ok(old_dir.rename(old_path, new_dir, new_path)?)
    }

    /// `path_symlink`: creates a symbolic link with the contents `old_path`, which need not lead
    /// anywhere.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_symlink)
    ///
    /// Fails with `perm` for absolute contents, `exist` where there is something.
    pub(super) fn path_symlink(
        &mut self,
        memory: &mut Memory<'_>,
        old_path: u32,
        old_path_len: u32,
        fd: u32,
        new_path: u32,
        new_path_len: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_SYMLINK)?;
        let contents = &*memory.path(old_path, old_path_len)?;
        let path = &*memory.path(new_path, new_path_len)?;
        Ok(dir.symlink(contents, path)?)
    }

    /// `path_unlink_file`: removes a name of a file, or a symbolic link itself.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_unlink_file)
    ///
    /// Fails with `isdir` for directories, `notdir` for a file with a trailing slash.
    pub(super) fn path_unlink_file(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_UNLINK_FILE)?;
        Ok(dir.unlink(&memory.path(path, path_len)?)?)
    }
}

/// Whether a symbolic link at the end of a path is followed. Fails with `inval` for other flags.
pub(super) fn parse_lookupflags(flags: u32) -> Result<bool, Errno> {
    match flags {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Errno::Inval),
    }
}
