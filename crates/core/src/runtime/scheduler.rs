//! Who runs next: frames of running threads, exclusivity, backpressure, and the resumption of what waits.

use super::{
    Action, Chooser, InstanceId, Lift, Offence, Parked, Pool, Resumed, Run, State, TaskId,
    TaskState, Thread, ThreadId, Until, WaitableId, chooser::Choice, subtask::Callee,
};
use crate::trap::Trap;
use std::collections::VecDeque;

/// A thread that runs, or that called what runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub thread: ThreadId,
    pub instance: InstanceId,
    pub base: Base,
}

/// What began a frame, and so what its end has to undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The instance was entered (from the host if `None`); it is left when the thread blocks or exits.
    Entered(Option<InstanceId>),
    /// The instance had been entered already, or stays so until its synchronous call ends.
    Inside,
}

/// What a synchronous task that has blocked does next.
#[must_use = "the thread counts as running: the driver must run it"]
#[derive(Debug)]
pub enum SyncStep {
    /// The task has returned.
    Resolved,
    /// Run this thread, of the same instance; if it is the one that blocked, it just goes on. Ask again when it blocks or exits.
    Run(Resumed),
}

/// [`State::hint`] for those who have other parts of the state at hand.
#[inline]
pub(super) fn hint(threads: &mut Pool<Thread>, hints: &mut VecDeque<ThreadId>, id: ThreadId) {
    if let Some(thread) = threads.get_mut(id.0)
        && !thread.hinted
    {
        thread.hinted = true;
        hints.push_back(id);
    }
}

impl State {
    #[inline]
    pub(super) fn push_frame(&mut self, thread: ThreadId, base: Base) {
        let instance = self.tasks[self.threads[thread.0].task.0].instance;
        self.frames.push(Frame {
            thread,
            instance,
            base,
        });
    }

    #[inline(always)]
    pub(super) fn pop_frame(&mut self) {
        if let Some(frame) = self.frames.pop()
            && let Base::Entered(from) = frame.base
        {
            self.leave(frame.instance, from);
        }
    }

    /// Notes that a thread may be ready. Every thread that is ready is noted; one that is noted need not be ready.
    #[inline]
    pub(super) fn hint(&mut self, id: ThreadId) {
        hint(&mut self.threads, &mut self.hints, id);
    }

    /// Whether some thread can go on: whether [`tick`](Self::tick) will give one.
    #[inline]
    pub fn has_ready(&mut self) -> bool {
        while let Some(&id) = self.hints.front() {
            if self.confirm_hint(id) {
                return true;
            }
            self.drop_hint();
        }
        false
    }

    #[inline]
    fn confirm_hint(&self, id: ThreadId) -> bool {
        self.threads
            .get(id.0)
            .is_some_and(|thread| thread.hinted && self.is_ready(id))
    }

    /// Forgets the first hint; what it waits for besides will bring it back.
    fn drop_hint(&mut self) {
        let Some(id) = self.hints.pop_front() else {
            return;
        };
        let Some(thread) = self.threads.get_mut(id.0) else {
            return;
        };
        thread.hinted = false;
        let gated = match thread.run {
            Run::Waiting(Until::NotExclusive) => true,
            Run::Waiting(Until::SetEvent { set, exclusive }) => {
                exclusive && !self.waitable_sets[set.0].pending.is_empty()
            }
            _ => false,
        };
        if gated && !self.is_ready(id) {
            let instance = self.tasks[self.threads[id.0].task.0].instance;
            self.instance_mut(instance).gated.push(id);
        }
    }

    /// `Store.tick`: resumes one thread that is ready, entering its instance from the host. `None` if there is none, or if guest code runs
    /// already.
    ///
    /// Call it only while no guest code runs; then every instance may be entered.
    pub fn tick(&mut self, chooser: &mut dyn Chooser) -> Option<Resumed> {
        if !self.frames.is_empty() {
            return None;
        }
        let takes_first = chooser.takes_first();
        if takes_first {
            if let Some((thread, event)) = self.next_callback() {
                let action = Action::Callback(event);
                return Some(Resumed { thread, action });
            }
            if let Some(thread) = self.next_returned() {
                let action = Action::HostReturned;
                return Some(Resumed { thread, action });
            }
        }
        if !self.has_ready() {
            return None;
        }
        let thread = if takes_first {
            *self.hints.front()?
        } else {
            let mut ready: Vec<ThreadId> = self.hints.iter().copied().collect();
            ready.retain(|&id| self.confirm_hint(id));
            // A queue of tasks that wait to start is only noted by its head.
            for instance in &self.instances {
                for queue in instance.entering.iter().flat_map(|queues| queues.iter()) {
                    for &id in queue {
                        if self.is_ready(id) && !ready.contains(&id) {
                            ready.push(id);
                        }
                    }
                }
            }
            let choice = chooser.choose(Choice::ReadyThread(&ready));
            *ready.get(choice).or(ready.last())?
        };
        self.forget_hint(thread);
        let instance = self.tasks[self.threads[thread.0].task.0].instance;
        self.set_may_enter(instance, None, false);
        self.push_frame(thread, Base::Entered(None));
        Some(self.resumed(thread, false, chooser))
    }

