//! `directory-entry-stream`.

use std::collections::VecDeque;

use tidegate::{Resource, Result};

use super::super::bindings::wasi::filesystem::types;
use super::Answer;
use crate::fs::{Entries, NamedEntry};
use crate::view::WasiCtxView;

/// A directory being read.
pub struct DirectoryEntryStream {
    entries: Entries,
    batch: VecDeque<NamedEntry>,
}

impl DirectoryEntryStream {
    pub(super) fn new(entries: Entries) -> Self {
        Self {
            entries,
            batch: VecDeque::new(),
        }
    }
}

impl types::HostDirectoryEntryStream for WasiCtxView<'_> {
    /// A name that is not Unicode is an error of its own, after which reading goes on.
    fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> Answer<Option<types::DirectoryEntry>> {
        let stream = self.table.get_mut(&stream)?;
        if stream.batch.is_empty() {
            stream.batch = stream.entries.next_batch()?.into();
        }
        let entry = stream.batch.pop_front().transpose()?;
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
