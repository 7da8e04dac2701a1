//! Lowering dynamic values, whose types are checked on the way.

use super::Val;
use crate::abi::list::list_bytes;
use crate::abi::{FlatWriter, Lower, LowerContext, ResourceAny, TypeMismatch, memory, parts};
use crate::types::{TypeDef, TypeIdx, ValType};

/// Lowers a value to flat values.
///
/// # Errors
/// [`TypeMismatch`], the guest's [`Trap`](crate::trap::Trap)s, and errors of its `realloc`.
pub fn lower_val_flat(
    val: &Val,
    cx: &mut LowerContext<'_>,
    ty: ValType,
    dst: &mut FlatWriter<'_>,
) -> anyhow::Result<()> {
    lower(val, cx, ty, &mut Sink::Flat(dst))
}

/// Lowers a value into memory, at an address whose alignment and bounds have been checked.
///
/// # Errors
/// [`TypeMismatch`], the guest's [`Trap`](crate::trap::Trap)s, and errors of its `realloc`.
pub fn lower_val_mem(
    val: &Val,
    cx: &mut LowerContext<'_>,
    ty: ValType,
    ptr: usize,
) -> anyhow::Result<()> {
    lower(val, cx, ty, &mut Sink::Memory(ptr))
}

/// Lowers values into memory one after another, at an address whose alignment and bounds have been checked.
///
/// # Errors
/// [`TypeMismatch`], the guest's [`Trap`](crate::trap::Trap)s, and errors of its `realloc`.
pub fn lower_val_list(
    list: &[Val],
    cx: &mut LowerContext<'_>,
    element: ValType,
    ptr: usize,
) -> anyhow::Result<()> {
    let size = cx.types.layout(element, cx.memory64).size as usize;
    for (i, val) in list.iter().enumerate() {
        lower_val_mem(val, cx, element, ptr + i * size)?;
    }
    Ok(())
}

/// Where a value is lowered to.
enum Sink<'a, 'b> {
    Flat(&'a mut FlatWriter<'b>),
    Memory(usize),
}

impl<'b> Sink<'_, 'b> {
    fn scalar<T: Lower>(
        &mut self,
        value: &T,
        cx: &mut LowerContext<'_>,
        ty: ValType,
    ) -> anyhow::Result<()> {
        match self {
            Sink::Flat(dst) => value.lower_flat(cx, ty, dst),
            Sink::Memory(ptr) => value.lower_mem(cx, ty, *ptr),
        }
    }

    /// An unsigned integer of `size` bytes in memory, or an `i32`.
    fn word(&mut self, word: u32, cx: &mut LowerContext<'_>, size: u32) -> anyhow::Result<()> {
        match self {
            Sink::Flat(dst) => dst.push(word.into()),
            Sink::Memory(ptr) => memory::store_uint(cx.memory(), *ptr, word.into(), size),
        }
    }

    /// The two words of a list or map.
    fn pair(
        &mut self,
        cx: &mut LowerContext<'_>,
        start: usize,
        length: usize,
    ) -> anyhow::Result<()> {
        match self {
            Sink::Flat(dst) => {
                dst.push(start as u64)?;
                dst.push(length as u64)
            }
            Sink::Memory(ptr) => {
                cx.store_address(*ptr, start as u64)?;
                cx.store_address(*ptr + cx.pointer_size(), length as u64)
            }
        }
    }

    /// A part at an offset, or the next flat values.
    fn part<'c>(&'c mut self, offset: usize) -> Sink<'c, 'b> {
        match self {
            Sink::Flat(dst) => Sink::Flat(dst),
            Sink::Memory(ptr) => Sink::Memory(*ptr + offset),
        }
    }
}

