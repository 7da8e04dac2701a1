//! The entries of a directory as WASI's component interfaces show them: without `.` and `..`, a batch at a time.

use super::{ErrorCode, FileType, Listing};

/// The most entries of one batch.
pub const BATCH: usize = 64;

/// A directory being read.
#[derive(Debug)]
pub struct Entries {
    listing: Listing,
    /// Where the next batch begins.
    position: u64,
    at_end: bool,
}

/// An entry, or what its name has instead of being Unicode.
pub type NamedEntry = Result<(FileType, String), ErrorCode>;

impl Entries {
    pub(super) fn new(listing: Listing) -> Self {
        Self {
            listing,
            position: 0,
            at_end: false,
        }
    }

    /// The next entries, at most [`BATCH`]; none after the last. A name that is not Unicode is `IllegalByteSequence`, after which reading goes on.
    ///
    /// # Errors
    /// Whatever the host reports.
    pub fn next_batch(&mut self) -> Result<Vec<NamedEntry>, ErrorCode> {
        let mut batch = Vec::new();
        while batch.is_empty() && !self.at_end {
            self.at_end = true;
            let Self {
                listing,
                position,
                at_end,
            } = self;
            listing.read(*position, |entry| {
                *position = entry.next;
                *at_end = false;
                if !matches!(entry.name, b"." | b"..") {
                    let name = String::from_utf8(entry.name.to_vec());
                    batch.push(match name {
                        Ok(name) => Ok((entry.file_type, name)),
                        Err(_) => Err(ErrorCode::IllegalByteSequence),
                    });
                }
                batch.len() < BATCH
            })?;
        }
        Ok(batch)
    }
}
