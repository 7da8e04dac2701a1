//! Output that is still on its way, and waiting for it at the end of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the sinks that are drained in the background on behalf of one guest.
#[derive(Debug, Default, Clone)]
pub struct Drains(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    running: AtomicUsize,
    none: Notify,
}

impl Drains {
    /// Counts one more, until the guard is dropped.
    pub(crate) fn begin(&self) -> Drain {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        Drain(Arc::clone(&self.0))
    }

    /// Done when nothing is on its way any more: everything was accepted by its sink, or has
    /// failed. Wait for it before ending the process, or accepted output may be lost.
    pub async fn finished(&self) {
        loop {
            let mut none = std::pin::pin!(self.0.none.notified());
            none.as_mut().enable();
            if self.0.running.load(Ordering::SeqCst) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// One sink being drained.
#[derive(Debug)]
pub(crate) struct Drain(Arc<Inner>);

impl Drop for Drain {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none.notify_waiters();
        }
    }
}
