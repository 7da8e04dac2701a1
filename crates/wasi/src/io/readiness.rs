//! Waiting, without polling and without a thread.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// Done when it is worth trying again. It owns what it waits on, so it may outlive the borrow it
/// came from; dropping it has no effect on the endpoint.
///
/// The first time it is polled it looks at the endpoint as it is then, so that polling a fresh one
/// once tells whether the endpoint is ready now: see [`is_ready_now`].
pub type Readiness = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A readiness that is there already.
pub fn ready_now() -> Readiness {
    Box::pin(std::future::ready(()))
}

/// Whether `readiness` is there, without waiting for it. A pending one may still be waited for.
pub fn is_ready_now(readiness: &mut Readiness) -> bool {
    readiness
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// Done when the first of `all` is; with none, never.
///
/// Each has a waker of its own: however many there are, only those that were woken are looked at
/// again.
pub fn wait_any(all: impl IntoIterator<Item = Readiness>) -> Readiness {
    let mut all: FuturesUnordered<Readiness> = all.into_iter().collect();
    Box::pin(async move {
        if all.next().await.is_none() {
            std::future::pending().await
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn one_of_ten_thousand_wakes_and_the_others_are_not_looked_at_again() {
        let looks = Arc::new(AtomicUsize::new(0));
        let notify = Arc::new(Notify::new());
        let one = Arc::clone(&notify);
        let mut all: Vec<Readiness> = vec![Box::pin(async move { one.notified().await })];
        for _ in 0..10_000 {
            let looks = Arc::clone(&looks);
            all.push(Box::pin(std::future::poll_fn(move |_| {
                looks.fetch_add(1, Ordering::Relaxed);
                Poll::Pending
            })));
        }
        let waiting = tokio::spawn(wait_any(all));
        while looks.load(Ordering::Relaxed) < 10_000 {
            tokio::task::yield_now().await;
        }
        notify.notify_one();
        waiting.await.unwrap();
        assert_eq!(looks.load(Ordering::Relaxed), 10_000);
    }

    #[test]
    fn none_to_wait_for_is_never_ready() {
        assert!(!is_ready_now(&mut wait_any([])));
        assert!(is_ready_now(&mut wait_any([ready_now()])));
    }
}
