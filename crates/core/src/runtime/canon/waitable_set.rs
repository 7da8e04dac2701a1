//! `waitable-set.*` and `waitable.join`.

use super::super::{Chooser, Event, Handle, InstanceId, Offence, Parked, State, Until};
use crate::trap::Trap;

/// What `waitable-set.wait` does.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStep {
    /// It stores index and payload in memory and returns the code.
    Return(Event),
    /// The thread waits; its caller goes on.
    Block,
}

impl State {
    /// `waitable-set.new`: an empty set.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-waitable-setnew).
    ///
    /// # Errors
    /// May not leave; too many sets or handles.
    pub fn waitable_set_new(&mut self, instance: InstanceId) -> Result<u32, Trap> {
        self.check_may_leave(instance)?;
        let set = self.new_waitable_set()?;
        self.instance_mut(instance)
            .handles
            .add(Handle::WaitableSet(set))
    }

    /// `waitable-set.wait`: waits for an event of a member; with `cancellable`, for the task's cancellation, too.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-waitable-setwait).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle.
    pub fn waitable_set_wait(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<WaitStep, Trap> {
        self.check_may_leave(instance)?;
        let set = self.set_at(instance, index)?;
        let thread = self.current()?;
        let until = Until::SetEvent {
            set,
            exclusive: false,
        };
        let waited = self.wait_until(thread, until, Parked::SetWait(set), cancellable, chooser);
        Ok(match waited {
            None => WaitStep::Block,
            Some(true) => WaitStep::Return(Event::TASK_CANCELLED),
            Some(false) => WaitStep::Return(self.take_event(set, chooser)?),
        })
    }

    /// `waitable-set.poll`: an event of a member, if there is one.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-waitable-setpoll).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle.
    pub fn waitable_set_poll(
        &mut self,
        instance: InstanceId,
        cancellable: bool,
        index: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<Event, Trap> {
        self.check_may_leave(instance)?;
        let set = self.set_at(instance, index)?;
        let task = self.current_task()?;
        if self.deliver_pending_cancel(task, cancellable) {
            return Ok(Event::TASK_CANCELLED);
        }
        self.take_event(set, chooser)
    }

    /// `waitable-set.drop`.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-waitable-setdrop).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; not empty; somebody waits for it.
    pub fn waitable_set_drop(&mut self, instance: InstanceId, index: u32) -> Result<(), Trap> {
        const NAME: &str = "waitable-set.drop";
        self.check_may_leave(instance)?;
        let id = self.set_at(instance, index)?;
        let set = &self.waitable_sets[id.0];
        if set.members > 0 {
            return Err(Offence::SetNotEmpty.at(NAME));
        }
        if !set.waiters.is_empty() {
            return Err(Offence::SetHasWaiters.at(NAME));
        }
        self.instance_mut(instance).handles.remove(index)?;
        self.waitable_sets.discard(id.0);
        Ok(())
    }

    /// `waitable.join`: puts a waitable into a set, out of the one that it was in; with `set` 0 only out.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-waitablejoin).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle, of the waitable; a thread waits for it synchronously; then as for the waitable, of the set.
    pub fn waitable_join(
        &mut self,
        instance: InstanceId,
        waitable: u32,
        set: u32,
    ) -> Result<(), Trap> {
        self.check_may_leave(instance)?;
        let id = self.waitable_at(instance, waitable)?;
        if self.waitables[id.0].waiter.is_some() {
            return Err(Offence::SyncWhileInSet.at("waitable.join"));
        }
        let set = match set {
            0 => None,
            index => Some(self.set_at(instance, index)?),
        };
        self.join(id, set);
        Ok(())
    }
}
