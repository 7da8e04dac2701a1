//! Opening.

use super::fd_stat::parse_fdflags;
use super::path::parse_lookupflags;
use super::table::{Entry, OpenDir, Resource};
use super::types::{Errno, fdflags, oflags, rights};
use super::{Memory, Preview1, Stop};
use crate::fs::{FileType, OpenOptions, Opened};

impl Preview1 {
    /// `path_open`: opens what a path leads to, and stores the new descriptor, the lowest that is
    /// free. With `dirflags` 1 a symbolic link at the end of the path is followed.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#path_open)
    ///
    /// `oflags`: 1 create, 2 only a directory, 4 only what is new (with 1), 8 make empty.
    ///
    /// The right `fd_read` among `base` opens for reading, `fd_write` for writing. The descriptor
    /// gets those of the rights `base` that the directory hands on and that make sense for what was
    /// opened, and hands on those of `inheriting` that the directory hands on.
    ///
    /// Fails as all operations on paths do, and with `mfile` when the table is full, before anything
    /// is opened; `inval` for unknown flags, or 1 with 2; `notcapable` without the rights
    /// `path_open`, `path_create_file` for 1, `path_filestat_set_size` for 8, and for reading or
    /// writing that the directory does not hand on; `rofs` for writing, 1 and 8 below a read-only
    /// directory; `loop` for a symbolic link that is not followed; `exist`, `isdir`, `notdir`.
    #[allow(clippy::too_many_arguments, reason = "as many as WASI gives it")]
    pub(super) fn path_open(
        &mut self,
        memory: &mut Memory<'_>,
        fd: u32,
        dirflags: u32,
        path: u32,
        path_len: u32,
        oflags: u32,
        base: u64,
        inheriting: u64,
        fdflags: u32,
        opened: u32,
    ) -> Result<(), Stop> {
        let dir = self.table.dir(fd, rights::PATH_OPEN)?;
        let opened = memory.slot::<4>(opened)?;
        let path = &*memory.path(path, path_len)?;
        let follow = parse_lookupflags(dirflags)?;
        let fdflags = parse_fdflags(fdflags)?;
        if oflags & !oflags::ALL != 0 {
            return Err(Errno::Inval.into());
        }
        let holder = self.table.get(fd)?;
        let available = holder.inheriting;
        if oflags & oflags::CREAT != 0 {
            holder.demand(rights::PATH_CREATE_FILE)?;
        }
        if oflags & oflags::TRUNC != 0 {
            holder.demand(rights::PATH_FILESTAT_SET_SIZE)?;
        }
        if base & !available & (rights::FD_READ | rights::FD_WRITE) != 0 {
            return Err(Errno::NotCapable.into());
        }
        self.table.demand_room()?;
        let options = OpenOptions {
            read: base & rights::FD_READ != 0,
            write: base & rights::FD_WRITE != 0,
            append: fdflags & fdflags::APPEND != 0,
            create: oflags & oflags::CREAT != 0,
            exclusive: oflags & oflags::EXCL != 0,
            truncate: oflags & oflags::TRUNC != 0,
            directory: oflags & oflags::DIRECTORY != 0,
            follow,
            dsync: fdflags & fdflags::DSYNC != 0,
            sync: fdflags & fdflags::SYNC != 0,
            rsync: fdflags & fdflags::RSYNC != 0,
        };
        let granted = base & available;
        let mut entry = match dir.open(path, &options)? {
            Opened::Dir(dir) => {
                let resource = Resource::Dir(OpenDir {
                    dir,
                    preopen: None,
                    listing: None,
                });
                let inheriting = inheriting & available;
                Entry::new(resource, granted & rights::DIRECTORY, inheriting)
            }
            Opened::File(file) => {
                // A terminal is recognised by the lack of a position.
                let possible = match file.file_type() {
                    FileType::CharacterDevice if file.is_terminal() => rights::STREAM,
                    _ => rights::FILE,
                };
                Entry::new(Resource::File(file), granted & possible, 0)
            }
        };
        entry.flags = fdflags;
        let fd = self.table.insert(entry)?;
        memory.put(opened, fd.to_le_bytes());
        Ok(())
    }
}
