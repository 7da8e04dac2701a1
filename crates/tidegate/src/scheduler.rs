//! Many guests on few threads of the operating system, each in its turn.
//!
//! A [`Scheduler`] polls futures, such as those of guests' calls, on a fixed number of threads. Of those that could go on it takes the one that has had the least
//! time of a processor, by its weight; so guests that compute share the threads evenly, as long as they let go of them: see
//! [`Config::time_slice`](crate::Config::time_slice). Whoever has waited comes first, unless it has had some turns more than the others, but saves up nothing: what was
//! not used while waiting is gone. Time that the system gave to other processes counts for nobody.
//!
//! Any other executor does as well; this one is fair among thousands of futures that never wait.
//!
//! ```
//! use tidegate::block_on;
//! use tidegate::scheduler::Scheduler;
//!
//! let scheduler = Scheduler::new(2)?;
//! let task = scheduler.spawn(async { 40 + 2 });
//! assert_eq!(block_on(task), Some(42));
//! # std::io::Result::Ok(())
//! ```

use crate::processor_time::Moment;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;
use std::{cmp, io, thread};

/// How much of the threads a task gets beside others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u32);

impl Weight {
    /// That of tasks whose weight nobody set.
    pub const NORMAL: Self = Self(100);

    /// A weight of at least 1: a task of weight 200 gets twice the time of one of [`NORMAL`](Self::NORMAL).
    pub fn new(weight: u32) -> Self {
        Self(weight.max(1))
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::NORMAL
    }
}

/// Threads that poll futures. Cheap to clone; the threads end, and what has not ended is dropped, when the last clone is gone.
#[derive(Clone)]
pub struct Scheduler {
    owner: Arc<Owner>,
}

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        queue.ended = true;
        let left = std::mem::take(&mut queue.ready);
        drop(queue);
        self.0.work.notify_all();
        for ready in left {
            ready.task.drop_future();
        }
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    ready: BinaryHeap<Ready>,
    /// The virtual time of whoever was taken last: nobody who begins or has waited is put before that.
    now: u64,
    /// For how long tasks run that let others go first, of late.
    turn: u64,
    next: u64,
    /// Threads that sleep.
    idle: usize,
    ended: bool,
}

/// How many turns a task may have had more than the others and still come first when it is woken.
const AHEAD: u64 = 4;

/// A task that could go on.
struct Ready {
    turn: Turn,
    task: Arc<Task>,
}

/// Whose turn is first: fields in the order of their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    virtual_time: u64,
    /// Among those of one time, who has waited comes before who has had a turn just now or begins: a thousand may begin at once.
    entry: Entry,
    number: u64,
}

/// How a task comes into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Woken,
    BegunOrYielded,
}

impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.turn == other.turn
    }
}

impl Eq for Ready {}

impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ready {
    /// The greatest is the one whose turn is first.
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        other.turn.cmp(&self.turn)
    }
}

struct Task {
    shared: Arc<Shared>,
    /// `None` once it has ended.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    state: AtomicU8,
    weight: u32,
    /// Nanoseconds it had, by its weight.
    virtual_time: AtomicU64,
    used: AtomicU64,
}

/// States of a task.
mod state {
    pub(super) const WAITING: u8 = 0;
    pub(super) const READY: u8 = 1;
    pub(super) const RUNNING: u8 = 2;
    /// Woken while it was running.
    pub(super) const AGAIN: u8 = 3;
}

impl Scheduler {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// The system refuses them.
    pub fn new(workers: usize) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let scheduler = Self {
            owner: Arc::new(Owner(shared.clone())),
        };
        for _ in 0..workers.max(1) {
            let shared = shared.clone();
            thread::Builder::new()
                .name("tidegate-worker".to_owned())
                .spawn(move || shared.work())?;
        }
        Ok(scheduler)
    }

    /// Has a future polled until it ends.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.spawn_weighted(Weight::NORMAL, future)
    }

    /// The same with a weight.
    pub fn spawn_weighted<F>(&self, weight: Weight, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let end = Arc::new(End(Mutex::new(Awaited {
            output: None,
            is_over: false,
            waker: None,
        })));
        let ending = Ending(end.clone());
        let future = ToItsEnd {
            future: Some(future),
            ending: Some(ending),
        };
        let task = Arc::new(Task {
            shared: self.owner.0.clone(),
            future: Mutex::new(Some(Box::pin(future))),
            state: AtomicU8::new(state::READY),
            weight: weight.0,
            virtual_time: AtomicU64::new(0),
            used: AtomicU64::new(0),
        });
        self.owner.0.put(task.clone(), |_| Entry::BegunOrYielded);
        JoinHandle { task, end }
    }
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, task: Arc<Task>, entry: impl FnOnce(&mut Queue) -> Entry) {
        let mut queue = self.lock();
        if queue.ended {
            drop(queue);
            task.drop_future();
            return;
        }
        let entry = entry(&mut queue);
        queue.put(task, entry);
        let wake = queue.idle > 0;
        drop(queue);
        if wake {
            self.work.notify_one();
        }
    }

    /// What each thread does.
    fn work(&self) {
        let mut queue = self.lock();
        while !queue.ended {
            let Some(Ready { turn, task }) = queue.ready.pop() else {
                queue.idle += 1;
                queue = self
                    .work
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
                continue;
            };
            queue.now = queue.now.max(turn.virtual_time);
            drop(queue);
            task.run();
            queue = self.lock();
        }
    }
}

