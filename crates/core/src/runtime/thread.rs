//! Threads: what can be suspended and resumed.

use super::{
    Chooser, Event, InstanceId, Offence, State, TaskId, ThreadId, WaitableId, WaitableSetId,
    chooser::Choice, limits,
};
use crate::trap::Trap;

/// A thread of a task.
///
/// For a callback-lifted task its implicit thread is nothing but this data, whenever no guest code runs. Any other thread that does not run stands
/// for a stack, which the driver has parked or not yet made.
#[derive(Debug)]
pub(super) struct Thread {
    pub task: TaskId,
    /// Its index in the instance's table; 0 before it is registered.
    pub index: u32,
    /// Its thread-local storage.
    pub storage: [u64; 2],
    pub run: Run,
    /// Whether it blocked at a point where it may learn of a cancellation. Meaningless while it runs.
    pub cancellable: bool,
    /// What it does when it is resumed. Meaningless while it runs.
    pub parked: Parked,
    /// Whether it is in [`State::hints`].
    pub hinted: bool,
}

/// Whether a thread runs, and if not, whether it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// Some frame of [`State::frames`] is its own.
    Running,
    /// Another thread must resume it.
    Suspended,
    /// It goes on some time after a condition holds.
    Waiting(Until),
}

/// What a thread waits for: the specification's `ready_func`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Nothing: it yielded.
    Now,
    /// That backpressure lets its task start.
    Entry,
    /// That no other thread runs exclusively in its instance.
    NotExclusive,
    /// That a waitable of the set has an event and, if `exclusive`, no other thread runs exclusively.
    SetEvent { set: WaitableSetId, exclusive: bool },
    /// That the waitable has an event.
    Event(WaitableId),
    /// That the subtask is resolved.
    Resolved(WaitableId),
    /// That the host function returns, or that it has.
    Host { returned: bool },
}

/// What a thread that does not run is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parked {
    /// It has not begun.
    NotStarted,
    /// Its task waits to start.
    Entering,
    /// Its callback gave `YIELD`.
    CallbackYield,
    /// Its callback gave `WAIT`.
    CallbackWait(WaitableSetId),
    /// `thread.suspend`, `thread.yield` and their kin.
    Suspended,
    /// `waitable-set.wait`.
    SetWait(WaitableSetId),
    /// A synchronous read, write or cancellation of one.
    Copy(WaitableId),
    /// A synchronous `subtask.cancel`.
    SubtaskCancel(WaitableId),
    /// A synchronous call of a guest's function.
    Call(WaitableId),
    /// A synchronous call of a host function, by the driver's number.
    HostCall(u64),
}

/// A thread that the driver is to run now. It is the current thread until it blocks, switches or exits.
#[must_use = "the thread counts as running: the driver must run it"]
#[derive(Debug)]
pub struct Resumed {
    /// Which thread.
    pub thread: ThreadId,
    /// What it does first.
    pub action: Action,
}

/// What a resumed thread does first.
#[derive(Debug)]
pub enum Action {
    /// The task has passed the gate: lift its arguments from the caller, lower them into its instance and call the lifted function. It counts as started.
    StartTask,
    /// Run the function that the thread was made for.
    StartThread,
    /// Call the callback with the event.
    Callback(Event),
    /// The built-in that the thread is blocked in returns this value.
    Return(u32),
    /// `waitable-set.wait` stores the event's index and payload in memory and returns its code.
    Event(Event),
    /// The synchronous call that the thread is blocked in has returned; its results were lowered, or are to be lowered now.
    Returned(WaitableId),
    /// The host function has returned that the thread is blocked in: its results are to be lowered now.
    HostReturned,
    /// The built-in or call that the thread is blocked in traps.
    Trap(Trap),
}

impl State {
    /// The thread that runs now; `None` while the host does.
    #[inline]
    pub fn current_thread(&self) -> Option<ThreadId> {
        self.frames.last().map(|frame| frame.thread)
    }

    /// The task of the thread that runs now.
    ///
    /// # Errors
    /// [`Trap::Poisoned`] if no guest thread runs, or the one that ran was ended because its instance trapped.
    #[inline]
    pub fn current_task(&self) -> Result<TaskId, Trap> {
        let thread = self.current()?;
        Ok(self.threads[thread.0].task)
    }

    /// The task that a thread belongs to.
    #[inline]
    pub fn thread_task(&self, id: ThreadId) -> TaskId {
        self.threads[id.0].task
    }

    /// The current thread, which exists.
    #[inline]
    pub(super) fn current(&self) -> Result<ThreadId, Trap> {
        match self.current_thread() {
            Some(id) if self.threads.get(id.0).is_some() => Ok(id),
            _ => Err(Trap::Poisoned),
        }
    }

