//! What a trap takes with it: the instance that trapped, and nothing else.

use super::{
    Caller, Handle, Instance, InstanceId, Parked, Run, State, TaskId, TaskState, ThreadId, Until,
    WaitableId, WaitableKind, subtask::Callee,
};
use crate::trap::Trap;

/// What the driver has to clean up after an instance trapped, besides the [ends of the host](State::take_unheard) that lost their other end.
#[must_use = "parked stacks, host calls and host ends of the instance are the driver's to end"]
#[derive(Debug, Default)]
pub struct Poisoned {
    /// Threads that are no more. Their parked stacks are to be dropped.
    pub threads: Vec<ThreadId>,
    /// Calls by the host (the numbers given with [`Caller::Host`]) that will never return.
    pub calls: Vec<u64>,
    /// Calls of host functions (the driver's numbers) whose results nobody wants any more.
    pub host_functions: Vec<u64>,
    /// Tasks of other instances that waited to start, and never will: what calls them is no more.
    pub unstarted: Vec<TaskId>,
}

impl State {
    /// A thread of `instance` trapped: its frame ends and the instance becomes unusable.
    ///
    /// The instance's tasks and threads end. Whoever waits for one of its tasks traps when it would learn the outcome, streams that it held
    /// an end of count as dropped, and a reader of a future that it will never write traps. Other instances stay usable.
    ///
    /// To be called once for each thread that the trap unwinds: first the one that was current, then its synchronous caller, and so on.
    pub fn trapped(&mut self, thread: ThreadId, instance: InstanceId) -> Poisoned {
        // A thread that had blocked, as below the loop of a synchronous call, has no frame.
        if self.current_thread() == Some(thread) {
            self.pop_frame();
        }
        self.poison(instance)
    }

    /// The same for the thread of a synchronous call, or of a call of `realloc`, that runs as `task`.
    pub fn trapped_call(&mut self, task: TaskId, instance: InstanceId) -> Poisoned {
        if self.is_innermost(task, instance) {
            self.pop_frame();
        }
        self.poison(instance)
    }

    /// What a thread had called has ended; the thread itself was ended meanwhile, by another trap or the same one, and has left its frame.
    pub fn caller_ended(&mut self, thread: ThreadId) {
        if self.current_thread() == Some(thread) && self.threads.get(thread.0).is_none() {
            self.pop_frame();
        }
    }

    /// Whether the innermost frame is that of a synchronous call, or of a call of `realloc`, that runs in an instance as `task`, or ran until another trap
    /// ended it.
    pub fn is_innermost(&self, task: TaskId, instance: InstanceId) -> bool {
        self.frames
            .last()
            .is_some_and(|frame| match self.tasks.get(task.0) {
                Some(task) => task.implicit_thread == Some(frame.thread),
                // Another trap has ended the task, and left its frame.
                None => frame.instance == instance && self.threads.get(frame.thread.0).is_none(),
            })
    }

    /// Makes an instance unusable, as after a trap. Does nothing to one that is already.
    pub fn poison(&mut self, id: InstanceId) -> Poisoned {
        let mut out = Poisoned::default();
        let instance = self.instance_mut(id);
        if std::mem::replace(&mut instance.poisoned, true) {
            return out;
        }
        instance.may_leave = false;
        instance.exclusive_thread = None;
        instance.sync_calls = 0;
        instance.entering = None;
        instance.gated = Vec::new();
        let _ = instance.threads.take_all();
        let handles: Vec<Handle> = instance.handles.take_all().collect();

        self.end_tasks(id, &mut out);
        let waitables: Vec<WaitableId> = self
            .waitables
            .iter()
            .filter(|(_, waitable)| waitable.instance == id)
            .map(|(index, _)| WaitableId(index))
            .collect();
        for waitable in waitables {
            self.end_waitable(waitable, &mut out);
        }
        for handle in handles {
            if let Handle::WaitableSet(set) = handle {
                self.waitable_sets.discard(set.0);
            }
        }
        out
    }

