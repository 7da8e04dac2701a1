//! Ending or suspending a guest from outside.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

const YIELD: u8 = 1;
const END: u8 = 2;

/// Ends or suspends what a guest computes, from any thread: see [`Isolate::interrupt_handle`](crate::Isolate::interrupt_handle).
///
/// Compiled code looks at requests when the clock of [`Engine::increment_epoch`](crate::Engine::increment_epoch) has moved on,
/// interpreted code by itself every tenth of a millisecond. What waits is not woken: a parked stack is ended by dropping it.
#[derive(Clone, Debug, Default)]
pub struct InterruptHandle {
    asked: Arc<AtomicU8>,
}

/// What a guest that looks at the requests is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    /// Tell its user, and suspend where that can be.
    Yield,
    /// Trap.
    End,
}

impl InterruptHandle {
    /// Asks the guest to end: it traps with [`TrapCode::Interrupted`](crate::TrapCode::Interrupted) when it looks next, if it runs, and
    /// otherwise once it runs again.
    pub fn interrupt(&self) {
        self.asked.fetch_or(END, Ordering::SeqCst);
    }

    /// Asks the guest to tell its user ([`IsolateData::interrupted`](crate::IsolateData::interrupted)), and to end the run of its stack with
    /// [`Step::Yielded`](crate::Step::Yielded), when it looks next, if its user says so. Code that was reached by a plain call tells, and the
    /// request stays until the stack below looks.
    pub fn ask_yield(&self) {
        self.asked.fetch_or(YIELD, Ordering::SeqCst);
    }

    /// Takes all requests back that have not been met.
    pub fn cancel(&self) {
        self.asked.store(0, Ordering::SeqCst);
    }

    /// Takes a request to yield back, if it has not been met.
    pub fn cancel_yield(&self) {
        self.asked.fetch_and(!YIELD, Ordering::SeqCst);
    }

    /// Whether a request has not been met.
    pub fn is_pending(&self) -> bool {
        self.asked.load(Ordering::Relaxed) != 0
    }

    /// Looks at the requests, and meets them, but one to yield only if there is none to end.
    pub(crate) fn look(&self) -> Asked {
        let asked = self.asked.load(Ordering::Relaxed);
        if asked == 0 {
            return Asked::Nothing;
        }
        if asked & END != 0 {
            self.asked.fetch_and(!END, Ordering::SeqCst);
            return Asked::End;
        }
        self.asked.fetch_and(!YIELD, Ordering::SeqCst);
        Asked::Yield
    }
}
