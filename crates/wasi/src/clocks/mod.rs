//! Clocks, replaceable for reproducible runs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that only moves forwards, from an unspecified start.
pub trait MonotonicClock: Send + Sync + 'static {
    /// Nanoseconds since the clock's start. Never decreases.
    fn now(&self) -> u64;
    /// The duration of one tick, in nanoseconds; at least 1.
    fn resolution(&self) -> u64;
}

/// The time of day, which may be set back.
pub trait WallClock: Send + Sync + 'static {
    /// Time since 1970-01-01T00:00:00Z. A time before that reads as zero.
    fn now(&self) -> Duration;
    /// The duration of one tick; at least one nanosecond.
    fn resolution(&self) -> Duration;
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
