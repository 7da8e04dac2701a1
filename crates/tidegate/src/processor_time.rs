//! How long the thread has had a processor.
//!
//! On a machine with other things to do, the time that passes while a guest runs is not the guest's. The system's count for each thread is right, but
//! asking for it costs as much as a short call. So it is asked at most every [`TRUSTED`]; in between what has passed counts.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long after asking the system the passing of time is taken for processor time.
const TRUSTED: Duration = Duration::from_micros(50);

thread_local! {
    /// When the system was asked last, and what it said.
    static ASKED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// A moment in the life of a thread, to be used by that thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    had: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        let at = Instant::now();
        let asked = ASKED
            .get()
            .map(|(then, had)| (at.saturating_duration_since(then), had));
        let had = match asked {
            Some((since, had)) if since < TRUSTED => had + since,
            _ => {
                let had = thread_time(at);
                ASKED.set(Some((at, had)));
                had
            }
        };
        Self { at, had }
    }

    /// The processor time that the thread has had since.
    pub(crate) fn elapsed(&self) -> Duration {
        // Time that passed may have been counted that the system has not: then the count stands still for a moment.
        Self::now().had.saturating_sub(self.had)
    }
}

#[cfg(unix)]
fn thread_time(_: Instant) -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // Neither is ever negative.
    Duration::new(
        time.tv_sec.unsigned_abs(),
        time.tv_nsec.unsigned_abs() as u32,
    )
}

/// Without such a count, all that passes is the thread's.
#[cfg(not(unix))]
fn thread_time(at: Instant) -> Duration {
    static ORIGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    at.saturating_duration_since(*ORIGIN.get_or_init(|| at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_has_time_and_one_that_sleeps_has_none() {
        let begun = Moment::now();
        while begun.elapsed() < Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        // It would never end if the time of sleep counted.
        while begun.at.elapsed() < begun.elapsed() + Duration::from_millis(20) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