impl Queue {
    fn put(&mut self, task: Arc<Task>, entry: Entry) {
        let had = task.virtual_time.load(Ordering::Relaxed).max(self.now);
        task.virtual_time.store(had, Ordering::Relaxed);
        let virtual_time = match entry {
            // It is not to wait for a thousand others to have their turn. What it uses is counted all the same, so that it waits like them once it has had too much.
            Entry::Woken if had <= self.now.saturating_add(self.turn.saturating_mul(AHEAD)) => {
                self.now
            }
            _ => had,
        };
        self.next += 1;
        let turn = Turn {
            virtual_time,
            entry,
            number: self.next,
        };
        self.ready.push(Ready { turn, task });
    }

    /// Takes note of how long a task has run that goes on; gives how it comes into the queue again.
    fn ran(&mut self, time: u64) -> Entry {
        let usual = self.turn;
        self.turn = usual / 8 * 7 + time / 8;
        if time < usual / 2 {
            // What it was going to wait for was there before it did, or it had its processor taken away.
            Entry::Woken
        } else {
            Entry::BegunOrYielded
        }
    }
}

impl Task {
    fn run(self: Arc<Self>) {
        self.state.store(state::RUNNING, Ordering::SeqCst);
        let begun = Moment::now();
        let waker = Waker::from(self.clone());
        let is_over = {
            let mut future = self.future.lock().unwrap_or_else(PoisonError::into_inner);
            let polled = match &mut *future {
                // A future that panics is over, as it would be in a thread of its own; the thread goes on.
                Some(future) => std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    future
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_ready()
                }))
                .unwrap_or(true),
                None => true,
            };
            if polled {
                *future = None;
            }
            polled
        };
        let used = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.used.fetch_add(used, Ordering::Relaxed);
        let by_weight = used.saturating_mul(Weight::NORMAL.0.into()) / u64::from(self.weight);
        self.virtual_time.fetch_add(by_weight, Ordering::Relaxed);
        if is_over {
            return;
        }
        let waits = self.state.compare_exchange(
            state::RUNNING,
            state::WAITING,
            Ordering::SeqCst,
            Ordering::SeqCst,
        );
        if waits.is_err() {
            self.state.store(state::READY, Ordering::SeqCst);
            let shared = self.shared.clone();
            shared.put(self, |queue| queue.ran(by_weight));
        }
    }

    fn drop_future(&self) {
        let future = self
            .future
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(future);
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let before = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| match now {
                state::WAITING => Some(state::READY),
                state::RUNNING => Some(state::AGAIN),
                _ => None,
            });
        if before == Ok(state::WAITING) {
            let shared = self.shared.clone();
            shared.put(self, |_| Entry::Woken);
        }
    }
}

/// A future's result, which it is itself a future of: `None` if the task was dropped or panicked. Dropping this does not end the task.
pub struct JoinHandle<T> {
    task: Arc<Task>,
    end: Arc<End<T>>,
}

impl<T> JoinHandle<T> {
    /// Whether the task has ended: what this is a future of is there, or never will be.
    pub fn is_over(&self) -> bool {
        self.end.lock().is_over
    }

