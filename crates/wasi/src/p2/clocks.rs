//! `wasi:clocks`.

use std::time::Duration;

use tidegate::{Resource, Result};

use super::bindings::wasi::clocks::{monotonic_clock, timezone, wall_clock};
use super::poll::Pollable;
use crate::view::WasiCtxView;

impl monotonic_clock::Host for WasiCtxView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic_clock.now())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(self.ctx.monotonic_clock.resolution())
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<Pollable>> {
        Ok(self.table.push(Pollable::at(when))?)
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<Pollable>> {
        let when = self.ctx.monotonic_clock.now().saturating_add(duration);
        self.subscribe_instant(when)
    }
}

impl wall_clock::Host for WasiCtxView<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        Ok(self.ctx.wall_clock.now().into())
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(self.ctx.wall_clock.resolution().into())
    }
}

impl timezone::Host for WasiCtxView<'_> {
    fn display(&mut self, when: wall_clock::Datetime) -> Result<timezone::TimezoneDisplay> {
        let local = self.ctx.time_zone.at(when.seconds);
        Ok(timezone::TimezoneDisplay {
            utc_offset: local.utc_offset,
            name: local.name,
            in_daylight_saving_time: local.daylight_saving,
        })
    }

    fn utc_offset(&mut self, when: wall_clock::Datetime) -> Result<i32> {
        Ok(self.ctx.time_zone.at(when.seconds).utc_offset)
    }
}

impl From<Duration> for wall_clock::Datetime {
    fn from(since_epoch: Duration) -> Self {
        Self {
            seconds: since_epoch.as_secs(),
            nanoseconds: since_epoch.subsec_nanos(),
        }
    }
}
