//! Directories that are open: their entries, and the names of those granted at the start.

use super::fd_io::put_count;
use super::table::Resource;
use super::types::{Errno, filetype_of, rights};
use super::{Memory, Preview1, Stop};
use crate::fs::Entry;

/// The bytes before an entry's name.
const DIRENT: usize = 24;

impl Preview1 {
    /// `fd_readdir`: stores entries from `cookie` on (0 for the beginning, else the `d_next` of an
    /// entry) until the buffer is full, the last one cut off where the buffer ends, and stores at
    /// `bufused` how many bytes that took: fewer than `buf_len` means that there are no more.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_readdir)
    ///
    /// ```text
    /// 0        8        16         20      21    24
    /// | d_next | d_ino  | d_namlen | type  | 0   | name, not ended by anything
    /// ```
    ///
    /// Cookies are the filesystem's own, so that entries that stay come once whatever else changes;
    /// one that was made up leads anywhere in this directory. Names that are not UTF-8 are left
    /// out: no path can name them. `..` has the number of the directory itself.
    ///
    /// Fails with `badf`, `notdir` for anything but a directory, `notcapable` without the right
    /// `fd_readdir`, `inval` for a cookie that cannot be one.
    pub(super) fn fd_readdir(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        buf: u32,
        buf_len: u32,
        cookie: u64,
        bufused: u32,
    ) -> Result<(), Stop> {
        let entry = self.table.get_mut(fd)?;
        let buffer = memory.range(buf, buf_len.into())?;
        let bufused = memory.slot::<4>(bufused)?;
        let granted = entry.demand(rights::FD_READDIR);
        let Resource::Dir(open) = &mut entry.resource else {
            return Err(Errno::NotDir.into());
        };
        granted?;
        let listing = match &mut open.listing {
            Some(listing) => listing,
            none => none.insert(open.dir.list()?),
        };
        let buffer = memory.bytes_mut(buffer);
        let mut used = 0;
        listing.read(cookie, |entry| {
            if std::str::from_utf8(entry.name).is_ok() {
                used += store(&mut buffer[used..], &encode_dirent(&entry));
                used += store(&mut buffer[used..], entry.name);
            }
            used < buffer.len()
        })?;
        put_count(memory, bufused, used)
    }

    /// `fd_prestat_get`: stores 8 bytes about a directory granted at the start: its kind, 0, and at
    /// 4 the length of its name in bytes.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_prestat_get)
    ///
    /// Fails with `badf` for all other descriptors, by which the C library knows it has seen all.
    pub(super) fn fd_prestat_get(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        prestat: u32,
    ) -> Result<(), Stop> {
        let name = self.preopen_name(fd)?;
        let slot = memory.slot::<8>(prestat)?;
        let len = u32::try_from(name.len()).map_err(|_| Errno::Overflow)?;
        let mut out = [0; 8];
        out[4..].copy_from_slice(&len.to_le_bytes());
        memory.put(slot, out);
        Ok(())
    }

    /// `fd_prestat_dir_name`: stores the name of a directory granted at the start, not ended by
    /// anything.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#fd_prestat_dir_name)
    ///
    /// Fails with `badf` for all other descriptors, `nametoolong` where `path_len` is too small.
    pub(super) fn fd_prestat_dir_name(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        path: u32,
        path_len: u32,
    ) -> Result<(), Stop> {
        let name = self.preopen_name(fd)?;
        let range = memory.range(path, path_len.into())?;
        if name.len() > range.len() {
            return Err(Errno::NameTooLong.into());
        }
        store(memory.bytes_mut(range), name.as_bytes());
        Ok(())
    }

    fn preopen_name(&self, fd: u32) -> Result<&str, Errno> {
        match &self.table.get(fd)?.resource {
            Resource::Dir(open) => open.preopen.as_deref().ok_or(Errno::Badf),
            _ => Err(Errno::Badf),
        }
    }
}

fn encode_dirent(entry: &Entry<'_>) -> [u8; DIRENT] {
    let mut out = [0; DIRENT];
    out[..8].copy_from_slice(&entry.next.to_le_bytes());
    out[8..16].copy_from_slice(&entry.inode.to_le_bytes());
    // No name is longer than 255 bytes.
    out[16..20].copy_from_slice(&(entry.name.len() as u32).to_le_bytes());
    out[20] = filetype_of(entry.file_type);
    out
}

/// Stores as much of `bytes` as there is room for, and says how much that was.
fn store(room: &mut [u8], bytes: &[u8]) -> usize {
    let len = bytes.len().min(room.len());
    room[..len].copy_from_slice(&bytes[..len]);
    len
}
