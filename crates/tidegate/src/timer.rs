//! Waiting for time to pass.
//!
//! One thread serves all waits of the process: it sleeps until the earliest deadline. It starts
//! with the first wait and is never joined. A timer wheel would be cheaper for millions of timers,
//! and would round each one to its tick; a guest's wait of 100 µs is to be no wait of 1 ms.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// A wait that may be dropped at any time.
pub type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Done when `duration` has passed, counted from now.
pub fn sleep(duration: Duration) -> Wait {
    match Instant::now().checked_add(duration) {
        Some(deadline) => at(deadline),
        // Beyond what the clock can count to.
        None => Box::pin(std::future::pending()),
    }
}

/// Done at `deadline`, never before.
pub fn at(deadline: Instant) -> Wait {
    if deadline <= Instant::now() {
        return Box::pin(std::future::ready(()));
    }
    Box::pin(Sleep {
        deadline,
        number: None,
    })
}

/// A wait, entered among the timers once it was polled.
struct Sleep {
    deadline: Instant,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= Instant::now() {
            return Poll::Ready(());
        }
        match Timers::get() {
            Ok(timers) => self.number = Some(timers.enter(self.deadline, self.number, cx.waker())),
            // Without the thread there is nothing better than asking again.
            Err(_) => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(number), Ok(timers)) = (self.number, Timers::get()) {
            timers.lock().waiting.remove(&(self.deadline, number));
        }
    }
}

/// Wakes a waker at a time, unless it is dropped before.
pub(crate) struct Alarm(Sleep);

impl Alarm {
    pub(crate) fn new(deadline: Instant, waker: &Waker) -> Self {
        let mut sleep = Sleep {
            deadline,
            number: None,
        };
        if Pin::new(&mut sleep)
            .poll(&mut Context::from_waker(waker))
            .is_ready()
        {
            waker.wake_by_ref();
        }
        Self(sleep)
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.0.deadline
    }
}

struct Timers {
    queue: Mutex<Queue>,
    /// Told when there is a new earliest deadline.
    earlier: Condvar,
}

#[derive(Default)]
struct Queue {
    /// By deadline, then by the number that tells equal deadlines apart.
    waiting: BTreeMap<(Instant, u64), Waker>,
    next_number: u64,
}

impl Timers {
    fn get() -> io::Result<&'static Self> {
        static TIMERS: OnceLock<Arc<Timers>> = OnceLock::new();
        if let Some(timers) = TIMERS.get() {
            return Ok(timers);
        }
        let timers = Arc::new(Self {
            queue: Mutex::default(),
            earlier: Condvar::new(),
        });
        // Whoever comes second leaves a thread behind that has nothing to do.
        let own = Arc::clone(&timers);
        thread::Builder::new()
            .name("tidegate-timer".to_owned())
            .spawn(move || own.serve())?;
        Ok(TIMERS.get_or_init(|| timers))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, deadline: Instant, number: Option<u64>, waker: &Waker) -> u64 {
        let mut queue = self.lock();
        let number = number.unwrap_or_else(|| {
            queue.next_number += 1;
            queue.next_number
        });
        queue.waiting.insert((deadline, number), waker.clone());
        let first = queue.waiting.first_key_value();
        if first.is_some_and(|(key, _)| *key == (deadline, number)) {
            self.earlier.notify_one();
        }
        number
    }

    fn serve(&self) {
        tidegate_engine::wake_promptly();
        let mut queue = self.lock();
        loop {
            let now = Instant::now();
            match queue.waiting.first_key_value() {
                None => {
                    queue = self
                        .earlier
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Some(((deadline, _), _)) if *deadline > now => {
                    let rest = *deadline - now;
                    queue = self
                        .earlier
                        .wait_timeout(queue, rest)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                Some(_) => {
                    if let Some((_, waker)) = queue.waiting.pop_first() {
                        // A waker may run anything, so not under the lock.
                        drop(queue);
                        waker.wake();
                        queue = self.lock();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    fn is_ready_now(wait: &mut Wait) -> bool {
        wait.as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn what_has_passed_is_ready_and_forever_is_not() {
        assert!(is_ready_now(&mut at(Instant::now())));
        assert!(is_ready_now(&mut sleep(Duration::ZERO)));
        assert!(!is_ready_now(&mut sleep(Duration::MAX)));
        assert!(!is_ready_now(&mut sleep(Duration::from_secs(3600))));
    }

    #[test]
    fn does_not_end_early() {
        let start = Instant::now();
        block_on(sleep(Duration::from_millis(15)));
        assert!(start.elapsed() >= Duration::from_millis(15));
    }

    #[test]
    fn earlier_deadline_is_served_first_although_it_came_later() {
        let mut late = sleep(Duration::from_secs(3600));
        assert!(!is_ready_now(&mut late));
        block_on(sleep(Duration::from_millis(5)));
        assert!(!is_ready_now(&mut late));
    }

    #[test]
    fn dropped_wait_leaves_nothing_behind() {
        let mut wait = sleep(Duration::from_secs(7777));
        assert!(!is_ready_now(&mut wait));
        let deadline_entries = || {
            let horizon = Instant::now() + Duration::from_secs(7000);
            let queue = Timers::get().unwrap().lock();
            queue.waiting.keys().filter(|(at, _)| *at > horizon).count()
        };
        assert_eq!(deadline_entries(), 1);
        drop(wait);
        assert_eq!(deadline_entries(), 0);
    }
}
