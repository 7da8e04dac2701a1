//! Tasks: calls of component functions, seen from the callee.

use super::{InstanceId, State, TaskId, ThreadId, WaitableId, limits};
use crate::trap::Trap;

/// How a function is lifted, as far as tasks differ by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lift {
    /// A function whose type is not `async`: it may not block before it returns.
    #[default]
    Sync,
    /// A function of an `async` type, lifted without the `async` option: it may block, with its stack.
    Blocking,
    /// An `async` function with a callback: between two events it has no stack.
    Callback,
    /// An `async` function without a callback, which keeps its stack.
    Stackful,
}

impl Lift {
    /// Whether the function's type is `async`.
    pub fn async_type(self) -> bool {
        self != Lift::Sync
    }

    /// Whether it was lifted with the `async` option.
    pub fn async_option(self) -> bool {
        matches!(self, Lift::Callback | Lift::Stackful)
    }

    /// Whether its implicit thread runs only while no other such thread of its instance does.
    pub fn needs_exclusive(self) -> bool {
        matches!(self, Lift::Blocking | Lift::Callback)
    }
}

/// Who called, and is told when the task resolves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A guest; the subtask is its side of the call.
    Subtask(WaitableId),
    /// The host; the number is the driver's.
    Host(u64),
    /// Nobody waits for the result: the call is synchronous and ends as it returns, or the caller trapped.
    #[default]
    Nobody,
}

/// How far a task is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// It has not received its arguments.
    #[default]
    Initial,
    /// It runs.
    Started,
    /// Its cancellation was requested, but none of its threads could be told.
    PendingCancel,
    /// One of its threads was told to cancel.
    CancelDelivered,
    /// It has returned or confirmed its cancellation. Its threads may go on.
    Resolved,
}

/// A call into an instance.
#[derive(Debug, Default)]
pub(super) struct Task {
    pub instance: InstanceId,
    pub lift: Lift,
    pub state: TaskState,
    /// Borrowed handles that it received and has not dropped. 0 once it is resolved.
    pub num_borrows: u32,
    pub caller: Caller,
    /// Whether its instance stays entered until the call ends, as for synchronous calls; and the instance from where, `None` for the host.
    pub entered: Option<Option<InstanceId>>,
    /// The thread of the call itself; `None` before it is registered and after its exit.
    pub implicit_thread: Option<ThreadId>,
    /// Threads that the task has made. Empty for nearly all tasks, and then without memory of its own.
    pub explicit_threads: Vec<ThreadId>,
}

impl Default for InstanceId {
    fn default() -> Self {
        super::HOST
    }
}

impl Task {
    pub(super) fn threads(&self) -> impl Iterator<Item = ThreadId> {
        self.implicit_thread
            .into_iter()
            .chain(self.explicit_threads.iter().copied())
    }
}

impl State {
    /// Makes a task that only counts the borrows lent to one call of a host function.
    pub fn add_task(&mut self) -> TaskId {
        TaskId(self.tasks.insert(Task::default()))
    }

    /// Ends a task without looking at its borrows, as when it trapped.
    pub fn remove_task(&mut self, id: TaskId) {
        self.tasks.discard(id.0);
    }

    /// Checks that a task has given back what it borrowed: the specification's condition for returning.
    ///
    /// # Errors
    /// [`Trap::BorrowsRemain`]; [`Trap::Poisoned`] if the task is gone.
    #[inline]
    pub fn check_borrows(&self, id: TaskId) -> Result<(), Trap> {
        match self.tasks.get(id.0).ok_or(Trap::Poisoned)?.num_borrows {
            0 => Ok(()),
            count => Err(Trap::BorrowsRemain { count }),
        }
    }

    /// Whether a task has not ended.
    pub fn has_task(&self, id: TaskId) -> bool {
        self.tasks.get(id.0).is_some()
    }

    /// Who called a task.
    pub fn caller(&self, id: TaskId) -> Caller {
        self.tasks[id.0].caller
    }

    /// How far a task is.
    pub fn task_state(&self, id: TaskId) -> TaskState {
        self.tasks[id.0].state
    }

    /// The instance that a task runs in.
    pub fn task_instance(&self, id: TaskId) -> InstanceId {
        self.tasks[id.0].instance
    }

    /// The thread of the call itself; `None` after it has exited.
    pub fn implicit_thread(&self, id: TaskId) -> Option<ThreadId> {
        self.tasks[id.0].implicit_thread
    }

    /// How a task's function was lifted.
    pub fn task_lift(&self, id: TaskId) -> Lift {
        self.tasks[id.0].lift
    }

    pub(super) fn new_task(&mut self, task: Task) -> Result<TaskId, Trap> {
        limits::check(self.tasks.len(), self.limits.tasks, "tasks", "max-tasks")?;
        Ok(TaskId(self.tasks.insert(task)))
    }

    /// `Task.deliver_pending_cancel`: whether a cancellation waits for this very moment. It is delivered then.
    pub(super) fn deliver_pending_cancel(&mut self, task: TaskId, cancellable: bool) -> bool {
        let task = &mut self.tasks[task.0];
        if cancellable && task.state == TaskState::PendingCancel {
            task.state = TaskState::CancelDelivered;
            return true;
        }
        false
    }
}
