//! `error-context.*`.

use super::super::{ErrorContext, Handle, InstanceId, State};
use crate::trap::Trap;

impl State {
    /// `error-context.new`, after the message was lifted; before that, [`check_may_leave`](State::check_may_leave).
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-error-contextnew).
    ///
    /// # Errors
    /// May not leave; too many handles.
    pub fn error_context_new(&mut self, instance: InstanceId, message: &str) -> Result<u32, Trap> {
        self.check_may_leave(instance)?;
        let context = ErrorContext::new(message, self.limits.error_context_bytes);
        self.lower_error_context(instance, context)
    }

    /// `error-context.debug-message`, up to the lowering of the message.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-error-contextdebug-message).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle.
    pub fn error_context_debug_message(
        &self,
        instance: InstanceId,
        index: u32,
    ) -> Result<ErrorContext, Trap> {
        self.check_may_leave(instance)?;
        self.lift_error_context(instance, index)
    }

    /// `error-context.drop`.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-error-contextdrop).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle.
    pub fn error_context_drop(&mut self, instance: InstanceId, index: u32) -> Result<(), Trap> {
        self.check_may_leave(instance)?;
        self.lift_error_context(instance, index)?;
        self.instance_mut(instance).handles.remove(index)?;
        Ok(())
    }

    /// Lifts `error-context`: the handle stays.
    ///
    /// # Errors
    /// Unknown index or another kind of handle.
    pub fn lift_error_context(
        &self,
        instance: InstanceId,
        index: u32,
    ) -> Result<ErrorContext, Trap> {
        match self.instance(instance).handles.get(index)? {
            Handle::ErrorContext(context) => Ok(context.clone()),
            other => Err(other.mismatch(index, "error context")),
        }
    }

    /// Lowers `error-context`.
    ///
    /// # Errors
    /// [`Trap::Limit`].
    pub fn lower_error_context(
        &mut self,
        instance: InstanceId,
        context: ErrorContext,
    ) -> Result<u32, Trap> {
        self.instance_mut(instance)
            .handles
            .add(Handle::ErrorContext(context))
    }
}