fn lower(
    val: &Val,
    cx: &mut LowerContext<'_>,
    ty: ValType,
    dst: &mut Sink<'_, '_>,
) -> anyhow::Result<()> {
    match (val, ty) {
        (Val::Bool(value), ValType::Bool) => dst.scalar(value, cx, ty),
        (Val::S8(value), ValType::S8) => dst.scalar(value, cx, ty),
        (Val::U8(value), ValType::U8) => dst.scalar(value, cx, ty),
        (Val::S16(value), ValType::S16) => dst.scalar(value, cx, ty),
        (Val::U16(value), ValType::U16) => dst.scalar(value, cx, ty),
        (Val::S32(value), ValType::S32) => dst.scalar(value, cx, ty),
        (Val::U32(value), ValType::U32) => dst.scalar(value, cx, ty),
        (Val::S64(value), ValType::S64) => dst.scalar(value, cx, ty),
        (Val::U64(value), ValType::U64) => dst.scalar(value, cx, ty),
        (Val::F32(value), ValType::F32) => dst.scalar(value, cx, ty),
        (Val::F64(value), ValType::F64) => dst.scalar(value, cx, ty),
        (Val::Char(value), ValType::Char) => dst.scalar(value, cx, ty),
        (Val::String(value), ValType::String) => dst.scalar(value, cx, ty),
        (Val::Resource(value), ValType::Own(_) | ValType::Borrow(_)) => {
            dst.scalar::<ResourceAny>(value, cx, ty)
        }
        (Val::Stream(value), ValType::Stream(_)) => dst.scalar(value, cx, ty),
        (Val::Future(value), ValType::Future(_)) => dst.scalar(value, cx, ty),
        (Val::ErrorContext(value), ValType::ErrorContext) => dst.scalar(value, cx, ty),
        (Val::List(list), ValType::List(_)) => {
            let element = parts::element(cx.types, ty);
            let start = allocate(cx, element, list.len())?;
            lower_val_list(list, cx, element, start)?;
            dst.pair(cx, start, list.len())
        }
        (Val::Map(map), ValType::Map(_)) => {
            let start = lower_map(map, cx, parts::element(cx.types, ty))?;
            dst.pair(cx, start, map.len())
        }
        (Val::List(list), ValType::FixedList(index)) => {
            let TypeDef::FixedList { element, length } = *cx.types.def(index) else {
                return Err(mismatch(val, cx, ty));
            };
            if list.len() != length as usize {
                let found = format!("a list of {} elements", list.len());
                let expected = cx.types.display(ty).to_string();
                return Err(TypeMismatch::new(expected, found).into());
            }
            let size = cx.types.layout(element, cx.memory64).size as usize;
            list.iter()
                .enumerate()
                .try_for_each(|(i, val)| lower(val, cx, element, &mut dst.part(i * size)))
        }
        (Val::Record(record), ValType::Record(index)) => {
            let types = cx.types;
            let TypeDef::Record(fields) = types.def(index) else {
                return Err(mismatch(val, cx, ty));
            };
            let names = record.iter().map(|(name, _)| name.as_str());
            if !names.eq(fields.iter().map(|field| &*field.name)) {
                return Err(mismatch(val, cx, ty));
            }
            let offsets = types.field_offsets(index, cx.memory64);
            for ((field, (_, val)), &offset) in fields.iter().zip(record).zip(offsets) {
                lower(val, cx, field.ty, &mut dst.part(offset as usize))?;
            }
            Ok(())
        }
        (Val::Tuple(tuple), ValType::Tuple(index)) => {
            let types = cx.types;
            let TypeDef::Tuple(fields) = types.def(index) else {
                return Err(mismatch(val, cx, ty));
            };
            if tuple.len() != fields.len() {
                return Err(mismatch(val, cx, ty));
            }
            let offsets = types.field_offsets(index, cx.memory64);
            for ((&field, val), &offset) in fields.iter().zip(tuple).zip(offsets) {
                lower(val, cx, field, &mut dst.part(offset as usize))?;
            }
            Ok(())
        }
        (Val::Flags(set), ValType::Flags(index)) => {
            let TypeDef::Flags(labels) = cx.types.def(index) else {
                return Err(mismatch(val, cx, ty));
            };
            let mut bits = 0_u32;
            for label in set {
                match labels.iter().position(|known| **known == **label) {
                    // A type has at most 32 labels.
                    Some(i) => bits |= 1 << i,
                    None => return Err(unknown_label("flag", label, cx, ty)),
                }
            }
            dst.word(bits, cx, cx.types.layout(ty, cx.memory64).size)
        }
        (Val::Variant(label, payload), ValType::Variant(index)) => {
            let TypeDef::Variant(cases) = cx.types.def(index) else {
                return Err(mismatch(val, cx, ty));
            };
            let Some(case) = cases.iter().position(|case| *case.name == **label) else {
                return Err(unknown_label("case", label, cx, ty));
            };
            lower_variant(cx, ty, index, case, payload.as_deref(), dst)
        }
        (Val::Enum(label), ValType::Enum(index)) => {
            let TypeDef::Enum(labels) = cx.types.def(index) else {
                return Err(mismatch(val, cx, ty));
            };
            let Some(case) = labels.iter().position(|known| **known == **label) else {
                return Err(unknown_label("case", label, cx, ty));
            };
            lower_variant(cx, ty, index, case, None, dst)
        }
        (Val::Option(value), ValType::Option(index)) => {
            lower_variant(cx, ty, index, value.is_some().into(), value.as_deref(), dst)
        }
        (Val::Result(result), ValType::Result(index)) => {
            let (Ok(payload) | Err(payload)) = result;
            lower_variant(
                cx,
                ty,
                index,
                result.is_err().into(),
                payload.as_deref(),
                dst,
            )
        }
        _ => Err(mismatch(val, cx, ty)),
    }
}

