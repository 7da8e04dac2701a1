//! Clocks.

use super::types::Errno;
use super::{Memory, Preview1, Stop};

/// The clocks that are supported. The other two count processor time, which a guest does not have
/// to itself: it would see its neighbours' work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    Realtime,
    Monotonic,
}

impl Clock {
    /// Fails with `inval` for a clock that is not supported.
    pub(super) fn from_id(id: u32) -> Result<Self, Errno> {
        match id {
            0 => Ok(Self::Realtime),
            1 => Ok(Self::Monotonic),
            _ => Err(Errno::Inval),
        }
    }
}

impl Preview1 {
    /// `clock_res_get`: stores how many nanoseconds one tick of a clock takes, at least 1.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#clock_res_get)
    ///
    /// Fails with `inval` for anything but `realtime` and `monotonic`.
    pub(super) fn clock_res_get(
        &mut self,
        memory: &mut Memory<'_>,
        id: u32,
        resolution: u32,
    ) -> Result<(), Stop> {
        let slot = memory.slot::<8>(resolution)?;
        let resolution = match Clock::from_id(id)? {
            Clock::Realtime => {
                u64::try_from(self.ctx.wall_clock().resolution().as_nanos()).unwrap_or(u64::MAX)
            }
            Clock::Monotonic => self.ctx.monotonic_clock().resolution(),
        };
        memory.put(slot, resolution.max(1).to_le_bytes());
        Ok(())
    }

    /// `clock_time_get`: stores a clock's time in nanoseconds, counted from 1970 for `realtime` and
    /// from the guest's start for `monotonic`. It is exact whatever `precision` would allow.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#clock_time_get)
    ///
    /// Fails with `inval` for any other clock.
    pub(super) fn clock_time_get(
        &mut self,
        memory: &mut Memory<'_>,
        id: u32,
        _precision: u64,
        time: u32,
    ) -> Result<(), Stop> {
        let slot = memory.slot::<8>(time)?;
        let time = self.now(Clock::from_id(id)?);
        memory.put(slot, time.to_le_bytes());
        Ok(())
    }

    /// A clock's time in nanoseconds.
    pub(super) fn now(&self, clock: Clock) -> u64 {
        match clock {
            Clock::Realtime => {
                u64::try_from(self.ctx.wall_clock().now().as_nanos()).unwrap_or(u64::MAX)
            }
            Clock::Monotonic => self.ctx.monotonic_clock().now(),
        }
    }
}
