//! `canon lift`: calls of guest functions, from the callee's side.

use super::super::{
    Base, Caller, Chooser, Frame, InstanceId, Lift, Offence, Parked, Run, State, TaskId, TaskState,
    Thread, ThreadId, WaitableId, subtask::Callee, task::Task,
};
use crate::trap::Trap;

/// A call of a guest function.
#[derive(Clone, Copy, Debug)]
pub struct CallSpec {
    /// The instance whose function is called.
    pub callee: InstanceId,
    /// How the function is lifted; its type is `async`.
    pub lift: Lift,
    /// Who calls: a guest instance, or the host with a number of the driver's.
    pub from: Result<InstanceId, u64>,
}

/// A call that has begun.
#[must_use = "run the thread if it has started; then ask whether the call has returned"]
#[derive(Clone, Copy, Debug)]
pub struct Called {
    /// The callee's side.
    pub task: TaskId,
    /// The caller's side, if a guest calls.
    pub subtask: Option<WaitableId>,
    /// The callee's thread.
    pub thread: ThreadId,
    /// Whether that is the current one now, about to [start its task](super::super::Action::StartTask). Otherwise it waits to start.
    pub started: bool,
}

impl State {
    /// Begins a call of a function whose type is not `async`. Its thread is the current one until
    /// [`end_sync_call`](Self::end_sync_call). Cheap: it makes no allocation once the store has warmed up.
    ///
    /// `caller` is the calling instance, `None` for the host. For a guest caller, [`check_call`](Self::check_call) comes first.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#canon-lift).
    ///
    /// # Errors
    /// [`Trap::CannotEnter`], [`Trap::Poisoned`], [`Trap::Limit`]; nothing has changed then.
    pub fn begin_sync_call(
        &mut self,
        callee: InstanceId,
        caller: Option<InstanceId>,
    ) -> Result<TaskId, Trap> {
        self.enter(callee, caller)?;
        let task = self
            .begin_inside(callee, Some(caller))
            .inspect_err(|_| self.leave(callee, caller))?;
        self.instance_mut(callee).sync_calls += 1;
        Ok(task)
    }

    /// Begins a call by the host of a function whose type is not `async`, of an instance that cannot tell whether it has a task: without one, and without a
    /// thread. That goes for instances that import nothing that reaches either (`context.get` and `context.set`, `thread.index`, all of the async half), and
    /// for functions that borrow nothing. Ended by [`end_quiet_call`](Self::end_quiet_call), or by [`trapped_call`](Self::trapped_call) with
    /// [`TaskId::NONE`].
    ///
    /// In all other respects it is a call like any other: the instance is entered, and code runs.
    ///
    /// # Errors
    /// [`Trap::CannotEnter`], [`Trap::Poisoned`]; nothing has changed then.
    #[inline]
    pub fn begin_quiet_call(&mut self, callee: InstanceId) -> Result<(), Trap> {
        self.enter(callee, None)?;
        self.frames.push(Frame {
            thread: ThreadId::NONE,
            instance: callee,
            base: Base::Entered(None),
        });
        self.instance_mut(callee).sync_calls += 1;
        Ok(())
    }

    /// The core function of such a call has returned, its results were handed over, and `post-return` has run: the call ends.
    ///
    /// # Errors
    /// [`Trap::Poisoned`] if the call was ended by a trap.
    #[inline]
    pub fn end_quiet_call(&mut self, callee: InstanceId) -> Result<(), Trap> {
        let frame = self.frames.last();
        let own = |frame: &Frame| frame.thread == ThreadId::NONE && frame.instance == callee;
        if self.instance(callee).poisoned || !frame.is_some_and(own) {
            return Err(Trap::Poisoned);
        }
        self.instance_mut(callee).sync_calls -= 1;
        self.pop_frame();
        Ok(())
    }

    /// Begins a call of `realloc`, which is a call of a function of its own, without entering the instance. Ended by
    /// [`end_realloc`](Self::end_realloc).
    ///
    /// # Errors
    /// [`Trap::CannotLeave`] if `realloc` or `post-return` runs; [`Trap::Limit`].
    pub fn begin_realloc(&mut self, instance: InstanceId) -> Result<TaskId, Trap> {
        self.check_may_leave(instance)?;
        let task = self.begin_inside(instance, None)?;
        self.instance_mut(instance).may_leave = false;
        Ok(task)
    }

    /// Ends a call of `realloc` that has returned.
    ///
    /// # Errors
    /// [`Trap::Poisoned`] if its thread is gone.
    pub fn end_realloc(&mut self, task: TaskId) -> Result<(), Trap> {
        let Some(entry) = self.tasks.get_mut(task.0) else {
            return Err(Trap::Poisoned);
        };
        entry.state = TaskState::Resolved;
        let instance = entry.instance;
        self.instance_mut(instance).may_leave = true;
        self.exit_thread()
    }

