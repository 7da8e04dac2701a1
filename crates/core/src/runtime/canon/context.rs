//! `context.get` and `context.set`: a thread's local storage.

use super::super::State;
use crate::trap::Trap;

impl State {
    /// `context.get`: reads slot 0 or 1 of the current thread, as was validated. Allowed everywhere, in `realloc` and `post-return` too.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-contextget).
    ///
    /// # Errors
    /// None that a guest could cause; [`Trap::Poisoned`] if its thread is gone.
    pub fn context_get(&self, slot: u32) -> Result<u64, Trap> {
        let thread = self.current()?;
        Ok(self.threads[thread.0].storage[slot as usize & 1])
    }

    /// `context.set`: writes slot 0 or 1 of the current thread.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-contextset).
    ///
    /// # Errors
    /// As [`context_get`](Self::context_get).
    pub fn context_set(&mut self, slot: u32, value: u64) -> Result<(), Trap> {
        let thread = self.current()?;
        self.threads[thread.0].storage[slot as usize & 1] = value;
        Ok(())
    }
}
