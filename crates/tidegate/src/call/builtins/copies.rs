//! `stream.*` and `future.*`

use super::super::canon::CanonOptions;
use super::super::items;
use super::{go_on, resume};
use crate::baton::Baton;
use anyhow::{Result, bail};
use tidegate_core::plan::{Canon, OptionsIdx};
use tidegate_core::runtime::{
    CancelStep, CopyStep, GuestBuffer, InstanceId, PayloadId, SharedId, Side, State,
};
use tidegate_core::trap::Trap;
use tidegate_core::types::{TypeDef, ValType};
use tidegate_engine::{Cx, EngineError, HostFn};

/// A `read` or `write` as the state offers it: instance, element type, `async`, handle, buffer.
type CopyFn =
    fn(&mut State, InstanceId, PayloadId, bool, u32, GuestBuffer) -> Result<CopyStep, Trap>;
type CancelFn = fn(&mut State, InstanceId, PayloadId, bool, u32) -> Result<CancelStep, Trap>;
type NewFn = fn(&mut State, InstanceId, PayloadId) -> Result<u64, Trap>;
type DropFn = fn(&mut State, InstanceId, PayloadId, u32) -> Result<Option<(SharedId, Side)>, Trap>;

/// Makes the built-in, if it is of this family.
pub(super) fn define(
    cx: &mut Cx<'_, Baton>,
    canon: &Canon,
    options: &CanonOptions,
) -> Option<HostFn<Baton>> {
    let mut ends = |ty: &ValType| Ends::new(cx, options, *ty);
    let is_async =
        |index: OptionsIdx| options.shared.component.plan().options[index.index()].async_;
    Some(match canon {
        Canon::StreamNew(ty) => new(ends(ty), State::stream_new),
        Canon::FutureNew(ty) => new(ends(ty), State::future_new),
        Canon::StreamRead { ty, options } => {
            copy(ends(ty), is_async(*options), false, State::stream_read)
        }
        Canon::StreamWrite { ty, options } => {
            copy(ends(ty), is_async(*options), false, State::stream_write)
        }
        Canon::FutureRead { ty, options } => {
            copy(ends(ty), is_async(*options), true, State::future_read)
        }
        Canon::FutureWrite { ty, options } => {
            copy(ends(ty), is_async(*options), true, State::future_write)
        }
        Canon::StreamCancelRead { ty, async_ } => {
            cancel(ends(ty), *async_, State::stream_cancel_read)
        }
        Canon::StreamCancelWrite { ty, async_ } => {
            cancel(ends(ty), *async_, State::stream_cancel_write)
        }
        Canon::FutureCancelRead { ty, async_ } => {
            cancel(ends(ty), *async_, State::future_cancel_read)
        }
        Canon::FutureCancelWrite { ty, async_ } => {
            cancel(ends(ty), *async_, State::future_cancel_write)
        }
        Canon::StreamDropReadable(ty) => drop_end(ends(ty), State::stream_drop_readable),
        Canon::StreamDropWritable(ty) => drop_end(ends(ty), State::stream_drop_writable),
        Canon::FutureDropReadable(ty) => drop_end(ends(ty), State::future_drop_readable),
        Canon::FutureDropWritable(ty) => drop_end(ends(ty), State::future_drop_writable),
        _ => return None,
    })
}

/// What the built-ins of one stream or future type share.
struct Ends {
    instance: InstanceId,
    element: Option<ValType>,
    payload: PayloadId,
    /// By what items are lifted and lowered, and the number that the state knows that by.
    options: CanonOptions,
    options_number: u32,
}

impl Ends {
    fn new(cx: &mut Cx<'_, Baton>, options: &CanonOptions, ty: ValType) -> Self {
        let shared = options.shared.clone();
        let types = shared.types();
        let element = match ty.type_idx().map(|ty| types.def(ty)) {
            Some(TypeDef::Stream(element) | TypeDef::Future(element)) => *element,
            _ => None,
        };
        let runtime = &mut **cx.data_mut();
        Self {
            instance: options.instance,
            element,
            payload: runtime.state.payload(types, &shared.resources, element),
            options: options.clone(),
            options_number: runtime.copies.add(options, element),
        }
    }

    fn buffer(&self, cx: &mut Cx<'_, Baton>, pointer: u64, length: u64) -> GuestBuffer {
        let layout = self.element.map(|ty| {
            self.options
                .shared
                .types()
                .layout(ty, self.options.memory64)
        });
        GuestBuffer {
            pointer,
            length,
            item_size: layout.map_or(0, |layout| layout.size),
            align: layout.map_or(1, |layout| layout.align),
            memory: self
                .options
                .memory
                .map_or(0, |memory| cx.memory(memory).len() as u64),
            options: self.options_number,
        }
    }
}

fn new(ends: Ends, f: NewFn) -> HostFn<Baton> {
    Box::new(move |mut cx, slots| {
        slots[0] = f(&mut cx.data_mut().state, ends.instance, ends.payload)?;
        Ok(())
    })
}

fn drop_end(ends: Ends, f: DropFn) -> HostFn<Baton> {
    Box::new(move |mut cx, slots| {
        f(
            &mut cx.data_mut().state,
            ends.instance,
            ends.payload,
            slots[0] as u32,
        )?;
        Ok(())
    })
}

fn copy(ends: Ends, async_: bool, future: bool, f: CopyFn) -> HostFn<Baton> {
    Box::new(move |mut cx, slots| {
        let length = if future { 1 } else { slots[2] };
        let buffer = ends.buffer(&mut cx, slots[1], length);
        let state = &mut cx.data_mut().state;
        let (task, thread) = (state.current_task()?, state.current_thread());
        let mut step = f(
            state,
            ends.instance,
            ends.payload,
            async_,
            slots[0] as u32,
            buffer,
        )?;
        loop {
            step = match step {
                CopyStep::Return(value) => {
                    slots[0] = value.into();
                    return Ok(());
                }
                CopyStep::Block => {
                    let action = go_on(&mut cx.data_mut().state, task, thread)?;
                    return resume(&mut cx, None, slots, action);
                }
                CopyStep::Copy(copy) => {
                    let bytes = items::pass(&mut cx, ends.options.isolate, &copy)?;
                    cx.data_mut().state.finish_copy(copy, bytes)?
                }
                CopyStep::Host(turn) => cx.data_mut().state.finish_host_turn(turn)?,
            };
        }
    })
}

fn cancel(ends: Ends, async_: bool, f: CancelFn) -> HostFn<Baton> {
    Box::new(move |mut cx, slots| {
        let state = &mut cx.data_mut().state;
        match f(state, ends.instance, ends.payload, async_, slots[0] as u32)? {
            CancelStep::Return(value) => {
                slots[0] = value.into();
                Ok(())
            }
            CancelStep::Block | CancelStep::Host(_) => bail!(EngineError::CannotBlock),
        }
    })
}