    #[inline]
    fn begin_inside(
        &mut self,
        instance: InstanceId,
        entered: Option<Option<InstanceId>>,
    ) -> Result<TaskId, Trap> {
        match self.begin_reused(instance, entered) {
            Some(task) => Ok(task),
            None => self.begin_first(instance, entered),
        }
    }

    /// The same where the store has not run so deep before.
    #[cold]
    fn begin_first(
        &mut self,
        instance: InstanceId,
        entered: Option<Option<InstanceId>>,
    ) -> Result<TaskId, Trap> {
        let task = self.new_task(Task {
            instance,
            state: TaskState::Started,
            entered,
            ..Task::default()
        })?;
        let thread = self
            .new_thread(task)
            .inspect_err(|_| self.remove_task(task))?;
        self.register_implicit(thread).inspect_err(|_| {
            self.threads.discard(thread.0);
            self.remove_task(task);
        })?;
        self.threads[thread.0].run = Run::Running;
        self.push_frame(thread, Base::Inside);
        Ok(task)
    }

    /// The same, with what an earlier call has left behind: nothing is allocated or moved, and no limit can be in the way.
    #[inline]
    fn begin_reused(
        &mut self,
        instance: InstanceId,
        entered: Option<Option<InstanceId>>,
    ) -> Option<TaskId> {
        let (task, thread) = self.start_reused(instance, Lift::Sync)?;
        self.tasks.get_mut(task.0)?.entered = entered;
        self.frames.push(Frame {
            thread,
            instance,
            base: Base::Inside,
        });
        Some(task)
    }

    /// A task that has started, and its thread, which runs, with what an earlier call has left behind.
    #[inline(always)]
    fn start_reused(&mut self, instance: InstanceId, lift: Lift) -> Option<(TaskId, ThreadId)> {
        let task_id = TaskId(self.tasks.next_free()?);
        let thread_id = ThreadId(self.threads.next_free()?);
        let index = self.instance_mut(instance).threads.add_reused(thread_id)?;
        *self.threads.revive()? = Thread {
            task: task_id,
            index,
            storage: [0; 2],
            run: Run::Running,
            cancellable: false,
            parked: Parked::NotStarted,
            hinted: false,
        };
        let task = self.tasks.revive()?;
        task.instance = instance;
        task.lift = lift;
        task.state = TaskState::Started;
        task.num_borrows = 0;
        task.caller = Caller::Nobody;
        task.entered = None;
        task.implicit_thread = Some(thread_id);
        task.explicit_threads.clear();
        Some((task_id, thread_id))
    }

    /// The core function of a synchronous call has returned, its results were handed over, and `post-return` has run: the call ends.
    ///
    /// # Errors
    /// [`Offence::NotResolved`] if [`finish_return`](Self::finish_return) was left out, [`Trap::Poisoned`] if the call was ended by a trap.
    pub fn end_sync_call(&mut self, task: TaskId) -> Result<(), Trap> {
        let thread = self.current()?;
        let Some(entry) = self.tasks.get_mut(task.0) else {
            return Err(Trap::Poisoned);
        };
        if entry.implicit_thread != Some(thread) || entry.state != TaskState::Resolved {
            return Err(Offence::NotResolved.at("task"));
        }
        // What `exit_thread` does, for a thread known to be implicit and not exclusive.
        let (instance, entered) = (entry.instance, entry.entered.take());
        if entry.explicit_threads.is_empty() {
            self.tasks.discard(task.0);
        } else {
            entry.implicit_thread = None;
        }
        let index = self.threads[thread.0].index;
        self.threads.discard(thread.0);
        self.instance_mut(instance).threads.remove(index)?;
        self.pop_frame();
        if let Some(from) = entered {
            self.instance_mut(instance).sync_calls -= 1;
            self.leave(instance, from);
        }
        Ok(())
    }

