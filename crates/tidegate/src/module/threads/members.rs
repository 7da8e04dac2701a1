//! Who belongs to a group of threads, and how it ended.

use crate::Result;
use crate::interrupt::InterruptHandle;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// The number of the thread that runs `_start`.
pub(super) const MAIN: i32 = 0;
/// The largest number that a thread may have, by the agreement between hosts and C libraries.
const MAX_NUMBER: i32 = 0x1fff_ffff;

/// The threads of a group.
#[derive(Default)]
pub(super) struct Members(Mutex<State>);

#[derive(Default)]
struct State {
    /// Each with what ends it.
    threads: HashMap<i32, InterruptHandle>,
    last: i32,
    /// How the group ended: what came first.
    ended: Option<Result<()>>,
    /// Whether the end has been fetched.
    is_over: bool,
    /// Told when the last thread is gone.
    waker: Option<Waker>,
}

impl Members {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The main thread.
    pub(super) fn begin(&self, handle: InterruptHandle) {
        let mut state = self.lock();
        if state.has_ended() {
            handle.terminate("the program was ended before it began");
        }
        state.threads.insert(MAIN, handle);
    }

    /// One thread more, if there may be one; gives its number.
    pub(super) fn join(&self, handle: InterruptHandle, max: usize) -> Option<i32> {
        let mut state = self.lock();
        if state.has_ended() || state.threads.len() >= max {
            return None;
        }
        // There are more numbers than threads.
        loop {
            state.last = if state.last >= MAX_NUMBER {
                1
            } else {
                state.last + 1
            };
            let number = state.last;
            if let Entry::Vacant(place) = state.threads.entry(number) {
                place.insert(handle);
                return Some(number);
            }
        }
    }

    /// A thread is gone.
    pub(super) fn leave(&self, number: i32) {
        let mut state = self.lock();
        state.threads.remove(&number);
        let waker = state
            .threads
            .is_empty()
            .then(|| state.waker.take())
            .flatten();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Ends the group; what ended it first counts.
    pub(super) fn end(&self, how: Result<()>) {
        let mut state = self.lock();
        if state.has_ended() {
            return;
        }
        state.ended = Some(how);
        let handles: Vec<InterruptHandle> = state.threads.values().cloned().collect();
        drop(state);
        InterruptHandle::terminate_all(&handles, "another thread of the program has ended it");
    }

    pub(super) fn has_ended(&self) -> bool {
        self.lock().has_ended()
    }

    /// Waits until no thread is left, and says how the group ended.
    pub(super) async fn gone(&self) -> Result<()> {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.threads.is_empty() {
                return Poll::Ready(());
            }
            state.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        let mut state = self.lock();
        state.is_over = true;
        state.ended.take().unwrap_or(Ok(()))
    }
}

impl State {
    fn has_ended(&self) -> bool {
        self.ended.is_some() || self.is_over
    }
}
