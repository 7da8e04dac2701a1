//! WASI of three generations: the same guests beside Wasmtime's own implementation, `wasmtime-wasi`.

pub mod guests;
pub mod limits;
pub mod ours;
pub mod peer;
pub mod rows;
mod world;

pub use world::{Source, World, runtime};

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

impl Generation {
    /// The guest's text.
    pub fn guest(self) -> String {
        match self {
            Self::P1 => guests::p1::text(),
            Self::P2 => guests::p2::text(),
            Self::P3 => guests::p3::text(),
        }
    }
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
