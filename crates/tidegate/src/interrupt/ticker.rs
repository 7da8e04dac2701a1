//! The clock of time slices: a thread per engine, which sleeps while no guest runs that has one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use tidegate_engine::InterruptHandle;

/// How long a guest that was asked for something and has not looked is left alone.
const NUDGE: Duration = Duration::from_micros(500);

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
    /// Whether the thread sleeps until it is woken.
    idle: AtomicBool,
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    ended: bool,
    /// Guests that were asked for something: ticked until they have looked.
    nudged: Vec<(InterruptHandle, u32)>,
}

/// Ticks that a guest is nudged for at most: one that computes looks at the first, and others look without.
const NUDGES: u32 = 200;

/// A guest with a time slice runs.
pub(crate) struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How an engine is ticked.
pub(crate) trait Tick: Send + Sync + 'static {
    /// Moves its clock on.
    fn tick(&self);
}

impl Ticker {
    /// Starts the thread, unless it has been.
    pub(crate) fn start<T: Tick>(&self, engine: impl FnOnce() -> T, period: Option<Duration>) {
        if self.started.load(Ordering::Relaxed) {
            return;
        }
        let _state = self.shared.lock();
        if self.started.load(Ordering::Relaxed) {
            return;
        }
        let engine = engine();
        let shared = self.shared.clone();
        // Without the thread guests are interrupted all the same, but for a race that the thread closes; only slices have no end.
        let thread = std::thread::Builder::new()
            .name("tidegate-ticker".to_owned())
            .spawn(move || shared.serve(&engine, period));
        self.started.store(thread.is_ok(), Ordering::Relaxed);
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

    /// Ticks until a guest has looked at what it is asked.
    pub(crate) fn nudge(&self, guest: InterruptHandle) {
        self.shared.lock().nudged.push((guest, NUDGES));
        self.shared.wake();
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

    fn serve(&self, engine: &impl Tick, period: Option<Duration>) {
        let mut state = self.lock();
        while !state.ended {
            state.nudged.retain_mut(|(guest, left)| {
                *left = left.saturating_sub(1);
                *left > 0 && guest.is_pending()
            });
            let pause = match (state.nudged.is_empty(), period) {
                (false, Some(period)) => Some(NUDGE.min(period)),
                (false, None) => Some(NUDGE),
                (true, period) => period,
            };
            self.idle.store(true, Ordering::SeqCst);
            let busy = !state.nudged.is_empty()
                || (period.is_some() && self.running.load(Ordering::SeqCst) > 0);
            let Some(pause) = pause.filter(|_| busy) else {
                state = self
                    .woken
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                self.idle.store(false, Ordering::SeqCst);
                continue;
            };
            self.idle.store(false, Ordering::SeqCst);
            drop(state);
            std::thread::sleep(pause);
            engine.tick();
            state = self.lock();
        }
    }
}
