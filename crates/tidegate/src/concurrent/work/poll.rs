//! Giving items their turns, and ending them.

use super::WorkKey;
use super::set::Work;
use crate::baton::Baton;
use anyhow::Result;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use tidegate_engine::Cx;

/// Polls the items that have been woken until now. Gives whether there were any or something is asked; if not, the waker is kept. Pending if there is nothing
/// but some item may wake up, or if `wait` says to wait in any case.
pub(in crate::concurrent) fn poll(
    place: &mut Baton,
    wait: bool,
    cx: &mut Context<'_>,
) -> Poll<bool> {
    // Those that were woken have their turn when there are no new ones, or after so many turns of guests.
    if poll_fresh(place) {
        return Poll::Ready(true);
    }
    let work = &mut place.concurrent.work;
    {
        let mut queue = work.woken.lock();
        work.woken.take_keys(&mut queue, &mut work.due);
        if work.due.is_empty() && !work.woken.has_asked.load(Ordering::Acquire) {
            match &mut queue.driver {
                Some(driver) => driver.clone_from(cx.waker()),
                driver => *driver = Some(cx.waker().clone()),
            }
            return if wait || work.active > 0 {
                Poll::Pending
            } else {
                Poll::Ready(false)
            };
        }
    }
    poll_due(place);
    Poll::Ready(true)
}

/// Polls the items that were added or woken until now; gives whether there were any.
pub(in crate::concurrent) fn poll_ready(place: &mut Baton) -> bool {
    if poll_fresh(place) {
        return true;
    }
    let work = &mut place.concurrent.work;
    work.collect_woken();
    let any = !work.due.is_empty();
    poll_due(place);
    any
}

/// Polls the items that have been woken until now.
pub(in crate::concurrent) fn poll_woken(place: &mut Baton) {
    poll_fresh(place);
    let work = &mut place.concurrent.work;
    work.collect_woken();
    poll_due(place);
}

/// Polls the items that were added until now; gives whether there were any.
fn poll_fresh(place: &mut Baton) -> bool {
    let count = place.concurrent.work.fresh.len();
    for _ in 0..count {
        let Some(key) = place.concurrent.work.fresh.pop_front() else {
            break;
        };
        poll_item(place, key);
    }
    count > 0
}

/// Polls the items that are due now. Those that come to be meanwhile wait for the next round.
fn poll_due(place: &mut Baton) {
    for _ in 0..place.concurrent.work.due.len() {
        let Some(key) = place.concurrent.work.due.pop_front() else {
            break;
        };
        poll_item(place, key);
    }
}

fn poll_item(place: &mut Baton, key: WorkKey) {
    let Some(Work { mut work, waker }) = place.concurrent.work.begin_turn(key) else {
        return;
    };
    let ready = work
        .as_mut()
        .poll(place, &mut Context::from_waker(&waker))
        .is_ready();
    let set = &mut place.concurrent.work;
    if ready {
        set.retire(key, waker);
        work.done(place);
    } else {
        set.end_turn(key, Work { work, waker });
    }
}

/// Asks an item to come to its end, on behalf of the guest whose isolate `cx` is.
///
/// # Errors
/// What that guest traps with.
pub(crate) fn cancel(cx: &mut Cx<'_, Baton>, key: WorkKey) -> Result<()> {
    let Some(Work { mut work, waker }) = cx.data_mut().concurrent.work.take_out(key) else {
        return Ok(());
    };
    let ended = work.as_mut().cancel(cx, &mut Context::from_waker(&waker));
    let set = &mut cx.data_mut().concurrent.work;
    match ended {
        Ok(Poll::Pending) => {
            set.put_back(key, Work { work, waker });
            Ok(())
        }
        Ok(Poll::Ready(())) => {
            set.retire(key, waker);
            Ok(())
        }
        Err(error) => {
            set.retire(key, waker);
            Err(error)
        }
    }
}

/// Drops an item before it is ready.
pub(crate) fn abandon(place: &mut Baton, key: WorkKey) {
    if let Some(mut work) = place.concurrent.work.remove(key) {
        work.as_mut().abandon(place);
    }
}
