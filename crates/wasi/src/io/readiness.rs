//! Waiting, without polling and without a thread.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

/// Done when it is worth trying again. It owns what it waits on, so it may outlive the borrow it
/// came from; dropping it has no effect on the endpoint.
pub type Readiness = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A readiness that is there already.
pub fn ready_now() -> Readiness {
    Box::pin(std::future::ready(()))
}

/// Done when the first of `all` is; with none, never.
pub fn wait_any(mut all: Vec<Readiness>) -> Readiness {
    Box::pin(std::future::poll_fn(move |cx| {
        if all.iter_mut().any(|one| one.as_mut().poll(cx).is_ready()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }))
}
