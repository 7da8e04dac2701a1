//! Where requests are met: waits of parked stacks, and stacks that have yielded.

use super::control::{Check, Control, Suspension, Terminated};
use crate::Result;
use crate::baton::{Baton, Blocked, Waiting};
use crate::concurrent::With;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_engine::{Flow, Isolate, Resume, Stack, Step, Trap, TrapCode};

/// Runs a stack until it parks, yields or ends, and has the time counted.
#[inline(always)]
pub(crate) fn run(
    control: Option<&Control>,
    stack: &mut Stack<Baton>,
    place: &mut Option<Isolate<Baton>>,
    cx: &mut Context<'_>,
    resume: Resume<Baton>,
) -> Step<Blocked> {
    let Some(control) = control else {
        return stack.run(place, cx, resume);
    };
    let _account = control.running();
    stack.run(place, cx, resume)
}

/// Runs code by a plain call, and has the time counted.
#[inline]
pub(crate) fn run_plain<R>(control: Option<&Control>, code: impl FnOnce() -> R) -> R {
    let _account = control.map(Control::running);
    code()
}

/// Waits for what a stack is parked for, and gives what it is to be resumed with.
pub(crate) async fn wait(
    control: Option<&Control>,
    stack: &mut Stack<Baton>,
    mut waiting: Waiting,
) -> With {
    let Some(control) = control else {
        return waiting.await;
    };
    let mut with = None;
    let mut put_off = control.pauses_often();
    let ended = poll_fn(|cx| {
        // Before anything is looked at, so that what is asked meanwhile is looked at again.
        control.register(cx.waker());
        if std::mem::take(&mut put_off) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Whoever waits innermost meets the request. What it waits for is not lost if it is there just now.
        if with.is_none()
            && let Poll::Ready(ready) = Pin::new(&mut waiting).poll(cx)
        {
            with = Some(ready);
        }
        let stop = || Suspension {
            waiting_in: match &with {
                Some(With::Waited(waited)) => waited.function(),
                _ => waiting.function(),
            },
            // The interpreter tells none.
            frames: stack.visit(|cx| cx.backtrace()).unwrap_or_default(),
        };
        match control.check(stop) {
            Check::Go if with.is_some() => Poll::Ready(None),
            Check::Go | Check::Stop => Poll::Pending,
            Check::End(why) => Poll::Ready(Some(why)),
        }
    })
    .await;
    match (ended, with) {
        (None, Some(with)) => with,
        (None, None) => waiting.await,
        (Some(why), with) => {
            drop(waiting);
            fail(control, with, why)
        }
    }
}

/// Ends the host call that a stack is parked in. The baton comes from what it would have been resumed with, or went home.
fn fail(control: &Control, with: Option<With>, why: Terminated) -> With {
    let home = control.home().clone();
    let level = home.level();
    With::Job(Box::new(move |mut cx, slots| {
        match with
            .map(|with| with.give(cx.reborrow(), slots))
            .transpose()?
        {
            Some(Flow::Return) => {}
            Some(Flow::Block(block)) => {
                drop(block);
                *cx.data_mut() = home.reclaim(level);
            }
            None => *cx.data_mut() = home.reclaim(level),
        }
        Err(why.into())
    }))
}

/// Lets the executor run something else after a stack has yielded, and stands still while that is asked for.
pub(crate) async fn yielded(control: Option<&Control>, stack: &mut Stack<Baton>) {
    let mut once = true;
    poll_fn(|cx| {
        let check = match control {
            None => Check::Go,
            Some(control) => {
                control.register(cx.waker());
                control.check(|| Suspension {
                    waiting_in: None,
                    frames: stack.take_frames(),
                })
            }
        };
        match check {
            Check::Stop => Poll::Pending,
            Check::Go if std::mem::take(&mut once) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            // Code that goes on meets the request.
            Check::Go | Check::End(_) => Poll::Ready(()),
        }
    })
    .await;
}

/// Meets what was asked before a call has begun. The baton is in its place.
///
/// # Errors
/// [`Terminated`].
pub(crate) async fn begin(control: Option<&Control>, baton: &mut Baton) -> Result<()> {
    let Some(control) = control.filter(|control| control.is_pending()) else {
        return Ok(());
    };
    poll_fn(|cx| {
        control.register(cx.waker());
        crate::baton::run_callbacks(baton, control);
        match control.check(Suspension::default) {
            Check::Go => Poll::Ready(Ok(())),
            Check::Stop => Poll::Pending,
            Check::End(why) => Poll::Ready(Err(why.into())),
        }
    })
    .await
}

/// The same for a call that cannot stand still.
///
/// # Errors
/// [`Terminated`].
#[inline]
pub(crate) fn begin_plain(baton: &mut Baton) -> Result<()> {
    match &baton.control {
        Some(control) if control.is_pending() => {
            let control = control.clone();
            crate::baton::run_callbacks(baton, &control);
            control.terminated().map_or(Ok(()), |why| Err(why.into()))
        }
        _ => Ok(()),
    }
}

/// Says of a call that was ended why it was.
#[inline]
pub(crate) fn explain<R>(control: Option<&Control>, result: Result<R>) -> Result<R> {
    match (result, control) {
        (Err(error), Some(control)) => Err(explain_error(control, error)),
        (result, _) => result,
    }
}

#[cold]
fn explain_error(control: &Control, error: anyhow::Error) -> anyhow::Error {
    let Some(why) = control.terminated() else {
        return error;
    };
    // What called may be a host function that goes on calling.
    control.ask_again();
    let interrupted = error
        .downcast_ref::<Trap>()
        .is_some_and(|trap| trap.code == TrapCode::Interrupted);
    if interrupted && !error.is::<Terminated>() {
        error.context(why)
    } else {
        error
    }
}

/// One look at whether the host's work has got on, while no guest of a store can; meets requests first.
///
/// # Errors
/// The call is terminated.
pub(crate) fn rest(
    control: Option<&Control>,
    baton: &mut Baton,
    cx: &mut Context<'_>,
    work: impl FnOnce(&mut Baton, &mut Context<'_>) -> Poll<bool>,
) -> Poll<Result<bool, Terminated>> {
    if let Some(control) = control {
        control.register(cx.waker());
        crate::baton::run_callbacks(baton, control);
        match control.check(Suspension::default) {
            Check::Go => {}
            Check::Stop => return Poll::Pending,
            Check::End(why) => return Poll::Ready(Err(why)),
        }
    }
    work(baton, cx).map(Ok)
}

/// Lets the executor run something else.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            Poll::Ready(())
        } else {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// Waits for a future while having the baton, and runs meanwhile what is to be run in the store.
pub(crate) async fn hold<F: Future + Unpin>(mut baton: Baton, mut future: F) -> (Baton, F::Output) {
    let output = match baton.control.clone() {
        None => future.await,
        Some(control) => {
            poll_fn(|cx| {
                let polled = Pin::new(&mut future).poll(cx);
                if polled.is_pending() {
                    crate::baton::run_callbacks(&mut baton, &control);
                }
                polled
            })
            .await
        }
    };
    (baton, output)
}
