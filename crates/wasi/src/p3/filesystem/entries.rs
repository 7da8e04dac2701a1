//! `read-directory`.

use std::pin::Pin;
use std::task::{Context, Poll};

use tidegate::stream::{Destination, StreamProducer, StreamResult};
use tidegate::{Result, StoreContextMut};

use super::super::bindings::wasi::filesystem::types::{DirectoryEntry, ErrorCode};
use super::super::stream::Ended;
use crate::fs::{self, Entries};

/// Produces the entries of a directory, a batch at a time. Names that are not Unicode are left out, and said to be missing at the end.
pub(super) struct Listed {
    entries: Entries,
    /// What the future will say: taken when the reading has come to its end.
    ended: Option<Ended<ErrorCode>>,
    unspeakable: bool,
}

impl Listed {
    pub(super) fn new(entries: Entries, ended: Ended<ErrorCode>) -> Self {
        Self {
            entries,
            ended: Some(ended),
            unspeakable: false,
        }
    }

    /// The next entries; none after the last.
    fn next_batch(&mut self) -> std::result::Result<Vec<DirectoryEntry>, fs::ErrorCode> {
        loop {
            let batch = self.entries.next_batch()?;
            let at_end = batch.is_empty();
            let entries: Vec<_> = batch
                .into_iter()
                .filter_map(|entry| match entry {
                    Ok((kind, name)) => Some(DirectoryEntry {
                        type_: kind.into(),
                        name,
                    }),
                    Err(_) => {
                        self.unspeakable = true;
                        None
                    }
                })
                .collect();
            if at_end && self.unspeakable {
                return Err(fs::ErrorCode::IllegalByteSequence);
            }
            if at_end || !entries.is_empty() {
                return Ok(entries);
            }
        }
    }
}

impl<D: Send + 'static> StreamProducer<D> for Listed {
    type Item = DirectoryEntry;
    type Buffer = Vec<DirectoryEntry>;

    fn poll_produce(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'_, D>,
        mut destination: Destination<'_, DirectoryEntry, Vec<DirectoryEntry>>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let this = self.get_mut();
        Poll::Ready(Ok(match this.next_batch() {
            Ok(entries) if entries.is_empty() => StreamResult::Dropped,
            Ok(entries) => {
                destination.set_buffer(entries);
                StreamResult::Completed
            }
            Err(code) => {
                if let Some(ended) = this.ended.take() {
                    ended.failed(code.into());
                }
                StreamResult::Dropped
            }
        }))
    }
}
