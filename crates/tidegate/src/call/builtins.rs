//! The built-ins: core functions that `canon` definitions other than `lift` and `lower` make.

use super::canon::{CanonOptions, Dtor};
use super::guest;
use crate::baton::{Baton, Waiting};
use crate::link::HostDtor;
use anyhow::{Result, bail};
use std::task::{Context, Poll, Waker};
use tidegate_core::plan::{Canon, OptionsIdx};
use tidegate_core::runtime::ResourceType;
use tidegate_core::types::ResourceIdx;
use tidegate_engine::{Cx, Flow, Func, FuncType, Job};

/// The canonical options that a built-in was given, if it takes any.
pub(crate) fn options(canon: &Canon) -> Option<OptionsIdx> {
    match canon {
        Canon::TaskReturn { options, .. }
        | Canon::StreamRead { options, .. }
        | Canon::StreamWrite { options, .. }
        | Canon::FutureRead { options, .. }
        | Canon::FutureWrite { options, .. }
        | Canon::ErrorContextNew { options }
        | Canon::ErrorContextDebugMessage { options } => Some(*options),
        _ => None,
    }
}

/// Makes the core function of a built-in.
pub(crate) fn define(
    cx: &mut Cx<'_, Baton>,
    ty: FuncType,
    canon: &Canon,
    options: CanonOptions,
    blocks: bool,
) -> Result<Func> {
    let resource = |index: ResourceIdx| options.shared.resources[index.index()];
    match *canon {
        Canon::ResourceNew(index) => {
            let (ty_, instance) = (resource(index), options.instance);
            cx.host_func(
                ty,
                Box::new(move |mut cx, slots| {
                    let state = &mut cx.data_mut().state;
                    state.check_may_leave(instance)?;
                    slots[0] = state.lower_own(instance, ty_, slots[0] as u32)?.into();
                    Ok(())
                }),
            )
        }
        Canon::ResourceRep(index) => {
            let (ty_, instance) = (resource(index), options.instance);
            cx.host_func(
                ty,
                Box::new(move |mut cx, slots| {
                    slots[0] = cx
                        .data_mut()
                        .state
                        .resource_rep(instance, ty_, slots[0] as u32)?
                        .into();
                    Ok(())
                }),
            )
        }
        Canon::ResourceDrop(index) => {
            let drop = ResourceDrop {
                ty: resource(index),
                index,
                options,
            };
            if blocks {
                cx.blocking_host_func(
                    ty,
                    Box::new(move |mut cx, slots| drop.run_waiting(&mut cx, slots)),
                )
            } else {
                cx.host_func(
                    ty,
                    Box::new(move |mut cx, slots| drop.run(&mut cx, slots[0] as u32)),
                )
            }
        }
        ref other => bail!("the built-in {other:?} is not available"),
    }
}

/// `canon resource.drop`
struct ResourceDrop {
    ty: ResourceType,
    index: ResourceIdx,
    options: CanonOptions,
}

impl ResourceDrop {
    /// Removes the handle; gives the representation and the destructor to call with it, if it was owned and there is one.
    fn remove(&self, cx: &mut Cx<'_, Baton>, handle: u32) -> Result<Option<(&Dtor, u32)>> {
        let state = &mut cx.data_mut().state;
        state.check_may_leave(self.options.instance)?;
        let rep = state.resource_drop(self.options.instance, self.ty, handle)?;
        Ok(self.options.shared.dtor(self.index).zip(rep))
    }

    fn run(&self, cx: &mut Cx<'_, Baton>, handle: u32) -> Result<()> {
        match self.remove(cx, handle)? {
            None | Some((Dtor::None, _)) => Ok(()),
            Some((Dtor::Host(dtor), rep)) => match &**dtor {
                HostDtor::Sync(dtor) => dtor(cx.data_mut(), rep),
                HostDtor::Waiting(_) => Err(tidegate_engine::EngineError::CannotBlock.into()),
            },
            Some((Dtor::Guest(callee), rep)) => guest::call_dtor(cx, &self.options, callee, rep),
        }
    }

    fn run_waiting(&self, cx: &mut Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Waiting>> {
        match self.remove(cx, slots[0] as u32)? {
            None | Some((Dtor::None, _)) => Ok(Flow::Return),
            Some((Dtor::Guest(callee), rep)) => {
                guest::call_dtor_waiting(cx, slots, &self.options, callee, rep)
            }
            Some((Dtor::Host(dtor), rep)) => match &**dtor {
                HostDtor::Sync(dtor) => dtor(cx.data_mut(), rep).map(|()| Flow::Return),
                HostDtor::Waiting(dtor) => {
                    let mut future = dtor(cx.data_mut().take(), rep);
                    match future
                        .as_mut()
                        .poll(&mut Context::from_waker(Waker::noop()))
                    {
                        Poll::Ready((baton, result)) => {
                            *cx.data_mut() = baton;
                            result.map(|()| Flow::Return)
                        }
                        Poll::Pending => Ok(Flow::Block(Waiting::new(async move {
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
