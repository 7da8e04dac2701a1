//! What a store's calls look at: the requests, and who is to be woken.

use super::ticker::Running;
use crate::Engine;
use crate::baton::Home;
use crate::processor_time::Moment;
use crate::timer::Alarm;
use std::any::Any;
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};
use tidegate_engine::{self as engine, Frame, Isolate};

/// A call was terminated. Found in its error by `downcast_ref`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Terminated {
    /// Somebody [asked for it](super::InterruptHandle::terminate).
    #[error("terminated: {0}")]
    Asked(Arc<str>),
    /// The deadline of the call or its store had passed.
    #[error("terminated: its deadline has passed")]
    Deadline,
}

/// Where a paused call stopped.
#[derive(Clone, Debug, Default)]
pub struct Suspension {
    /// The host function whose wait it is in, as it was imported; `None` if it was running, or had not begun.
    pub waiting_in: Option<Arc<str>>,
    /// The guest's frames, innermost first. Empty on engines that cannot tell, and for a call that had not begun.
    pub frames: Vec<Frame>,
}

/// What is to be run in a store: `data` is its user's.
pub(crate) type Callback = Box<dyn FnOnce(&mut crate::baton::Baton) + Send>;

/// The requests to the calls of one store.
pub(crate) struct Control {
    engine: Engine,
    /// What the code of the store's isolates looks at.
    flag: engine::InterruptHandle,
    /// Where the baton goes when a wait is dropped.
    home: Home,
    state: Mutex<State>,
    /// Nanoseconds of a processor that guests of this store have had.
    processor_time: AtomicU64,
    /// When the run of a guest that is under way began, in nanoseconds since the engine was made.
    slice_begun: AtomicU64,
    pause_often: Option<NonZeroU32>,
}

#[derive(Default)]
struct State {
    /// Calls under way, each made by a host function of the one before.
    depth: u32,
    /// How many of them were made by synchronous host functions, which cannot stand still: they run to their end.
    blocking: u32,
    /// Outermost calls that have begun.
    begun: u64,
    terminate: Option<(Terminated, For)>,
    pause: Option<For>,
    callbacks: VecDeque<Callback>,
    /// Whoever polls the call.
    waker: Option<Waker>,
    /// Set while a paused call stands still.
    stopped: Option<Suspension>,
    /// The deadline of the store.
    deadline: Option<Alarm>,
    /// The deadline of a call.
    call_deadline: Option<(u64, Alarm)>,
}

/// Which call a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// The one under way, or else the next.
    Any,
    /// That number.
    Call(u64),
}

/// What a call that could go on must do.
#[derive(Debug)]
pub(crate) enum Check {
    Go,
    /// Stand still; its waker has been kept.
    Stop,
    End(Terminated),
}

impl Control {
    pub(crate) fn new(engine: &Engine, home: Home) -> Arc<Self> {
        Arc::new(Self {
            engine: engine.clone(),
            flag: engine::InterruptHandle::default(),
            home,
            state: Mutex::default(),
            processor_time: AtomicU64::new(0),
            slice_begun: AtomicU64::new(0),
            pause_often: engine.pause_often(),
        })
    }

    /// Has an isolate look at the requests while it computes, if its engine can.
    pub(crate) fn attach(&self, isolate: &mut Isolate<impl engine::IsolateData>) {
        if !self.engine.is_interruptible() {
            return;
        }
        // These fail only for engines that are not.
        let _ = isolate.use_interrupt_handle(&self.flag);
        let _ = isolate.set_time_slice(self.engine.ticks_per_slice());
        if let Some(every) = self.pause_often {
            let _ = isolate.yield_every(every);
        }
    }

    /// Where the baton went that a dropped wait had.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// For tests: whether each wait is to be interrupted and gone on with.
    pub(crate) fn pauses_often(&self) -> bool {
        self.pause_often.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call begins.
    pub(crate) fn enter(&self) {
        let mut state = self.lock();
        state.depth += 1;
        if state.depth > 1 {
            return;
        }
        state.begun += 1;
        state.expire_deadline();
        let asked = (
            state.is_terminated(),
            state.is_paused() || !state.callbacks.is_empty(),
        );
        drop(state);
        if asked.0 {
            self.flag.interrupt();
        }
        if asked.1 {
            self.flag.ask_yield();
        }
    }

    /// A call has ended, and with the outermost what was asked of it.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.depth = state.depth.saturating_sub(1);
        if state.depth > 0 {
            return;
        }
        if state.is_terminated() {
            state.terminate = None;
        }
        if state.is_paused() {
            state.pause = None;
        }
        let begun = state.begun;
        let alarm = state.call_deadline.take_if(|(call, _)| *call <= begun);
        state.waker = None;
        state.stopped = None;
        drop(state);
        drop(alarm);
        self.flag.cancel();
    }

