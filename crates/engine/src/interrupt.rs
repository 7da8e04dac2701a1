//! Ending a guest from outside.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Ends what an isolate's guest computes, from any thread: see [`Isolate::interrupt_handle`](crate::Isolate::interrupt_handle).
#[derive(Clone, Debug, Default)]
pub struct InterruptHandle {
    asked: Arc<AtomicBool>,
}

impl InterruptHandle {
    /// Asks the guest to end: it traps with [`TrapCode::Interrupted`](crate::TrapCode::Interrupted) at the next tick of
    /// [`Engine::increment_epoch`](crate::Engine::increment_epoch), if it runs, and otherwise once it runs again.
    ///
    /// What waits is not woken: a parked stack is ended by dropping it.
    pub fn interrupt(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Takes the request back, if it has not been met.
    pub fn cancel(&self) {
        self.asked.store(false, Ordering::Relaxed);
    }

    /// Whether it was asked for; meets the request.
    pub(crate) fn take(&self) -> bool {
        self.asked.load(Ordering::Relaxed) && self.asked.swap(false, Ordering::Relaxed)
    }
}
