//! Lifting dynamic values.

use super::Val;
use crate::abi::list::check_list;
use crate::abi::variant::check_discriminant;
use crate::abi::{
    FlatReader, Lift, LiftContext, ResourceAny, canonicalize_nan32, canonicalize_nan64, memory,
    parts,
};
use crate::types::{TypeDef, TypeIdx, ValType};

/// The host memory of one value.
const VAL: usize = size_of::<Val>();
/// The host memory of a label, apart from its text.
const LABEL: usize = size_of::<String>();

/// Lifts a value from flat values.
///
/// # Errors
/// The guest's [`Trap`](crate::trap::Trap)s.
pub fn lift_val_flat(
    cx: &mut LiftContext<'_>,
    ty: ValType,
    src: &mut FlatReader<'_>,
) -> anyhow::Result<Val> {
    lift(cx, ty, &mut Source::Flat(src))
}

/// Lifts a value from memory, at an address whose alignment and bounds have been checked.
///
/// # Errors
/// The guest's [`Trap`](crate::trap::Trap)s.
pub fn lift_val_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Val> {
    lift(cx, ty, &mut Source::Memory(ptr))
}

/// Lifts values that lie in memory one after another, at an address whose alignment and bounds have been checked.
///
/// # Errors
/// The guest's [`Trap`](crate::trap::Trap)s.
pub fn lift_val_list(
    cx: &mut LiftContext<'_>,
    element: ValType,
    ptr: usize,
    length: usize,
) -> anyhow::Result<Vec<Val>> {
    cx.budget.take(length, VAL)?;
    let size = cx.types.layout(element, cx.memory64).size as usize;
    if element.is_number() {
        let bytes = memory::bytes(cx.memory, ptr, length * size)?;
        return Ok(numbers(element, bytes));
    }
    // Every element takes at least a byte of the memory that was checked.
    let mut list = Vec::with_capacity(length);
    for i in 0..length {
        list.push(lift_val_mem(cx, element, ptr + i * size)?);
    }
    Ok(list)
}

/// The numbers that these bytes are.
fn numbers(element: ValType, bytes: &[u8]) -> Vec<Val> {
    fn each<const N: usize>(bytes: &[u8], val: fn([u8; N]) -> Val) -> Vec<Val> {
        let (chunks, _) = bytes.as_chunks();
        chunks.iter().map(|&chunk| val(chunk)).collect()
    }
    match element {
        ValType::U8 => each(bytes, |b| Val::U8(u8::from_le_bytes(b))),
        ValType::S8 => each(bytes, |b| Val::S8(i8::from_le_bytes(b))),
        ValType::U16 => each(bytes, |b| Val::U16(u16::from_le_bytes(b))),
        ValType::S16 => each(bytes, |b| Val::S16(i16::from_le_bytes(b))),
        ValType::U32 => each(bytes, |b| Val::U32(u32::from_le_bytes(b))),
        ValType::S32 => each(bytes, |b| Val::S32(i32::from_le_bytes(b))),
        ValType::U64 => each(bytes, |b| Val::U64(u64::from_le_bytes(b))),
        ValType::S64 => each(bytes, |b| Val::S64(i64::from_le_bytes(b))),
        ValType::F32 => each(bytes, |b| {
            Val::F32(f32::from_bits(canonicalize_nan32(u32::from_le_bytes(b))))
        }),
        ValType::F64 => each(bytes, |b| {
            Val::F64(f64::from_bits(canonicalize_nan64(u64::from_le_bytes(b))))
        }),
        // Not a number, which the caller has excluded.
        _ => Vec::new(),
    }
}

/// Where a value is lifted from.
enum Source<'a, 'b> {
    Flat(&'a mut FlatReader<'b>),
    Memory(usize),
}

impl<'b> Source<'_, 'b> {
    fn scalar<T: Lift>(&mut self, cx: &mut LiftContext<'_>, ty: ValType) -> anyhow::Result<T> {
        match self {
            Source::Flat(src) => T::lift_flat(cx, ty, src),
            Source::Memory(ptr) => T::lift_mem(cx, ty, *ptr),
        }
    }

    /// The two words of a string, list or map.
    fn pair(&mut self, cx: &LiftContext<'_>) -> anyhow::Result<(u64, u64)> {
        Ok(match self {
            Source::Flat(src) => (src.address(cx.memory64)?, src.address(cx.memory64)?),
            Source::Memory(ptr) => (
                cx.load_address(*ptr)?,
                cx.load_address(*ptr + cx.pointer_size())?,
            ),
        })
    }

    /// A part at an offset, or the next flat values.
    fn part<'c>(&'c mut self, offset: usize) -> Source<'c, 'b> {
        match self {
            Source::Flat(src) => Source::Flat(src),
            Source::Memory(ptr) => Source::Memory(*ptr + offset),
        }
    }
}

