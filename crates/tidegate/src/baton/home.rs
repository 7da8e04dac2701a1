//! Where the baton is when nobody holds it, and who may borrow it from there.

use super::{Baton, Runtime};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where the baton rests while no guest runs and the driver waits, for the host's futures to find it ([`Accessor`](crate::Accessor)), and where it
/// goes when the future that held it is dropped.
#[derive(Clone, Default)]
pub(crate) struct Home(Arc<Hearth>);

#[derive(Default)]
struct Hearth {
    kept: Mutex<Kept>,
    /// Told when what was lent has come back.
    returned: Condvar,
    /// How many know where it is only to be at hand for calls to come.
    idle: AtomicUsize,
}

#[derive(Default)]
struct Kept {
    runtime: Option<Box<Runtime>>,
    /// How many accessors have borrowed it: more than one if, inside the closure of one, a guest was called that called another.
    lent: Level,
    /// How many threads wait for what was lent to come back.
    waiting: usize,
}

/// How many borrows of accessors are further up the call stack: whoever puts the baton there waits only for those that came later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(usize);

impl Home {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many know where it is and may come by themselves.
    pub(crate) fn residents(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(self.0.idle.load(Ordering::Relaxed))
    }

    /// Somebody who knows where it is from now on comes only when called.
    pub(crate) fn add_idle(&self) {
        self.0.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// Such a one is gone.
    pub(crate) fn remove_idle(&self) {
        self.0.idle.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether the baton is there.
    pub(crate) fn is_occupied(&self) -> bool {
        self.lock().runtime.is_some()
    }

    /// What to [reclaim](Self::reclaim) the baton with, for whoever has it now.
    pub(crate) fn level(&self) -> Level {
        self.lock().lent
    }

    /// Puts the baton there; gives what to [reclaim](Self::reclaim) it with.
    fn put(&self, place: &mut Baton) -> Level {
        let mut kept = self.lock();
        kept.runtime = place.0.take();
        kept.lent
    }

    /// Takes the baton out; should another thread have borrowed it, waits for that thread's closure to end.
    pub(crate) fn reclaim(&self, level: Level) -> Baton {
        let mut kept = self.lock();
        while kept.lent > level {
            kept.waiting += 1;
            kept = self
                .0
                .returned
                .wait(kept)
                .unwrap_or_else(PoisonError::into_inner);
            kept.waiting -= 1;
        }
        Baton(kept.runtime.take())
    }

    /// Borrows the baton, if it is there, or on offer on this thread.
    pub(crate) fn lend(&self) -> Option<Lent<'_>> {
        if let Some(runtime) = self.take_offered() {
            return Some(Lent {
                home: None,
                baton: Baton(Some(runtime)),
            });
        }
        let mut kept = self.lock();
        let runtime = kept.runtime.take()?;
        kept.lent.0 += 1;
        Some(Lent {
            home: Some(self),
            baton: Baton(Some(runtime)),
        })
    }

    fn take_offered(&self) -> Option<Box<Runtime>> {
        let offered = OFFER.try_with(|offer| {
            let runtime = offer.take()?;
            let home = runtime.home.get();
            if home.is_some_and(|home| Arc::ptr_eq(&home.0, &self.0)) {
                return Some(runtime);
            }
            offer.set(Some(runtime));
            None
        });
        offered.ok().flatten()
    }
}

thread_local! {
    /// The store whose future has a turn on this thread: for the duration of a poll its accessors find it here, which costs no lock.
    static OFFER: Cell<Option<Box<Runtime>>> = const { Cell::new(None) };
}

/// The baton, borrowed.
pub(crate) struct Lent<'a> {
    /// Where from, if it was not on offer.
    home: Option<&'a Home>,
    pub(crate) baton: Baton,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(home) = self.home else {
            // Whoever offered it takes it back, and looks what there is to do.
            let runtime = self.baton.0.take();
            let _ = OFFER.try_with(|offer| offer.set(runtime));
            return;
        };
        let mut baton = self.baton.take();
        if !baton.is_away() && (baton.state.has_ready() || baton.concurrent.work.has_fresh()) {
            // Whatever was done with the store let a guest go on or added work, and the driver may be asleep.
            baton.concurrent.work.handle().nudge();
        }
        drop(baton);
        let mut kept = home.lock();
        // Counted when this was made.
        kept.lent.0 -= 1;
        // Telling costs a call of the system, whether anybody waits or not.
        if kept.waiting > 0 {
            home.0.returned.notify_all();
        }
    }
}

/// Runs `f`, which is to give a future of the host's its turn, while accessors find the baton: those of this thread.
#[inline]
pub(crate) fn in_turn<R>(place: &mut Baton, f: impl FnOnce() -> R) -> R {
    let offered = OFFER.try_with(|offer| {
        let other = offer.take();
        if other.is_some() {
            offer.set(other);
            return false;
        }
        offer.set(place.0.take());
        true
    });
    if !offered.unwrap_or(false) {
        return at_home(place, f);
    }
    let _offer = Offer(place);
    f()
}

/// Takes back what was offered, however the turn ends.
struct Offer<'a>(&'a mut Baton);

impl Drop for Offer<'_> {
    #[inline]
    fn drop(&mut self) {
        let offered = OFFER.try_with(Cell::take);
        self.0.0 = offered.ok().flatten();
    }
}

/// The same where another store's future has its turn further up the call stack: the baton is at home meanwhile.
#[cold]
fn at_home<R>(place: &mut Baton, f: impl FnOnce() -> R) -> R {
    let home = place.home();
    let level = home.put(place);
    let result = f();
    *place = home.reclaim(level);
    result
}

/// The baton was dropped: whoever is to find it looks for it at home.
#[cold]
pub(super) fn send(runtime: Box<Runtime>) {
    // Otherwise nobody has asked where that is.
    if let Some(home) = runtime.home.get().cloned() {
        home.lock().runtime = Some(runtime);
    }
}
