//! `memory.atomic.wait32`, `wait64` and `notify` as asynchronous functions over a shared memory.

use super::waiters::{Place, Waiters};
use crate::timer::{self, Wait};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tidegate_engine::{SharedMemory, Trap};

/// What `memory.atomic.wait` gives: somebody notified.
pub(super) const WOKEN: u32 = 0;
/// The value was another.
pub(super) const NOT_EQUAL: u32 = 1;
/// The time was over.
pub(super) const TIMED_OUT: u32 = 2;

/// Those who wait at addresses of a shared memory.
pub(super) struct Futex {
    memory: SharedMemory,
    waiters: Mutex<Waiters<Option<Waker>>>,
}

/// What a thread that waits expects to find.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected {
    I32(u32),
    I64(u64),
}

impl Futex {
    pub(super) fn new(memory: SharedMemory) -> Self {
        Self {
            memory,
            waiters: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiters<Option<Waker>>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait, for at most `timeout` nanoseconds, for ever if that is negative; `None` if the value is another. From when this returns, a
    /// notification is not missed.
    ///
    /// # Errors
    /// The address is not aligned, or outside of the memory.
    pub(super) fn wait(
        self: &Arc<Self>,
        address: u64,
        expected: Expected,
        timeout: i64,
    ) -> Result<Option<Waiting>, Trap> {
        // Under the lock, so that nobody can change the value and notify between the comparison and the beginning of the wait.
        let mut waiters = self.lock();
        let equal = match expected {
            Expected::I32(value) => self.memory.atomic_load32(address)? == value,
            Expected::I64(value) => self.memory.atomic_load64(address)? == value,
        };
        if !equal {
            return Ok(None);
        }
        let place = waiters.wait(address, None);
        drop(waiters);
        Ok(Some(Waiting {
            futex: self.clone(),
            place,
            timeout: u64::try_from(timeout)
                .ok()
                .map(|nanoseconds| timer::sleep(Duration::from_nanos(nanoseconds))),
        }))
    }

    /// Wakes at most `count` of those who wait at an address, and says how many it were.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub(super) fn notify(&self, address: u64, count: u32) -> Result<u32, Trap> {
        self.memory.check_atomic(address)?;
        let notified = self.lock().notify(address, count);
        let number = notified.len();
        // Wakers may run anything, so not under the lock.
        notified.into_iter().flatten().for_each(Waker::wake);
        // There are no more than were asked for.
        Ok(number as u32)
    }
}

/// A wait, which gives what `memory.atomic.wait` does.
pub(super) struct Waiting {
    futex: Arc<Futex>,
    place: Place,
    timeout: Option<Wait>,
}

impl Future for Waiting {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        match self.futex.lock().get_mut(self.place) {
            None => return Poll::Ready(WOKEN),
            Some(waker) => match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            },
        }
        let Some(timeout) = &mut self.timeout else {
            return Poll::Pending;
        };
        if timeout.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // Who was notified just now was counted by the notifier.
        let left = self.futex.lock().leave(self.place);
        Poll::Ready(if left.is_some() { TIMED_OUT } else { WOKEN })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let left = self.futex.lock().leave(self.place);
        drop(left);
    }
}
