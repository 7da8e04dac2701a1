//! The sandboxed filesystem: directories that were granted, and what is below them.
//!
//! | type | what it is |
//! | --- | --- |
//! | [`Dir`] | an open directory with an [`Access`]; every path operation starts from one |
//! | [`File`] | an open file of any kind but directory |
//! | [`Listing`] | a directory being read |
//! | [`Preopen`] | a directory that a guest has from its start, under a name |
//! | [`ErrorCode`] | every way an operation here can fail |
//!
//! A path can lead nowhere but below the directory it starts from: the kernel resolves it with
//! `openat2` and `RESOLVE_BENEATH` in one step, so that no symbolic link, no `..` and no rename by
//! somebody else, however timed, leads out of it. Where that call is missing, the path is walked
//! one component at a time, with every directory on the way held open.
//!
//! What a [`Dir`] may do is decided once, where it was granted, and inherited by whatever is opened
//! through it: below a read-only directory nothing can be created, changed, renamed, linked or
//! removed, neither through the path nor through a file that was opened by it.
//!
//! The WASI generations share this module and add their own tables, rights and encodings.

mod access;
mod descriptor;
mod dir;
mod entries;
mod error;
mod file;
mod listing;
mod open;
mod resolve;
mod stat;

pub use access::{Access, Preopen};
pub use dir::Dir;
pub use entries::{BATCH, Entries, NamedEntry};
pub use error::ErrorCode;
pub use file::{Advice, File};
pub use listing::{Entry, Listing};
pub use open::{OpenOptions, Opened};
pub use stat::{FileType, MetadataHash, SetTime, Stat, Timestamp};

#[cfg(test)]
mod tests;
