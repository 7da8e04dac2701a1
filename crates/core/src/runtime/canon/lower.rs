//! `canon lower`: calls of imports, from the caller's side.

use super::super::{
    Chooser, Handle, InstanceId, Offence, Parked, State, SubtaskState, Until, WaitableId,
    subtask::Callee,
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

    /// A host function was called by a guest and did not return at once: makes a subtask, which has started. `number` is the driver's.
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

    /// A host function has returned and its results were lowered; or it has confirmed its cancellation.
    pub fn host_call_resolved(&mut self, subtask: WaitableId, returned: bool) {
        self.resolve_subtask(subtask, returned);
    }

    /// A host function has failed in a way that must trap its caller, when it learns of it.
    pub fn host_call_failed(&mut self, subtask: WaitableId) {
        self.fail_subtask(subtask);
    }
}
