//! `subtask.cancel` and `subtask.drop`, and what cancellation does to a task.

use super::super::{
    Base, Chooser, Handle, InstanceId, Offence, Parked, Resumed, Run, State, TaskId, TaskState,
    ThreadId, Until, WaitableId, chooser::Choice, subtask::Callee,
};
use super::BLOCKED;
use crate::trap::Trap;

/// What `subtask.cancel` does.
#[must_use]
#[derive(Debug)]
pub enum SubtaskCancelStep {
    /// It returns the subtask's final state, or [`BLOCKED`].
    Return(u32),
    /// The thread waits for the subtask to resolve; its caller goes on.
    Block,
    /// Run this thread of the callee, which learns of the cancellation; then go on with [`finish_subtask_cancel`](State::finish_subtask_cancel).
    Run(WaitableId, Resumed),
    /// Tell the host function with this number; if it ends at once, [say so](State::host_call_resolved). Then go on as for `Run`.
    Host(WaitableId, u64),
}

impl State {
    fn subtask_at(&self, instance: InstanceId, index: u32) -> Result<WaitableId, Trap> {
        match self.instance(instance).handles.get(index)? {
            Handle::Subtask(id) => Ok(*id),
            other => Err(other.mismatch(index, "subtask")),
        }
    }

    /// `subtask.cancel`: asks the callee to come to an end.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-subtaskcancel).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; its end was reported; cancelled before; in a waitable set, and not `async_`; the
    /// callee trapped.
    pub fn subtask_cancel(
        &mut self,
        instance: InstanceId,
        async_: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<SubtaskCancelStep, Trap> {
        self.check_may_leave(instance)?;
        self.begin_subtask_cancel(instance, async_, index, chooser)
            .map_err(|trap| self.sync_trap(instance, async_, trap))
    }

    fn begin_subtask_cancel(
        &mut self,
        instance: InstanceId,
        async_: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<SubtaskCancelStep, Trap> {
        const NAME: &str = "subtask.cancel";
        let id = self.subtask_at(instance, index)?;
        let subtask = self.subtask(id);
        if subtask.resolve_delivered {
            return Err(Offence::SubtaskResolveDelivered.at(NAME));
        }
        if subtask.cancellation_requested {
            return Err(Offence::SubtaskAlreadyCancelled.at(NAME));
        }
        if self.waitables[id.0].set.is_some() && !async_ {
            return Err(Offence::SyncWhileInSet.at(NAME));
        }
        if self.is_resolved(id) {
            return Ok(SubtaskCancelStep::Return(self.deliver(id)?.payload));
        }
        let callee = subtask.callee;
        self.subtask_mut(id).cancellation_requested = true;
        match callee {
            Callee::Host(number) => Ok(SubtaskCancelStep::Host(id, number)),
            Callee::Task(task) => match self.request_cancellation(task, Some(instance), chooser) {
                Some(resumed) => Ok(SubtaskCancelStep::Run(id, resumed)),
                None => self.finish_subtask_cancel(id, async_),
            },
        }
    }

    /// `subtask.cancel`, after the callee was told.
    ///
    /// # Errors
    /// [`Offence::PeerTrapped`] if it trapped.
    pub fn finish_subtask_cancel(
        &mut self,
        id: WaitableId,
        async_: bool,
    ) -> Result<SubtaskCancelStep, Trap> {
        if self.is_resolved(id) {
            return Ok(SubtaskCancelStep::Return(self.deliver(id)?.payload));
        }
        if async_ {
            return Ok(SubtaskCancelStep::Return(BLOCKED));
        }
        // An event may be pending that tells of the start: it is the end that is waited for.
        let thread = self.current()?;
        let until = Until::Resolved(id);
        self.wait_for_pending_event(thread, id, until, Parked::SubtaskCancel(id));
        Ok(SubtaskCancelStep::Block)
    }

    /// `subtask.drop`.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-subtaskdrop).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; its end was not reported.
    pub fn subtask_drop(&mut self, instance: InstanceId, index: u32) -> Result<(), Trap> {
        self.check_may_leave(instance)?;
        let id = self.subtask_at(instance, index)?;
        if !self.subtask(id).resolve_delivered {
            return Err(Offence::SubtaskNotResolved.at("subtask.drop"));
        }
        self.instance_mut(instance).handles.remove(index)?;
        self.discard_waitable(id);
        Ok(())
    }

    /// `Task.request_cancellation`, by the host if `caller` is `None`: at most once, and only while the task is not resolved. A thread that is given
    /// learns of it and is to be run.
    pub fn request_cancellation(
        &mut self,
        task: TaskId,
        caller: Option<InstanceId>,
        chooser: &mut dyn Chooser,
    ) -> Option<Resumed> {
        // The host may ask late.
        let entry = self.tasks.get(task.0)?;
        let (instance, state, lift) = (entry.instance, entry.state, entry.lift);
        if state == TaskState::Initial {
            self.cancel_before_start(task);
            return None;
        }
        if state != TaskState::Started {
            return None;
        }
        let other_exclusive = self
            .instance(instance)
            .exclusive_thread
            .is_some_and(|thread| Some(thread) != entry.implicit_thread);
        let candidates: Vec<ThreadId> = entry
            .threads()
            .filter(|&id| {
                let thread = &self.threads[id.0];
                let blocked =
                    lift.needs_exclusive() && other_exclusive && entry.implicit_thread == Some(id);
                thread.run != Run::Running && thread.cancellable && !blocked
            })
            .collect();
        if candidates.is_empty() || self.check_may_enter(instance, caller).is_err() {
            self.tasks[task.0].state = TaskState::PendingCancel;
            return None;
        }
        self.tasks[task.0].state = TaskState::CancelDelivered;
        self.set_may_enter(instance, caller, false);
        let choice = chooser.choose(Choice::CancelledThread(&candidates));
        let thread = candidates[choice.min(candidates.len() - 1)];
        self.push_frame(thread, Base::Entered(caller));
        Some(self.resumed(thread, true, chooser))
    }

    /// A task that waits to start ends without having run.
    pub(in crate::runtime) fn cancel_before_start(&mut self, task: TaskId) {
        let entry = &self.tasks[task.0];
        let (instance, implicit) = (entry.instance, entry.implicit_thread);
        self.resolve_task(task, false);
        if let Some(thread) = implicit {
            self.stop_waiting(thread);
            self.threads.discard(thread.0);
        }
        self.tasks.discard(task.0);
        // The next in the queue may be let in by what this one was noted for.
        self.hint_entering(instance);
    }
}
