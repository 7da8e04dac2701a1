//! The built-ins: core functions that `canon` definitions other than `lift` and `lower` make.
//!
//! What they mean is in [`tidegate_core::runtime::canon`]; here they get their arguments from core values and memory, and what they cannot do
//! themselves is done.

pub(crate) mod copies;
mod error_context;
mod resource_drop;
mod tasks;

use super::canon::CanonOptions;
use crate::baton::Baton;
use crate::concurrent::{self, call_cancelled};
use crate::error::bug;
use crate::group::Door;
use crate::link::CoreBody;
use anyhow::{Context, Result};
use resource_drop::ResourceDrop;
use tidegate_core::plan::{Canon, OptionsIdx, Plan};
use tidegate_core::runtime::{Event, Fair, State};
use tidegate_core::types::ResourceIdx;
use tidegate_engine::{BlockingHostFn, Cx, HostFn, Memory, Table};

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

/// What a built-in works with besides its canonical options.
pub(crate) struct Definitions {
    /// The memory of `waitable-set.wait` and `waitable-set.poll`.
    pub(crate) memory: Option<Memory>,
    /// The table of `thread.new-indirect`.
    pub(crate) table: Option<Table>,
    /// What adapters know of whether the instance may leave.
    pub(crate) door: Option<Door>,
    /// Whether `resource.drop` may park its caller.
    pub(crate) blocks: bool,
}

/// Whether a built-in may park its caller. `blocks` says whether `resource.drop` may.
pub(crate) fn may_block(plan: &Plan, canon: &Canon, blocks: bool) -> bool {
    match canon {
        Canon::ResourceDrop(_) => blocks,
        Canon::StreamRead { options, .. }
        | Canon::StreamWrite { options, .. }
        | Canon::FutureRead { options, .. }
        | Canon::FutureWrite { options, .. } => !plan.options[options.index()].async_,
        Canon::StreamCancelRead { .. }
        | Canon::StreamCancelWrite { .. }
        | Canon::FutureCancelRead { .. }
        | Canon::FutureCancelWrite { .. }
        | Canon::WaitableSetWait { .. }
        | Canon::SubtaskCancel { .. }
        | Canon::ThreadSuspend { .. }
        | Canon::ThreadYield { .. }
        | Canon::ThreadSuspendThenResume { .. }
        | Canon::ThreadYieldThenResume { .. }
        | Canon::ThreadSuspendThenPromote { .. }
        | Canon::ThreadYieldThenPromote { .. } => true,
        _ => false,
    }
}

/// What a built-in does in the isolate that `cx` is.
pub(crate) fn body(
    cx: &mut Cx<'_, Baton>,
    canon: &Canon,
    options: CanonOptions,
    definitions: Definitions,
) -> Result<CoreBody> {
    if let Canon::ResourceDrop(index) = *canon {
        let drop = ResourceDrop {
            ty: options.shared.resources[index.index()],
            index,
            options,
        };
        return Ok(if definitions.blocks {
            let func: BlockingHostFn<Baton> =
                Box::new(move |mut cx, slots| drop.run_waiting(&mut cx, slots));
            CoreBody::Blocking(Door::guard_blocking(definitions.door, func))
        } else {
            let func: HostFn<Baton> =
                Box::new(move |mut cx, slots| drop.run(&mut cx, slots[0] as u32));
            CoreBody::Plain(Door::guard(definitions.door, func))
        });
    }
    if let Some(body) = concurrent::blocking(cx, canon, &options, &definitions) {
        return Ok(CoreBody::Blocking(body));
    }
    let func = copies::define(cx, canon, &options)
        .or_else(|| tasks::define(canon, &options, &definitions))
        .or_else(|| error_context::define(canon, &options))
        .or_else(|| simple(canon, &options, &definitions))
        .with_context(|| bug(format!("the built-in {canon:?} is missing")))?;
    Ok(CoreBody::Plain(Door::guard(definitions.door, func)))
}