    /// Somebody waits for a call on its thread, who has entered so many himself; gives whether that is a host function, rather than the embedder.
    pub(crate) fn block(&self, entered: u32) -> bool {
        let mut state = self.lock();
        let nested = state.depth > entered;
        state.blocking += u32::from(nested);
        nested
    }

    /// Such a call has ended.
    pub(crate) fn unblock(&self) {
        let mut state = self.lock();
        state.blocking = state.blocking.saturating_sub(1);
        if state.is_paused() {
            self.tell(state, engine::InterruptHandle::ask_yield);
        }
    }

    /// The number of the next outermost call.
    pub(crate) fn next_call(&self) -> u64 {
        self.lock().begun + 1
    }

    pub(crate) fn pause(&self, call: For) {
        let mut state = self.lock();
        if state.is_over(call) || state.is_paused() {
            return;
        }
        state.pause = Some(call);
        if state.is_paused() {
            self.tell(state, engine::InterruptHandle::ask_yield);
        }
    }

    /// Takes a request to pause back, or has a paused call go on.
    pub(crate) fn resume(&self) {
        let mut state = self.lock();
        state.pause = None;
        state.stopped = None;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(crate) fn terminate(&self, why: Terminated, call: For) {
        let mut state = self.lock();
        if state.is_over(call) || state.is_terminated() {
            return;
        }
        state.terminate = Some((why, call));
        if state.is_terminated() {
            self.tell(state, engine::InterruptHandle::interrupt);
        }
    }

    /// Terminates the calls of several stores of one engine. Nobody is woken before all that compute have been told: whoever is woken may get the processor of the one
    /// who asks, and leave others computing meanwhile.
    pub(crate) fn terminate_all<'a>(
        controls: impl Iterator<Item = &'a Arc<Self>>,
        why: &Terminated,
    ) {
        let mut wakers = Vec::new();
        for control in controls {
            let mut state = control.lock();
            if state.is_terminated() {
                continue;
            }
            state.terminate = Some((why.clone(), For::Any));
            control.flag.interrupt();
            wakers.extend(state.waker.take());
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn run_in_store(&self, callback: Callback) {
        let mut state = self.lock();
        state.callbacks.push_back(callback);
        if state.depth > 0 {
            self.tell(state, engine::InterruptHandle::ask_yield);
        }
    }

    /// Lets the call under way know: at its next check if it runs, by its waker if it waits.
    fn tell(&self, mut state: MutexGuard<'_, State>, ask: fn(&engine::InterruptHandle)) {
        ask(&self.flag);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Keeps the waker of whoever polls the call: it is woken when anything is asked.
    pub(crate) fn register(&self, waker: &Waker) {
        match &mut self.lock().waker {
            Some(kept) => kept.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    /// What a call that waits or has yielded must do; its waker must have been kept. `stop` says where it stands.
    pub(crate) fn check(&self, stop: impl FnOnce() -> Suspension) -> Check {
        let mut state = self.lock();
        state.expire_deadline();
        if state.is_paused() {
            let describe = state.stopped.is_none();
            drop(state);
            self.flag.cancel_yield();
            if describe {
                let suspension = stop();
                self.lock().stopped.get_or_insert(suspension);
            }
            return Check::Stop;
        }
        match &state.terminate {
            Some((why, _)) if state.is_terminated() => Check::End(why.clone()),
            _ => Check::Go,
        }
    }

    /// Whether code that computes is to stand still, once it is asked. Runs no callbacks.
    pub(crate) fn wants_yield(&self) -> bool {
        self.lock().is_paused()
    }

    /// Why the call under way is being terminated, if it is.
    pub(crate) fn terminated(&self) -> Option<Terminated> {
        let state = self.lock();
        match &state.terminate {
            Some((why, _)) if state.is_terminated() => Some(why.clone()),
            _ => None,
        }
    }

    /// Asks the code of the call under way again, which met a request but has callers that might go on.
    pub(crate) fn ask_again(&self) {
        self.flag.interrupt();
    }

    /// Whether code is asked for anything that it has not met.
    pub(crate) fn is_pending(&self) -> bool {
        self.flag.is_pending()
    }

    /// The next callback.
    pub(crate) fn callback(&self) -> Option<Callback> {
        self.lock().callbacks.pop_front()
    }

    /// Where the call stands still, if it does.
    pub(crate) fn stopped(&self) -> Option<Suspension> {
        self.lock().stopped.clone()
    }

    /// Sets the deadline of the store.
    pub(crate) fn set_deadline(self: &Arc<Self>, deadline: Option<Instant>) {
        let waker = Waker::from(Arc::new(Expired(Arc::downgrade(self))));
        let alarm = deadline.map(|deadline| Alarm::new(deadline, &waker));
        let before = std::mem::replace(&mut self.lock().deadline, alarm);
        drop(before);
    }

    /// Sets the deadline of a call.
    pub(crate) fn set_call_deadline(self: &Arc<Self>, call: For, deadline: Instant) {
        let mut state = self.lock();
        let number = match call {
            For::Any if state.depth > 0 => state.begun,
            For::Any => state.begun + 1,
            For::Call(number) => number,
        };
        if state.is_over(For::Call(number)) {
            return;
        }
        drop(state);
        let waker = Waker::from(Arc::new(Expired(Arc::downgrade(self))));
        let alarm = Alarm::new(deadline, &waker);
        state = self.lock();
        let before = state.call_deadline.replace((number, alarm));
        drop(state);
        drop(before);
    }

    /// A deadline may have passed.
    fn expire(&self) {
        let mut state = self.lock();
        if state.depth > 0 && !state.is_terminated() {
            state.expire_deadline();
            if state.is_terminated() {
                self.tell(state, engine::InterruptHandle::interrupt);
            }
        }
    }

    /// Counts the time of a run of a guest, and has the clock of time slices tick meanwhile.
    pub(crate) fn running(&self) -> Account<'_> {
        let since = Moment::now();
        let running = self.engine.ticker().map(|ticker| {
            let begun = self.engine.nanoseconds(since.at);
            self.slice_begun.store(begun, Ordering::Relaxed);
            ticker.running()
        });
        Account {
            control: self,
            _running: running,
            since,
        }
    }

    /// Whether the guest that runs has had its time slice by the clock, which does not depend on how many ticks there were.
    pub(crate) fn slice_is_over(&self) -> bool {
        let begun = self.slice_begun.load(Ordering::Relaxed);
        let passed = self
            .engine
            .nanoseconds(Instant::now())
            .saturating_sub(begun);
        self.engine
            .time_slice()
            .is_some_and(|slice| u128::from(passed) >= slice.as_nanos())
    }

    pub(crate) fn processor_time(&self) -> Duration {
        Duration::from_nanos(self.processor_time.load(Ordering::Relaxed))
    }
}

impl State {
    fn is_for(&self, call: For) -> bool {
        match call {
            For::Any => true,
            For::Call(number) => self.depth > 0 && number == self.begun,
        }
    }

    /// Whether a request would be for a call that has ended.
    fn is_over(&self, call: For) -> bool {
        match call {
            For::Any => false,
            For::Call(number) => number < self.begun || (number == self.begun && self.depth == 0),
        }
    }

    fn is_terminated(&self) -> bool {
        self.terminate
            .as_ref()
            .is_some_and(|(_, call)| self.is_for(*call))
    }

    fn is_paused(&self) -> bool {
        self.blocking == 0 && self.pause.is_some_and(|call| self.is_for(call))
    }

    fn expire_deadline(&mut self) {
        let store = self.deadline.as_ref().map(Alarm::deadline);
        let call = self
            .call_deadline
            .as_ref()
            .filter(|(number, _)| self.is_for(For::Call(*number)))
            .map(|(_, alarm)| alarm.deadline());
        let passed = [store, call]
            .into_iter()
            .flatten()
            .min()
            .is_some_and(|deadline| deadline <= Instant::now());
        if passed && !self.is_terminated() {
            self.terminate = Some((Terminated::Deadline, For::Any));
        }
    }
}

/// Woken when a deadline passes.
struct Expired(Weak<Control>);

impl Wake for Expired {
    fn wake(self: Arc<Self>) {
        if let Some(control) = self.0.upgrade() {
            control.expire();
        }
    }
}

/// A run of a guest that is being counted.
pub(crate) struct Account<'a> {
    control: &'a Control,
    _running: Option<Running<'a>>,
    since: Moment,
}

impl Drop for Account<'_> {
    fn drop(&mut self) {
        let nanos = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.control
            .processor_time
            .fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Gives a closure over the embedder's data the form in which it is kept.
pub(crate) fn callback<T: Any + Send>(
    closure: impl FnOnce(crate::StoreContextMut<'_, T>) + Send + 'static,
) -> Callback {
    Box::new(move |baton| closure(crate::StoreContextMut::new(baton)))
}