    pub(super) fn new_thread(&mut self, task: TaskId) -> Result<ThreadId, Trap> {
        limits::check(
            self.threads.len(),
            self.limits.threads,
            "threads",
            "max-threads",
        )?;
        Ok(ThreadId(self.threads.insert(Thread {
            task,
            index: 0,
            storage: [0; 2],
            run: Run::Suspended,
            cancellable: false,
            parked: Parked::NotStarted,
            hinted: false,
        })))
    }

    /// `Task.register_thread`, for an implicit thread.
    pub(super) fn register_implicit(&mut self, id: ThreadId) -> Result<(), Trap> {
        let task = self.threads[id.0].task;
        let instance = self.tasks[task.0].instance;
        self.threads[id.0].index = self.instance_mut(instance).threads.add(id)?;
        self.tasks[task.0].implicit_thread = Some(id);
        Ok(())
    }

    /// `Task.unregister_thread`; the thread is gone afterwards, and so is the task if it was the last one.
    pub(super) fn unregister_thread(&mut self, id: ThreadId) -> Result<(), Trap> {
        let Some(thread) = self.threads.get(id.0) else {
            return Err(Trap::Poisoned);
        };
        let (task_id, index) = (thread.task, thread.index);
        let task = &mut self.tasks[task_id.0];
        if task.implicit_thread == Some(id) {
            task.implicit_thread = None;
        } else {
            task.explicit_threads.retain(|&other| other != id);
        }
        let last = task.implicit_thread.is_none() && task.explicit_threads.is_empty();
        if last && task.state != super::TaskState::Resolved {
            return Err(Offence::NotResolved.at("task"));
        }
        let instance = task.instance;
        if last {
            self.tasks.discard(task_id.0);
        }
        self.instance_mut(instance).threads.remove(index)?;
        self.threads.discard(id.0);
        Ok(())
    }

    /// A thread of the current instance by its index.
    pub(super) fn thread_at(&self, instance: InstanceId, index: u32) -> Result<ThreadId, Trap> {
        self.instance(instance).threads.get(index).copied()
    }

    /// Whether a thread waits and what it waits for is there.
    #[inline]
    pub(super) fn is_ready(&self, id: ThreadId) -> bool {
        let thread = &self.threads[id.0];
        let Run::Waiting(until) = thread.run else {
            return false;
        };
        let task = &self.tasks[thread.task.0];
        let free = || self.instance(task.instance).exclusive_thread.is_none();
        match until {
            Until::Now => true,
            Until::Entry => !self.has_backpressure(task.instance, task.lift),
            Until::NotExclusive => free(),
            Until::SetEvent { set, exclusive } => {
                !self.waitable_sets[set.0].pending.is_empty() && (!exclusive || free())
            }
            Until::Event(waitable) => self.waitables[waitable.0].pending.is_some(),
            Until::Resolved(waitable) => self.is_resolved(waitable),
            Until::Host { returned } => returned,
        }
    }

    /// `Thread.wait_until`, up to the point where the thread blocks: `Ok(Some(cancelled))` if it need not.
    pub(super) fn wait_until(
        &mut self,
        id: ThreadId,
        until: Until,
        parked: Parked,
        cancellable: bool,
        chooser: &mut dyn Chooser,
    ) -> Option<bool> {
        let task = self.threads[id.0].task;
        if self.deliver_pending_cancel(task, cancellable) {
            return Some(true);
        }
        self.threads[id.0].run = Run::Waiting(until);
        let ready = self.is_ready(id);
        if ready {
            let yields = match until {
                Until::Now | Until::NotExclusive => true,
                // It would overtake those that wait already.
                Until::Entry => self.others_wait_to_enter(id),
                Until::SetEvent { .. }
                | Until::Event(_)
                | Until::Resolved(_)
                | Until::Host { .. } => false,
            };
            if chooser.choose(Choice::BlockThoughReady { yields }) == 0 {
                self.threads[id.0].run = Run::Running;
                return Some(false);
            }
        }
        self.note_waiting(id, until, ready);
        self.block(id, parked, cancellable);
        None
    }

    fn others_wait_to_enter(&self, id: ThreadId) -> bool {
        let task = &self.tasks[self.threads[id.0].task.0];
        let queue = self.instance(task.instance).queue(task.lift);
        queue.is_some_and(|queue| !queue.is_empty())
    }

    /// Notes whom to ask when the condition may have come true, and asks at once.
    pub(super) fn start_waiting(&mut self, id: ThreadId, until: Until) {
        self.threads[id.0].run = Run::Waiting(until);
        let ready = self.is_ready(id);
        self.note_waiting(id, until, ready);
    }

