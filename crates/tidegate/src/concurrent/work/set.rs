//! The items of a store, their wakers and their turns.

use super::door::{Asked, Woken, WorkHandle};
use super::waker::ItemWaker;
use super::{HostWork, WorkKey};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
    /// Items whose turn comes again once code has run: they want what is in use further up the call stack.
    deferred: Vec<WorkKey>,
    /// How many items may wake up by themselves.
    pub(super) active: usize,
    pub(super) woken: Arc<Woken>,
}

/// A place for items, one after another.
struct Slot {
    /// How many have been there.
    generation: u32,
    item: Option<Item>,
    /// The waker of its items: one that is gone leaves it to the next, unless somebody still has it.
    waker: Arc<ItemWaker>,
    /// The same as it is handed out; `None` while an item is being polled.
    handle: Option<Waker>,
}

struct Item {
    /// `None` while it is being polled.
    work: Option<Pin<Box<dyn HostWork>>>,
    active: bool,
    /// Whether its turn came while it was being polled: it has one more.
    missed: bool,
}

/// What is taken out of the set to be polled.
pub(super) struct Work {
    pub(super) work: Pin<Box<dyn HostWork>>,
    /// The item's waker.
    pub(super) waker: Waker,
}

impl Slot {
    fn new(woken: &Arc<Woken>) -> Self {
        let waker = Arc::new(ItemWaker::new(woken.clone()));
        Self {
            generation: 0,
            item: None,
            handle: Some(Waker::from(waker.clone())),
            waker,
        }
    }

    /// Its waker, for an item that comes to be.
    #[inline]
    fn fresh_waker(&mut self, woken: &Arc<Woken>) -> &ItemWaker {
        // If its own two are all that there are, nobody has that of an item that is gone.
        if self.handle.is_none() || Arc::strong_count(&self.waker) != 2 {
            *self = Self {
                generation: self.generation,
                ..Self::new(woken)
            };
        }
        &self.waker
    }

    /// Takes its waker back after an item was polled, which may be gone, and another have come with a waker of its own.
    #[inline]
    fn take_back(&mut self, handle: Waker) {
        if std::ptr::eq(handle.data(), Arc::as_ptr(&self.waker).cast()) {
            self.handle = Some(handle);
        }
    }
}

impl WorkSet {
    /// Adds an item that is polled as soon as the driver has nothing else to do.
    pub(crate) fn insert(&mut self, work: Pin<Box<dyn HostWork>>) -> WorkKey {
        let key = self.add(work, true);
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
        self.add(work, false)
    }

