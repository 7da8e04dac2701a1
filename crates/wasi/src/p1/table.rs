//! The guest's descriptors.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::types::{Errno, fdflags, filetype, filetype_of, rights};
use crate::fs::{Dir, File, FileType, Listing, Preopen};
use crate::io::{Descriptor, Input, Kind, Output, SharedInput, SharedOutput};

/// How many descriptors a guest may have open at once, unless told otherwise.
pub const DESCRIPTORS_MAX: usize = 4096;

/// What a descriptor is open on.
pub(super) enum Resource {
    Input(SharedInput),
    Output(SharedOutput),
    File(Arc<File>),
    Dir(OpenDir),
    Listener(Arc<Descriptor>),
    Socket(Arc<Descriptor>),
}

/// A directory, and what the guest does with it.
pub(super) struct OpenDir {
    pub(super) dir: Arc<Dir>,
    /// The guest's name for a directory it had from its start.
    pub(super) preopen: Option<String>,
    /// Begun by the first `fd_readdir`.
    pub(super) listing: Option<Listing>,
}

/// One descriptor.
pub(super) struct Entry {
    pub(super) resource: Resource,
    pub(super) base: u64,
    pub(super) inheriting: u64,
    pub(super) flags: u16,
}

impl Entry {
    pub(super) fn input(input: SharedInput) -> Self {
        let base = stream_rights(input.kind(), rights::FD_READ);
        Self::new(Resource::Input(input), base, 0)
    }

    pub(super) fn output(output: SharedOutput) -> Self {
        let write = rights::FD_WRITE | rights::FD_SYNC | rights::FD_DATASYNC;
        let base = stream_rights(output.kind(), write);
        Self::new(Resource::Output(output), base, 0)
    }

    pub(super) fn preopen(preopen: &Preopen) -> Self {
        let resource = Resource::Dir(OpenDir {
            dir: Arc::clone(preopen.dir()),
            preopen: Some(preopen.name().to_owned()),
            listing: None,
        });
        Self::new(
            resource,
            rights::DIRECTORY,
            rights::DIRECTORY | rights::FILE,
        )
    }

    pub(super) fn listener(listener: Arc<Descriptor>) -> Self {
        Self::new(
            Resource::Listener(listener),
            rights::LISTENER,
            rights::SOCKET,
        )
    }

    pub(super) fn socket(socket: Arc<Descriptor>) -> Self {
        Self::new(Resource::Socket(socket), rights::SOCKET, 0)
    }

    pub(super) fn new(resource: Resource, base: u64, inheriting: u64) -> Self {
        Self {
            resource,
            base,
            inheriting,
            flags: 0,
        }
    }

    /// Fails with `notcapable` unless the descriptor has all of `rights`.
    pub(super) fn demand(&self, rights: u64) -> Result<(), Errno> {
        if self.base & rights == rights {
            Ok(())
        } else {
            Err(Errno::NotCapable)
        }
    }

    /// Whether an operation that would have to wait fails with `again` instead.
    pub(super) fn is_nonblocking(&self) -> bool {
        self.flags & fdflags::NONBLOCK != 0
    }

    pub(super) fn filetype(&self) -> u8 {
        match &self.resource {
            Resource::Input(input) => filetype_of_kind(input.kind()),
            Resource::Output(output) => filetype_of_kind(output.kind()),
            Resource::File(file) => filetype_of(file.file_type()),
            Resource::Dir(_) => filetype_of(FileType::Directory),
            Resource::Listener(_) | Resource::Socket(_) => filetype::SOCKET_STREAM,
        }
    }

    /// The file, for an operation that needs `rights` and a position or a size.
    ///
    /// Fails with `isdir` for directories and `otherwise` for everything else.
    pub(super) fn file(&self, rights: u64, otherwise: Errno) -> Result<&Arc<File>, Errno> {
        match &self.resource {
            Resource::File(file) => {
                self.demand(rights)?;
                Ok(file)
            }
            Resource::Dir(_) => Err(Errno::Isdir),
            _ => Err(otherwise),
        }
    }
}

/// By the absence of these two rights the C library recognises a terminal among the character
/// devices, so every other such device has them, although seeking fails.
const NOT_A_TERMINAL: u64 = rights::FD_SEEK | rights::FD_TELL;

fn stream_rights(kind: Kind, transfer: u64) -> u64 {
    let common = rights::FD_FDSTAT_SET_FLAGS | rights::FD_FILESTAT_GET | rights::POLL_FD_READWRITE;
    match kind {
        Kind::CharacterDevice => common | transfer | NOT_A_TERMINAL,
        _ => common | transfer,
    }
}

fn filetype_of_kind(kind: Kind) -> u8 {
    match kind {
        Kind::Terminal | Kind::CharacterDevice => filetype::CHARACTER_DEVICE,
        Kind::File => filetype::REGULAR_FILE,
        Kind::Socket => filetype::SOCKET_STREAM,
        Kind::Pipe | Kind::Other => filetype::UNKNOWN,
    }
}

/// The descriptors by number. New ones get the lowest that is free, as POSIX programs expect.
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
    free: BTreeSet<usize>,
    limit: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: BTreeSet::new(),
            limit: DESCRIPTORS_MAX,
        }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        // Numbers are below 2^31.
        self.limit = limit.min(1 << 31);
    }

    /// Fails with `mfile` when no descriptor can be added: to be asked before something is opened,
    /// created or truncated for it.
    pub(super) fn demand_room(&self) -> Result<(), Errno> {
        if self.free.is_empty() && self.entries.len() >= self.limit {
            Err(Errno::Mfile)
        } else {
            Ok(())
        }
    }

    pub(super) fn insert(&mut self, entry: Entry) -> Result<u32, Errno> {
        self.demand_room()?;
        let fd = match self.free.pop_first() {
            Some(fd) => {
                self.entries[fd] = Some(entry);
                fd
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() - 1
            }
        };
        // Below the limit, which is below 2^31.
        Ok(fd as u32)
    }

    pub(super) fn get(&self, fd: u32) -> Result<&Entry, Errno> {
        self.entries
            .get(fd as usize)
            .and_then(Option::as_ref)
            .ok_or(Errno::Badf)
    }

    pub(super) fn get_mut(&mut self, fd: u32) -> Result<&mut Entry, Errno> {
        self.entries
            .get_mut(fd as usize)
            .and_then(Option::as_mut)
            .ok_or(Errno::Badf)
    }

    pub(super) fn remove(&mut self, fd: u32) -> Result<Entry, Errno> {
        let slot = self.entries.get_mut(fd as usize).ok_or(Errno::Badf)?;
        let entry = slot.take().ok_or(Errno::Badf)?;
        self.free.insert(fd as usize);
        Ok(entry)
    }

    /// Moves `from` over `to`, which is closed. Both must be open; on failure nothing has changed.
    pub(super) fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(to)?;
        self.get(from)?;
        if from != to {
            let entry = self.remove(from)?;
            *self.get_mut(to)? = entry;
        }
        Ok(())
    }

    /// The directory, for an operation on paths that needs `rights`.
    ///
    /// Fails with `notdir` for anything else.
    pub(super) fn dir(&self, fd: u32, rights: u64) -> Result<&Arc<Dir>, Errno> {
        let entry = self.get(fd)?;
        match &entry.resource {
            Resource::Dir(open) => {
                entry.demand(rights)?;
                Ok(&open.dir)
            }
            _ => Err(Errno::NotDir),
        }
    }
}
