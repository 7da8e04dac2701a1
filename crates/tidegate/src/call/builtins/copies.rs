//! `stream.*` and `future.*`

use super::super::canon::CanonOptions;
use super::super::items::CopyOptions;
use crate::baton::Baton;
use crate::concurrent::copy_at_once;
use anyhow::Result;
use std::sync::Arc;
use tidegate_core::plan::Canon;
use tidegate_core::runtime::{
    CancelStep, CopyStep, GuestBuffer, InstanceId, PayloadId, SharedId, Side, State, StreamEnds,
};
use tidegate_core::trap::Trap;
use tidegate_core::types::{TypeDef, ValType};
use tidegate_engine::{Cx, HostFn};

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
    if let Some(body) = copy(cx, canon, options, true) {
        return Some(Box::new(move |mut cx, slots| {
            slots[0] = copy_at_once(&mut cx, slots, &body)?.into();
            Ok(())
        }));
    }
    let mut ends = |ty: &ValType| Ends::new(cx, options, *ty);
    Some(match canon {
        Canon::StreamNew(ty) => new(ends(ty), State::stream_new),
        Canon::FutureNew(ty) => new(ends(ty), State::future_new),
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
    payload: PayloadId,
}

impl Ends {
    fn new(cx: &mut Cx<'_, Baton>, options: &CanonOptions, ty: ValType) -> Self {
        let shared = &options.shared;
        let (types, element) = (shared.types(), element(options, ty));
        let state = &mut cx.data_mut().state;
        Self {
            instance: options.instance,
            payload: state.payload(types, &shared.resources, element),
        }
    }
}

/// The type of the items of a stream or future.
fn element(options: &CanonOptions, ty: ValType) -> Option<ValType> {
    let types = options.shared.types();
    match ty.type_idx().map(|ty| types.def(ty)) {
        Some(TypeDef::Stream(element) | TypeDef::Future(element)) => *element,
        _ => None,
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
        let other = f(
            &mut cx.data_mut().state,
            ends.instance,
            ends.payload,
            slots[0] as u32,
        )?;
        if let Some((shared, side)) = other {
            crate::stream::forget(cx.data_mut(), shared, side);
        }
        Ok(())
    })
}

/// A `read` or `write`.
pub(crate) struct CopyBuiltin {
    ends: Ends,
    /// By what items are lifted and lowered.
    options: Arc<CopyOptions>,
    async_: bool,
    /// What it is for, unless it is for futures.
    stream: Option<StreamEnds>,
    f: CopyFn,
}

impl CopyBuiltin {
    /// Begins it: what the state says.
    pub(crate) fn begin(&self, cx: &mut Cx<'_, Baton>, slots: &[u64]) -> Result<CopyStep> {
        let (memory, baton) = match self.options().options.memory {
            Some(memory) => {
                let (bytes, baton) = cx.memory_and_data_mut(memory);
                (bytes.len(), baton)
            }
            None => (0, cx.data_mut()),
        };
        let buffer = self.buffer(memory, slots);
        Ok((self.f)(
            &mut baton.state,
            self.ends.instance,
            self.ends.payload,
            self.async_,
            slots[0] as u32,
            buffer,
        )?)
    }

    /// The buffer that the arguments describe, in a memory of so many bytes.
    #[inline]
    pub(crate) fn buffer(&self, memory: usize, slots: &[u64]) -> GuestBuffer {
        let of = self.options();
        GuestBuffer {
            pointer: slots[1],
            length: if self.stream.is_some() { slots[2] } else { 1 },
            item_size: of.item_size,
            align: of.align,
            memory: memory as u64,
            options: of.number,
        }
    }

    /// What it is for, unless it is for futures.
    #[inline]
    pub(crate) fn stream(&self) -> Option<&StreamEnds> {
        self.stream.as_ref()
    }

    /// By what items are lifted and lowered.
    #[inline]
    pub(crate) fn options(&self) -> &CopyOptions {
        &self.options
    }
}

/// A `cancel-read` or `cancel-write`.
pub(crate) struct CancelBuiltin {
    ends: Ends,
    async_: bool,
    f: CancelFn,
}

impl CancelBuiltin {
    /// Begins it: what the state says.
    pub(crate) fn begin(&self, cx: &mut Cx<'_, Baton>, slots: &[u64]) -> Result<CancelStep> {
        let state = &mut cx.data_mut().state;
        Ok((self.f)(
            state,
            self.ends.instance,
            self.ends.payload,
            self.async_,
            slots[0] as u32,
        )?)
    }
}

/// The built-in, if it is a `read` or `write`, with the `async` option or without as `wanted` says: with it, it never waits.
pub(crate) fn copy(
    cx: &mut Cx<'_, Baton>,
    canon: &Canon,
    options: &CanonOptions,
    wanted: bool,
) -> Option<CopyBuiltin> {
    let (ty, index, side, f): (_, _, _, CopyFn) = match canon {
        Canon::StreamRead { ty, options } => {
            (*ty, *options, Some(Side::Readable), State::stream_read)
        }
        Canon::StreamWrite { ty, options } => {
            (*ty, *options, Some(Side::Writable), State::stream_write)
        }
        Canon::FutureRead { ty, options } => (*ty, *options, None, State::future_read),
        Canon::FutureWrite { ty, options } => (*ty, *options, None, State::future_write),
        _ => return None,
    };
    let async_ = options.shared.component.plan().options[index.index()].async_;
    (async_ == wanted).then(|| {
        let ends = Ends::new(cx, options, ty);
        let stream = side.map(|side| StreamEnds {
            instance: ends.instance,
            payload: ends.payload,
            side,
        });
        let items = element(options, ty);
        CopyBuiltin {
            ends,
            options: cx.data_mut().copies.add(options, items),
            async_,
            stream,
            f,
        }
    })
}

/// The built-in, if it is a `cancel-read` or `cancel-write`.
pub(crate) fn cancel(
    cx: &mut Cx<'_, Baton>,
    canon: &Canon,
    options: &CanonOptions,
) -> Option<CancelBuiltin> {
    let (ty, async_, f): (_, _, CancelFn) = match canon {
        Canon::StreamCancelRead { ty, async_ } => (*ty, *async_, State::stream_cancel_read),
        Canon::StreamCancelWrite { ty, async_ } => (*ty, *async_, State::stream_cancel_write),
        Canon::FutureCancelRead { ty, async_ } => (*ty, *async_, State::future_cancel_read),
        Canon::FutureCancelWrite { ty, async_ } => (*ty, *async_, State::future_cancel_write),
        _ => return None,
    };
    Some(CancelBuiltin {
        ends: Ends::new(cx, options, ty),
        async_,
        f,
    })
}