fn lift(cx: &mut LiftContext<'_>, ty: ValType, src: &mut Source<'_, '_>) -> anyhow::Result<Val> {
    Ok(match ty {
        ValType::Bool => Val::Bool(src.scalar(cx, ty)?),
        ValType::S8 => Val::S8(src.scalar(cx, ty)?),
        ValType::U8 => Val::U8(src.scalar(cx, ty)?),
        ValType::S16 => Val::S16(src.scalar(cx, ty)?),
        ValType::U16 => Val::U16(src.scalar(cx, ty)?),
        ValType::S32 => Val::S32(src.scalar(cx, ty)?),
        ValType::U32 => Val::U32(src.scalar(cx, ty)?),
        ValType::S64 => Val::S64(src.scalar(cx, ty)?),
        ValType::U64 => Val::U64(src.scalar(cx, ty)?),
        ValType::F32 => Val::F32(src.scalar(cx, ty)?),
        ValType::F64 => Val::F64(src.scalar(cx, ty)?),
        ValType::Char => Val::Char(src.scalar(cx, ty)?),
        ValType::String => Val::String(src.scalar(cx, ty)?),
        ValType::Own(_) | ValType::Borrow(_) => Val::Resource(src.scalar::<ResourceAny>(cx, ty)?),
        ValType::ErrorContext => Val::ErrorContext(src.scalar(cx, ty)?),
        ValType::Stream(_) => Val::Stream(src.scalar(cx, ty)?),
        ValType::Future(_) => Val::Future(src.scalar(cx, ty)?),
        ValType::List(_) => {
            let element = parts::element(cx.types, ty);
            let (pointer, length) = src.pair(cx)?;
            Val::List(lift_list(cx, element, pointer, length)?)
        }
        ValType::Map(_) => {
            let entry = parts::element(cx.types, ty);
            let (pointer, length) = src.pair(cx)?;
            Val::Map(lift_map(cx, entry, pointer, length)?)
        }
        ValType::FixedList(index) => lift_fixed_list(cx, index, src)?,
        ValType::Record(index) => lift_record(cx, index, src)?,
        ValType::Tuple(index) => lift_tuple(cx, index, src)?,
        ValType::Flags(index) => lift_flags(cx, ty, index, src)?,
        ValType::Variant(index)
        | ValType::Enum(index)
        | ValType::Option(index)
        | ValType::Result(index) => lift_variant(cx, ty, index, src)?,
    })
}

fn lift_list(
    cx: &mut LiftContext<'_>,
    element: ValType,
    pointer: u64,
    length: u64,
) -> anyhow::Result<Vec<Val>> {
    let layout = cx.types.layout(element, cx.memory64);
    let range = check_list(
        cx.memory,
        pointer,
        length,
        layout.size as usize,
        layout.align,
    )?;
    // It was just found to fit memory.
    lift_val_list(cx, element, range.start(), length as usize)
}

fn lift_map(
    cx: &mut LiftContext<'_>,
    entry: ValType,
    pointer: u64,
    length: u64,
) -> anyhow::Result<Vec<(Val, Val)>> {
    let types = cx.types;
    let (key, value) = (parts::field(types, entry, 0), parts::field(types, entry, 1));
    let layout = types.layout(entry, cx.memory64);
    let value_offset = entry
        .type_idx()
        .and_then(|index| types.field_offsets(index, cx.memory64).get(1))
        .map_or(0, |&offset| offset as usize);
    let range = check_list(
        cx.memory,
        pointer,
        length,
        layout.size as usize,
        layout.align,
    )?;
    let length = length as usize;
    cx.budget.take(length, 2 * VAL)?;
    // Every entry takes at least two bytes of the memory that was checked.
    let mut map = Vec::with_capacity(length);
    for i in 0..length {
        let ptr = range.start() + i * layout.size as usize;
        let key = lift_val_mem(cx, key, ptr)?;
        map.push((key, lift_val_mem(cx, value, ptr + value_offset)?));
    }
    Ok(map)
}

fn lift_fixed_list(
    cx: &mut LiftContext<'_>,
    index: TypeIdx,
    src: &mut Source<'_, '_>,
) -> anyhow::Result<Val> {
    let TypeDef::FixedList { element, length } = *cx.types.def(index) else {
        return Err(mismatched());
    };
    cx.budget.take(length as usize, VAL)?;
    let size = cx.types.layout(element, cx.memory64).size as usize;
    // The type's size is bounded, and so is its length.
    let mut list = Vec::with_capacity(length as usize);
    for i in 0..length as usize {
        list.push(lift(cx, element, &mut src.part(i * size))?);
    }
    Ok(Val::List(list))
}

