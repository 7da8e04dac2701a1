//! Dropping resources that the host holds by a handle in its own table.

use crate::baton::{Baton, HomeGuard};
use crate::call::canon::Dtor;
use crate::call::enter::{Slots, return_isolate};
use crate::call::host::on_stack;
use crate::concurrent::destroy;
use crate::interrupt::block_on;
use crate::link::HostDtor;
use crate::{AsContextMut, ResourceAny, Result};
use std::future::Future;
use tidegate_core::abi::{MAX_FLAT_PARAMS, MAX_FLAT_RESULTS};
use tidegate_core::runtime::HOST;

/// Letting go of a [`ResourceAny`].
pub trait DropResource {
    /// Drops the host's handle. If the host owned the resource, its destructor runs; should that wait, this thread waits.
    ///
    /// A handle that is never dropped stays in the host's table as long as the store.
    ///
    /// # Errors
    /// The handle was given away or dropped before, or is lent out; the trap of a guest's destructor.
    fn resource_drop(self, store: impl AsContextMut) -> Result<()>;

    /// As [`resource_drop`](Self::resource_drop), waiting where the destructor waits.
    ///
    /// # Errors
    /// As [`resource_drop`](Self::resource_drop).
    fn resource_drop_async(self, store: impl AsContextMut) -> impl Future<Output = Result<()>>;
}

impl DropResource for ResourceAny {
    fn resource_drop(self, mut store: impl AsContextMut) -> Result<()> {
        let control = store.as_context_mut().slot.control.clone();
        block_on(control, self.resource_drop_async(store))
    }

    async fn resource_drop_async(self, mut store: impl AsContextMut) -> Result<()> {
        let mut guard = HomeGuard::new(store.as_context_mut().slot);
        let (baton, result) = drop_handle(guard.take(), self).await;
        guard.put(baton);
        result
    }
}

/// The representation of a resource that the host implements, which was made from a `u32`.
pub(crate) fn host_rep(rep: u64) -> u32 {
    rep as u32
}

async fn drop_handle(mut baton: Baton, resource: ResourceAny) -> (Baton, Result<()>) {
    let rep = match baton
        .state
        .resource_drop(HOST, resource.ty(), resource.handle())
    {
        Ok(Some(rep)) => rep,
        Ok(None) => return (baton, Ok(())),
        Err(trap) => return (baton, Err(trap.into())),
    };
    let callee = match baton.dtors.get(&resource.ty()).cloned() {
        None | Some(Dtor::None) => return (baton, Ok(())),
        Some(Dtor::Host(dtor)) => {
            return match &*dtor {
                HostDtor::Sync(dtor) => {
                    let result = dtor(&mut baton, host_rep(rep));
                    (baton, result)
                }
                HostDtor::Waiting(dtor) => dtor(baton, host_rep(rep)).await,
            };
        }
        Some(Dtor::Guest(callee)) => callee,
    };
    if callee.is_concurrent() && callee.suspendable {
        return destroy(baton, &callee, rep).await;
    }
    let mut isolate = match callee.take_isolate(&mut baton) {
        Ok(isolate) => isolate,
        Err(error) => return (baton, Err(error)),
    };
    let mut slots: Slots = [0; MAX_FLAT_PARAMS + MAX_FLAT_RESULTS];
    slots[0] = rep;
    let entered = callee.enter(&mut isolate.cx(), None, &mut slots, |_, _, _| Ok(()));
    let result = match entered {
        Err(error) => Err(error),
        Ok(entered) if callee.suspendable => {
            let (returned, result) = on_stack(isolate, &callee, &mut slots).await;
            isolate = returned;
            callee.finish(&mut isolate.cx(), entered, &slots, result, |_, _, _| Ok(()))
        }
        Ok(entered) => {
            let slots = &mut slots[..callee.flat_params.max(callee.flat_results)];
            callee.run(&mut isolate.cx(), entered, slots, |_, _, _| Ok(()))
        }
    };
    (return_isolate(isolate, callee.options.isolate), result)
}
