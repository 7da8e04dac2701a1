//! Ending or suspending a guest from outside.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicU8, Ordering},
};

use crate::wasmtime::Word;

const YIELD: u8 = 1;
const END: u8 = 2;

/// Ends or suspends what a guest computes, from any thread: see [`Isolate::interrupt_handle`](crate::Isolate::interrupt_handle).
///
/// Compiled code looks at its next check, interpreted code every tenth of a millisecond. What waits is not woken: a parked stack is ended by dropping it.
#[derive(Clone, Debug, Default)]
pub struct InterruptHandle {
    requests: Arc<Requests>,
}

#[derive(Debug, Default)]
struct Requests {
    asked: AtomicU8,
    /// What code looks at that is compiled. They are set after requests were left.
    words: Mutex<Vec<Weak<Word>>>,
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
        self.ask(END);
    }

    /// Asks the guest to tell its user ([`IsolateData::interrupted`](crate::IsolateData::interrupted)), and to end the run of its stack with
    /// [`Step::Yielded`](crate::Step::Yielded), when it looks next, if its user says so. Code that was reached by a plain call tells, and the
    /// request stays until the stack below looks.
    pub fn ask_yield(&self) {
        self.ask(YIELD);
    }

    fn ask(&self, what: u8) {
        self.requests.asked.fetch_or(what, Ordering::SeqCst);
        for word in self.words().iter().filter_map(Weak::upgrade) {
            word.ask();
        }
    }

    /// Has code look that a word belongs to.
    pub(crate) fn reach(&self, word: &Arc<Word>) {
        let mut words = self.words();
        words.retain(|word| word.strong_count() > 0);
        words.push(Arc::downgrade(word));
        drop(words);
        if self.is_pending() {
            word.ask();
        }
    }

    fn words(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Word>>> {
        let words = self.requests.words.lock();
        words.unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a request to yield that could not be met for the stack below, without having code look that could not meet it either.
    pub(crate) fn put_yield_off(&self) {
        self.requests.asked.fetch_or(YIELD, Ordering::SeqCst);
    }

    /// Takes all requests back that have not been met.
    pub fn cancel(&self) {
        self.requests.asked.store(0, Ordering::SeqCst);
    }

    /// Takes a request to yield back, if it has not been met.
    pub fn cancel_yield(&self) {
        self.requests.asked.fetch_and(!YIELD, Ordering::SeqCst);
    }

    /// Whether a request has not been met.
    pub fn is_pending(&self) -> bool {
        self.requests.asked.load(Ordering::Relaxed) != 0
    }

    /// Looks at the requests, and meets them, but one to yield only if there is none to end.
    pub(crate) fn look(&self) -> Asked {
        let asked = self.requests.asked.load(Ordering::Relaxed);
        if asked == 0 {
            return Asked::Nothing;
        }
        if asked & END != 0 {
            self.requests.asked.fetch_and(!END, Ordering::SeqCst);
            return Asked::End;
        }
        self.requests.asked.fetch_and(!YIELD, Ordering::SeqCst);
        Asked::Yield
    }
}
