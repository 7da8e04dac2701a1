//! The I/O core: endpoints, where bytes enter and leave the host.
//!
//! An [`Input`] or [`Output`] is a file, pipe, terminal, socket, in-memory pipe, or anything else
//! that moves bytes. Its operations never wait: they move bytes between the operating system and
//! the slice they were given (a guest's memory, where possible), or say that this is not possible
//! now. To wait, take the endpoint's [`Readiness`] and try again once it is done. The three WASI
//! generations are faces of these two traits.

mod endpoint;
mod null;
mod readiness;

pub use endpoint::{Flush, Input, Kind, Output, Read, SharedInput, SharedOutput, Write};
pub use null::{DiscardOutput, EmptyInput};
pub use readiness::{Readiness, ready_now, wait_any};
