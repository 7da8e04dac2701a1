//! `task.return` and `task.cancel`: a task lifted with the `async` option resolves.

use super::super::{InstanceId, Offence, State, TaskId, TaskState};
use crate::trap::Trap;

impl State {
    /// `task.return`, up to the lifting of the result. Then, if the result could be lifted: [`begin_return`](Self::begin_return), lower it
    /// for the caller, [`finish_return`](Self::finish_return).
    ///
    /// `same_type` says whether the built-in's type is the result type of the function called, `same_options` whether memory (the same
    /// instance of one) and string encoding are those of its lift.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-taskreturn).
    ///
    /// # Errors
    /// May not leave; lifted without `async`; another type; other options.
    pub fn task_return(
        &mut self,
        instance: InstanceId,
        same_type: bool,
        same_options: bool,
    ) -> Result<TaskId, Trap> {
        const NAME: &str = "task.return";
        let task = self.async_task(NAME, instance)?;
        if !same_type {
            return Err(Offence::WrongResultType.at(NAME));
        }
        if !same_options {
            return Err(Offence::WrongReturnOptions.at(NAME));
        }
        Ok(task)
    }

    /// `task.cancel`: the current task confirms its cancellation. Gives the task, whose [caller](State::caller) may have to be told.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-taskcancel).
    ///
    /// # Errors
    /// May not leave; lifted without `async`; no cancellation was delivered; borrowed handles remain.
    pub fn task_cancel(&mut self, instance: InstanceId) -> Result<TaskId, Trap> {
        const NAME: &str = "task.cancel";
        let task = self.async_task(NAME, instance)?;
        if self.tasks[task.0].state != TaskState::CancelDelivered {
            return Err(Offence::NotCancelled.at(NAME));
        }
        self.check_borrows(task)?;
        self.resolve_task(task, false);
        Ok(task)
    }

    fn async_task(&self, name: &'static str, instance: InstanceId) -> Result<TaskId, Trap> {
        self.check_may_leave(instance)?;
        let task = self.current_task()?;
        if !self.tasks[task.0].lift.async_option() {
            return Err(Offence::SyncLift.at(name));
        }
        Ok(task)
    }
}
