//! The waker of an item.

use super::WorkKey;
use super::door::Woken;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::Wake;

pub(super) struct ItemWaker {
    /// The item's name as a number. It changes only while nobody has the waker.
    key: AtomicU64,
    /// [`WOKEN`], [`POLLED`], or both.
    state: AtomicU8,
    woken: Arc<Woken>,
}

/// Its turn comes in any case: it is in a queue, or being polled.
const WOKEN: u8 = 1;
/// It is being polled: whoever polls it looks whether it was woken meanwhile.
const POLLED: u8 = 2;

impl ItemWaker {
    pub(super) fn new(woken: Arc<Woken>) -> Self {
        Self {
            key: AtomicU64::new(0),
            state: AtomicU8::new(0),
            woken,
        }
    }

    /// It is another item's from now on, and is in a queue if `woken`. Nobody has it yet.
    #[inline]
    pub(super) fn assign(&self, key: WorkKey, woken: bool) {
        self.key.store(key.number(), Ordering::Relaxed);
        let state = if woken { WOKEN } else { 0 };
        self.state.store(state, Ordering::Relaxed);
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
            // It is about to be put in a queue.
            self.state.store(WOKEN, Ordering::Release);
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
        self.woken.push(key);
    }
}