/// The built-ins that need nothing but the state of the instances.
fn simple(
    canon: &Canon,
    options: &CanonOptions,
    definitions: &Definitions,
) -> Option<HostFn<Baton>> {
    let instance = options.instance;
    let resource = |index: ResourceIdx| options.shared.resources[index.index()];
    Some(match *canon {
        Canon::ResourceNew(index) => {
            let ty = resource(index);
            let rep64 = options.shared.component.plan().rep64(index);
            returning(move |state, args| {
                state.check_may_leave(instance)?;
                // What is above an `i32` in its word means nothing.
                let rep = if rep64 {
                    args[0]
                } else {
                    args[0] & 0xffff_ffff
                };
                Ok(state.lower_own(instance, ty, rep)?.into())
            })
        }
        Canon::ResourceRep(index) => {
            let ty = resource(index);
            returning(move |state, args| Ok(state.resource_rep(instance, ty, args[0] as u32)?))
        }
        Canon::TaskCancel => Box::new(move |mut cx, _| {
            let task = cx.data_mut().state.task_cancel(instance)?;
            call_cancelled(cx.data_mut(), task);
            Ok(())
        }),
        Canon::ContextGet { slot, .. } => returning(move |state, _| Ok(state.context_get(slot)?)),
        Canon::ContextSet { slot, .. } => {
            acting(move |state, args| Ok(state.context_set(slot, args[0])?))
        }
        Canon::BackpressureInc => acting(move |state, _| Ok(state.backpressure_inc(instance)?)),
        Canon::BackpressureDec => acting(move |state, _| Ok(state.backpressure_dec(instance)?)),
        Canon::SubtaskDrop => {
            acting(move |state, args| Ok(state.subtask_drop(instance, args[0] as u32)?))
        }
        Canon::WaitableSetNew => {
            returning(move |state, _| Ok(state.waitable_set_new(instance)?.into()))
        }
        Canon::WaitableSetDrop => {
            acting(move |state, args| Ok(state.waitable_set_drop(instance, args[0] as u32)?))
        }
        Canon::WaitableJoin => acting(move |state, args| {
            Ok(state.waitable_join(instance, args[0] as u32, args[1] as u32)?)
        }),
        Canon::WaitableSetPoll { cancellable, .. } => {
            let memory = definitions.memory?;
            Box::new(move |mut cx, slots| {
                let state = &mut cx.data_mut().state;
                let event =
                    state.waitable_set_poll(instance, cancellable, slots[0] as u32, &mut Fair)?;
                deliver(&mut cx, memory, slots, event)
            })
        }
        Canon::ThreadIndex => returning(move |state, _| Ok(state.thread_index(instance)?.into())),
        Canon::ThreadResumeLater => {
            acting(move |state, args| Ok(state.thread_resume_later(instance, args[0] as u32)?))
        }
        _ => return None,
    })
}

/// A built-in that returns a core value.
fn returning(
    f: impl Fn(&mut State, &[u64]) -> Result<u64> + Send + Sync + 'static,
) -> HostFn<Baton> {
    Box::new(move |mut cx, slots| {
        slots[0] = f(&mut cx.data_mut().state, slots)?;
        Ok(())
    })
}

/// A built-in that returns nothing.
fn acting(f: impl Fn(&mut State, &[u64]) -> Result<()> + Send + Sync + 'static) -> HostFn<Baton> {
    Box::new(move |mut cx, slots| f(&mut cx.data_mut().state, slots))
}

/// Stores an event and returns its code.
pub(crate) fn deliver(
    cx: &mut Cx<'_, Baton>,
    memory: Memory,
    slots: &mut [u64],
    event: Event,
) -> Result<()> {
    let pointer = slots[1];
    let bytes = cx.memory_mut(memory);
    let length = bytes.len() as u64;
    if !pointer.is_multiple_of(4) {
        return Err(tidegate_core::trap::Trap::Unaligned { pointer, align: 4 }.into());
    }
    let target = usize::try_from(pointer)
        .ok()
        .and_then(|start| bytes.get_mut(start..start.checked_add(8)?))
        .ok_or(tidegate_core::trap::Trap::OutOfBounds {
            what: "event",
            pointer,
            length: 8,
            memory: length,
        })?;
    target[..4].copy_from_slice(&event.index.to_le_bytes());
    target[4..].copy_from_slice(&event.payload.to_le_bytes());
    slots[0] = event.code as u64;
    Ok(())
}
