//! Programs of several threads: [wasi-threads](https://github.com/WebAssembly/wasi-threads).
//!
//! Each thread is an instance in a store of its own, over one shared memory, and runs as a task: a future that the embedder spawns wherever it
//! likes. `memory.atomic.wait` parks that future, so that a thread that waits holds no thread of the operating system.

mod futex;
mod group;
mod members;
mod waiters;

pub use group::{MAX_THREADS, Threads, ThreadsHandle};
