//! Clocks, replaceable for reproducible runs.

mod zone;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::io::{Readiness, ready_now, sleep};
pub use zone::{UnknownZone, Zone};

/// A clock that only moves forwards, from an unspecified start.
pub trait MonotonicClock: Send + Sync + 'static {
    /// Nanoseconds since the clock's start. Never decreases.
    fn now(&self) -> u64;
    /// The duration of one tick, in nanoseconds; at least 1.
    fn resolution(&self) -> u64;
    /// Done once [`now`](Self::now) has reached `when`. A clock that does not run as fast as the
    /// host's has to say so here.
    fn wait(&self, when: u64) -> Readiness {
        match when.saturating_sub(self.now()) {
            0 => ready_now(),
            rest => sleep(Duration::from_nanos(rest)),
        }
    }
}

/// The time of day, which may be set back.
pub trait WallClock: Send + Sync + 'static {
    /// Time since 1970-01-01T00:00:00Z. A time before that reads as zero.
    fn now(&self) -> Duration;
    /// The duration of one tick; at least one nanosecond.
    fn resolution(&self) -> Duration;
}

/// The guest's idea of local time: [`Utc`] unless it was told another, such as a [`Zone`] of this host's database.
pub trait TimeZone: Send + Sync + 'static {
    /// What holds `seconds` after 1970-01-01T00:00:00Z.
    fn at(&self, seconds: u64) -> LocalTime;
    /// The name in the IANA Time Zone Database, such as `Europe/Berlin`, if there is one.
    fn iana_id(&self) -> Option<String> {
        None
    }
}

/// How local time differs from Coordinated Universal Time at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTime {
    /// Seconds that local time is ahead; less than a day in either direction.
    pub utc_offset: i32,
    /// The abbreviated name, such as `CET`.
    pub name: String,
    /// Whether daylight saving time holds.
    pub daylight_saving: bool,
}

/// Coordinated Universal Time: what a guest sees that was told no other time zone.
#[derive(Debug, Default, Clone, Copy)]
pub struct Utc;

impl TimeZone for Utc {
    fn at(&self, _seconds: u64) -> LocalTime {
        LocalTime {
            utc_offset: 0,
            name: "UTC".to_owned(),
            daylight_saving: false,
        }
    }

    fn iana_id(&self) -> Option<String> {
        Some("UTC".to_owned())
    }
}

/// The host's monotonic clock, counted from when this value was made.
#[derive(Debug, Clone, Copy)]
pub struct HostMonotonicClock {
    start: Instant,
}

impl Default for HostMonotonicClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl MonotonicClock for HostMonotonicClock {
    fn now(&self) -> u64 {
        // 2^64 nanoseconds are 584 years.
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn resolution(&self) -> u64 {
        1
    }
}

/// The host's time of day.
#[derive(Debug, Default, Clone, Copy)]
pub struct HostWallClock;

impl WallClock for HostWallClock {
    fn now(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }

    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }
}
