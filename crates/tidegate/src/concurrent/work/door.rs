//! How those who do not hold the store reach its driver: what was woken, and what is asked.

use super::WorkKey;
use crate::concurrent::watch::Known;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The items that were woken, and what is asked of the driver.
#[derive(Default)]
pub(super) struct Woken {
    queue: Mutex<Queue>,
    /// Whether items were woken that are not yet [due](super::WorkSet): what looks at it needs no lock if there are none. It changes with the queue.
    has_keys: AtomicBool,
    /// Whether something is asked, or a guest may have become ready: a hint that costs no lock.
    pub(super) has_asked: AtomicBool,
    /// The wakers that only this store wakes.
    known: Arc<Known>,
}

#[derive(Default)]
pub(super) struct Queue {
    keys: VecDeque<WorkKey>,
    pub(super) asked: VecDeque<Asked>,
    pub(super) driver: Option<Waker>,
}

impl Woken {
    /// An item was woken.
    pub(super) fn push(&self, key: WorkKey) {
        let driver = {
            let mut queue = self.lock();
            queue.keys.push_back(key);
            self.has_keys.store(true, Ordering::Release);
            queue.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    #[inline]
    pub(super) fn has_keys(&self) -> bool {
        self.has_keys.load(Ordering::Acquire)
    }

    /// Hands over the items that were woken, in order.
    pub(super) fn take_keys(&self, queue: &mut Queue, due: &mut VecDeque<WorkKey>) {
        match due.is_empty() {
            true => std::mem::swap(due, &mut queue.keys),
            false => due.append(&mut queue.keys),
        }
        self.has_keys.store(false, Ordering::Release);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked of the driver by those who do not hold the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    /// Begin this call of the host's.
    Start(u64),
    /// Cancel it.
    Cancel(u64),
    /// Drop this item.
    Abort(WorkKey),
}

/// The way to the driver for those who do not hold the store.
#[derive(Clone)]
pub(crate) struct WorkHandle(pub(super) Arc<Woken>);

impl WorkHandle {
    /// Asks the driver for something, which it does when it comes round next.
    pub(crate) fn ask(&self, asked: Asked) {
        let driver = {
            let mut queue = self.0.lock();
            queue.asked.push_back(asked);
            queue.driver.take()
        };
        self.0.has_asked.store(true, Ordering::Release);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Has the driver look whether a guest can go on.
    pub(crate) fn nudge(&self) {
        self.0.has_asked.store(true, Ordering::Release);
        let driver = self.0.lock().driver.take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Has an item dropped.
    pub(crate) fn abort(&self, key: WorkKey) {
        self.ask(Asked::Abort(key));
    }

    /// The wakers that only the store wakes.
    pub(in crate::concurrent) fn known(&self) -> &Arc<Known> {
        &self.0.known
    }

    /// Whether something is asked.
    pub(crate) fn has_asked(&self) -> bool {
        self.0.has_asked.load(Ordering::Acquire)
    }
}