    /// For a call that waits to start only because another task runs exclusively in the callee: a thread of the callee's that is ready, and makes
    /// way by going on. First the exclusive one, then the first of those that wait to start. `None` if the call has started or nothing is ready.
    ///
    /// The specification would let the caller go on first; its tests want calls to start that can. A thread that only yielded does not make way: it
    /// may do so again and again, until the caller does something.
    pub fn make_way(&mut self, subtask: WaitableId, chooser: &mut dyn Chooser) -> Option<Resumed> {
        let caller = self.waitables[subtask.0].instance;
        let Callee::Task(task) = self.subtask(subtask).callee else {
            return None;
        };
        // The task of a subtask that is resolved may be gone.
        if self.is_resolved(subtask) || self.tasks.get(task.0)?.state != TaskState::Initial {
            return None;
        }
        let instance = self.tasks[task.0].instance;
        self.check_may_enter(instance, Some(caller)).ok()?;
        let state = self.instance(instance);
        let first = |queue: &VecDeque<ThreadId>| queue.front().copied();
        let thread = state
            .exclusive_thread
            .into_iter()
            .chain(
                state
                    .entering
                    .iter()
                    .flat_map(|queues| queues.iter().filter_map(first)),
            )
            .find(|&thread| {
                let yielded = self.threads[thread.0].run == Run::Waiting(Until::Now);
                self.is_ready(thread) && !yielded
            })?;
        self.forget_hint(thread);
        self.set_may_enter(instance, Some(caller), false);
        self.push_frame(thread, Base::Entered(Some(caller)));
        Some(self.resumed(thread, false, chooser))
    }

    #[inline]
    fn forget_hint(&mut self, id: ThreadId) {
        if self.hints.front() == Some(&id) {
            self.hints.pop_front();
        } else {
            self.hints.retain(|&other| other != id);
        }
        self.threads[id.0].hinted = false;
    }

    /// The loop at the end of `canon_lift` for a function whose type is not `async`: to be called whenever control comes back to the call
    /// and the function has not returned.
    ///
    /// # Errors
    /// [`Offence::BlockedSync`] if no thread of the instance is ready.
    pub fn sync_next(&mut self, task: TaskId, chooser: &mut dyn Chooser) -> Result<SyncStep, Trap> {
        // A task whose last thread has exited is gone.
        let Some(entry) = self.tasks.get(task.0) else {
            return Ok(SyncStep::Resolved);
        };
        if entry.state == TaskState::Resolved {
            return Ok(SyncStep::Resolved);
        }
        let candidates: Vec<ThreadId> = self.sync_candidates(entry.instance).collect();
        if candidates.is_empty() {
            return Err(Offence::BlockedSync.at("a function whose type is not `async`"));
        }
        let choice = chooser.choose(Choice::ReadyThread(&candidates));
        let thread = candidates[choice.min(candidates.len() - 1)];
        self.forget_hint(thread);
        self.push_frame(thread, Base::Inside);
        Ok(SyncStep::Run(self.resumed(thread, false, chooser)))
    }

    /// The threads that a synchronous call of the instance may go on with when it is blocked: none of those that run exclusively, which
    /// could find the guest's one stack in memory in use.
    fn sync_candidates(&self, id: InstanceId) -> impl Iterator<Item = ThreadId> {
        let instance = self.instance(id);
        instance.threads.iter().map(|(_, &id)| id).filter(|&id| {
            self.is_ready(id)
                && Some(id) != instance.exclusive_thread
                && (self.rules.callbacks_during_sync_calls || !self.needs_stack(id))
        })
    }

    /// Whether a thread is the implicit one of a task that runs exclusively, whether or not it holds exclusivity now.
    fn needs_stack(&self, id: ThreadId) -> bool {
        let task = &self.tasks[self.threads[id.0].task.0];
        task.lift.needs_exclusive() && task.implicit_thread == Some(id)
    }

    /// Checks that a thread of the instance may block: that no function whose type is not `async` would be held up without a way to go on.
    ///
    /// A driver asks before a synchronous call of an `async` function; see [`Rules::hopeful_sync_calls`](super::Rules::hopeful_sync_calls).
    ///
    /// # Errors
    /// [`Offence::BlockedSync`].
    pub fn check_sync_lower(&self, instance: InstanceId) -> Result<(), Trap> {
        if self.rules.hopeful_sync_calls {
            return Ok(());
        }
        self.check_may_block(instance)
    }

    pub(super) fn check_may_block(&self, instance: InstanceId) -> Result<(), Trap> {
        if self.instance(instance).sync_calls == 0
            || self.sync_candidates(instance).next().is_some()
        {
            return Ok(());
        }
        Err(Offence::BlockedSync.at("a function whose type is not `async`"))
    }

