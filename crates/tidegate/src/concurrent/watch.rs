//! Whether anything but the store itself can wake a future that runs beside it: if not, and nothing in the store can go on, it waits for ever.

use super::host::{By, end_call};
use super::work::WorkHandle;
use crate::baton::{Baton, Home};
use anyhow::{Error, anyhow};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// The waker of a future of `run_concurrent`. Whoever holds a clone may wake the future; those that are known to be waked by this store only are counted.
pub(super) struct Watch {
    alarm: Arc<Alarm>,
    waker: Waker,
    /// How many had the store's home when the future began.
    residents: usize,
}

/// Wakes whoever polls the driver.
#[derive(Default)]
struct Alarm {
    outer: Mutex<Option<Waker>>,
    /// Since the future was polled last.
    rung: AtomicBool,
}

impl Alarm {
    fn set(&self, waker: &Waker) {
        self.rung.store(false, Ordering::Relaxed);
        let mut place = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *place {
            Some(known) => known.clone_from(waker),
            None => *place = Some(waker.clone()),
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        let waker = self
            .outer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Watch {
    /// To be made when the driver has begun, and before the future is polled.
    pub(super) fn new(home: &Home, work: &WorkHandle) -> Self {
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(alarm.clone());
        work.known().watch(&waker);
        Self {
            alarm,
            waker,
            residents: home.residents(),
        }
    }

    /// The waker for the future, which wakes in turn who polls with `cx`.
    pub(super) fn waker(&self, cx: &Context<'_>) -> &Waker {
        self.alarm.set(cx.waker());
        &self.waker
    }

    /// If nothing can go on and nobody can change that, ends the calls that accessors have under way, with a report of what waits for what. The future has
    /// been polled and waits.
    ///
    /// Somebody can, or might, if a future of the host's is at work, or if anything outside has a waker of this future or a way to the store: then it is
    /// waited for.
    pub(super) fn look(&self, home: &Home, work: &WorkHandle) {
        // This one and its waker.
        let outside = Arc::strong_count(&self.alarm).saturating_sub(2);
        let rung = self.alarm.rung.load(Ordering::Relaxed);
        if rung || outside > work.known().count() || home.residents() > self.residents {
            return;
        }
        let Some(mut lent) = home.lend() else {
            return;
        };
        let baton = &mut lent.baton;
        if baton.at_rest && baton.concurrent.work.is_idle() && !baton.state.has_ready() {
            end_all(baton);
        }
    }
}

/// Ends the calls of accessors.
fn end_all(baton: &mut Baton) {
    let calls = baton.concurrent.host.iter();
    let mut numbers: Vec<u64> = calls
        .filter(|(_, call)| matches!(call.by, By::Accessor { .. }))
        .map(|(number, _)| number)
        .collect();
    numbers.sort_unstable();
    for number in numbers {
        let error = deadlock(baton);
        end_call(baton, number, Err(error));
    }
}

/// What waits for what, and why, if something trapped before.
pub(super) fn deadlock(baton: &Baton) -> Error {
    let deadlock = baton.state.deadlock();
    match baton.concurrent.cause() {
        Some(cause) => anyhow!(deadlock).context(cause.to_owned()),
        None => deadlock.into(),
    }
}

/// Counts the clones of a watched waker that only the store wakes.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Which waker that is.
    watched: AtomicUsize,
    count: AtomicUsize,
}

impl Known {
    fn watch(&self, waker: &Waker) {
        self.watched.store(waker.data() as usize, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Clones a waker for somebody in the store.
    pub(super) fn keep(this: &Arc<Self>, waker: &Waker) -> KnownWaker {
        let counted = waker.data() as usize == this.watched.load(Ordering::Relaxed);
        if counted {
            this.count.fetch_add(1, Ordering::Relaxed);
        }
        KnownWaker {
            waker: waker.clone(),
            known: counted.then(|| this.clone()),
        }
    }
}

/// A waker that is counted if it is a watched one.
#[derive(Debug)]
pub(super) struct KnownWaker {
    waker: Waker,
    known: Option<Arc<Known>>,
}

impl KnownWaker {
    pub(super) fn wake(self) {
        self.waker.wake_by_ref();
    }
}

impl Drop for KnownWaker {
    fn drop(&mut self) {
        if let Some(known) = &self.known {
            known.count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