    /// Adds an item. The turn of one that is active comes in any case: to be woken until then means nothing.
    #[inline]
    fn add(&mut self, work: Pin<Box<dyn HostWork>>, active: bool) -> WorkKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new(&self.woken));
            self.slots.len() as u32 - 1
        });
        let slot = &mut self.slots[index as usize];
        let key = WorkKey {
            index,
            generation: slot.generation,
        };
        slot.fresh_waker(&self.woken).assign(key, active);
        slot.item = Some(Item {
            work: Some(work),
            active,
            missed: false,
        });
        self.active += usize::from(active);
        key
    }

    /// Drops an item, if it is still there. It may be the one that is being polled.
    #[inline]
    pub(crate) fn remove(&mut self, key: WorkKey) -> Option<Pin<Box<dyn HostWork>>> {
        let slot = self.slot(key)?;
        let item = slot.item.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        // Every active item is counted.
        self.active -= usize::from(item.active);
        item.work
    }

    /// Takes an item out to be polled. One that is being polled further up the call stack, and was woken since, has its turn after that.
    #[inline]
    pub(super) fn begin_turn(&mut self, key: WorkKey) -> Option<Work> {
        let work = self.take_out(key);
        if work.is_none()
            && let Some(item) = self.slot(key).and_then(|slot| slot.item.as_mut())
        {
            item.missed = true;
        } else if let Some(slot) = self.slot(key) {
            slot.waker.begin();
        }
        work
    }

    /// Puts an item back that has had its turn, if it is still there. It is due again if it was woken meanwhile.
    #[inline]
    pub(super) fn end_turn(&mut self, key: WorkKey, work: Work) {
        if self.slot(key).is_some_and(|slot| slot.waker.end()) {
            self.due.push_back(key);
        }
        self.put_back(key, work);
    }

    /// Takes an item out, unless it is being polled.
    #[inline]
    pub(super) fn take_out(&mut self, key: WorkKey) -> Option<Work> {
        let slot = self.slot(key)?;
        let work = slot.item.as_mut()?.work.take()?;
        // They are taken out together and put back together.
        let waker = slot.handle.take()?;
        Some(Work { work, waker })
    }

    /// Puts an item back, if it is still there.
    #[inline]
    pub(super) fn put_back(&mut self, key: WorkKey, work: Work) {
        let Work { work, waker } = work;
        let Some(slot) = self.slots.get_mut(key.index as usize) else {
            return;
        };
        slot.take_back(waker);
        if slot.generation == key.generation
            && let Some(item) = &mut slot.item
        {
            item.work = Some(work);
            if std::mem::take(&mut item.missed) {
                slot.waker.wake_by_ref();
            }
        }
    }

    /// Drops an item that was ready, or failed, when it was polled.
    #[inline]
    pub(super) fn retire(&mut self, key: WorkKey, handle: Waker) {
        let Some(slot) = self.slots.get_mut(key.index as usize) else {
            return;
        };
        slot.take_back(handle);
        // It may have been removed while it was polled.
        if slot.generation == key.generation
            && let Some(Item { active, .. }) = slot.item.take()
        {
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(key.index);
            // Every active item is counted.
            self.active -= usize::from(active);
        }
    }

    /// The items that were woken come to be due.
    #[inline]
    pub(super) fn collect_woken(&mut self) {
        if self.woken.has_keys() {
            let mut queue = self.woken.lock();
            self.woken.take_keys(&mut queue, &mut self.due);
        }
    }

    /// The way to the driver for those who do not hold the store.
    pub(crate) fn handle(&self) -> WorkHandle {
        WorkHandle(self.woken.clone())
    }

    /// Whether nothing was woken or asked for, and nothing may wake up by itself.
    pub(in crate::concurrent) fn is_idle(&self) -> bool {
        let queue = self.woken.lock();
        let has_work = !self.fresh.is_empty() || !self.due.is_empty() || self.woken.has_keys();
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

    /// Whether something is asked of the driver.
    #[inline]
    pub(crate) fn has_asked(&self) -> bool {
        self.woken.has_asked.load(Ordering::Acquire)
    }

    /// Wakes an item.
    pub(crate) fn wake(&mut self, key: WorkKey) {
        if let Some(slot) = self.slot(key).filter(|slot| slot.item.is_some()) {
            slot.waker.wake_by_ref();
        }
    }

    /// The waker of an item; one that does nothing if there is no such item.
    pub(crate) fn waker(&mut self, key: WorkKey) -> Waker {
        let slot = self.slot(key).filter(|slot| slot.item.is_some());
        slot.map_or_else(
            || Waker::noop().clone(),
            |slot| Waker::from(slot.waker.clone()),
        )
    }

    /// Has an item wait for its turn until code has run. It does not wake up by itself meanwhile.
    pub(in crate::concurrent) fn defer(&mut self, key: WorkKey) {
        self.set_active(key, false);
        self.deferred.push(key);
    }

    /// Code has run: those that were deferred are woken.
    #[inline]
    pub(in crate::concurrent) fn retry(&mut self) {
        if !self.deferred.is_empty() {
            self.wake_deferred();
        }
    }

    #[cold]
    fn wake_deferred(&mut self) {
        for key in std::mem::take(&mut self.deferred) {
            self.set_active(key, true);
            self.wake(key);
        }
    }

    /// Says whether an item may wake up by itself, so that the driver waits for it rather than report a deadlock.
    pub(crate) fn set_active(&mut self, key: WorkKey, active: bool) {
        if let Some(item) = self.slot(key).and_then(|slot| slot.item.as_mut()) {
            let before = std::mem::replace(&mut item.active, active);
            // Every active item is counted.
            self.active = self.active + usize::from(active) - usize::from(before);
        }
    }

    /// The place of an item, if that has not gone.
    #[inline]
    fn slot(&mut self, key: WorkKey) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(key.index as usize)?;
        (slot.generation == key.generation).then_some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baton::Baton;
    use std::task::{Context, Poll};

    struct Nothing;

    impl HostWork for Nothing {
        fn poll(self: Pin<&mut Self>, _: &mut Baton, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    fn due(set: &mut WorkSet) -> Vec<WorkKey> {
        set.collect_woken();
        set.due.drain(..).collect()
    }

    #[test]
    fn a_late_wake_up_reaches_nobody_else() {
        let mut set = WorkSet::default();
        let first = set.insert_idle(Box::pin(Nothing));
        let late = set.waker(first);
        assert!(set.remove(first).is_some());
        let second = set.insert_idle(Box::pin(Nothing));
        assert_eq!(first.index, second.index);
        assert_ne!(first, second);
        late.wake();
        assert_eq!(due(&mut set), [first]);
        assert!(set.begin_turn(first).is_none());
        set.wake(second);
        assert_eq!(due(&mut set), [second]);
    }

    #[test]
    fn a_waker_that_nobody_has_serves_the_next_item() {
        let mut set = WorkSet::default();
        let key = set.insert(Box::pin(Nothing));
        let work = set.begin_turn(key).unwrap();
        let data = work.waker.data();
        set.retire(key, work.waker);
        let key = set.insert(Box::pin(Nothing));
        let work = set.begin_turn(key).unwrap();
        assert!(std::ptr::eq(data, work.waker.data()));
        let kept = work.waker.clone();
        set.retire(key, work.waker);
        let key = set.insert(Box::pin(Nothing));
        assert!(!kept.will_wake(&set.waker(key)));
    }

    #[test]
    fn an_item_that_is_woken_in_its_turn_has_another() {
        let mut set = WorkSet::default();
        let key = set.insert_idle(Box::pin(Nothing));
        let work = set.begin_turn(key).unwrap();
        work.waker.wake_by_ref();
        set.wake(key);
        assert!(due(&mut set).is_empty());
        set.end_turn(key, work);
        assert_eq!(due(&mut set), [key]);
    }

    #[test]
    fn a_turn_that_comes_during_another_comes_after_it() {
        let mut set = WorkSet::default();
        let key = set.insert_idle(Box::pin(Nothing));
        let work = set.begin_turn(key).unwrap();
        assert!(set.begin_turn(key).is_none());
        set.end_turn(key, work);
        assert_eq!(due(&mut set), [key]);
    }

    #[test]
    fn an_item_that_is_dropped_in_its_turn_does_not_come_back() {
        let mut set = WorkSet::default();
        let key = set.insert(Box::pin(Nothing));
        let work = set.begin_turn(key).unwrap();
        assert!(set.remove(key).is_none());
        let next = set.insert_idle(Box::pin(Nothing));
        work.waker.wake_by_ref();
        set.end_turn(key, work);
        assert_eq!(set.active, 0);
        assert!(due(&mut set).is_empty());
        set.wake(next);
        assert_eq!(due(&mut set), [next]);
        assert!(set.begin_turn(next).is_some());
    }
}
