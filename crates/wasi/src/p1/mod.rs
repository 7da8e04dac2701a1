//! WASI 0.1: `wasi_snapshot_preview1`, for core modules, commands and reactors.
//!
//! [`Preview1`] holds what a guest sees: its descriptors, arguments, environment, clocks and
//! randomness. [`FUNCTIONS`] lists the functions, each with its core signature and a way to call
//! it, given the guest's memory and the arguments as they are on the guest's stack. It knows no
//! engine: [`add_to_linker`] binds the list to one.
//!
//! # Waiting
//!
//! No function waits. One that would have to answers [`Outcome::Wait`]: park the guest, without a
//! thread, until that is ready, then call the function again with the same arguments.
//!
//! # Pointers
//!
//! All pointers of a call are checked before it has any effect. A pointer that leads out of memory
//! is a [`Trap`], as in Wasmtime: a guest that passes one is broken, and its backtrace shows where.
//! Alignment does not matter. The number of buffers is limited to 1024 (`inval` beyond), and only
//! the first 16 that are not empty are used by one call, up to a mebibyte, which is then a short transfer.
//!
//! # Rights
//!
//! The rights of a descriptor are the guest's means to restrict itself, and enforced: it may drop
//! them, and whatever lacks one fails with `notcapable`. Opening grants those of the wanted rights
//! that the directory hands on and that make sense for what was opened; reading and writing are
//! refused where they cannot be granted, others are left out. What the host granted is not shown in
//! the rights: below a read-only directory every change fails with `rofs`, as on a read-only disk.

mod args;
mod clock;
mod fd_dir;
mod fd_io;
mod fd_stat;
mod functions;
mod link;
mod memory;
mod outcome;
mod path;
mod path_open;
mod poll;
mod proc;
mod random;
mod sock;
mod table;
mod threads;
mod types;

use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;

pub use functions::{CoreType, FUNCTIONS, Function};
pub use link::add_to_linker;
pub use outcome::{Outcome, Trap};
pub use table::DESCRIPTORS_MAX;
pub use threads::{Process, ThreadPreview1};
pub use types::Errno;

use memory::Memory;
use outcome::{Progress, Resume, Stop};
use table::{Entry, Table};

use crate::WasiCtx;
use crate::io::Descriptor;

/// The name of the module that the functions are imported from.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// A guest's view of WASI 0.1.
///
/// Descriptors 0, 1 and 2 are the standard streams; the granted directories follow in their order,
/// then the listening sockets.
pub struct Preview1 {
    ctx: WasiCtx,
    table: Table,
    resume: Resume,
}

impl Preview1 {
    /// What `ctx` grants.
    pub fn new(ctx: WasiCtx) -> Self {
        let mut table = Table::new();
        let entries = [
            Entry::input(ctx.stdin()),
            Entry::output(ctx.stdout()),
            Entry::output(ctx.stderr()),
        ];
        for entry in entries
            .into_iter()
            .chain(ctx.preopens().iter().map(Entry::preopen))
        {
            // The default limit holds them all; beyond it a directory would be missing, which the
            // guest reports when it looks for it.
            if table.insert(entry).is_err() {
                break;
            }
        }
        Self {
            ctx,
            table,
            resume: Resume::default(),
        }
    }

    /// Grants a listening socket, and says which descriptor it got.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking, or the table is full.
    pub fn listen(&mut self, listener: TcpListener) -> io::Result<u32> {
        listener.set_nonblocking(true)?;
        let descriptor = Descriptor::socket(Arc::new(OwnedFd::from(listener)));
        self.table
            .insert(Entry::listener(Arc::new(descriptor)))
            .map_err(io::Error::other)
    }

    /// Limits how many descriptors the guest may have open at once; [`DESCRIPTORS_MAX`] unless set.
    /// Those that are open already stay so.
    pub fn limit_descriptors(&mut self, limit: usize) {
        self.table.set_limit(limit);
    }

    /// What the guest was granted.
    pub fn ctx(&self) -> &WasiCtx {
        &self.ctx
    }

    /// What the guest was granted.
    pub fn ctx_mut(&mut self) -> &mut WasiCtx {
        &mut self.ctx
    }
}

#[cfg(test)]
mod tests;
