//! `error-context.*`

use super::super::canon::CanonOptions;
use crate::baton::Baton;
use tidegate_core::abi::memory::GuestRange;
use tidegate_core::abi::{FlatReader, FlatWriter, Lift, Lower};
use tidegate_core::plan::Canon;
use tidegate_core::runtime::Lends;
use tidegate_core::types::ValType;
use tidegate_engine::HostFn;

/// Makes the built-in, if it is of this family.
pub(super) fn define(canon: &Canon, options: &CanonOptions) -> Option<HostFn<Baton>> {
    let options = options.clone();
    let instance = options.instance;
    Some(match canon {
        Canon::ErrorContextNew { .. } => Box::new(move |mut cx, slots| {
            cx.data_mut().state.check_may_leave(instance)?;
            let message = options.lift(&mut cx, &mut Lends::default(), None, |cx| {
                String::lift_flat(cx, ValType::String, &mut FlatReader::new(slots))
            })?;
            slots[0] = cx
                .data_mut()
                .state
                .error_context_new(instance, &message)?
                .into();
            Ok(())
        }),
        Canon::ErrorContextDebugMessage { .. } => Box::new(move |mut cx, slots| {
            let state = &mut cx.data_mut().state;
            let message = state.error_context_debug_message(instance, slots[0] as u32)?;
            let message = message.debug_message().to_owned();
            let pointer = slots[1];
            options.lower(&mut cx, None, &mut Lends::default(), |cx| {
                // The pair goes where the second parameter points.
                let mut pair = [0; 2];
                message.lower_flat(cx, ValType::String, &mut FlatWriter::new(&mut pair))?;
                let (size, align) = (cx.pointer_size(), cx.pointer_size() as u32);
                let range = GuestRange::check(
                    cx.memory(),
                    pointer,
                    2 * size as u64,
                    align,
                    "error context's message",
                )?;
                cx.store_address(range.start(), pair[0])?;
                cx.store_address(range.start() + size, pair[1])
            })
        }),
        Canon::ErrorContextDrop => Box::new(move |mut cx, slots| {
            Ok(cx
                .data_mut()
                .state
                .error_context_drop(instance, slots[0] as u32)?)
        }),
        _ => return None,
    })
}