    /// Begins a call of a function whose type is `async`.
    ///
    /// If the task starts at once, the driver lifts the arguments from the caller, [hands over what they lent](State::lend), lowers
    /// them and runs the core function.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#canon-lift).
    ///
    /// # Errors
    /// [`Trap::CannotLeave`] of the caller, [`Trap::CannotEnter`] and [`Trap::Poisoned`] of the callee, [`Trap::Limit`].
    pub fn call(&mut self, spec: CallSpec, chooser: &mut dyn Chooser) -> Result<Called, Trap> {
        let from = spec.from.ok();
        if let Some(caller) = from {
            self.check_call(caller, spec.callee)?;
        }
        self.check_may_enter(spec.callee, from)?;
        if let Some(called) = self.call_reused(&spec) {
            return Ok(called);
        }
        let (task, thread) = self.new_call(spec.callee, spec.lift)?;
        let (subtask, caller) = match spec.from {
            Err(number) => (None, Caller::Host(number)),
            Ok(caller) => {
                let subtask = self.new_subtask(caller, Callee::Task(task));
                let subtask = subtask.inspect_err(|_| {
                    self.threads.discard(thread.0);
                    self.remove_task(task);
                })?;
                (Some(subtask), Caller::Subtask(subtask))
            }
        };
        let entry = &mut self.tasks[task.0];
        entry.caller = caller;
        // Known before it starts, so that it can be cancelled.
        entry.implicit_thread = Some(thread);
        self.set_may_enter(spec.callee, from, false);
        self.frames.push(Frame {
            thread,
            instance: spec.callee,
            base: Base::Entered(from),
        });
        let started = self.pass_gate(thread, chooser).inspect_err(|_| {
            self.pop_frame();
            self.threads.discard(thread.0);
            self.remove_task(task);
        })?;
        Ok(Called {
            task,
            subtask,
            thread,
            started,
        })
    }

    /// A call by the host that starts at once, with what an earlier call has left behind: nothing is allocated or moved, and no limit can be in the way.
    #[inline]
    fn call_reused(&mut self, spec: &CallSpec) -> Option<Called> {
        let Err(number) = spec.from else {
            return None;
        };
        let instance = self.instance(spec.callee);
        if instance.backpressure > 0
            || instance.exclusive_thread.is_some()
            || instance.num_waiting_to_enter() > 0
        {
            return None;
        }
        let (task, thread) = self.start_reused(spec.callee, spec.lift)?;
        self.tasks.get_mut(task.0)?.caller = Caller::Host(number);
        if spec.lift.needs_exclusive() {
            self.instance_mut(spec.callee).exclusive_thread = Some(thread);
        }
        self.set_may_enter(spec.callee, None, false);
        self.frames.push(Frame {
            thread,
            instance: spec.callee,
            base: Base::Entered(None),
        });
        Some(Called {
            task,
            subtask: None,
            thread,
            started: true,
        })
    }

    /// A task and its thread, which counts as running: in the place of earlier ones, if there are any that have ended. Then nothing is moved, and no
    /// limit can be in the way.
    fn new_call(&mut self, instance: InstanceId, lift: Lift) -> Result<(TaskId, ThreadId), Trap> {
        let (Some(task), Some(thread)) = (self.tasks.next_free(), self.threads.next_free()) else {
            let task = self.new_task(Task {
                instance,
                lift,
                ..Task::default()
            })?;
            let thread = self
                .new_thread(task)
                .inspect_err(|_| self.remove_task(task))?;
            self.threads[thread.0].run = Run::Running;
            return Ok((task, thread));
        };
        let (task, thread) = (TaskId(task), ThreadId(thread));
        if let Some(entry) = self.threads.revive() {
            *entry = Thread {
                task,
                index: 0,
                storage: [0; 2],
                run: Run::Running,
                cancellable: false,
                parked: Parked::NotStarted,
                hinted: false,
            };
        }
        if let Some(entry) = self.tasks.revive() {
            entry.instance = instance;
            entry.lift = lift;
            entry.state = TaskState::Initial;
            entry.num_borrows = 0;
            entry.caller = Caller::Nobody;
            entry.entered = None;
            entry.implicit_thread = None;
            entry.explicit_threads.clear();
        }
        Ok((task, thread))
    }

    /// `Task.return_`, its conditions: to be called when the results were lifted, before they are handed to the caller.
    ///
    /// # Errors
    /// [`Offence::AlreadyResolved`], [`Trap::BorrowsRemain`]; [`Trap::Poisoned`] if the task is gone.
    #[inline]
    pub fn begin_return(&self, task: TaskId) -> Result<(), Trap> {
        if self.tasks.get(task.0).ok_or(Trap::Poisoned)?.state == TaskState::Resolved {
            return Err(Offence::AlreadyResolved.at("task.return"));
        }
        self.check_borrows(task)
    }

    /// `Task.return_`, its effect: the results are where the caller wants them (or the driver keeps them for it), the task is resolved, and its
    /// caller will learn of it. Too late for a task that is gone, it reaches nobody.
    #[inline]
    pub fn finish_return(&mut self, task: TaskId) {
        self.resolve_task(task, true);
    }

    #[inline]
    pub(super) fn resolve_task(&mut self, task: TaskId, returned: bool) {
        let Some(task) = self.tasks.get_mut(task.0) else {
            return;
        };
        task.state = TaskState::Resolved;
        if let Caller::Subtask(subtask) = task.caller {
            self.resolve_subtask(subtask, returned);
        }
    }
}
