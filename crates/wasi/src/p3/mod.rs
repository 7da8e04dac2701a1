//! WASI 0.3: the world `wasi:cli/command` for components.
//!
//! Every function of `wasi:clocks`, `wasi:random`, `wasi:cli`, `wasi:filesystem` and `wasi:sockets` at 0.3.0. They are thin faces of [`io`](crate::io),
//! [`fs`](crate::fs), [`clocks`](crate::clocks) and [`random`](crate::random), as those of WASI 0.2 are, and share the guest's context and
//! table with them: a component may import both.
//!
//! Bytes go between a guest's `stream<u8>` and an endpoint without being kept by the host: it takes from a guest what the sink takes, and no more, so that a slow
//! sink holds up the guest that writes to it, and nobody else.

pub mod bindings;
mod cli;
mod clocks;
mod filesystem;
mod random;
pub mod sockets;
pub(crate) mod stream;

pub use crate::fault::{Fault, FsFault, NetFault};
pub use crate::terminal::{TerminalInput, TerminalOutput};
pub use crate::view::{Wasi, WasiCtxView, WasiView};
pub use filesystem::Descriptor;

use tidegate::{Linker, Result};

/// Offers everything the world `wasi:cli/command` imports to components linked by `linker`. WASI 0.2 may be offered by the same linker.
///
/// # Errors
/// When one of the interfaces is defined already.
pub fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    bindings::Command::add_to_linker_get::<T, Wasi>(linker, T::wasi)
}
