//! Waiting for time to pass.

use std::time::{Duration, Instant};

use super::reactor;
use super::readiness::{Readiness, ready_now};

/// Done when `duration` has passed, counted from now.
pub fn sleep(duration: Duration) -> Readiness {
    match Instant::now().checked_add(duration) {
        Some(deadline) => at(deadline),
        // Beyond what the clock can count to.
        None => Box::pin(std::future::pending()),
    }
}

/// Done at `deadline`, never before.
pub fn at(deadline: Instant) -> Readiness {
    if deadline <= Instant::now() {
        return ready_now();
    }
    Box::pin(async move {
        let Ok(reactor) = reactor::handle() else {
            return;
        };
        let sleep = {
            let _entered = reactor.enter();
            tokio::time::sleep_until(deadline.into())
        };
        sleep.await;
    })
}

#[cfg(test)]
mod tests {
    use super::super::readiness::is_ready_now;
    use super::*;

    #[test]
    fn what_has_passed_is_ready_and_forever_is_not() {
        assert!(is_ready_now(&mut at(Instant::now())));
        assert!(is_ready_now(&mut sleep(Duration::ZERO)));
        assert!(!is_ready_now(&mut sleep(Duration::MAX)));
        assert!(!is_ready_now(&mut sleep(Duration::from_secs(3600))));
    }

    #[tokio::test]
    async fn does_not_end_early() {
        let start = Instant::now();
        sleep(Duration::from_millis(15)).await;
        assert!(start.elapsed() >= Duration::from_millis(15));
    }
}