fn lower_variant(
    cx: &mut LowerContext<'_>,
    ty: ValType,
    index: TypeIdx,
    case: usize,
    payload: Option<&Val>,
    dst: &mut Sink<'_, '_>,
) -> anyhow::Result<()> {
    let types = cx.types;
    let layout = types.variant_layout(index, cx.memory64);
    let end = match dst {
        Sink::Flat(dst) => dst.position() + types.flat_count(ty) as usize,
        Sink::Memory(_) => 0,
    };
    // A type has fewer than 2^32 cases.
    dst.word(case as u32, cx, layout.discriminant_size)?;
    match (payload, types.case_payload(index, case).flatten()) {
        (None, None) => {}
        (Some(val), Some(ty)) => {
            lower(val, cx, ty, &mut dst.part(layout.payload_offset as usize))?;
        }
        (Some(val), None) => {
            return Err(TypeMismatch::new("no payload", val.kind()).into());
        }
        (None, Some(ty)) => {
            return Err(TypeMismatch::new(types.display(ty).to_string(), "no payload").into());
        }
    }
    match dst {
        Sink::Flat(dst) => dst.pad_to(end),
        Sink::Memory(_) => Ok(()),
    }
}

fn lower_map(
    map: &[(Val, Val)],
    cx: &mut LowerContext<'_>,
    entry: ValType,
) -> anyhow::Result<usize> {
    let types = cx.types;
    let (key_ty, value_ty) = (parts::field(types, entry, 0), parts::field(types, entry, 1));
    let size = types.layout(entry, cx.memory64).size as usize;
    let value_offset = entry
        .type_idx()
        .and_then(|index| types.field_offsets(index, cx.memory64).get(1))
        .map_or(0, |&offset| offset as usize);
    let start = allocate(cx, entry, map.len())?;
    for (i, (key, value)) in map.iter().enumerate() {
        let ptr = start + i * size;
        lower_val_mem(key, cx, key_ty, ptr)?;
        lower_val_mem(value, cx, value_ty, ptr + value_offset)?;
    }
    Ok(start)
}

fn allocate(cx: &mut LowerContext<'_>, element: ValType, length: usize) -> anyhow::Result<usize> {
    let layout = cx.types.layout(element, cx.memory64);
    let bytes = list_bytes(length, layout.size as usize)?;
    Ok(cx.allocate(layout.align, bytes, "list")?.start())
}

#[cold]
fn mismatch(val: &Val, cx: &LowerContext<'_>, ty: ValType) -> anyhow::Error {
    TypeMismatch::new(cx.types.display(ty).to_string(), val.kind()).into()
}

#[cold]
fn unknown_label(what: &str, label: &str, cx: &LowerContext<'_>, ty: ValType) -> anyhow::Error {
    TypeMismatch::new(
        cx.types.display(ty).to_string(),
        format!("unknown {what} {label}"),
    )
    .into()
}
