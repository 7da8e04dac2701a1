//! The items of a store, their wakers and their turns.

use super::door::{Asked, Woken, WorkHandle};
use super::waker::ItemWaker;
use super::{HostWork, WorkKey};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Wake, Waker};

/// The host's work of a store. Each item has a waker of its own, and only items that were woken are polled.
#[derive(Default)]
pub(crate) struct WorkSet {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Items that were added and have not been polled.
    pub(super) fresh: VecDeque<WorkKey>,
    /// Items that were woken, in order. Those that others wake come here from [`Woken`].
    pub(super) due: VecDeque<WorkKey>,
    /// How many items may wake up by themselves.
    pub(super) active: usize,
    pub(super) woken: Arc<Woken>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    item: Option<Item>,
    /// The waker of an item that is gone, in both of its forms, for the next one unless somebody still has it.
    spare: Option<Arc<ItemWaker>>,
    spare_handle: Option<Waker>,
}

pub(super) struct Item {
    /// `None` while it is being polled.
    pub(super) work: Option<Work>,
    pub(super) waker: Arc<ItemWaker>,
    active: bool,
    /// Whether its turn came while it was being polled: it has one more.
    pub(super) missed: bool,
}

/// What is taken out of the set to be polled.
pub(super) struct Work {
    pub(super) work: Pin<Box<dyn HostWork>>,
    /// The item's waker.
    pub(super) waker: Waker,
}

impl Item {
    /// After it was polled.
    pub(super) fn put_back(&mut self, work: Work) {
        self.work = Some(work);
        if std::mem::take(&mut self.missed) {
            self.waker.wake_by_ref();
        }
    }
}

impl WorkSet {
    /// Adds an item that is polled as soon as the driver has nothing else to do.
    pub(crate) fn insert(&mut self, work: Pin<Box<dyn HostWork>>) -> WorkKey {
        let key = self.insert_idle(work);
        self.set_active(key, true);
        if let Some(item) = self.item(key) {
            // Its turn comes in any case: to be woken until then means nothing.
            item.waker.set_woken();
        }
        self.fresh.push_back(key);
        key
    }

    /// The name that the next item will get.
    pub(crate) fn next_key(&self) -> WorkKey {
        let index = self.free.last().copied();
        let index = index.unwrap_or(self.slots.len() as u32);
        let slot = self.slots.get(index as usize);
        WorkKey {
            index,
            generation: slot.map_or(0, |slot| slot.generation),
        }
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
        let (waker, handle) = match (slot.spare.take(), slot.spare_handle.take()) {
            // These two are all that there are.
            (Some(waker), Some(handle)) if Arc::strong_count(&waker) == 2 => {
                waker.key.store(key.number(), Ordering::Relaxed);
                waker.state.store(0, Ordering::Relaxed);
                (waker, handle)
            }
            _ => {
                let waker = Arc::new(ItemWaker {
                    key: AtomicU64::new(key.number()),
                    state: AtomicU8::new(0),
                    woken: self.woken.clone(),
                });
                let handle = Waker::from(waker.clone());
                (waker, handle)
            }
        };
        slot.item = Some(Item {
            work: Some(Work {
                work,
                waker: handle,
            }),
            waker,
            active: false,
            missed: false,
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
        slot.spare = Some(item.waker);
        let work = item.work?;
        slot.spare_handle = Some(work.waker);
        Some(work.work)
    }

    /// Drops an item that was ready, or failed, when it was polled.
    pub(super) fn retire(&mut self, key: WorkKey, handle: Waker) {
        self.remove(key);
        // It may have been removed while it was polled.
        if let Some(slot) = self.slots.get_mut(key.index as usize)
            && slot.item.is_none()
            && let Some(spare) = &slot.spare
            && std::ptr::eq(handle.data(), Arc::as_ptr(spare).cast())
        {
            slot.spare_handle = Some(handle);
        }
    }

    /// The way to the driver for those who do not hold the store.
    pub(crate) fn handle(&self) -> WorkHandle {
        WorkHandle(self.woken.clone())
    }

    /// Whether nothing was woken or asked for, and nothing may wake up by itself.
    pub(in crate::concurrent) fn is_idle(&self) -> bool {
        let queue = self.woken.lock();
        let has_work = !self.fresh.is_empty() || !self.due.is_empty() || !queue.keys.is_empty();
        self.active == 0 && !has_work && queue.asked.is_empty()
    }

    /// Whether there are items whose turn is to come though nobody woke them.
    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty() || !self.due.is_empty()
    }

    /// What is asked of the driver, in order.
    pub(crate) fn next_asked(&mut self) -> Option<Asked> {
        if !self.woken.has_asked.load(Ordering::Acquire) {
            return None;
        }
        let mut queue = self.woken.lock();
        let asked = queue.asked.pop_front();
        if queue.asked.is_empty() {
            self.woken.has_asked.store(false, Ordering::Release);
        }
        asked
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

    pub(super) fn item(&mut self, key: WorkKey) -> Option<&mut Item> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation {
            slot.item.as_mut()
        } else {
            None
        }
    }
}
