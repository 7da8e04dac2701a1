//! `backpressure.inc` and `backpressure.dec`: an instance holds back the tasks that would start.

use super::super::{InstanceId, Offence, State};
use crate::trap::Trap;

/// The counter stays below this.
const LIMIT: u32 = 1 << 16;

impl State {
    /// `backpressure.inc`: no task of an `async` type starts until the counter is 0 again. Allowed everywhere.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-backpressureincdec).
    ///
    /// # Errors
    /// The counter would reach 65536.
    pub fn backpressure_inc(&mut self, instance: InstanceId) -> Result<(), Trap> {
        let counter = &mut self.instance_mut(instance).backpressure;
        *counter += 1;
        if *counter == LIMIT {
            return Err(Offence::BackpressureRange.at("backpressure.inc"));
        }
        Ok(())
    }

    /// `backpressure.dec`.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-backpressureincdec).
    ///
    /// # Errors
    /// The counter is 0.
    pub fn backpressure_dec(&mut self, instance: InstanceId) -> Result<(), Trap> {
        let counter = &mut self.instance_mut(instance).backpressure;
        *counter = counter
            .checked_sub(1)
            .ok_or(Offence::BackpressureRange.at("backpressure.dec"))?;
        if *counter == 0 {
            self.hint_entering(instance);
        }
        Ok(())
    }
}
