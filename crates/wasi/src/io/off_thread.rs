//! Waiting for a device in a thread, so that nobody else does.

use std::io::IoSliceMut;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;

use super::background;
use super::readiness::{Readiness, ready_now};
use crate::fs::File;

/// How much is brought into the page cache at once, in bytes: enough that the kernel reads ahead.
const FETCH_MAX: usize = 256 * 1024;
/// The buffer by which that is done.
const SCRAP: usize = 64 * 1024;

/// The answer of work that is done in a thread; empty until then.
pub(crate) type Answer<T> = Arc<OnceLock<T>>;

/// Begins `work` in a thread, and says when its answer is there. Where no thread is to be had, it is
/// done at once. Dropping the readiness does not stop the work.
pub(crate) fn off_thread<T: Send + Sync + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> (Readiness, Answer<T>) {
    let answer = Answer::default();
    let done = Arc::new(Notify::new());
    // Shared, so that the work is not lost with a thread that does not start.
    let work = Arc::new(Mutex::new(Some(work)));
    let run = {
        let (answer, done) = (Arc::clone(&answer), Arc::clone(&done));
        move || {
            let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(work) = work {
                let _ = answer.set(work());
                done.notify_one();
            }
        }
    };
    let in_thread = run.clone();
    if background(in_thread).is_err() {
        run();
        return (ready_now(), answer);
    }
    let waited = Arc::clone(&answer);
    let readiness = Box::pin(async move {
        while waited.get().is_none() {
            done.notified().await;
        }
    });
    (readiness, answer)
}

/// Done once `len` bytes of a regular file from `offset` on, or as many as are fetched at once, have
/// been brought into the page cache, or cannot be: a read then does not wait for the device.
pub(crate) fn file_fetched(file: &Arc<File>, offset: u64, len: usize) -> Readiness {
    let file = Arc::clone(file);
    let (readiness, _) = off_thread(move || {
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
    });
    readiness
}

#[cfg(test)]
mod tests {
    use super::super::readiness::is_ready_now;
    use super::*;

    #[tokio::test]
    async fn answer_is_there_when_the_wait_ends() {
        let (begin, begun) = std::sync::mpsc::channel();
        let (mut readiness, answer) = off_thread(move || {
            begun.recv().unwrap();
            42
        });
        assert!(!is_ready_now(&mut readiness));
        assert_eq!(answer.get(), None);
        begin.send(()).unwrap();
        readiness.await;
        assert_eq!(answer.get(), Some(&42));
    }
}
