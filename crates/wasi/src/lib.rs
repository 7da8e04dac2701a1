//! WASI hosts for Tidegate: one I/O core with WASI 0.1, 0.2 and 0.3 as its faces.
//!
//! | module | what lives there |
//! | --- | --- |
//! | [`io`] | endpoints: where bytes enter and leave the host, with readiness, permits and errors |
//! | [`fs`] | the sandboxed filesystem: directories that were granted, and what is below them |
//! | [`net`] | TCP and UDP sockets, name lookup, and the policy that allows them |
//! | [`clocks`], [`random`] | time and randomness, replaceable for reproducible runs |
//! | [`p1`] | `wasi_snapshot_preview1` for core modules |
//! | [`p2`] | the world `wasi:cli/command` of WASI 0.2 for components |
//! | [`p3`] | the same world of WASI 0.3 |
//!
//! A guest has what its [`WasiCtx`] grants, and nothing else. The builder starts with nothing: no
//! arguments, environment, directories or network, an empty stdin, and output that is discarded.

#![forbid(unsafe_code)]

pub mod clocks;
mod ctx;
mod exit;
mod fault;
pub mod fs;
pub mod io;
pub mod net;
pub mod p1;
pub mod p2;
pub mod p3;
pub mod random;
mod terminal;
mod view;

pub use ctx::{WasiCtx, WasiCtxBuilder};
pub use exit::I32Exit;
