//! `wasi:clocks`.

use std::time::Duration;

use tidegate::{Accessor, Result};

use super::bindings::wasi::clocks::{monotonic_clock, system_clock, timezone};
use crate::view::{Wasi, WasiCtxView};

impl monotonic_clock::Host<Wasi> for WasiCtxView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic_clock.now())
    }

    fn get_resolution(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic_clock.resolution())
    }

    async fn wait_until<T: Send + 'static>(accessor: &Accessor<T, Wasi>, when: u64) -> Result<()> {
        let reached = accessor.with(|mut access| access.get().ctx.monotonic_clock.wait(when))?;
        reached.await;
        Ok(())
    }

    async fn wait_for<T: Send + 'static>(
        accessor: &Accessor<T, Wasi>,
        how_long: u64,
    ) -> Result<()> {
        let reached = accessor.with(|mut access| {
            let clock = &access.get().ctx.monotonic_clock;
            clock.wait(clock.now().saturating_add(how_long))
        })?;
        reached.await;
        Ok(())
    }
}

impl system_clock::Host for WasiCtxView<'_> {
    fn now(&mut self) -> Result<system_clock::Instant> {
        Ok(self.ctx.wall_clock.now().into())
    }

    fn get_resolution(&mut self) -> Result<u64> {
        let resolution = self.ctx.wall_clock.resolution().as_nanos();
        Ok(u64::try_from(resolution).unwrap_or(u64::MAX))
    }
}

impl From<Duration> for system_clock::Instant {
    fn from(since_epoch: Duration) -> Self {
        Self {
            seconds: i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since_epoch.subsec_nanos(),
        }
    }
}

impl timezone::Host for WasiCtxView<'_> {
    fn iana_id(&mut self) -> Result<Option<String>> {
        Ok(self.ctx.time_zone.iana_id())
    }

    /// What holds before 1970 is what held at its beginning.
    fn utc_offset(&mut self, when: system_clock::Instant) -> Result<Option<i64>> {
        let seconds = u64::try_from(when.seconds).unwrap_or(0);
        let offset = self.ctx.time_zone.at(seconds).utc_offset;
        Ok(Some(i64::from(offset) * 1_000_000_000))
    }

    fn to_debug_string(&mut self) -> Result<String> {
        let zone = &self.ctx.time_zone;
        Ok(zone
            .iana_id()
            .unwrap_or_else(|| zone.at(self.ctx.wall_clock.now().as_secs()).name))
    }
}
