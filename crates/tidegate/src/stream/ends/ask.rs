//! Asking an end of the host, and telling the guest what came of it.

use super::table::Held;
use super::{Answer, Turn};
use crate::baton::{Baton, Runtime};
use crate::call::items::CopyOptions;
use crate::stream::StreamResult;
use anyhow::Result;
use std::task::Context;
use tidegate_core::runtime::{CopyResult, CopyStep, HostTurn, SharedId, SharedKind, Side};
use tidegate_engine::Cx;

/// Asks the host's end about the read or write that a guest has begun, and goes on with the built-in. `cx` is that guest's isolate, `options` are the
/// built-in's.
///
/// # Errors
/// What that guest traps with.
pub(crate) fn serve(
    cx: &mut Cx<'_, Baton>,
    turn: HostTurn,
    options: &CopyOptions,
) -> Result<CopyStep> {
    let (shared, side) = (turn.shared, turn.side);
    let runtime: &mut Runtime = cx.data_mut();
    let (Some(offer), Some(mut held)) = (
        runtime.state.host_offer(shared, side),
        runtime.streams.take(shared, side),
    ) else {
        // It is being asked further up the call stack: once more, after that.
        wake(runtime, shared, side);
        return Ok(runtime.state.finish_host_turn(turn)?);
    };
    let guest = Turn {
        cx: cx.reborrow(),
        offer,
        options,
    };
    let answer = held.end.ask(guest, &mut Context::from_waker(&held.waker));
    let (runtime, size): (&mut Runtime, _) = (cx.data_mut(), u64::from(options.item_size));
    let held = match answer {
        Ok(Answer {
            moved: moved @ 1..,
            result: Some(StreamResult::Completed),
        }) if !held.waits => match runtime.streams.put_back(shared, side, held) {
            None => {
                // No more than were offered, which is less than 2^28.
                let (count, bytes) = (moved as u32, size * moved as u64);
                return Ok(runtime.state.finish_moved(turn, count, bytes)?);
            }
            Some(held) => held,
        },
        _ => held,
    };
    answered(runtime, (shared, side), held, answer, size)?;
    Ok(runtime.state.finish_host_turn(turn)?)
}

/// Asks the host's end on `side` about the read or write that a guest has waiting, if there is one. `cx` is that guest's isolate.
///
/// # Errors
/// What that guest traps with.
pub(crate) fn ask(cx: &mut Cx<'_, Baton>, shared: SharedId, side: Side) -> Result<()> {
    let runtime: &mut Runtime = cx.data_mut();
    let offer = runtime.state.host_offer(shared, side);
    let Some(offer) = offer.filter(|offer| !offer.told) else {
        return Ok(());
    };
    let options = runtime.copies.get(offer.guest.buffer.options)?;
    let size = options.item_size() as u64;
    let Some(mut held) = runtime.streams.take(shared, side) else {
        // It is being asked further up the call stack: once more, after that.
        wake(runtime, shared, side);
        return Ok(());
    };
    let turn = Turn {
        cx: cx.reborrow(),
        offer,
        options: &options,
    };
    let answer = held.end.ask(turn, &mut Context::from_waker(&held.waker));
    answered(cx.data_mut(), (shared, side), held, answer, size)
}

/// Tells the guest, and puts the end back or drops it.
fn answered(
    runtime: &mut Runtime,
    (shared, side): (SharedId, Side),
    mut held: Held,
    answer: Result<Answer>,
    size: u64,
) -> Result<()> {
    if !runtime.streams.is_away(shared, side) {
        // The guest, or its end, has gone meanwhile.
        return answer.map(|_| ());
    }
    let Answer { moved, result } = match answer {
        Ok(answer) => answer,
        Err(error) => {
            drop(held);
            forget(runtime, shared, side);
            return Err(error);
        }
    };
    let state = &mut runtime.state;
    let future = state.shared_type(shared).0 == SharedKind::Future;
    let completes = match result {
        Some(StreamResult::Completed) => true,
        Some(StreamResult::Dropped) => future,
        Some(StreamResult::Cancelled) | None => false,
    };
    if moved > 0 {
        // No more than were offered, which is less than 2^28.
        let count = moved as u32;
        state.host_moved(shared, side, count, size * moved as u64, completes);
    } else if completes {
        state.host_complete(shared, side, CopyResult::Completed);
    }
    // An end that waits may wake up by itself.
    if held.waits != result.is_none()
        && let Some(key) = runtime.streams.work(shared, side)
    {
        held.waits = result.is_none();
        runtime.concurrent.work.set_active(key, held.waits);
    }
    match result {
        Some(StreamResult::Dropped) => {
            drop(held);
            forget(runtime, shared, side);
        }
        Some(StreamResult::Cancelled) => {
            let cancelled = CopyResult::Cancelled;
            runtime.state.host_complete(shared, side, cancelled);
            drop(runtime.streams.put_back(shared, side, held));
        }
        Some(StreamResult::Completed) | None => {
            drop(runtime.streams.put_back(shared, side, held));
        }
    }
    Ok(())
}

/// Drops the ends of the host whose other end went with an instance that trapped.
pub(crate) fn settle(runtime: &mut Runtime) {
    for (shared, side) in runtime.state.take_unheard() {
        forget(runtime, shared, side);
    }
}

/// Drops the end of a stream or future that the host holds: as it wishes, or because the other end is gone.
pub(crate) fn forget(runtime: &mut Runtime, shared: SharedId, side: Side) {
    let (held, work) = runtime.streams.remove(shared, side);
    if let Some(key) = work {
        runtime.concurrent.work.remove(key);
    }
    drop(held);
    if runtime.state.drop_side(shared, side) {
        forget(runtime, shared, side.other());
    }
}

fn wake(runtime: &mut Runtime, shared: SharedId, side: Side) {
    if let Some(key) = runtime.streams.work(shared, side) {
        runtime.concurrent.work.wake(key);
    }
}

/// Wakes the ends that were woken while their guests could not be reached.
pub(crate) fn retry(runtime: &mut Runtime) {
    for (shared, side) in runtime.streams.take_deferred() {
        wake(runtime, shared, side);
    }
}
