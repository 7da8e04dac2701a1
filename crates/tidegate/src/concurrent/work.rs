//! What the host has under way for a store: the driver polls it whenever it was woken.

use super::watch::Known;
use crate::baton::Baton;
use crate::error::bug;
use anyhow::{Result, bail};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use tidegate_engine::Cx;

/// Something of the host's that goes on while guests wait: a call of a host function, a task, an end of a stream.
pub(crate) trait HostWork: Send {
    /// Goes on. `place` holds the baton, and must hold it again afterwards. Ready work is dropped.
    fn poll(self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()>;

    /// The guest whose isolate `cx` is asks for its end. Ready work is dropped.
    ///
    /// # Errors
    /// What that guest traps with.
    fn cancel(
        self: Pin<&mut Self>,
        _cx: &mut Cx<'_, Baton>,
        _waker: &mut Context<'_>,
    ) -> Result<Poll<()>> {
        Ok(Poll::Pending)
    }

    /// It was ready, and is in the set no more.
    fn done(self: Pin<Box<Self>>, _place: &mut Baton) {}

    /// What it gave is taken to its caller, whose parked stack goes on: in the context of the host call that it is blocked in.
    ///
    /// # Errors
    /// What that guest traps with.
    fn deliver(self: Pin<Box<Self>>, _cx: &mut Cx<'_, Baton>, _slots: &mut [u64]) -> Result<()> {
        bail!(bug("nobody waits for this"))
    }

    /// It is about to be dropped before it was ready, or delivered.
    fn abandon(self: Pin<&mut Self>, _place: &mut Baton) {}
}

/// Names an item of a [`WorkSet`]. A name is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkKey {
    index: u32,
    generation: u32,
}

