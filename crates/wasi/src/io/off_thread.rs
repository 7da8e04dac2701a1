//! Waiting for a device in a thread, so that nobody else does.

use std::io::IoSliceMut;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::background;
use super::readiness::Readiness;
use crate::fs::File;

/// How much is brought into the page cache at once, in bytes: enough that the kernel reads ahead.
const FETCH_MAX: usize = 256 * 1024;
/// The buffer by which that is done.
const SCRAP: usize = 64 * 1024;

/// Work that is done in a thread. Dropping this does not stop it.
#[derive(Debug)]
pub(crate) struct OffThread<T> {
    answer: OnceLock<T>,
    done: Notify,
}

impl<T: Send + Sync + 'static> OffThread<T> {
    /// The work's answer; `None` until it is done.
    pub(crate) fn answer(&self) -> Option<&T> {
        self.answer.get()
    }

    /// Done once the answer is there. Any number may wait.
    pub(crate) fn ready(self: &Arc<Self>) -> Readiness {
        let this = Arc::clone(self);
        Box::pin(async move {
            let mut done = pin!(this.done.notified());
            // Registered before looking, so that an answer that comes in between is not missed.
            done.as_mut().enable();
            if this.answer.get().is_none() {
                done.await;
            }
        })
    }

    fn run(&self, work: impl FnOnce() -> T) {
        // Nobody else sets it.
        let _ = self.answer.set(work());
        self.done.notify_waiters();
    }
}

/// Begins `work` in a thread. Where no thread is to be had, it is done at once.
pub(crate) fn off_thread<T: Send + Sync + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Arc<OffThread<T>> {
    let task = Arc::new(OffThread {
        answer: OnceLock::new(),
        done: Notify::new(),
    });
    // Shared, so that the work is not lost with a thread that does not start.
    let work = Arc::new(Mutex::new(Some(work)));
    let run = {
        let task = Arc::clone(&task);
        move || {
            let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(work) = work {
                task.run(work);
            }
        }
    };
    if background(run.clone()).is_err() {
        run();
    }
    task
}

/// Brings `len` bytes of a regular file from `offset` on, or as many as are fetched at once, into the
/// page cache, so that a read then does not wait for the device.
pub(crate) fn file_fetched(file: &Arc<File>, offset: u64, len: usize) -> Arc<OffThread<()>> {
    let file = Arc::clone(file);
    off_thread(move || {
        let mut scrap = vec![0; SCRAP.min(len)];
        let mut fetched = 0;
        while fetched < len.min(FETCH_MAX) {
            let mut slices = [IoSliceMut::new(&mut scrap)];
            // What fails here fails again, and is reported, where the guest reads.
            match file.read_at(&mut slices, offset.saturating_add(fetched as u64)) {
                Ok(count) if count > 0 => fetched += count,
                _ => break,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::readiness::is_ready_now;
    use super::*;

    #[tokio::test]
    async fn answer_is_there_when_any_of_the_waits_ends() {
        let (begin, begun) = std::sync::mpsc::channel();
        let task = off_thread(move || {
            begun.recv().unwrap();
            42
        });
        let (mut first, second) = (task.ready(), task.ready());
        assert!(!is_ready_now(&mut first));
        assert_eq!(task.answer(), None);
        begin.send(()).unwrap();
        first.await;
        assert_eq!(task.answer(), Some(&42));
        second.await;
        task.ready().await;
    }
}
