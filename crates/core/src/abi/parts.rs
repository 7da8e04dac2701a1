//! The parts of composite types, and checking Rust types against them part by part.
//!
//! Derived implementations of [`ComponentType`](super::ComponentType), [`Lift`](super::Lift) and [`Lower`](super::Lower) are written with this.

use super::{TypeContext, TypeMismatch};
use crate::types::{TypeDef, Types, ValType};

/// The typecheck of a part: [`ComponentType::typecheck`](super::ComponentType::typecheck) of its Rust type.
pub type Check = fn(ValType, &TypeContext<'_>) -> Result<(), TypeMismatch>;

/// The type of a field of a record or tuple.
///
/// Like its siblings this gives `bool` where there is no such part, which a typecheck has excluded. Types without parts do not look at
/// their type when they are lifted and lowered, and then the optimiser drops the look-up.
#[inline]
pub fn field(types: &Types, ty: ValType, index: usize) -> ValType {
    match def(types, ty) {
        Some(TypeDef::Record(fields)) => fields.get(index).map(|field| field.ty),
        Some(TypeDef::Tuple(fields)) => fields.get(index).copied(),
        _ => None,
    }
    .unwrap_or(ValType::Bool)
}

/// The type of the payload of a case of a variant, option or result.
#[inline]
pub fn payload(types: &Types, ty: ValType, case: usize) -> ValType {
    match (def(types, ty), case) {
        (Some(TypeDef::Variant(cases)), _) => cases.get(case).and_then(|case| case.ty),
        (Some(TypeDef::Option(payload)), 1) => Some(*payload),
        (Some(TypeDef::Result { ok, .. }), 0) => *ok,
        (Some(TypeDef::Result { err, .. }), 1) => *err,
        _ => None,
    }
    .unwrap_or(ValType::Bool)
}

/// The type of the elements of a list, or of the entries of a map, which are tuples.
#[inline]
pub fn element(types: &Types, ty: ValType) -> ValType {
    match (ty, def(types, ty)) {
        (_, Some(TypeDef::List(element) | TypeDef::FixedList { element, .. })) => Some(*element),
        (ValType::Map(index), _) => types.map_entry(index),
        _ => None,
    }
    .unwrap_or(ValType::Bool)
}

#[inline]
fn def(types: &Types, ty: ValType) -> Option<&TypeDef> {
    types.defs().get(ty.type_idx()?.index())
}

/// Checks a record: the labels in order, with the typecheck of each field.
///
/// # Errors
/// Where it differs.
pub fn typecheck_record(
    ty: ValType,
    cx: &TypeContext<'_>,
    fields: &[(&str, Check)],
) -> Result<(), TypeMismatch> {
    let Some(TypeDef::Record(found)) = def(cx.types, ty) else {
        return Err(TypeMismatch::kind("record", cx, ty));
    };
    count("fields", fields.len(), found.len())?;
    for ((name, check), found) in fields.iter().zip(found) {
        label("field", name, &found.name)?;
        check(found.ty, cx).map_err(|mismatch| mismatch.within(format!("field `{name}`")))?;
    }
    Ok(())
}

/// Checks a tuple: the typecheck of each field.
///
/// # Errors
/// Where it differs.
pub fn typecheck_tuple(
    ty: ValType,
    cx: &TypeContext<'_>,
    fields: &[Check],
) -> Result<(), TypeMismatch> {
    let Some(TypeDef::Tuple(found)) = def(cx.types, ty) else {
        return Err(TypeMismatch::kind("tuple", cx, ty));
    };
    count("fields", fields.len(), found.len())?;
    for (i, (check, found)) in fields.iter().zip(found).enumerate() {
        check(*found, cx).map_err(|mismatch| mismatch.within(format!("field {i}")))?;
    }
    Ok(())
}

/// Checks a variant: the labels in order, with the typecheck of each payload.
///
/// # Errors
/// Where it differs.
pub fn typecheck_variant(
    ty: ValType,
    cx: &TypeContext<'_>,
    cases: &[(&str, Option<Check>)],
) -> Result<(), TypeMismatch> {
    let Some(TypeDef::Variant(found)) = def(cx.types, ty) else {
        return Err(TypeMismatch::kind("variant", cx, ty));
    };
    count("cases", cases.len(), found.len())?;
    for ((name, check), found) in cases.iter().zip(found) {
        label("case", name, &found.name)?;
        typecheck_payload(found.ty, cx, *check)
            .map_err(|mismatch| mismatch.within(format!("case `{name}`")))?;
    }
    Ok(())
}

/// Checks the payload of a case, which may have none.
///
/// # Errors
/// Where it differs.
pub fn typecheck_payload(
    ty: Option<ValType>,
    cx: &TypeContext<'_>,
    check: Option<Check>,
) -> Result<(), TypeMismatch> {
    match (ty, check) {
        (None, None) => Ok(()),
        (Some(ty), Some(check)) => check(ty, cx),
        (Some(ty), None) => Err(TypeMismatch::kind("no payload", cx, ty)),
        (None, Some(_)) => Err(TypeMismatch::new("a payload", "none")),
    }
}

/// Checks an enum: the labels in order.
///
/// # Errors
/// Where it differs.
pub fn typecheck_enum(
    ty: ValType,
    cx: &TypeContext<'_>,
    labels: &[&str],
) -> Result<(), TypeMismatch> {
    let Some(TypeDef::Enum(found)) = def(cx.types, ty) else {
        return Err(TypeMismatch::kind("enum", cx, ty));
    };
    typecheck_labels("case", labels, found)
}

/// Checks flags: the labels in order.
///
/// # Errors
/// Where it differs.
pub fn typecheck_flags(
    ty: ValType,
    cx: &TypeContext<'_>,
    labels: &[&str],
) -> Result<(), TypeMismatch> {
    let Some(TypeDef::Flags(found)) = def(cx.types, ty) else {
        return Err(TypeMismatch::kind("flags", cx, ty));
    };
    typecheck_labels("flag", labels, found)
}

fn typecheck_labels(what: &str, labels: &[&str], found: &[Box<str>]) -> Result<(), TypeMismatch> {
    count("labels", labels.len(), found.len())?;
    for (name, found) in labels.iter().zip(found) {
        label(what, name, found)?;
    }
    Ok(())
}

fn count(what: &str, expected: usize, found: usize) -> Result<(), TypeMismatch> {
    if expected == found {
        Ok(())
    } else {
        Err(TypeMismatch::new(
            format!("{expected} {what}"),
            format!("{found} {what}"),
        ))
    }
}

fn label(what: &str, expected: &str, found: &str) -> Result<(), TypeMismatch> {
    if expected == found {
        Ok(())
    } else {
        Err(TypeMismatch::new(
            format!("{what} {expected}"),
            format!("{what} {found}"),
        ))
    }
}
