//! What the host has under way for a store: the driver polls it whenever it was woken.

use crate::baton::Baton;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Something of the host's that goes on while guests wait: a call of a host function, a task, an end of a stream.
pub(crate) trait HostWork: Send {
    /// Goes on. `place` holds the baton, and must hold it again afterwards. Ready work is dropped.
    fn poll(self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()>;
}

/// Names an item of a [`WorkSet`]. A name is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkKey {
    index: u32,
    generation: u32,
}

/// The host's work of a store. Each item has a waker of its own, and only items that were woken are polled.
#[derive(Default)]
pub(crate) struct WorkSet {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// How many items may wake up by themselves.
    active: usize,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    item: Option<Item>,
}

struct Item {
    /// `None` while it is being polled.
    work: Option<Pin<Box<dyn HostWork>>>,
    waker: Arc<ItemWaker>,
    active: bool,
}

/// The items that were woken.
#[derive(Default)]
struct Woken(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    keys: VecDeque<WorkKey>,
    driver: Option<Waker>,
}

struct ItemWaker {
    key: WorkKey,
    /// Whether it is in the queue.
    queued: AtomicBool,
    woken: Arc<Woken>,
}

impl Wake for ItemWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let driver = {
            let mut queue = self.woken.lock();
            queue.keys.push_back(self.key);
            queue.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

impl Woken {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WorkSet {
    /// Adds an item that is polled as soon as the driver has nothing else to do.
    pub(crate) fn insert(&mut self, work: Pin<Box<dyn HostWork>>) -> WorkKey {
        let key = self.insert_idle(work);
        self.set_active(key, true);
        self.wake(key);
        key
    }

    /// Adds an item that waits for nobody: it is polled only when it is woken, and does not keep the driver waiting.
    pub(crate) fn insert_idle(&mut self, work: Pin<Box<dyn HostWork>>) -> WorkKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        let key = WorkKey {
            index,
            generation: slot.generation,
        };
        slot.item = Some(Item {
            work: Some(work),
            waker: Arc::new(ItemWaker {
                key,
                queued: AtomicBool::new(false),
                woken: self.woken.clone(),
            }),
            active: false,
        });
        key
    }

    /// Drops an item, if it is still there. It may be the one that is being polled.
    pub(crate) fn remove(&mut self, key: WorkKey) -> Option<Pin<Box<dyn HostWork>>> {
        self.set_active(key, false);
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        let item = slot.item.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        item.work
    }

    /// Wakes an item.
    pub(crate) fn wake(&mut self, key: WorkKey) {
        if let Some(item) = self.item(key) {
            item.waker.wake_by_ref();
        }
    }

    /// The waker of an item; one that does nothing if there is no such item.
    pub(crate) fn waker(&mut self, key: WorkKey) -> Waker {
        self.item(key).map_or_else(
            || Waker::noop().clone(),
            |item| Waker::from(item.waker.clone()),
        )
    }

    /// Says whether an item may wake up by itself, so that the driver waits for it rather than report a deadlock.
    pub(crate) fn set_active(&mut self, key: WorkKey, active: bool) {
        if let Some(item) = self.item(key) {
            let before = std::mem::replace(&mut item.active, active);
            // Every active item is counted.
            self.active = self.active + usize::from(active) - usize::from(before);
        }
    }

    fn item(&mut self, key: WorkKey) -> Option<&mut Item> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation {
            slot.item.as_mut()
        } else {
            None
        }
    }
}

/// Polls the items that have been woken until now. Gives whether there were any; if there were none, the waker is kept. Pending if there are none
/// but some may wake up.
pub(super) fn poll(place: &mut Baton, cx: &mut Context<'_>) -> Poll<bool> {
    let woken = place.concurrent.work.woken.clone();
    let mut left = {
        let mut queue = woken.lock();
        if queue.keys.is_empty() {
            queue.driver = Some(cx.waker().clone());
            return if place.concurrent.work.active > 0 {
                Poll::Pending
            } else {
                Poll::Ready(false)
            };
        }
        queue.keys.len()
    };
    while left > 0 {
        left -= 1;
        let Some(key) = woken.lock().keys.pop_front() else {
            break;
        };
        poll_item(place, key);
    }
    Poll::Ready(true)
}

fn poll_item(place: &mut Baton, key: WorkKey) {
    let Some(item) = place.concurrent.work.item(key) else {
        return;
    };
    item.waker.queued.store(false, Ordering::Release);
    let waker = Waker::from(item.waker.clone());
    let Some(mut work) = item.work.take() else {
        // It is being polled further up the call stack, which has woken it: again, after that.
        return;
    };
    let ready = work
        .as_mut()
        .poll(place, &mut Context::from_waker(&waker))
        .is_ready();
    if ready {
        place.concurrent.work.remove(key);
    } else if let Some(item) = place.concurrent.work.item(key) {
        item.work = Some(work);
    }
}
