//! Parameter and result lists of dynamic values.

use super::{Val, lift_val_flat, lift_val_mem, lower_val_flat, lower_val_mem};
use crate::abi::memory::GuestRange;
use crate::abi::{FlatReader, FlatWriter, LiftContext, LowerContext, TypeMismatch};
use crate::types::{FuncTypeIdx, TypeIdx, Types, ValType};

/// Checks how many parameters a function takes. Their types are checked when they are lowered.
///
/// # Errors
/// When the numbers differ.
pub fn typecheck_vals(
    params: &[Val],
    types: &Types,
    func: FuncTypeIdx,
) -> Result<(), TypeMismatch> {
    let expected = types.func(func).params.len();
    if params.len() == expected {
        Ok(())
    } else {
        Err(TypeMismatch::new(
            format!("{expected} parameters"),
            format!("{} parameters", params.len()),
        ))
    }
}

/// Lifts the parameters of a call; see [`LiftParams`](crate::abi::LiftParams).
///
/// # Errors
/// The guest's traps.
pub fn lift_param_vals(
    cx: &mut LiftContext<'_>,
    func: FuncTypeIdx,
    max_flat: usize,
    src: &mut FlatReader<'_>,
) -> anyhow::Result<Vec<Val>> {
    let types = cx.types;
    let info = types.func_info(func);
    let params = &types.func(func).params;
    if info.params_flat_count as usize <= max_flat {
        return params
            .iter()
            .map(|param| lift_val_flat(cx, param.ty, src))
            .collect();
    }
    let ptr = spilled_source(cx, info.params, src)?;
    let offsets = offsets(types, info.params, cx.memory64);
    params
        .iter()
        .zip(offsets)
        .map(|(param, &offset)| lift_val_mem(cx, param.ty, ptr + offset as usize))
        .collect()
}

/// Lowers the parameters of a call; see [`LowerParams`](crate::abi::LowerParams).
///
/// # Errors
/// [`TypeMismatch`], the guest's traps, and errors of its `realloc`.
pub fn lower_param_vals(
    vals: &[Val],
    cx: &mut LowerContext<'_>,
    func: FuncTypeIdx,
    max_flat: usize,
    dst: &mut FlatWriter<'_>,
) -> anyhow::Result<()> {
    let types = cx.types;
    typecheck_vals(vals, types, func)?;
    let info = types.func_info(func);
    let params = &types.func(func).params;
    let named = |name: &str, error: anyhow::Error| match error.downcast::<TypeMismatch>() {
        Ok(mismatch) => mismatch.within(format!("parameter `{name}`")).into(),
        Err(error) => error,
    };
    if info.params_flat_count as usize <= max_flat {
        for (val, param) in vals.iter().zip(params) {
            lower_val_flat(val, cx, param.ty, dst).map_err(|error| named(&param.name, error))?;
        }
        return Ok(());
    }
    let layout = types.layout(info.params, cx.memory64);
    let ptr = cx
        .allocate(layout.align, layout.size.into(), "tuple")?
        .start();
    dst.push(ptr as u64)?;
    let offsets = offsets(types, info.params, cx.memory64);
    for ((val, param), &offset) in vals.iter().zip(params).zip(offsets) {
        lower_val_mem(val, cx, param.ty, ptr + offset as usize)
            .map_err(|error| named(&param.name, error))?;
    }
    Ok(())
}

/// Lifts the result of a call, if the function has one; see [`LiftResult`](crate::abi::LiftResult).
///
/// # Errors
/// The guest's traps.
pub fn lift_result_val(
    cx: &mut LiftContext<'_>,
    func: FuncTypeIdx,
    max_flat: usize,
    src: &mut FlatReader<'_>,
) -> anyhow::Result<Option<Val>> {
    let types = cx.types;
    let Some(ty) = types.func(func).result else {
        return Ok(None);
    };
    if types.flat_count(ty) as usize <= max_flat {
        return lift_val_flat(cx, ty, src).map(Some);
    }
    let ptr = spilled_source(cx, ty, src)?;
    lift_val_mem(cx, ty, ptr).map(Some)
}

/// Lowers the result of a call, if the function has one; see [`LowerResult`](crate::abi::LowerResult).
///
/// # Errors
/// [`TypeMismatch`], the guest's traps, and errors of its `realloc`.
pub fn lower_result_val(
    val: Option<&Val>,
    cx: &mut LowerContext<'_>,
    func: FuncTypeIdx,
    max_flat: usize,
    out: &mut FlatReader<'_>,
    dst: &mut FlatWriter<'_>,
) -> anyhow::Result<()> {
    let types = cx.types;
    let (val, ty) = match (val, types.func(func).result) {
        (None, None) => return Ok(()),
        (Some(val), Some(ty)) => (val, ty),
        (Some(val), None) => return Err(TypeMismatch::new("no result", val.kind()).into()),
        (None, Some(ty)) => {
            return Err(TypeMismatch::new(types.display(ty).to_string(), "no result").into());
        }
    };
    if types.flat_count(ty) as usize <= max_flat {
        return lower_val_flat(val, cx, ty, dst);
    }
    let layout = types.layout(ty, cx.memory64);
    let pointer = out.address(cx.memory64)?;
    let range = GuestRange::check(
        cx.memory(),
        pointer,
        layout.size.into(),
        layout.align,
        "tuple",
    )?;
    lower_val_mem(val, cx, ty, range.start())
}

fn spilled_source(
    cx: &LiftContext<'_>,
    ty: ValType,
    src: &mut FlatReader<'_>,
) -> anyhow::Result<usize> {
    let layout = cx.types.layout(ty, cx.memory64);
    let pointer = src.address(cx.memory64)?;
    let range = GuestRange::check(
        cx.memory,
        pointer,
        layout.size.into(),
        layout.align,
        "tuple",
    )?;
    Ok(range.start())
}

fn offsets(types: &Types, params: ValType, memory64: bool) -> &[u32] {
    let index: Option<TypeIdx> = params.type_idx();
    index.map_or(&[], |index| types.field_offsets(index, memory64))
}