    /// The same for a thread that counts as waiting. `ready`: whether the condition is true.
    #[inline]
    fn note_waiting(&mut self, id: ThreadId, until: Until, ready: bool) {
        let task = &self.tasks[self.threads[id.0].task.0];
        let (instance, lift) = (task.instance, task.lift);
        match until {
            Until::Entry => self.instance_mut(instance).entering(lift).push_back(id),
            Until::SetEvent { set, .. } => self.waitable_sets[set.0].waiters.push(id),
            Until::Event(waitable) | Until::Resolved(waitable) => {
                self.waitables[waitable.0].waiter = Some(id);
            }
            Until::Now | Until::NotExclusive | Until::Host { .. } => {}
        }
        if until == Until::Entry {
            self.hint_entering(instance);
        } else if ready {
            self.hint(id);
        } else if until == Until::NotExclusive {
            self.instance_mut(instance).gated.push(id);
        }
    }

    /// `Thread.stop_waiting_internal`.
    #[inline]
    pub(super) fn stop_waiting(&mut self, id: ThreadId) {
        let thread = &mut self.threads[id.0];
        let Run::Waiting(until) = thread.run else {
            return;
        };
        thread.run = Run::Suspended;
        let task = &self.tasks[thread.task.0];
        let (instance, lift) = (task.instance, task.lift);
        match until {
            Until::Entry => {
                let entering = self.instance_mut(instance).entering(lift);
                entering.retain(|&other| other != id);
            }
            Until::SetEvent { set, .. } => {
                let waiters = &mut self.waitable_sets[set.0].waiters;
                if waiters.as_slice() == [id] {
                    waiters.clear();
                } else {
                    waiters.retain(|&other| other != id);
                }
            }
            Until::Event(waitable) | Until::Resolved(waitable) => {
                self.waitables[waitable.0].waiter = None;
            }
            Until::Now | Until::NotExclusive | Until::Host { .. } => {}
        }
    }

    /// Ends the current thread's turn: control goes back to whoever resumed it.
    #[inline]
    pub(super) fn block(&mut self, id: ThreadId, parked: Parked, cancellable: bool) {
        self.park(id, parked, cancellable);
        self.pop_frame();
    }

    #[inline]
    pub(super) fn park(&mut self, id: ThreadId, parked: Parked, cancellable: bool) {
        let thread = &mut self.threads[id.0];
        if thread.run == Run::Running {
            thread.run = Run::Suspended;
        }
        thread.parked = parked;
        thread.cancellable = cancellable;
    }

    /// `Thread.resume`, after the frame was made: what the thread does.
    pub(super) fn resumed(
        &mut self,
        id: ThreadId,
        cancelled: bool,
        chooser: &mut dyn Chooser,
    ) -> Resumed {
        let action = self
            .resume_action(id, cancelled, chooser)
            .unwrap_or_else(Action::Trap);
        Resumed { thread: id, action }
    }

    #[inline]
    fn resume_action(
        &mut self,
        id: ThreadId,
        cancelled: bool,
        chooser: &mut dyn Chooser,
    ) -> Result<Action, Trap> {
        self.stop_waiting(id);
        let thread = &mut self.threads[id.0];
        thread.run = Run::Running;
        let task = thread.task;
        match thread.parked {
            Parked::NotStarted => Ok(Action::StartThread),
            Parked::Entering => {
                self.enter_task(id)?;
                Ok(Action::StartTask)
            }
            Parked::CallbackYield => {
                self.take_exclusive(task, id);
                Ok(Action::Callback(if cancelled {
                    Event::TASK_CANCELLED
                } else {
                    Event::NONE
                }))
            }
            Parked::CallbackWait(set) => {
                self.take_exclusive(task, id);
                let event = self.set_event(set, cancelled, chooser)?;
                Ok(Action::Callback(event))
            }
            Parked::Suspended => Ok(Action::Return(cancelled.into())),
            Parked::SetWait(set) => Ok(Action::Event(self.set_event(set, cancelled, chooser)?)),
            Parked::Copy(end) => Ok(Action::Return(self.deliver(end)?.payload)),
            Parked::SubtaskCancel(subtask) => Ok(Action::Return(self.deliver(subtask)?.payload)),
            Parked::Call(subtask) => {
                self.deliver_call(subtask)?;
                Ok(Action::Returned(subtask))
            }
            Parked::HostCall(_) => Ok(Action::HostReturned),
        }
    }

    #[inline]
    fn set_event(
        &mut self,
        set: WaitableSetId,
        cancelled: bool,
        chooser: &mut dyn Chooser,
    ) -> Result<Event, Trap> {
        if cancelled {
            return Ok(Event::TASK_CANCELLED);
        }
        self.take_event(set, chooser)
    }
}
