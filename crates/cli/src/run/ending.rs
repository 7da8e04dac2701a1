//! Ending a guest from outside: `--timeout`, Ctrl-C and requests of the system.
//!
//! A guest that waits, or computes on an engine that can interrupt it, is ended where it is, and the process goes on to its end: what the guest wrote reaches
//! its reader. One that computes on an engine that cannot does not give its thread back, so the process ends without it.

use crate::report;
use crate::status::{Failure, Status};
use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tidegate::block_on;
use tidegate::interrupt::InterruptHandle;
use tidegate::module::ThreadsHandle;
use tidegate_wasi::io::Drains;

/// How long a guest may take to end that was asked to. One that can be interrupted takes no millisecond.
const UNWIND: Duration = Duration::from_millis(50);
/// How long output that the guest wrote before may take to reach its reader.
const DRAIN: Duration = Duration::from_millis(500);

/// Why a guest was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It took longer than this.
    TimedOut(Duration),
    /// This signal came.
    Signal(i32),
}

/// What ends a guest.
pub enum Guest {
    /// One store.
    Store(InterruptHandle),
    /// A program of several threads.
    Threads(ThreadsHandle),
}

impl Guest {
    fn terminate(&self, reason: &'static str) {
        match self {
            Self::Store(handle) => handle.terminate(reason),
            Self::Threads(handle) => handle.terminate(reason),
        }
    }
}

/// Ends the guest of this process when it is to end. Cheap to clone.
#[derive(Clone)]
pub struct Ending(Arc<Shared>);

struct Shared {
    file: String,
    drains: Drains,
    state: Mutex<State>,
    over: Condvar,
}

#[derive(Default)]
struct State {
    guest: Option<Guest>,
    cause: Option<Cause>,
    is_over: bool,
}

impl Ending {
    /// For a guest that `file` holds and whose output goes by `drains`.
    pub fn new(file: String, drains: Drains) -> Self {
        Self(Arc::new(Shared {
            file,
            drains,
            state: Mutex::default(),
            over: Condvar::new(),
        }))
    }

    /// Ends the guest after a time.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn after(&self, time: Duration) -> anyhow::Result<()> {
        let ending = self.clone();
        thread::Builder::new()
            .spawn(move || {
                thread::sleep(time);
                ending.end(Cause::TimedOut(time));
            })
            .context("cannot start a thread for --timeout")?;
        Ok(())
    }

    /// Ends the guest at the first signal that asks for it, and the process at the second.
    pub fn on_signals(&self) {
        // Without, signals end the process at once, as they do by default.
        let Ok(mut signals) = signal_hook::iterator::Signals::new([SIGINT, SIGTERM]) else {
            return;
        };
        let ending = self.clone();
        let _ = thread::Builder::new().spawn(move || {
            let mut is_second = false;
            for signal in signals.forever() {
                let cause = Cause::Signal(signal);
                if std::mem::replace(&mut is_second, true) {
                    std::process::exit(cause.code().into());
                }
                let ending = ending.clone();
                let _ = thread::Builder::new().spawn(move || ending.end(cause));
            }
        });
    }

    /// The guest begins.
    pub fn watch(&self, guest: Guest) {
        let mut state = self.0.lock();
        if let Some(cause) = state.cause {
            guest.terminate(cause.reason());
        }
        state.guest = Some(guest);
    }

    /// The guest has ended, which the process now does too. Says whether and why that was asked for.
    pub fn over(&self) -> Option<Cause> {
        let mut state = self.0.lock();
        state.is_over = true;
        let cause = state.cause;
        drop(state);
        self.0.over.notify_all();
        cause
    }

    /// Reports why the guest was ended.
    pub fn report(&self, cause: Cause) {
        if let Cause::TimedOut(time) = cause {
            let error = anyhow::anyhow!("{} did not end within {time:?}", self.0.file);
            report::failure(
                &Failure::new(Status::TimedOut, error).help("--timeout allows more time"),
            );
        }
    }

    /// Waits until what the guest wrote has reached its reader; not for long if the guest was ended.
    pub fn drain(&self, cause: Option<Cause>) {
        let drains = self.0.drains.clone();
        if cause.is_none() {
            return block_on(drains.finished());
        }
        let (drained, done) = std::sync::mpsc::channel();
        thread::spawn(move || {
            block_on(drains.finished());
            // Nobody listens any more if it took too long.
            let _ = drained.send(());
        });
        let _ = done.recv_timeout(DRAIN);
    }

    fn end(&self, cause: Cause) {
        let mut state = self.0.lock();
        if state.is_over || state.cause.is_some() {
            return;
        }
        state.cause = Some(cause);
        if let Some(guest) = &state.guest {
            guest.terminate(cause.reason());
        }
        let (state, _) = self
            .0
            .over
            .wait_timeout_while(state, UNWIND, |state| !state.is_over)
            .unwrap_or_else(PoisonError::into_inner);
        if !state.is_over {
            drop(state);
            self.drain(Some(cause));
            self.report(cause);
            std::process::exit(cause.code().into());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cause {
    /// The exit code of the process.
    pub fn code(self) -> u8 {
        match self {
            Self::TimedOut(_) => Status::TimedOut.code(),
            // What a shell reports for a process that a signal ended; signals are small numbers.
            Self::Signal(signal) => 128 + signal as u8,
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::TimedOut(_) => "it took longer than --timeout allows",
            Self::Signal(_) => "a signal asked for it",
        }
    }
}
