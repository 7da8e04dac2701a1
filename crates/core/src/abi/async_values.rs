//! Readable ends of streams and futures, and error contexts, on their way between an instance's table and the host's.

use super::{AsyncAny, LiftContext, LowerContext};
use crate::types::ValType;

/// `lift_stream`, `lift_future` and `lift_error_context`.
pub(super) fn lift_async(
    _: &mut LiftContext<'_>,
    ty: ValType,
    _handle: u32,
) -> anyhow::Result<AsyncAny> {
    Err(unsupported(ty))
}

/// `lower_stream`, `lower_future` and `lower_error_context`.
pub(super) fn lower_async(
    _: &mut LowerContext<'_>,
    ty: ValType,
    _value: AsyncAny,
) -> anyhow::Result<u32> {
    Err(unsupported(ty))
}

pub(super) fn unsupported(ty: ValType) -> anyhow::Error {
    let what = match ty {
        ValType::Stream(_) => "stream",
        ValType::Future(_) => "future",
        _ => "error-context",
    };
    anyhow::anyhow!("passing a `{what}` between instances is not supported by this version")
}
