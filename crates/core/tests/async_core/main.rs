//! The async half without an engine: scripted pairs of instances.

mod callbacks;
mod calls;
mod host_ends;
mod limits;
mod pair;
mod streams;
mod stress;
mod traps;
