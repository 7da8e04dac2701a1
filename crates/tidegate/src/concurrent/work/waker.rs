//! The waker of an item.

use super::WorkKey;
use super::door::Woken;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Wake;

pub(super) struct ItemWaker {
    /// The item's name as a number. It changes only while nobody has the waker.
    pub(super) key: AtomicU64,
    /// [`WOKEN`], [`POLLED`], or both.
    pub(super) state: AtomicU8,
    pub(super) woken: Arc<Woken>,
}

/// Its turn comes in any case: it is in a queue, or being polled.
const WOKEN: u8 = 1;
/// It is being polled: whoever polls it looks whether it was woken meanwhile.
const POLLED: u8 = 2;

impl ItemWaker {
    /// It is in a queue, or about to be put there.
    pub(super) fn set_woken(&self) {
        self.state.store(WOKEN, Ordering::Release);
    }

    /// Its turn has come.
    pub(super) fn begin(&self) {
        self.state.store(POLLED, Ordering::Release);
    }

    /// Its turn is over. Gives whether it was woken meanwhile: then its turn is to come again.
    pub(super) fn end(&self) -> bool {
        let ended = self
            .state
            .compare_exchange(POLLED, 0, Ordering::AcqRel, Ordering::Acquire);
        if ended.is_err() {
            self.set_woken();
        }
        ended.is_err()
    }
}

impl Wake for ItemWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(WOKEN, Ordering::AcqRel) != 0 {
            return;
        }
        let key = WorkKey::from_number(self.key.load(Ordering::Relaxed));
        let driver = {
            let mut queue = self.woken.lock();
            queue.keys.push_back(key);
            queue.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}
