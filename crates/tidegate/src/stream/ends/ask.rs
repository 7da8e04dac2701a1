//! Asking an end of the host, and telling the guest what came of it.

use super::table::Held;
use super::{Answer, BytesTurn};
use crate::baton::{Baton, Runtime};
use crate::call::items::CopyOptions;
use crate::error::bug;
use crate::stream::StreamResult;
use anyhow::{Result, bail};
use tidegate_core::runtime::{CopyResult, CopyStep, HostTurn, Offer, SharedId, SharedKind, Side};
use tidegate_engine::Cx;

/// Asks the host's end about the read or write of bytes that a guest has begun with the `async` option. `bytes` are its buffer, in the isolate that has
/// the baton, `options` are the built-in's. Gives what the built-in returns, or the turn again if the end is none of bytes: [serve] it.
///
/// # Errors
/// What that guest traps with.
#[inline]
pub(crate) fn serve_bytes(
    baton: &mut Baton,
    bytes: &mut [u8],
    turn: HostTurn,
    options: &CopyOptions,
) -> Result<Result<u32, HostTurn>> {
    let (shared, side) = (turn.shared, turn.side);
    let Some(mut held) = baton.streams.take_bytes(shared, side) else {
        return Ok(Err(turn));
    };
    let offered = BytesTurn {
        bytes,
        options,
        before: false,
        finish: false,
    };
    let answer = held.ask_bytes(offered, baton);
    let runtime = &mut **baton;
    let held = match completed(runtime, &turn, held, &answer) {
        Ok(moved) => {
            if let Some(returned) = runtime
                .state
                .finish_moved_at_once(&turn, moved, moved.into())
            {
                return Ok(Ok(returned));
            }
            let step = runtime.state.finish_moved(turn, moved, moved.into())?;
            return at_once(step).map(Ok);
        }
        Err(held) => held,
    };
    answered(runtime, (shared, side), held, answer, 1)?;
    at_once(runtime.state.finish_host_turn(turn)?).map(Ok)
}

/// What a built-in with the `async` option returns.
///
/// # Errors
/// It would wait.
pub(crate) fn at_once(step: CopyStep) -> Result<u32> {
    match step {
        CopyStep::Return(value) => Ok(value),
        _ => bail!(bug("a read or write blocks that is `async`")),
    }
}

/// Puts an end back that has done what it is there for: it has moved items, and the guest may go on. Gives how many items that are, or the end if it
/// has done something else.
#[inline]
fn completed(
    runtime: &mut Runtime,
    turn: &HostTurn,
    held: Box<Held>,
    answer: &Result<Answer>,
) -> Result<u32, Box<Held>> {
    match *answer {
        Ok(Answer {
            moved: moved @ 1..,
            result: Some(StreamResult::Completed),
        }) if !held.waits => {
            match runtime.streams.put_back(turn.shared, turn.side, held) {
                // No more than were offered, which is less than 2^28.
                None => Ok(moved as u32),
                Some(held) => Err(held),
            }
        }
        _ => Err(held),
    }
}

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
    let answer = held.ask_with(cx, &offer, options);
    let (runtime, size): (&mut Runtime, _) = (cx.data_mut(), u64::from(options.item_size));
    match completed(runtime, &turn, held, &answer) {
        Ok(moved) => Ok(runtime
            .state
            .finish_moved(turn, moved, size * u64::from(moved))?),
        Err(held) => {
            answered(runtime, (shared, side), held, answer, size)?;
            Ok(runtime.state.finish_host_turn(turn)?)
        }
    }
}

/// Asks the host's end on `side` about the read or write that a guest has waiting, if there is one. `cx` is that guest's isolate.
///
/// # Errors
/// What that guest traps with.
pub(crate) fn ask(cx: &mut Cx<'_, Baton>, shared: SharedId, side: Side) -> Result<()> {
    match cx.data_mut().state.host_offer(shared, side) {
        Some(offer) => ask_about(cx, shared, side, &offer),
        None => Ok(()),
    }
}

/// The same for what the guest offers.
pub(super) fn ask_about(
    cx: &mut Cx<'_, Baton>,
    shared: SharedId,
    side: Side,
    offer: &Offer,
) -> Result<()> {
    if offer.told {
        return Ok(());
    }
    let runtime: &mut Runtime = cx.data_mut();
    let Some(mut held) = runtime.streams.take(shared, side) else {
        // It is being asked further up the call stack: once more, after that.
        wake(runtime, shared, side);
        return Ok(());
    };
    match held.ask(cx, offer) {
        Ok((answer, size)) => answered(cx.data_mut(), (shared, side), held, answer, size),
        Err(error) => {
            drop(cx.data_mut().streams.put_back(shared, side, held));
            Err(error)
        }
    }
}

/// Tells the guest, and puts the end back or drops it.
fn answered(
    runtime: &mut Runtime,
    (shared, side): (SharedId, Side),
    mut held: Box<Held>,
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
    let completes = match result {
        Some(StreamResult::Completed) => true,
        Some(StreamResult::Dropped) => state.shared_type(shared).0 == SharedKind::Future,
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
#[inline]
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
#[inline]
pub(crate) fn retry(runtime: &mut Runtime) {
    for (shared, side) in runtime.streams.take_deferred() {
        wake(runtime, shared, side);
    }
}
