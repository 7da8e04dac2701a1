//! Ends of the host as items of the driver's work: asked again when their wakers were woken.

use super::ask::ask_about;
use super::table::Held;
use super::{HostEnd, forget};
use crate::baton::{Baton, Runtime};
use crate::concurrent::{HostWork, fail_instance, reachable, visit};
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_core::runtime::{SharedId, Side};

/// Adds an end: it is asked whenever the guest at the other end acts. If the other end is gone already, it is dropped.
pub(in crate::stream) fn attach(
    runtime: &mut Runtime,
    shared: SharedId,
    side: Side,
    end: Box<dyn HostEnd>,
) {
    if runtime.state.host_peer_dropped(shared) {
        drop(end);
        let _ = runtime.state.drop_side(shared, side);
        return;
    }
    let key = runtime
        .concurrent
        .work
        .insert_idle(Box::pin(EndWork { shared, side }));
    let waker = runtime.concurrent.work.waker(key);
    let wake = runtime.state.host_attach(shared, side);
    if wake {
        waker.wake_by_ref();
    }
    runtime
        .streams
        .insert(shared, side, Held::new(end, waker), key);
}

/// An end that was woken.
struct EndWork {
    shared: SharedId,
    side: Side,
}

impl HostWork for EndWork {
    fn poll(self: Pin<&mut Self>, place: &mut Baton, _: &mut Context<'_>) -> Poll<()> {
        let Self { shared, side } = *self;
        let Some(offer) = place.state.host_offer(shared, side) else {
            if place.state.host_peer_dropped(shared) {
                forget(place, shared, side);
                return Poll::Ready(());
            }
            // The guest does something else.
            return Poll::Pending;
        };
        let Some(isolate) = place.copies.isolate(offer.guest.buffer.options) else {
            return Poll::Pending;
        };
        if !reachable(place, isolate) {
            // The guest runs further up the call stack: again, once code has run.
            place.streams.defer(shared, side);
            return Poll::Pending;
        }
        let result = visit(place, isolate, |cx| ask_about(cx, shared, side, &offer));
        if let Err(error) = result {
            fail_instance(place, offer.guest.instance, error);
        }
        if place.streams.contains(shared, side) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }
}
