//! Reads and writes with the `async` option, which never wait.

use super::builtins::go_on;
use crate::baton::{Baton, Runtime};
use crate::call::builtins::copies::CopyBuiltin;
use crate::call::items::{pass, pass_plain};
use crate::stream::{at_once, serve, serve_bytes};
use anyhow::Result;
use tidegate_core::runtime::canon::BLOCKED;
use tidegate_core::runtime::{AtOnce, Copy, HostTurn};
use tidegate_engine::Cx;

/// Performs a read or write: gives what it returns.
///
/// # Errors
/// What the guest traps with.
#[inline]
pub(crate) fn copy_at_once(
    cx: &mut Cx<'_, Baton>,
    slots: &[u64],
    body: &CopyBuiltin,
) -> Result<u32> {
    let Some(ends) = body.stream() else {
        return in_full(cx, slots, body);
    };
    let of = body.options();
    let (memory, baton) = match of.options.memory {
        Some(memory) => cx.memory_and_data_mut(memory),
        None => (&mut [][..], cx.data_mut()),
    };
    let buffer = body.buffer(memory.len(), slots);
    match baton.state.begin_at_once(ends, slots[0] as u32, &buffer) {
        AtOnce::Host(turn) if of.item_size == 1 => {
            // Checked as the read or write began.
            let (pointer, length) = (buffer.pointer as usize, buffer.length as usize);
            let bytes = memory.get_mut(pointer..pointer + length);
            match serve_bytes(baton, bytes.unwrap_or_default(), turn, of)? {
                Ok(returned) => Ok(returned),
                Err(turn) => host(cx, turn, body),
            }
        }
        AtOnce::Host(turn) => host(cx, turn, body),
        AtOnce::Copy(copy) => match pass_plain(memory, baton, of, &copy) {
            Some(bytes) => finish(baton, copy, bytes),
            None => {
                let bytes = pass(cx, of, &copy)?;
                finish(cx.data_mut(), copy, bytes)
            }
        },
        AtOnce::Blocked => Ok(BLOCKED),
        AtOnce::No => in_full(cx, slots, body),
    }
}

/// A copy was performed.
#[inline(always)]
fn finish(runtime: &mut Runtime, copy: Copy, bytes: u64) -> Result<u32> {
    match runtime.state.finish_copy_at_once(&copy, bytes) {
        Some(returned) => Ok(returned),
        None => at_once(runtime.state.finish_copy(copy, bytes)?),
    }
}

#[inline(never)]
fn host(cx: &mut Cx<'_, Baton>, turn: HostTurn, body: &CopyBuiltin) -> Result<u32> {
    at_once(serve(cx, turn, body.options())?)
}

/// As the specification has it, with all that can be wrong.
#[cold]
fn in_full(cx: &mut Cx<'_, Baton>, slots: &[u64], body: &CopyBuiltin) -> Result<u32> {
    let step = body.begin(cx, slots)?;
    at_once(go_on(cx, step, body)?)
}