    /// The trap of a synchronous built-in: if it could not have blocked in any case, that is what is wrong in the first place.
    pub(super) fn sync_trap(&self, instance: InstanceId, async_: bool, trap: Trap) -> Trap {
        if async_ || trap == Trap::CannotLeave || trap == Trap::Poisoned {
            return trap;
        }
        self.check_may_block(instance).err().unwrap_or(trap)
    }

    pub(super) fn has_backpressure(&self, instance: InstanceId, lift: Lift) -> bool {
        let instance = self.instance(instance);
        instance.backpressure > 0 || (lift.needs_exclusive() && instance.exclusive_thread.is_some())
    }

    /// Hints at the first of each queue of tasks that wait to start.
    #[inline]
    pub(super) fn hint_entering(&mut self, instance: InstanceId) {
        let Some(queues) = &self.instance(instance).entering else {
            return;
        };
        let first = [queues[0].front().copied(), queues[1].front().copied()];
        for first in first.into_iter().flatten() {
            self.hint(first);
        }
    }

    /// Gives up exclusivity, and hints at everybody who waited for it.
    #[inline]
    pub(super) fn release_exclusive(&mut self, instance: InstanceId) {
        self.instance_mut(instance).exclusive_thread = None;
        if !self.instance(instance).gated.is_empty() {
            let gated = std::mem::take(&mut self.instance_mut(instance).gated);
            for id in gated {
                self.hint(id);
            }
        }
        self.hint_entering(instance);
    }

    #[inline]
    pub(super) fn take_exclusive(&mut self, task: TaskId, thread: ThreadId) {
        let task = &self.tasks[task.0];
        if task.lift.needs_exclusive() {
            let instance = task.instance;
            self.instance_mut(instance).exclusive_thread = Some(thread);
        }
    }

    /// `Task.enter_implicit_thread`, after the gate: the task counts as started, and its caller learns of it.
    pub(super) fn enter_task(&mut self, thread: ThreadId) -> Result<(), Trap> {
        let task = self.threads[thread.0].task;
        self.take_exclusive(task, thread);
        self.register_implicit(thread)?;
        let instance = self.tasks[task.0].instance;
        // Whoever is next in the queue may be let in by the same release.
        self.hint_entering(instance);
        self.tasks[task.0].state = TaskState::Started;
        if let super::Caller::Subtask(subtask) = self.tasks[task.0].caller {
            self.subtask_started(subtask);
        }
        Ok(())
    }

    /// `Task.enter_implicit_thread`, up to where the thread may block: whether the task goes on at once.
    pub(super) fn pass_gate(
        &mut self,
        thread: ThreadId,
        chooser: &mut dyn Chooser,
    ) -> Result<bool, Trap> {
        let task = &self.tasks[self.threads[thread.0].task.0];
        let (instance, lift) = (task.instance, task.lift);
        if self.has_backpressure(instance, lift)
            || self.instance(instance).num_waiting_to_enter() > 0
        {
            let go_on = self.wait_until(thread, Until::Entry, Parked::Entering, true, chooser);
            if go_on.is_none() {
                return Ok(false);
            }
        }
        self.enter_task(thread)?;
        Ok(true)
    }

    /// `Task.exit_implicit_thread`, or the end of an explicit thread: the current thread has run to its end.
    ///
    /// # Errors
    /// [`Offence::NotResolved`] if it is the last thread of a task that is not resolved.
    pub fn exit_thread(&mut self) -> Result<(), Trap> {
        if self.exit_at_once().is_some() {
            return Ok(());
        }
        let thread = self.current()?;
        let task = &self.tasks[self.threads[thread.0].task.0];
        let (instance, lift) = (task.instance, task.lift);
        let exclusive = task.implicit_thread == Some(thread) && lift.needs_exclusive();
        self.unregister_thread(thread)?;
        if exclusive {
            self.release_exclusive(instance);
        }
        self.pop_frame();
        Ok(())
    }

    /// The same for the only thread of a resolved task that was entered and that nobody waits for, as nearly always: the same transitions with one look at
    /// each of what takes part. `None` if it is not so.
    #[inline]
    fn exit_at_once(&mut self) -> Option<()> {
        let &Frame {
            thread,
            instance: id,
            base: Base::Entered(from),
        } = self.frames.last()?
        else {
            return None;
        };
        let &Thread { task, index, .. } = self.threads.get(thread.0)?;
        let entry = self.tasks.get(task.0)?;
        let instance = self.instances.get_mut(id.0 as usize)?;
        if entry.state != TaskState::Resolved
            || entry.implicit_thread != Some(thread)
            || !entry.explicit_threads.is_empty()
            || instance.has_others_waiting()
        {
            return None;
        }
        instance.threads.remove_known(index)?;
        if entry.lift.needs_exclusive() {
            instance.exclusive_thread = None;
        }
        self.tasks.discard(task.0);
        self.threads.discard(thread.0);
        self.frames.pop();
        self.leave(id, from);
        Some(())
    }
}
