//! Parked stacks, and what they ask of the driver.

use super::on_top::OnTop;
use super::{Args, With};
use crate::baton::Baton;
use tidegate_core::runtime::{InstanceId, Resumed, TaskId, ThreadId, WaitableId};
use tidegate_engine::{Func, Memory, Stack};

/// A stack that waits to be resumed, in a box of its own: it is put away and taken out again and again.
pub(crate) struct Parked {
    pub(crate) stack: Stack<Baton>,
    /// Tells it apart from another stack that parks under the same name later.
    pub(crate) serial: u64,
    /// Whose code runs on it.
    pub(crate) running: Running,
    /// Where `waitable-set.wait` puts its event, if that is what it is blocked in.
    pub(crate) memory: Option<Memory>,
    /// What is parked below on the same stack, the last that parked last: it goes on when what is above has ended.
    below: Vec<Below>,
    /// What the last call on top has left.
    pub(super) spare: Option<Box<OnTop>>,
}

/// A thread that is parked below another one, on the same stack.
struct Below {
    thread: ThreadId,
    serial: u64,
    running: Running,
    memory: Option<Memory>,
}

/// Somebody whose stack is parked, and who may be gone when he is to go on.
#[derive(Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) serial: u64,
    pub(crate) task: TaskId,
    pub(crate) instance: InstanceId,
}

impl Waiter {
    fn new(serial: u64, running: Running) -> Self {
        Self {
            serial,
            task: running.task,
            instance: running.instance,
        }
    }
}

impl Parked {
    pub(crate) fn new(stack: Stack<Baton>, running: Running) -> Self {
        Self {
            stack,
            serial: 0,
            running,
            memory: None,
            below: Vec::new(),
            spare: None,
        }
    }

    /// From now on something else runs on the stack, on top of what was parked as `thread`.
    pub(crate) fn cover(&mut self, thread: ThreadId, running: Running) {
        self.below.push(Below {
            thread,
            serial: self.serial,
            running: std::mem::replace(&mut self.running, running),
            memory: self.memory.take(),
        });
    }

    pub(crate) fn waiter(&self) -> Waiter {
        Waiter::new(self.serial, self.running)
    }

    /// What waits as a thread that is parked below.
    pub(crate) fn waiter_below(&self, thread: ThreadId) -> Option<Waiter> {
        let below = self.below.iter().find(|below| below.thread == thread)?;
        Some(Waiter::new(below.serial, below.running))
    }

    /// What was on top has ended: gives the thread that is parked as before.
    pub(crate) fn uncover(&mut self) -> Option<ThreadId> {
        let Below {
            thread,
            serial,
            running,
            memory,
        } = self.below.pop()?;
        (self.serial, self.running, self.memory) = (serial, running, memory);
        Some(thread)
    }
}

/// What runs on a stack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Running {
    pub(crate) thread: ThreadId,
    pub(crate) task: TaskId,
    pub(crate) instance: InstanceId,
    /// The isolate, as an index into the store's.
    pub(crate) isolate: usize,
    pub(crate) entry: Entry,
    /// Whether it runs on a stack of its own, rather than by a plain call.
    pub(crate) suspendable: bool,
}

/// By what core function a stack was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The lifted function.
    Lifted,
    /// Its callback.
    Callback,
    /// The function of an explicit thread.
    Explicit,
    /// The start function of a core module.
    Start,
}

/// What the driver is to do for a stack that parks.
pub(crate) enum Request {
    /// Nothing: its thread has blocked.
    Blocked {
        /// The thread.
        thread: ThreadId,
        /// Where its event goes.
        memory: Option<Memory>,
    },
    /// Run something else, and then go on. Boxed, as requests are moved about, and most are small.
    Run {
        thread: ThreadId,
        run: Box<Run>,
        then: Then,
    },
    /// Let another thread run in its stead.
    Switch {
        thread: ThreadId,
        resumed: Box<Resumed>,
    },
    /// What was called on top of a parked stack has ended.
    Ended(Box<OnTop>),
}

/// Something to run.
pub(crate) enum Run {
    /// Core code from its beginning, on a new stack or by a plain call.
    Core {
        running: Running,
        func: Func,
        args: Args,
    },
    /// Core code, on a stack that was made for it.
    Stack {
        running: Running,
        stack: Stack<Baton>,
    },
    /// A parked stack.
    Resume { thread: ThreadId, with: With },
    /// What the state says.
    Thread(Resumed),
}

/// What is done when control comes back from what was run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    /// `canon lower` of a function whose type is `async`.
    Lowered {
        caller: ThreadId,
        subtask: WaitableId,
        async_: bool,
    },
    /// `canon lower` of another, or a call of a destructor: the task must have returned.
    Sync {
        caller: SyncCaller,
        task: TaskId,
        /// The callee's instance: the task goes with it, and its name may be another's then.
        instance: InstanceId,
    },
    /// `subtask.cancel`.
    Cancelled {
        caller: ThreadId,
        subtask: WaitableId,
        async_: bool,
    },
}

impl Then {
    /// The thread that goes on, if it is a guest's.
    pub(crate) fn caller(self) -> Option<ThreadId> {
        match self {
            Self::Lowered { caller, .. } | Self::Cancelled { caller, .. } => Some(caller),
            Self::Sync { caller, .. } => match caller {
                SyncCaller::Guest(thread) => Some(thread),
                SyncCaller::Host(_) => None,
            },
        }
    }
}

/// Who waits for a call of a function whose type is not `async`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SyncCaller {
    /// A guest's thread.
    Guest(ThreadId),
    /// The host, by the call's number.
    Host(u64),
}