    /// The current thread's task cannot start, since its arguments could not be passed: that is its caller's fault, who traps when it learns of it. The task
    /// ends without having run.
    ///
    /// # Errors
    /// [`Trap::Poisoned`] if it has ended.
    pub fn refuse_arguments(&mut self, id: TaskId) -> Result<(), Trap> {
        let task = self.tasks.get_mut(id.0).ok_or(Trap::Poisoned)?;
        let caller = std::mem::replace(&mut task.caller, Caller::Nobody);
        task.state = TaskState::Resolved;
        if let Caller::Subtask(subtask) = caller {
            self.fail_subtask(subtask);
        }
        self.exit_thread()
    }

    /// Makes an instance anew that a trap made unusable, for a driver that can make its code anew. Does nothing to one that is usable.
    pub fn renew_instance(&mut self, id: InstanceId) {
        let parent = self.instance(id).parent;
        if self.instance(id).poisoned {
            *self.instance_mut(id) = Instance::new(parent, &self.limits);
        }
    }

    /// Makes every instance unusable that is entered, as when the calls into them were dropped midway.
    pub fn poison_entered(&mut self) -> Poisoned {
        let entered: Vec<InstanceId> = (1..self.instances.len() as u32)
            .map(InstanceId)
            .filter(|&id| !self.instance(id).may_enter)
            .collect();
        // Whatever ran or waited for a callee was dropped with the calls.
        self.frames.clear();
        let mut out = Poisoned::default();
        for id in entered {
            let poisoned = self.poison(id);
            out.threads.extend(poisoned.threads);
            out.calls.extend(poisoned.calls);
            out.host_functions.extend(poisoned.host_functions);
        }
        out
    }

    fn end_tasks(&mut self, instance: InstanceId, out: &mut Poisoned) {
        let tasks: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, task)| task.instance == instance)
            .map(|(name, _)| TaskId(name))
            .collect();
        let threads: Vec<ThreadId> = self
            .threads
            .iter()
            .filter(|(_, thread)| self.tasks[thread.task.0].instance == instance)
            .map(|(name, _)| ThreadId(name))
            .collect();
        for thread in threads {
            let entry = &self.threads[thread.0];
            if let (Run::Waiting(Until::Host { returned: false }), Parked::HostCall(number)) =
                (entry.run, entry.parked)
            {
                out.host_functions.push(number);
            }
            self.stop_waiting(thread);
            self.threads.discard(thread.0);
            out.threads.push(thread);
        }
        for id in tasks {
            let task = &self.tasks[id.0];
            let (entered, caller, state) = (task.entered, task.caller, task.state);
            self.tasks.discard(id.0);
            if let Some(from) = entered {
                self.leave(instance, from);
            }
            if state == TaskState::Resolved {
                continue;
            }
            match caller {
                Caller::Subtask(subtask) => self.fail_subtask(subtask),
                Caller::Host(number) => out.calls.push(number),
                Caller::Nobody => {}
            }
        }
    }

    fn end_waitable(&mut self, id: WaitableId, out: &mut Poisoned) {
        let Some(waitable) = self.remove_waitable(id) else {
            return;
        };
        match waitable.kind {
            WaitableKind::Subtask(subtask) => {
                if subtask.state.resolved() || subtask.failed {
                    return;
                }
                match subtask.callee {
                    // A callee that has started goes on; nobody waits for what it returns.
                    Callee::Task(id) => {
                        if let Some(task) = self.tasks.get_mut(id.0) {
                            task.caller = Caller::Nobody;
                            if task.state == TaskState::Initial {
                                self.cancel_before_start(id);
                                out.unstarted.push(id);
                            }
                        }
                    }
                    Callee::Host(number) => out.host_functions.push(number),
                }
            }
            WaitableKind::End(end) => {
                let shared = &mut self.shared[end.shared.0];
                shared.trapped = true;
                if shared.pending == Some(id) {
                    shared.pending = None;
                }
                if self.drop_side(end.shared, end.side) {
                    self.unheard.push((end.shared, end.side.other()));
                }
            }
        }
    }
}
