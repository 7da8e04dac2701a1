//! WASI guests on Wasmtime, with `wasmtime-wasi`, and what they have in common with those on Tidegate.
//!
//! A crate of its own, because the bindings of `wasmtime-wasi` take minutes to compile for a store's data, and need it but once.
#![deny(unsafe_code)]

mod guests;

use std::path::Path;
use std::sync::LazyLock;
use tokio::runtime::Runtime;
use wasmtime::Result;

/// Does the work so many times, and gives a checksum.
pub type Run = Box<dyn FnMut(u64) -> Result<u64>>;

/// A guest that does `work`, with `path` as its directory. Files are read and written where the guest runs, as with `wasmtime run`: that
/// is faster than the default.
///
/// # Errors
/// The guest does not compile or link, or has not got such a loop.
pub fn guest(bytes: &[u8], path: &Path, work: Work) -> Result<Run> {
    guests::guest(bytes, path, work)
}

/// Instantiation of a component of WASI 0.2 in a store and a context of its own, and its end.
///
/// # Errors
/// It does not compile or link.
pub fn instantiate(bytes: &[u8]) -> Result<Run> {
    guests::instantiate(bytes)
}

/// The runtime that drives the guests: as `wasmtime run` has it.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> =
        LazyLock::new(|| Runtime::new().expect("threads are to be had"));
    &RUNTIME
}

/// The bytes that the standard input gives. The compiler does not see what they are: it would have a copy of them fill memory with sevens instead.
pub fn bytes() -> &'static [u8] {
    static BYTES: [u8; 64 << 10] = [7; 64 << 10];
    std::hint::black_box(&BYTES)
}

/// How a standard input behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// There are always bytes.
    Ready,
    /// After each read it must be waited for.
    Waits,
}

/// Which WASI a guest uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// A core module.
    P1,
    /// A component without async.
    P2,
    /// A component with streams and futures.
    P3,
}

/// What a guest does: which of its loops, with which arguments.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The WASI it uses.
    pub generation: Generation,
    /// The loop.
    pub name: &'static str,
    /// Bytes, or pollables.
    pub size: u32,
    /// What else the loop wants: a port, or whether to read.
    pub arg: u32,
    /// How the standard input behaves.
    pub stdin: Source,
}
