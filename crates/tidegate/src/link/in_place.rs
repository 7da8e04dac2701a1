//! Functions of the host that work on bytes where they lie, in the memory of the guest that calls.

use super::host_func::{Body, HostCall, HostFunc, define_waiting, typecheck};
use crate::baton::{Baton, Blocked};
use crate::call::canon::{CallSite, Guest};
use crate::{Result, StoreContextMut};
use anyhow::Context as _;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tidegate_core::abi::{GuestBytes, LiftParams, LowerResult};
use tidegate_engine::{Cx, Flow, Job};

/// The store, and the memory of the guest that calls the host.
pub struct InPlace<'a, T: Send + 'static> {
    cx: Cx<'a, Baton>,
    site: &'a CallSite,
    data: PhantomData<fn() -> T>,
}

/// How a function that may wait ends.
pub enum Answer<R> {
    /// With this result.
    Return(R),
    /// Not yet: the guest is parked until the future is ready, and then the function is called again.
    Wait(Pin<Box<dyn Future<Output = ()> + Send>>),
}

impl<'a, T: Send + 'static> InPlace<'a, T> {
    fn new(cx: Cx<'a, Baton>, site: &'a CallSite) -> Self {
        Self {
            cx,
            site,
            data: PhantomData,
        }
    }

    /// The store.
    pub fn as_store(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut::new(self.cx.data_mut())
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.cx.data_mut().user_data()
    }

    /// A list in the guest's memory, together with the embedder's data.
    ///
    /// # Errors
    /// When the list is not one of this call.
    pub fn bytes(&mut self, list: GuestBytes) -> Result<(&mut [u8], &mut T)> {
        // A type with a list demands a memory.
        let memory = self.site.options.memory.context("there is no memory")?;
        let (memory, baton) = self.cx.memory_and_data_mut(memory);
        Ok((list.bytes_mut(memory)?, baton.user_data()))
    }

    /// Has the guest allocate a list for the result.
    ///
    /// # Errors
    /// Traps of the guest's allocator, and a block that lies outside of its memory. The call has then to end with this error.
    pub fn allocate(&mut self, length: usize) -> Result<GuestBytes> {
        let mut target = Guest {
            cx: self.cx.reborrow(),
            options: &self.site.options,
        };
        GuestBytes::allocate(&mut target, length)
    }
}

impl HostFunc {
    /// A function that works in the caller's memory.
    pub(crate) fn in_place<T, F, P, R>(func: F) -> Self
    where
        T: Send + 'static,
        F: Fn(&mut InPlace<'_, T>, &P) -> Result<R> + Send + Sync + 'static,
        P: LiftParams + 'static,
        R: LowerResult + 'static,
    {
        let call = move |cx: &mut Cx<'_, Baton>, site: &CallSite, slots: &mut [u64]| {
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, P::lift_params)?;
            let result = func(&mut InPlace::new(cx.reborrow(), site), &params);
            call.end(cx, site, slots, result)
        };
        Self {
            check: typecheck::<P, R>(),
            body: Body::sync(call),
        }
    }

    /// The same for a function that may wait.
    pub(crate) fn in_place_waiting<T, F, P, R>(func: F) -> Self
    where
        T: Send + 'static,
        F: Fn(&mut InPlace<'_, T>, &P) -> Result<Answer<R>> + Send + Sync + 'static,
        P: LiftParams + Send + 'static,
        R: LowerResult + 'static,
    {
        let func = Arc::new(func);
        let define = define_waiting(move |cx, site, slots| {
            let mut call = HostCall::default();
            let params = call.begin(cx, site, slots, P::lift_params)?;
            attempt(cx, site, slots, call, params, &func)
        });
        Self {
            check: typecheck::<P, R>(),
            body: Body::Waiting(define),
        }
    }
}

/// Calls a function that may wait, and parks the caller if it does, to call it again.
fn attempt<T, F, P, R>(
    cx: &mut Cx<'_, Baton>,
    site: &Arc<CallSite>,
    slots: &mut [u64],
    mut call: HostCall,
    params: P,
    func: &Arc<F>,
) -> Result<Flow<Blocked>>
where
    T: Send + 'static,
    F: Fn(&mut InPlace<'_, T>, &P) -> Result<Answer<R>> + Send + Sync + 'static,
    P: Send + 'static,
    R: LowerResult + 'static,
{
    loop {
        let result = match func(&mut InPlace::new(cx.reborrow(), site), &params) {
            Ok(Answer::Wait(mut future)) => {
                // Whoever runs the stack polls the future again at once with a waker of its own.
                if let Poll::Ready(()) = future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
                {
                    continue;
                }
                let baton = cx.data_mut().take();
                let (site, func) = (site.clone(), func.clone());
                return Ok(Flow::Block(Blocked::waiting(async move {
                    future.await;
                    let job: Job<Baton> = Box::new(move |mut cx, slots| {
                        *cx.data_mut() = baton;
                        attempt(&mut cx, &site, slots, call, params, &func)
                    });
                    job
                })));
            }
            Ok(Answer::Return(result)) => Ok(result),
            Err(error) => Err(error),
        };
        call.end(cx, site, slots, result)?;
        return Ok(Flow::Return);
    }
}

impl<T: Send + 'static> std::fmt::Debug for InPlace<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InPlace").finish_non_exhaustive()
    }
}