    /// How long the task has had a processor.
    pub fn processor_time(&self) -> Duration {
        Duration::from_nanos(self.task.used.load(Ordering::Relaxed))
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut end = self.end.lock();
        if end.is_over {
            return Poll::Ready(end.output.take());
        }
        end.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

struct End<T>(Mutex<Awaited<T>>);

struct Awaited<T> {
    output: Option<T>,
    is_over: bool,
    waker: Option<Waker>,
}

impl<T> End<T> {
    fn lock(&self) -> MutexGuard<'_, Awaited<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kept by a task until it ends, in whatever way.
struct Ending<T>(Arc<End<T>>);

impl<T> Ending<T> {
    fn put(&self, output: T) {
        self.0.lock().output = Some(output);
    }
}

impl<T> Drop for Ending<T> {
    fn drop(&mut self) {
        let mut end = self.0.lock();
        end.is_over = true;
        let waker = end.waker.take();
        drop(end);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

pin_project_lite::pin_project! {
    /// A task's future, with what is to be told of its end. An `async` block would keep the future twice: as what it was given, and as what it waits for.
    struct ToItsEnd<F: Future> {
        // Dropped first.
        #[pin]
        future: Option<F>,
        ending: Option<Ending<F::Output>>,
    }
}

impl<F: Future> Future for ToItsEnd<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut parts = self.project();
        let Some(future) = parts.future.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let output = ready!(future.poll(cx));
        parts.future.set(None);
        if let Some(ending) = parts.ending.take() {
            ending.put(output);
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{block_on, timer};

    /// Guests that wait are kept by their futures.
    #[test]
    fn a_task_keeps_its_future_once() {
        let future = async {
            let kept = [1_u8; 4096];
            std::future::pending::<()>().await;
            std::hint::black_box(&kept);
        };
        let size = size_of_val(&future);
        let end = End(Mutex::new(Awaited {
            output: None,
            is_over: false,
            waker: None,
        }));
        let task = ToItsEnd {
            future: Some(future),
            ending: Some(Ending(Arc::new(end))),
        };
        assert!(size_of_val(&task) <= size + 32);
    }

    #[test]
    fn tasks_end_and_give_their_results() {
        let scheduler = Scheduler::new(2).unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                scheduler.spawn(async move {
                    timer::sleep(Duration::from_millis(number % 3)).await;
                    number
                })
            })
            .collect();
        for (number, task) in (0..).zip(tasks) {
            assert_eq!(block_on(task), Some(number));
        }
    }

    #[test]
    fn a_panic_ends_its_task_alone() {
        let scheduler = Scheduler::new(1).unwrap();
        let bad = scheduler.spawn(async { std::panic::resume_unwind(Box::new(())) });
        let good = scheduler.spawn(async { 1 });
        assert_eq!(block_on(bad), None::<()>);
        assert_eq!(block_on(good), Some(1));
    }

    #[test]
    fn tasks_that_wait_are_dropped_with_their_wakers_and_tasks_that_are_ready_with_the_scheduler() {
        let scheduler = Scheduler::new(1).unwrap();
        let (begin, begun) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let busy = scheduler.spawn(async move {
            begin.send(()).unwrap();
            let _ = ended.recv();
        });
        begun.recv().unwrap();
        let queued = scheduler.spawn(async {});
        drop(scheduler);
        assert_eq!(block_on(queued), None);
        drop(end);
        assert_eq!(block_on(busy), Some(()));
    }

    #[test]
    fn who_has_had_less_comes_first_and_waiting_saves_up_nothing() {
        let shared = Arc::<Shared>::default();
        let next = || {
            let ready = shared.lock().ready.pop();
            ready.map(|ready| (ready.turn.virtual_time, ready.turn.entry))
        };
        let yielded = Entry::BegunOrYielded;
        let put = |time, entry| shared.put(task(&shared, time), |_| entry);
        put(300, yielded);
        put(100, yielded);
        assert_eq!(next(), Some((100, yielded)));
        shared.lock().now = 200;
        put(200, yielded);
        put(0, Entry::Woken);
        assert_eq!(next(), Some((200, Entry::Woken)));
        assert_eq!(next(), Some((200, yielded)));
        assert_eq!(next(), Some((300, yielded)));
    }

    #[test]
    fn who_is_woken_comes_first_until_it_is_ahead_by_some_turns() {
        let mut queue = Queue {
            now: 1000,
            turn: 80,
            ..Queue::default()
        };
        assert_eq!(queue.ran(80), Entry::BegunOrYielded);
        // One that did not get far may go on.
        assert_eq!(queue.ran(8), Entry::Woken);
        assert_eq!(queue.turn, 71);
        let shared = Arc::<Shared>::default();
        let mut next = |time, entry| {
            queue.put(task(&shared, time), entry);
            queue.ready.pop().map(|ready| {
                let had = ready.task.virtual_time.load(Ordering::Relaxed);
                (ready.turn.virtual_time, had)
            })
        };
        assert_eq!(next(0, Entry::Woken), Some((1000, 1000)));
        let ahead = 1000 + AHEAD * 71;
        assert_eq!(next(ahead, Entry::Woken), Some((1000, ahead)));
        assert_eq!(next(ahead + 1, Entry::Woken), Some((ahead + 1, ahead + 1)));
        let yielded = next(1001, Entry::BegunOrYielded);
        assert_eq!(yielded, Some((1001, 1001)));
    }

    fn task(shared: &Arc<Shared>, time: u64) -> Arc<Task> {
        Arc::new(Task {
            shared: shared.clone(),
            future: Mutex::new(None),
            state: AtomicU8::new(state::READY),
            weight: 100,
            virtual_time: AtomicU64::new(time),
            used: AtomicU64::new(0),
        })
    }
}
