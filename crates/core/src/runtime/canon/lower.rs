//! `canon lower`: calls of imports, from the caller's side.

use super::super::{
    Base, Chooser, Frame, Handle, InstanceId, Offence, Parked, Run, State, SubtaskState, ThreadId,
    Until, WaitableId, subtask::Callee,
};
use crate::trap::Trap;

/// What a lowered function does once control has come back from its callee.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowerStep {
    /// It returns: a synchronous one its results, an asynchronous one this number, with the subtask's state in the low 4 bits and its index above.
    Return(u32),
    /// The thread waits for the callee; its own caller goes on.
    Block,
}

impl State {
    /// Control has come back from the callee of a lowered function: it has exited, blocked, or waits to start.
    ///
    /// `async_` says whether the function is lowered with the `async` option.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#canon-lower).
    ///
    /// # Errors
    /// [`Offence::PeerTrapped`] if the callee trapped; [`Trap::Limit`].
    pub fn lower_returned(
        &mut self,
        subtask: WaitableId,
        async_: bool,
        chooser: &mut dyn Chooser,
    ) -> Result<LowerStep, Trap> {
        if self.is_resolved(subtask) {
            let state = self.deliver_call(subtask)?;
            return Ok(LowerStep::Return(state as u32));
        }
        if !async_ {
            let thread = self.current()?;
            let until = Until::Resolved(subtask);
            let waits = self.wait_until(thread, until, Parked::Call(subtask), false, chooser);
            debug_assert_eq!(waits, None, "it is not resolved");
            return Ok(LowerStep::Block);
        }
        let instance = self.waitables[subtask.0].instance;
        let index = self
            .instance_mut(instance)
            .handles
            .add(Handle::Subtask(subtask))?;
        self.waitables[subtask.0].index = index;
        let state = self.subtask_state(subtask);
        Ok(LowerStep::Return(state as u32 | index << 4))
    }

    /// The end of a call whose subtask never got a handle: what was lent is given back, and the subtask is gone.
    pub(in super::super) fn deliver_call(
        &mut self,
        subtask: WaitableId,
    ) -> Result<SubtaskState, Trap> {
        let failed = self.subtask(subtask).failed;
        let state = self.subtask_state(subtask);
        self.deliver_resolve(subtask);
        self.discard_waitable(subtask);
        if failed {
            return Err(Offence::PeerTrapped.at("call"));
        }
        Ok(state)
    }

    /// A host function was called by a guest with the `async` option and did not return at once: makes a subtask, which has started. `number` is the
    /// driver's.
    ///
    /// Go on with [`lower_returned`](Self::lower_returned). A host function that returns at once needs none of this.
    ///
    /// # Errors
    /// [`Trap::Limit`].
    pub fn host_call(&mut self, instance: InstanceId, number: u64) -> Result<WaitableId, Trap> {
        let subtask = self.new_subtask(instance, Callee::Host(number))?;
        self.subtask_mut(subtask).state = SubtaskState::Started;
        Ok(subtask)
    }

    /// The same for a call without that option, which has no subtask: nobody could tell. The current thread, which is given, waits for
    /// [`host_call_returned`](Self::host_call_returned), and its own caller goes on.
    ///
    /// # Errors
    /// [`Trap::Poisoned`].
    pub fn block_in_host_call(&mut self, number: u64) -> Result<ThreadId, Trap> {
        let id = self.current()?;
        let thread = &mut self.threads[id.0];
        thread.run = Run::Waiting(Until::Host { returned: false });
        thread.parked = Parked::HostCall(number);
        thread.cancellable = false;
        self.pop_frame();
        Ok(id)
    }

    /// The host function has returned that a thread is blocked in. Its results are lowered when the thread goes on.
    pub fn host_call_returned(&mut self, id: ThreadId) {
        if let Some(thread) = self.threads.get_mut(id.0)
            && let Run::Waiting(Until::Host { returned }) = &mut thread.run
        {
            *returned = true;
            self.hint(id);
        }
    }

    /// [`tick`](Self::tick) by the fair choice, where the thread that comes first is blocked in a host function that has returned. `None` if it is not so.
    /// No guest code runs.
    #[inline]
    pub(in super::super) fn next_returned(&mut self) -> Option<ThreadId> {
        let &id = self.hints.front()?;
        let thread = self.threads.get_mut(id.0)?;
        if thread.run != Run::Waiting(Until::Host { returned: true }) || !thread.hinted {
            return None;
        }
        let instance = self.tasks.get(thread.task.0)?.instance;
        self.hints.pop_front();
        thread.hinted = false;
        thread.run = Run::Running;
        self.set_may_enter(instance, None, false);
        self.frames.push(Frame {
            thread: id,
            instance,
            base: Base::Entered(None),
        });
        Some(id)
    }

    /// A host function has returned and its results were lowered; or it has confirmed its cancellation.
    pub fn host_call_resolved(&mut self, subtask: WaitableId, returned: bool) {
        self.resolve_subtask(subtask, returned);
    }

    /// A host function has failed in a way that must trap its caller, when it learns of it.
    pub fn host_call_failed(&mut self, subtask: WaitableId) {
        self.fail_subtask(subtask);
    }
}
