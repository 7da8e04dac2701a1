//! Value types as the binary has them, turned into definitions once their parts are looked up.

use crate::types::{Case, Field, ResourceIdx, TypeDef, ValType};
use wasmparser::{ComponentDefinedType, ComponentValType, PrimitiveValType};

/// A value type whose parts have been looked up.
pub(super) enum Resolved {
    Scalar(ValType),
    /// To be interned.
    Composite(TypeDef),
}

/// Looks up the parts of a value type.
pub(super) fn resolve<E>(
    ty: &ComponentDefinedType<'_>,
    mut value: impl FnMut(ComponentValType) -> Result<ValType, E>,
    resource: impl FnOnce(u32) -> Result<ResourceIdx, E>,
) -> Result<Resolved, E> {
    let labels = |labels: &[&str]| labels.iter().map(|label| Box::from(*label)).collect();
    Ok(Resolved::Composite(match ty {
        ComponentDefinedType::Primitive(ty) => return Ok(Resolved::Scalar(primitive(*ty))),
        ComponentDefinedType::Own(index) => {
            return Ok(Resolved::Scalar(ValType::Own(resource(*index)?)));
        }
        ComponentDefinedType::Borrow(index) => {
            return Ok(Resolved::Scalar(ValType::Borrow(resource(*index)?)));
        }
        ComponentDefinedType::Record(parts) => TypeDef::Record(fields(parts, &mut value)?),
        ComponentDefinedType::Variant(cases) => {
            let cases = cases.iter().map(|case| {
                Ok(Case {
                    name: case.name.into(),
                    ty: case.ty.map(&mut value).transpose()?,
                })
            });
            TypeDef::Variant(cases.collect::<Result<_, E>>()?)
        }
        ComponentDefinedType::List(ty) => TypeDef::List(value(*ty)?),
        ComponentDefinedType::Map(key, entry) => TypeDef::Map {
            key: value(*key)?,
            value: value(*entry)?,
        },
        ComponentDefinedType::FixedLengthList(ty, length) => TypeDef::FixedList {
            element: value(*ty)?,
            length: *length,
        },
        ComponentDefinedType::Tuple(parts) => {
            let parts = parts.iter().copied().map(value);
            TypeDef::Tuple(parts.collect::<Result<_, E>>()?)
        }
        ComponentDefinedType::Flags(names) => TypeDef::Flags(labels(names)),
        ComponentDefinedType::Enum(names) => TypeDef::Enum(labels(names)),
        ComponentDefinedType::Option(ty) => TypeDef::Option(value(*ty)?),
        ComponentDefinedType::Result { ok, err } => TypeDef::Result {
            ok: ok.map(&mut value).transpose()?,
            err: err.map(&mut value).transpose()?,
        },
        ComponentDefinedType::Future(ty) => TypeDef::Future(ty.map(value).transpose()?),
        ComponentDefinedType::Stream(ty) => TypeDef::Stream(ty.map(value).transpose()?),
    }))
}

/// Named parts with their types looked up by `value`.
pub(super) fn fields<E>(
    parts: &[(&str, ComponentValType)],
    value: &mut impl FnMut(ComponentValType) -> Result<ValType, E>,
) -> Result<Box<[Field]>, E> {
    let fields = parts.iter().map(|(name, ty)| {
        Ok(Field {
            name: Box::from(*name),
            ty: value(*ty)?,
        })
    });
    fields.collect()
}

/// How many parts a type lists, where a long label counts as one more for each 16 bytes.
pub(super) fn part_count(ty: &ComponentDefinedType<'_>) -> usize {
    let label = |label: &str| 1 + label.len() / 16;
    match ty {
        ComponentDefinedType::Record(parts) => parts.iter().map(|(name, _)| label(name)).sum(),
        ComponentDefinedType::Variant(cases) => cases.iter().map(|case| label(case.name)).sum(),
        ComponentDefinedType::Tuple(parts) => parts.len(),
        ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => {
            names.iter().map(|name| label(name)).sum()
        }
        _ => 0,
    }
}

pub(super) fn primitive(ty: PrimitiveValType) -> ValType {
    match ty {
        PrimitiveValType::Bool => ValType::Bool,
        PrimitiveValType::S8 => ValType::S8,
        PrimitiveValType::U8 => ValType::U8,
        PrimitiveValType::S16 => ValType::S16,
        PrimitiveValType::U16 => ValType::U16,
        PrimitiveValType::S32 => ValType::S32,
        PrimitiveValType::U32 => ValType::U32,
        PrimitiveValType::S64 => ValType::S64,
        PrimitiveValType::U64 => ValType::U64,
        PrimitiveValType::F32 => ValType::F32,
        PrimitiveValType::F64 => ValType::F64,
        PrimitiveValType::Char => ValType::Char,
        PrimitiveValType::String => ValType::String,
        PrimitiveValType::ErrorContext => ValType::ErrorContext,
    }
}