fn lift_record(
    cx: &mut LiftContext<'_>,
    index: TypeIdx,
    src: &mut Source<'_, '_>,
) -> anyhow::Result<Val> {
    let types = cx.types;
    let TypeDef::Record(fields) = types.def(index) else {
        return Err(mismatched());
    };
    let offsets = types.field_offsets(index, cx.memory64);
    let names: usize = fields.iter().map(|field| field.name.len()).sum();
    cx.budget.take(fields.len(), VAL + LABEL)?;
    cx.budget.take(names, 1)?;
    let mut record = Vec::with_capacity(fields.len());
    for (field, &offset) in fields.iter().zip(offsets) {
        let value = lift(cx, field.ty, &mut src.part(offset as usize))?;
        record.push((field.name.to_string(), value));
    }
    Ok(Val::Record(record))
}

fn lift_tuple(
    cx: &mut LiftContext<'_>,
    index: TypeIdx,
    src: &mut Source<'_, '_>,
) -> anyhow::Result<Val> {
    let types = cx.types;
    let TypeDef::Tuple(fields) = types.def(index) else {
        return Err(mismatched());
    };
    let offsets = types.field_offsets(index, cx.memory64);
    cx.budget.take(fields.len(), VAL)?;
    let mut tuple = Vec::with_capacity(fields.len());
    for (&field, &offset) in fields.iter().zip(offsets) {
        tuple.push(lift(cx, field, &mut src.part(offset as usize))?);
    }
    Ok(Val::Tuple(tuple))
}

fn lift_flags(
    cx: &mut LiftContext<'_>,
    ty: ValType,
    index: TypeIdx,
    src: &mut Source<'_, '_>,
) -> anyhow::Result<Val> {
    let types = cx.types;
    let TypeDef::Flags(labels) = types.def(index) else {
        return Err(mismatched());
    };
    let size = types.layout(ty, cx.memory64).size;
    let bits = match src {
        Source::Flat(src) => src.word32()?,
        // At most four bytes.
        Source::Memory(ptr) => memory::load_uint(cx.memory, *ptr, size)? as u32,
    };
    let mut set = Vec::new();
    for (i, label) in labels.iter().enumerate() {
        if bits >> i & 1 != 0 {
            cx.budget.take(1, LABEL + label.len())?;
            set.push(label.to_string());
        }
    }
    Ok(Val::Flags(set))
}

fn lift_variant(
    cx: &mut LiftContext<'_>,
    ty: ValType,
    index: TypeIdx,
    src: &mut Source<'_, '_>,
) -> anyhow::Result<Val> {
    let types = cx.types;
    let layout = types.variant_layout(index, cx.memory64);
    let end = match src {
        Source::Flat(src) => src.position() + types.flat_count(ty) as usize,
        Source::Memory(_) => 0,
    };
    let discriminant = match src {
        Source::Flat(src) => src.word32()?,
        // At most four bytes.
        Source::Memory(ptr) => memory::load_uint(cx.memory, *ptr, layout.discriminant_size)? as u32,
    };
    // A type has fewer than 2^32 cases.
    let case = check_discriminant(discriminant, types.case_count(index) as u32)? as usize;
    let payload = match types.case_payload(index, case).flatten() {
        None => None,
        Some(payload) => {
            cx.budget.take(1, VAL)?;
            let payload = lift(cx, payload, &mut src.part(layout.payload_offset as usize))?;
            Some(Box::new(payload))
        }
    };
    if let Source::Flat(src) = src {
        src.skip_to(end);
    }
    let mut label = |label: &str| {
        cx.budget.take(1, label.len())?;
        anyhow::Ok(label.to_owned())
    };
    Ok(match types.def(index) {
        TypeDef::Variant(cases) => {
            let case = cases.get(case).ok_or_else(mismatched)?;
            Val::Variant(label(&case.name)?, payload)
        }
        TypeDef::Enum(labels) => Val::Enum(label(labels.get(case).ok_or_else(mismatched)?)?),
        TypeDef::Option(_) => Val::Option(payload),
        TypeDef::Result { .. } if case == 0 => Val::Result(Ok(payload)),
        TypeDef::Result { .. } => Val::Result(Err(payload)),
        _ => return Err(mismatched()),
    })
}

#[cold]
fn mismatched() -> anyhow::Error {
    anyhow::anyhow!("a bug in Tidegate: a type and its definition differ; please report it")
}
