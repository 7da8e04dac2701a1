//! WASI 0.2: the world `wasi:cli/command` for components.
//!
//! Every function of `wasi:io`, `wasi:clocks`, `wasi:random`, `wasi:cli`, `wasi:filesystem` and
//! `wasi:sockets` at 0.2.12, which serves components that import any 0.2 version. The functions are
//! thin faces of [`io`](crate::io), [`fs`](crate::fs) and [`net`](crate::net).
//!
//! Only functions that WIT calls blocking wait: `poll`, `block` and the `blocking-` functions of
//! streams. They return at once when there is nothing to wait for. While they wait the guest is
//! parked and costs no processor time.

pub mod bindings;
mod cli;
mod clocks;
mod filesystem;
mod in_place;
mod io;
mod poll;
mod random;
mod sockets;

pub use crate::fault::{Fault, FsFault, NetFault, StreamFault};
pub use crate::random::RANDOM_LIMIT;
pub use crate::terminal::{TerminalInput, TerminalOutput};
pub use crate::view::{Wasi, WasiCtxView, WasiView};
pub use filesystem::{Descriptor, DirectoryEntryStream};
pub use poll::Pollable;
pub use sockets::Network;

use tidegate::{Linker, Result};

/// Offers everything the world `wasi:cli/command` imports to components linked by `linker`.
///
/// # Errors
/// When one of the interfaces is defined already.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    bindings::Command::add_to_linker_get::<T, Wasi>(linker, T::wasi)?;
    in_place::replace_in(linker)
}
