//! The thread that watches descriptors for everybody who waits.
//!
//! Waiting must not depend on the embedder: a store may be driven by any executor, by several one
//! after the other, or by a plain thread, and a guest that computes must not hold up output that
//! another task is still draining. So readiness comes from one small runtime of the crate's own. It
//! starts with the first wait, so that a program that never waits does not pay for it, and it is
//! never joined: nothing it does can keep the process from exiting.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime that serves all waits of this process.
///
/// # Errors
/// When the operating system refuses the thread or the event queue. The next call tries again.
pub(crate) fn handle() -> io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(64)
        .thread_name("tidegate-io")
        .enable_io()
        .build()?;
    if let Err(second) = RUNTIME.set(runtime) {
        // Another thread was faster. Dropping a runtime waits for its threads: do that elsewhere.
        second.shutdown_background();
    }
    RUNTIME
        .get()
        .map(Runtime::handle)
        .ok_or_else(|| io::Error::other("the I/O runtime did not start"))
}

/// Runs what has to wait in a thread, off everybody's way. At most 64 run at once, the others queue.
/// Nothing waits for them at the end of the process.
///
/// # Errors
/// As [`handle`].
pub(crate) fn background(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    handle()?.spawn_blocking(work);
    Ok(())
}
