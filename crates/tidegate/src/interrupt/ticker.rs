//! The clock of time slices: a few threads per engine, which sleep while no guest runs that has one.
//!
//! They tick in turns. One alone would do, if it never were late: on a machine whose processors are all busy, one tick in a hundred is late by milliseconds, and the
//! guests that run meanwhile get them. That several are late at once is rare.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Moves on the clock that guests look at.
#[derive(Default)]
pub(crate) struct Ticker {
    started: AtomicBool,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Guests with a time slice that run.
    running: AtomicUsize,
    /// Whether the first thread sleeps until it is woken.
    idle: AtomicBool,
    /// Whether the others are to sleep until the first wakes them.
    rest: AtomicBool,
    state: Mutex<State>,
    woken: Condvar,
    others_woken: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
}

/// A guest with a time slice runs.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How an engine is ticked.
pub(crate) trait Tick: Clone + Send + Sync + 'static {
    /// Moves its clock on.
    fn tick(&self);
}

impl Ticker {
    /// Starts the threads, unless they have been. There are `ticks` of them, which is how often they tick in each slice.
    pub(crate) fn start<T: Tick>(&self, engine: impl FnOnce() -> T, slice: Duration, ticks: u32) {
        if self.started.load(Ordering::Relaxed) {
            return;
        }
        let _state = self.shared.lock();
        if self.started.load(Ordering::Relaxed) {
            return;
        }
        let engine = engine();
        let (shared, first) = (self.shared.clone(), engine.clone());
        let rhythm = Rhythm::new(slice, Duration::ZERO);
        // Without the thread slices have no end; guests are interrupted all the same.
        let thread = std::thread::Builder::new()
            .name("tidegate-ticker".to_owned())
            .spawn(move || shared.serve(&first, rhythm));
        self.started.store(thread.is_ok(), Ordering::Relaxed);
        for number in 1..ticks {
            let (shared, engine) = (self.shared.clone(), engine.clone());
            let rhythm = Rhythm::new(slice, slice / ticks * number);
            // Without these the clock is only less even.
            let _ = std::thread::Builder::new()
                .name("tidegate-ticker".to_owned())
                .spawn(move || shared.help(&engine, rhythm));
        }
    }

    /// Has the clock tick while what this gives is kept.
    #[inline]
    pub(crate) fn running(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.idle.load(Ordering::SeqCst) {
            self.shared.wake();
        }
        Running(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.wake();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cold]
    fn wake(&self) {
        // The lock makes sure that the thread either sees what has changed or waits already.
        drop(self.lock());
        self.woken.notify_one();
    }

    /// What the first thread does.
    fn serve(&self, engine: &impl Tick, rhythm: Rhythm) {
        tidegate_engine::wake_promptly();
        let mut next = None;
        let mut state = self.lock();
        while !state.ended {
            self.idle.store(true, Ordering::SeqCst);
            if self.running.load(Ordering::SeqCst) == 0 {
                next = None;
                state = self
                    .woken
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                self.idle.store(false, Ordering::SeqCst);
                continue;
            }
            self.idle.store(false, Ordering::SeqCst);
            let now = Instant::now();
            // What was set before counts, however often this is woken.
            let at = *next.get_or_insert_with(|| now + rhythm.until_next(now));
            if let Some(rest) = at.checked_duration_since(now)
                && !rest.is_zero()
            {
                let waited = self.woken.wait_timeout(state, rest);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            next = None;
            // Not under the lock: this may drop the engine, if nobody else has it any more, and with it the ticker.
            drop(state);
            engine.tick();
            state = self.lock();
            // A guest that has run until now may have its slice to the end. Most runs are shorter, and not worth waking anybody.
            if self.running.load(Ordering::Relaxed) > 0 && self.rest.swap(false, Ordering::Relaxed)
            {
                self.others_woken.notify_all();
            }
        }
        drop(state);
        self.others_woken.notify_all();
    }

    /// What the other threads do.
    fn help(&self, engine: &impl Tick, rhythm: Rhythm) {
        tidegate_engine::wake_promptly();
        let mut state = self.lock();
        while !state.ended {
            if self.running.load(Ordering::Relaxed) == 0 {
                self.rest.store(true, Ordering::Relaxed);
            }
            if self.rest.load(Ordering::Relaxed) {
                state = self
                    .others_woken
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            drop(state);
            std::thread::sleep(rhythm.until_next(Instant::now()));
            engine.tick();
            state = self.lock();
        }
    }
}

/// When a thread ticks: once in each period.
#[derive(Clone, Copy, Debug)]
struct Rhythm {
    period: Duration,
    first: Instant,
}

impl Rhythm {
    fn new(period: Duration, after: Duration) -> Self {
        Self {
            period,
            first: Instant::now() + after,
        }
    }

    fn until_next(&self, now: Instant) -> Duration {
        let Some(since) = now.checked_duration_since(self.first) else {
            return self.first - now;
        };
        // Periods are never empty: see `Config::time_slice`.
        let into = since.as_nanos() % self.period.as_nanos().max(1);
        self.period
            .saturating_sub(Duration::from_nanos(u64::try_from(into).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Count(Arc<AtomicUsize>);

    impl Tick for Count {
        fn tick(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_clock_moves_on_while_a_guest_runs() {
        let ticks = Count::default();
        let ticker = Ticker::default();
        ticker.start(|| ticks.clone(), Duration::from_millis(1), 2);
        for _ in 0..3 {
            let _running = ticker.running();
            let before = ticks.0.load(Ordering::SeqCst);
            while ticks.0.load(Ordering::SeqCst) < before + 3 {
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn a_rhythm_is_kept_however_late_somebody_asks() {
        let rhythm = Rhythm::new(Duration::from_millis(10), Duration::from_millis(3));
        let at = |millis| rhythm.until_next(rhythm.first + Duration::from_millis(millis));
        assert_eq!(at(0), Duration::from_millis(10));
        assert_eq!(at(4), Duration::from_millis(6));
        assert_eq!(at(1009), Duration::from_millis(1));
        let before = rhythm.first - Duration::from_millis(2);
        assert_eq!(rhythm.until_next(before), Duration::from_millis(2));
    }
}
