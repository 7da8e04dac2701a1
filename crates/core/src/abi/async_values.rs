//! Readable ends of streams and futures, and error contexts, out of and into an instance's table.

use super::{LiftContext, LowerContext};
use crate::runtime::{
    ErrorContext, HostReader, InstanceId, PayloadId, ResourceType, SharedKind, State,
};
use crate::types::{TypeDef, Types, ValType};

/// `lift_stream` and `lift_future`, to the host: it holds the end from now on.
pub(super) fn lift_reader(
    cx: &mut LiftContext<'_>,
    ty: ValType,
    handle: u32,
) -> anyhow::Result<HostReader> {
    let (kind, payload) = readable(cx.state, cx.types, cx.resources, ty)?;
    let shared = cx.state.lift_readable(cx.instance, kind, payload, handle)?;
    Ok(cx.state.hold_reader(shared))
}

/// `lift_error_context`.
pub(super) fn lift_error_context(
    cx: &mut LiftContext<'_>,
    handle: u32,
) -> anyhow::Result<ErrorContext> {
    Ok(cx.state.lift_error_context(cx.instance, handle)?)
}

/// `lower_stream` and `lower_future`, of an end that the host holds: gives the handle.
pub(super) fn lower_reader(
    cx: &mut LowerContext<'_>,
    ty: ValType,
    reader: HostReader,
) -> anyhow::Result<u32> {
    let (instance, types, resources) = (cx.instance, cx.types, cx.resources);
    let (kind, payload) = readable(cx.state(), types, resources, ty)?;
    cx.state().give_reader(instance, kind, payload, reader)
}

/// `lower_error_context`: gives the handle.
pub(super) fn lower_error_context(
    cx: &mut LowerContext<'_>,
    context: &ErrorContext,
) -> anyhow::Result<u32> {
    let instance: InstanceId = cx.instance;
    Ok(cx.state().lower_error_context(instance, context.clone())?)
}

/// What the runtime calls the type of a stream or future.
pub(super) fn readable(
    state: &mut State,
    types: &Types,
    resources: &[ResourceType],
    ty: ValType,
) -> anyhow::Result<(SharedKind, PayloadId)> {
    let def = ty.type_idx().map(|index| types.def(index));
    let (kind, element) = match def {
        Some(TypeDef::Stream(element)) => (SharedKind::Stream, *element),
        Some(TypeDef::Future(element)) => (SharedKind::Future, *element),
        _ => anyhow::bail!(
            "a bug in Tidegate: a readable end was used with the type {ty:?}; please report it"
        ),
    };
    Ok((kind, state.payload(types, resources, element)))
}