impl WorkKey {
    /// The name as a number, for those who know nothing of work.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The name that a number was made of.
    pub(crate) fn from_number(number: u64) -> Self {
        Self {
            index: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}

/// The host's work of a store. Each item has a waker of its own, and only items that were woken are polled.
#[derive(Default)]
pub(crate) struct WorkSet {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Items that were added and have not been polled.
    fresh: VecDeque<WorkKey>,
    /// Items that were woken, in order. Those that others wake come here from [`Woken`].
    due: VecDeque<WorkKey>,
    /// How many items may wake up by themselves.
    active: usize,
    woken: Arc<Woken>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    item: Option<Item>,
    /// The waker of an item that is gone, in both of its forms, for the next one unless somebody still has it.
    spare: Option<Arc<ItemWaker>>,
    spare_handle: Option<Waker>,
}

struct Item {
    /// `None` while it is being polled.
    work: Option<Work>,
    waker: Arc<ItemWaker>,
    active: bool,
    /// Whether its turn came while it was being polled: it has one more.
    missed: bool,
}

/// What is taken out of the set to be polled.
struct Work {
    work: Pin<Box<dyn HostWork>>,
    /// The item's waker.
    waker: Waker,
}

impl Item {
    /// After it was polled.
    fn put_back(&mut self, work: Work) {
        self.work = Some(work);
        if std::mem::take(&mut self.missed) {
            self.waker.wake_by_ref();
        }
    }
}

/// The items that were woken, and what is asked of the driver.
#[derive(Default)]
struct Woken {
    queue: Mutex<Queue>,
    /// Whether something is asked, or a guest may have become ready: a hint that costs no lock.
    has_asked: AtomicBool,
    /// The wakers that only this store wakes.
    known: Arc<Known>,
}

#[derive(Default)]
struct Queue {
    keys: VecDeque<WorkKey>,
    asked: VecDeque<Asked>,
    driver: Option<Waker>,
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
pub(crate) struct WorkHandle(Arc<Woken>);

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
    pub(super) fn known(&self) -> &Arc<Known> {
        &self.0.known
    }

    /// Whether something is asked.
    pub(crate) fn has_asked(&self) -> bool {
        self.0.has_asked.load(Ordering::Acquire)
    }
}

struct ItemWaker {
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
    /// It is in a queue, or about to be put there.
    fn set_woken(&self) {
        self.state.store(WOKEN, Ordering::Release);
    }

    /// Its turn has come.
    fn begin(&self) {
        self.state.store(POLLED, Ordering::Release);
    }

    /// Its turn is over. Gives whether it was woken meanwhile: then its turn is to come again.
    fn end(&self) -> bool {
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

impl Woken {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
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
    fn retire(&mut self, key: WorkKey, handle: Waker) {
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
    pub(super) fn is_idle(&self) -> bool {
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

    fn item(&mut self, key: WorkKey) -> Option<&mut Item> {
        let slot = self.slots.get_mut(key.index as usize)?;
        if slot.generation == key.generation {
            slot.item.as_mut()
        } else {
            None
        }
    }
}

/// Polls the items that have been woken until now. Gives whether there were any or something is asked; if not, the waker is kept. Pending if there is nothing
/// but some item may wake up, or if `wait` says to wait in any case.
pub(super) fn poll(place: &mut Baton, wait: bool, cx: &mut Context<'_>) -> Poll<bool> {
    // Those that were woken have their turn when there are no new ones, or after so many turns of guests.
    if poll_fresh(place) {
        return Poll::Ready(true);
    }
    let work = &mut place.concurrent.work;
    {
        let mut queue = work.woken.lock();
        work.due.append(&mut queue.keys);
        if work.due.is_empty() && !work.woken.has_asked.load(Ordering::Acquire) {
            match &mut queue.driver {
                Some(driver) => driver.clone_from(cx.waker()),
                driver => *driver = Some(cx.waker().clone()),
            }
            return if wait || work.active > 0 {
                Poll::Pending
            } else {
                Poll::Ready(false)
            };
        }
    }
    poll_due(place);
    Poll::Ready(true)
}

/// Polls the items that were added or woken until now; gives whether there were any.
pub(super) fn poll_ready(place: &mut Baton) -> bool {
    if poll_fresh(place) {
        return true;
    }
    let work = &mut place.concurrent.work;
    work.due.append(&mut work.woken.lock().keys);
    let any = !work.due.is_empty();
    poll_due(place);
    any
}

/// Polls the items that have been woken until now.
pub(super) fn poll_woken(place: &mut Baton) {
    poll_fresh(place);
    let work = &mut place.concurrent.work;
    work.due.append(&mut work.woken.lock().keys);
    poll_due(place);
}

/// Polls the items that were added until now; gives whether there were any.
fn poll_fresh(place: &mut Baton) -> bool {
    let count = place.concurrent.work.fresh.len();
    for _ in 0..count {
        let Some(key) = place.concurrent.work.fresh.pop_front() else {
            break;
        };
        poll_item(place, key);
    }
    count > 0
}

/// Polls the items that are due now. Those that come to be meanwhile wait for the next round.
fn poll_due(place: &mut Baton) {
    for _ in 0..place.concurrent.work.due.len() {
        let Some(key) = place.concurrent.work.due.pop_front() else {
            break;
        };
        poll_item(place, key);
    }
}

fn poll_item(place: &mut Baton, key: WorkKey) {
    let Some(item) = place.concurrent.work.item(key) else {
        return;
    };
    let Some(Work { mut work, waker }) = item.work.take() else {
        // It is being polled further up the call stack, and was woken since: again, after that.
        item.missed = true;
        return;
    };
    item.waker.begin();
    let ready = work
        .as_mut()
        .poll(place, &mut Context::from_waker(&waker))
        .is_ready();
    let set = &mut place.concurrent.work;
    if ready {
        set.retire(key, waker);
        work.done(place);
    } else if let Some(item) = set.item(key) {
        let again = item.waker.end();
        item.put_back(Work { work, waker });
        if again {
            set.due.push_back(key);
        }
    }
}

/// Asks an item to come to its end, on behalf of the guest whose isolate `cx` is.
///
/// # Errors
/// What that guest traps with.
pub(crate) fn cancel(cx: &mut Cx<'_, Baton>, key: WorkKey) -> Result<()> {
    let Some(item) = cx.data_mut().concurrent.work.item(key) else {
        return Ok(());
    };
    let Some(Work { mut work, waker }) = item.work.take() else {
        return Ok(());
    };
    let ended = work.as_mut().cancel(cx, &mut Context::from_waker(&waker));
    let set = &mut cx.data_mut().concurrent.work;
    match ended {
        Ok(Poll::Pending) => {
            if let Some(item) = set.item(key) {
                item.put_back(Work { work, waker });
            }
            Ok(())
        }
        Ok(Poll::Ready(())) => {
            set.retire(key, waker);
            Ok(())
        }
        Err(error) => {
            set.retire(key, waker);
            Err(error)
        }
    }
}

/// Drops an item before it is ready.
pub(crate) fn abandon(place: &mut Baton, key: WorkKey) {
    if let Some(mut work) = place.concurrent.work.remove(key) {
        work.as_mut().abandon(place);
    }
}
