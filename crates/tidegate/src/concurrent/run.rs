//! Running the host's futures and guests side by side.

use super::host::HostGoal;
use super::watch::Watch;
use super::{Args, drive};
use crate::baton::{Baton, HomeGuard};
use crate::call::canon::Callee;
use crate::{Accessor, AsContextMut, Result, Store, StoreContextMut};
use anyhow::{Error, bail};
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use tidegate_core::runtime::TaskId;

impl<T: Send + 'static> Store<T> {
    /// Runs a future of the host's, and guests beside it: see [`StoreContextMut::run_concurrent`].
    ///
    /// # Errors
    /// As there.
    pub async fn run_concurrent<R>(&mut self, f: impl AsyncFnOnce(&Accessor<T>) -> R) -> Result<R> {
        self.as_context_mut().run_concurrent(f).await
    }
}

impl<T: Send + 'static> StoreContextMut<'_, T> {
    /// Runs a future of the host's, and beside it whatever goes on in the store: calls that it makes by the accessor
    /// ([`TypedFunc::call_concurrent`](crate::TypedFunc::call_concurrent)), host functions that run concurrently, tasks that were spawned, streams.
    ///
    /// It is over when that future is; guests and tasks that have not ended wait, until the store is driven again. The future may be dropped, and may
    /// hold time-outs and `select!`s: dropping a call at any await cancels just that call. While a host function that holds the store
    /// ([`func_wrap_async`](crate::LinkerInstance::func_wrap_async)) waits, so does the future.
    ///
    /// Calls that can never end are ended: when nothing in the store can go on, no host function or task is at work, and nothing outside has a waker of
    /// the future or an accessor, each call gives an error that says what waits for what. As long as there is a time-out, a channel or anything else that
    /// might change something, they wait.
    ///
    /// # Errors
    /// [`GuestWaits`] inside a host function that was given the store. How calls end, those who made them are told.
    pub async fn run_concurrent<R>(&mut self, f: impl AsyncFnOnce(&Accessor<T>) -> R) -> Result<R> {
        if self.slot.state.current_thread().is_some() {
            return Err(GuestWaits.into());
        }
        let mut guard = HomeGuard::new(self.slot);
        let level = guard.level();
        let baton = guard.take();
        let (home, work) = (baton.home(), baton.concurrent.work.handle());
        let accessor = Accessor::new(home.clone(), None);
        let mut goal = Never;
        let mut driver = pin!(drive(baton, None, &mut goal));
        let mut watch = None;
        let mut future = pin!(f(&accessor));
        let (baton, result) = poll_fn(|cx| {
            loop {
                if let Poll::Ready((baton, result)) = driver.as_mut().poll(cx) {
                    let error = result.err().unwrap_or_else(ended);
                    return Poll::Ready((baton, Err(error)));
                }
                if !home.is_occupied() {
                    // A guest has the store.
                    return Poll::Pending;
                }
                let watch = watch.get_or_insert_with(|| Watch::new(&home, &work));
                let waker = watch.waker(cx);
                if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                    return Poll::Ready((home.reclaim(level), Ok(value)));
                }
                if !work.has_asked() {
                    watch.look(&home, &work);
                    return Poll::Pending;
                }
            }
        })
        .await;
        guard.put(baton);
        result
    }
}

/// Guests cannot run side by side inside a host function that a guest waits for with the store in its hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`run_concurrent` was called while a guest waits for the host function that called it: define that function by `func_wrap_concurrent`, and use its accessor"
)]
pub struct GuestWaits;

fn ended() -> Error {
    Error::msg(crate::error::bug("the driver ended by itself"))
}

/// What is never reached: the driver waits for whatever comes.
struct Never;

impl HostGoal for Never {
    fn lower(&mut self, _: &mut Baton, _: u64, _: &Callee, _: TaskId) -> Result<Args> {
        bail!("the call was dropped before it started")
    }

    fn reached(&mut self, _: &mut Baton) -> bool {
        false
    }

    fn waits(&self) -> bool {
        true
    }

    fn owns(&self, _: u64) -> bool {
        false
    }

    fn trapped(&mut self, _: &mut Baton, error: Error, _: bool) {
        tracing::debug!("a guest trapped that nobody waits for: {error:#}");
    }
}
