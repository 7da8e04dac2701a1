//! Waiting, without polling and without a thread.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_util::stream::{FuturesUnordered, Stream, StreamExt as _};

/// Done when it is worth trying again. It owns what it waits on, so it may outlive the borrow it
/// came from; dropping it has no effect on the endpoint.
///
/// The first time it is polled it looks at the endpoint as it is then, so that polling a fresh one
/// once tells whether the endpoint is ready now: see [`is_ready_now`].
pub type Readiness = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A readiness that is there already.
pub fn ready_now() -> Readiness {
    // Without a field, so that the box is no allocation.
    struct Now;
    impl Future for Now {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    Box::pin(Now)
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

/// Many waits, each under a number. However many there are, only those that were woken are looked at again.
#[derive(Default)]
pub(crate) struct WaitSet(FuturesUnordered<Numbered>);

struct Numbered(u32, Readiness);

impl Future for Numbered {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let number = self.0;
        self.1.as_mut().poll(cx).map(|()| number)
    }
}

impl WaitSet {
    /// Adds a wait.
    pub(crate) fn push(&mut self, number: u32, readiness: Readiness) {
        self.0.push(Numbered(number, readiness));
    }

    /// Waits until at least one is done, and takes out all that are; none if `timer` is done first.
    pub(crate) async fn next(&mut self, mut timer: Option<Readiness>) -> Vec<u32> {
        std::future::poll_fn(|cx| {
            let mut done = Vec::new();
            while let Poll::Ready(Some(number)) = Pin::new(&mut self.0).poll_next(cx) {
                done.push(number);
            }
            let is_late = timer
                .as_mut()
                .is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
            if done.is_empty() && !is_late {
                return Poll::Pending;
            }
            Poll::Ready(done)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

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

    #[tokio::test]
    async fn set_gives_out_all_that_are_done_and_keeps_the_others() {
        let notify = Arc::new(Notify::new());
        let mut set = WaitSet::default();
        set.push(7, ready_now());
        let one = Arc::clone(&notify);
        set.push(8, Box::pin(async move { one.notified().await }));
        set.push(9, ready_now());
        let mut done = set.next(None).await;
        done.sort_unstable();
        assert_eq!(done, [7, 9]);
        assert_eq!(set.next(Some(ready_now())).await, []);
        notify.notify_one();
        assert_eq!(set.next(None).await, [8]);
    }
}
