//! `canon resource.drop`, which calls destructors.

use super::super::canon::{Callee, CanonOptions, KnownDtor};
use super::super::dtor;
use crate::baton::{Baton, Blocked};
use crate::concurrent::call_destructor;
use crate::drop_resource::host_rep;
use crate::error::bug;
use crate::link::HostDtor;
use anyhow::{Context as _, Result};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use tidegate_core::runtime::ResourceType;
use tidegate_core::types::ResourceIdx;
use tidegate_engine::{Cx, Flow, Job};

/// A guest's destructor, which the store keeps.
fn kept(callee: &Weak<Callee>) -> Result<Arc<Callee>> {
    callee
        .upgrade()
        .context(bug("the store does not keep a destructor"))
}

/// `canon resource.drop`
pub(super) struct ResourceDrop {
    pub(super) ty: ResourceType,
    pub(super) index: ResourceIdx,
    pub(super) options: CanonOptions,
}

impl ResourceDrop {
    /// Removes the handle; gives the representation and the destructor to call with it, if it was owned and there is one.
    fn remove(&self, cx: &mut Cx<'_, Baton>, handle: u32) -> Result<Option<(&KnownDtor, u64)>> {
        let state = &mut cx.data_mut().state;
        state.check_may_leave(self.options.instance)?;
        let rep = state.resource_drop(self.options.instance, self.ty, handle)?;
        Ok(self.options.shared.dtor(self.index).zip(rep))
    }

    pub(super) fn run(&self, cx: &mut Cx<'_, Baton>, handle: u32) -> Result<()> {
        match self.remove(cx, handle)? {
            None | Some((KnownDtor::None, _)) => Ok(()),
            Some((KnownDtor::Host(dtor), rep)) => match &**dtor {
                HostDtor::Sync(dtor) => dtor(cx.data_mut(), host_rep(rep)),
                HostDtor::Waiting(_) => Err(tidegate_engine::EngineError::CannotBlock.into()),
            },
            Some((KnownDtor::Guest(callee), rep)) => {
                let callee = kept(callee)?;
                dtor::call(cx, &self.options, &callee, rep)
            }
        }
    }

    pub(super) fn run_waiting(
        &self,
        cx: &mut Cx<'_, Baton>,
        slots: &mut [u64],
    ) -> Result<Flow<Blocked>> {
        match self.remove(cx, slots[0] as u32)? {
            None | Some((KnownDtor::None, _)) => Ok(Flow::Return),
            Some((KnownDtor::Guest(callee), rep)) => {
                let (callee, site) = (kept(callee)?, &self.options);
                if !callee.is_concurrent() {
                    dtor::call_waiting(cx, slots, site, &callee, rep)
                } else if cx.can_block() {
                    call_destructor(cx, site, &callee, rep)
                } else {
                    dtor::call(cx, site, &callee, rep).map(|()| Flow::Return)
                }
            }
            Some((KnownDtor::Host(dtor), rep)) => match &**dtor {
                HostDtor::Sync(dtor) => dtor(cx.data_mut(), host_rep(rep)).map(|()| Flow::Return),
                HostDtor::Waiting(dtor) => {
                    let mut future = dtor(cx.data_mut().take(), host_rep(rep));
                    match future
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                    {
                        Poll::Ready((baton, result)) => {
                            *cx.data_mut() = baton;
                            result.map(|()| Flow::Return)
                        }
                        Poll::Pending => Ok(Flow::Block(Blocked::waiting(async move {
                            let (baton, result) = future.await;
                            let job: Job<Baton> = Box::new(move |mut cx, _| {
                                *cx.data_mut() = baton;
                                result.map(|()| Flow::Return)
                            });
                            job
                        }))),
                    }
                }
            },
        }
    }
}
