//! `directory-entry-stream`.

use std::collections::VecDeque;

use tidegate::{Resource, Result};

use super::super::bindings::wasi::filesystem::types;
use super::super::view::WasiCtxView;
use super::Answer;
use crate::fs::{ErrorCode, FileType, Listing};

/// A directory being read, a batch of entries at a time.
pub struct DirectoryEntryStream {
    listing: Listing,
    /// Where the next batch begins.
    position: u64,
    batch: VecDeque<std::result::Result<(FileType, String), ErrorCode>>,
    at_end: bool,
}

/// The most entries kept at once.
const BATCH: usize = 64;

impl DirectoryEntryStream {
    pub(super) fn new(listing: Listing) -> Self {
        Self {
            listing,
            position: 0,
            batch: VecDeque::new(),
            at_end: false,
        }
    }

    /// The next entry; `None` after the last one. A name that is not Unicode is an error of its
    /// own, after which reading goes on.
    fn next(&mut self) -> std::result::Result<Option<(FileType, String)>, ErrorCode> {
        while self.batch.is_empty() && !self.at_end {
            self.read_batch()?;
        }
        self.batch.pop_front().transpose()
    }

    fn read_batch(&mut self) -> std::result::Result<(), ErrorCode> {
        let (batch, position) = (&mut self.batch, &mut self.position);
        self.at_end = true;
        let at_end = &mut self.at_end;
        self.listing.read(*position, |entry| {
            *position = entry.next;
            *at_end = false;
            if !matches!(entry.name, b"." | b"..") {
                let name = String::from_utf8(entry.name.to_vec());
                batch.push_back(match name {
                    Ok(name) => Ok((entry.file_type, name)),
                    Err(_) => Err(ErrorCode::IllegalByteSequence),
                });
            }
            batch.len() < BATCH
        })
    }
}

impl types::HostDirectoryEntryStream for WasiCtxView<'_> {
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> Answer<Option<types::DirectoryEntry>> {
        let entry = self.table.get_mut(&stream)?.next()?;
        Ok(entry.map(|(kind, name)| types::DirectoryEntry {
            type_: kind.into(),
            name,
        }))
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
