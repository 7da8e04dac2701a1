//! WASI of three generations: the same guests beside Wasmtime's own implementation, `wasmtime-wasi` (in the crate `peer-wasi`).

pub mod guests;
pub mod limits;
pub mod ours;
pub mod rows;
mod world;

pub use peer_wasi::{Generation, Source, Work, bytes, runtime};
pub use world::World;
