//! Values of the Component Model as [WAVE](https://github.com/bytecodealliance/wasm-tools/tree/main/crates/wasm-wave) text.

use anyhow::{Context as _, Result, anyhow, bail};
use tidegate::Val;
use tidegate_core::types::{TypeDef, Types, ValType};
use wasm_wave::value::{Type, Value};
use wasm_wave::wasm::{WasmType as _, WasmTypeKind, WasmValue as _};

/// The WAVE type of a value type.
///
/// # Errors
/// WAVE has no text for resources, streams, futures and error contexts.
pub fn ty(types: &Types, of: ValType) -> Result<Type> {
    let simple = |kind| Type::simple(kind).context("the type has no text in WAVE");
    let optional = |of: Option<ValType>| of.map(|of| ty(types, of)).transpose();
    Ok(match of {
        ValType::Bool => simple(WasmTypeKind::Bool)?,
        ValType::S8 => simple(WasmTypeKind::S8)?,
        ValType::U8 => simple(WasmTypeKind::U8)?,
        ValType::S16 => simple(WasmTypeKind::S16)?,
        ValType::U16 => simple(WasmTypeKind::U16)?,
        ValType::S32 => simple(WasmTypeKind::S32)?,
        ValType::U32 => simple(WasmTypeKind::U32)?,
        ValType::S64 => simple(WasmTypeKind::S64)?,
        ValType::U64 => simple(WasmTypeKind::U64)?,
        ValType::F32 => simple(WasmTypeKind::F32)?,
        ValType::F64 => simple(WasmTypeKind::F64)?,
        ValType::Char => simple(WasmTypeKind::Char)?,
        ValType::String => simple(WasmTypeKind::String)?,
        ValType::Own(_) | ValType::Borrow(_) => bail!("a resource has no text in WAVE"),
        ValType::Stream(_) | ValType::Future(_) | ValType::ErrorContext => {
            bail!("a stream, future or error context has no text in WAVE")
        }
        composite => {
            // Every type but those above is defined in the arena.
            let index = composite
                .type_idx()
                .context("the type has no text in WAVE")?;
            let made = match types.def(index) {
                TypeDef::List(element) | TypeDef::FixedList { element, .. } => {
                    Some(Type::list(ty(types, *element)?))
                }
                TypeDef::Map { key, value } => Type::map(ty(types, *key)?, ty(types, *value)?),
                TypeDef::Record(fields) => {
                    let fields = fields
                        .iter()
                        .map(|field| Ok((field.name.clone(), ty(types, field.ty)?)));
                    Type::record(fields.collect::<Result<Vec<_>>>()?)
                }
                TypeDef::Tuple(elements) => {
                    let elements = elements.iter().map(|&element| ty(types, element));
                    Type::tuple(elements.collect::<Result<Vec<_>>>()?)
                }
                TypeDef::Variant(cases) => {
                    let cases = cases
                        .iter()
                        .map(|case| Ok((case.name.clone(), optional(case.ty)?)));
                    Type::variant(cases.collect::<Result<Vec<_>>>()?)
                }
                TypeDef::Enum(names) => Type::enum_ty(names.iter().cloned()),
                TypeDef::Option(some) => Some(Type::option(ty(types, *some)?)),
                TypeDef::Result { ok, err } => Some(Type::result(optional(*ok)?, optional(*err)?)),
                TypeDef::Flags(names) => Type::flags(names.iter().cloned()),
                TypeDef::Stream(_) | TypeDef::Future(_) => None,
            };
            made.context("the type has no text in WAVE")?
        }
    })
}

/// A value as a function takes it.
pub fn to_val(value: &Value) -> Result<Val> {
    fn boxed(value: Option<std::borrow::Cow<'_, Value>>) -> Result<Option<Box<Val>>> {
        value.map(|value| Ok(Box::new(to_val(&value)?))).transpose()
    }
    Ok(match value.kind() {
        WasmTypeKind::Bool => Val::Bool(value.unwrap_bool()),
        WasmTypeKind::S8 => Val::S8(value.unwrap_s8()),
        WasmTypeKind::U8 => Val::U8(value.unwrap_u8()),
        WasmTypeKind::S16 => Val::S16(value.unwrap_s16()),
        WasmTypeKind::U16 => Val::U16(value.unwrap_u16()),
        WasmTypeKind::S32 => Val::S32(value.unwrap_s32()),
        WasmTypeKind::U32 => Val::U32(value.unwrap_u32()),
        WasmTypeKind::S64 => Val::S64(value.unwrap_s64()),
        WasmTypeKind::U64 => Val::U64(value.unwrap_u64()),
        WasmTypeKind::F32 => Val::F32(value.unwrap_f32()),
        WasmTypeKind::F64 => Val::F64(value.unwrap_f64()),
        WasmTypeKind::Char => Val::Char(value.unwrap_char()),
        WasmTypeKind::String => Val::String(value.unwrap_string().into_owned()),
        WasmTypeKind::List => Val::List(
            value
                .unwrap_list()
                .map(|v| to_val(&v))
                .collect::<Result<_>>()?,
        ),
        WasmTypeKind::Tuple => Val::Tuple(
            value
                .unwrap_tuple()
                .map(|v| to_val(&v))
                .collect::<Result<_>>()?,
        ),
        WasmTypeKind::Map => {
            let entries = value
                .unwrap_map()
                .map(|(key, value)| Ok((to_val(&key)?, to_val(&value)?)));
            Val::Map(entries.collect::<Result<_>>()?)
        }
        WasmTypeKind::Record => {
            let fields = value
                .unwrap_record()
                .map(|(name, value)| Ok((name.into_owned(), to_val(&value)?)));
            Val::Record(fields.collect::<Result<_>>()?)
        }
        WasmTypeKind::Variant => {
            let (name, payload) = value.unwrap_variant();
            Val::Variant(name.into_owned(), boxed(payload)?)
        }
        WasmTypeKind::Enum => Val::Enum(value.unwrap_enum().into_owned()),
        WasmTypeKind::Option => Val::Option(boxed(value.unwrap_option())?),
        WasmTypeKind::Result => Val::Result(match value.unwrap_result() {
            Ok(value) => Ok(boxed(value)?),
            Err(value) => Err(boxed(value)?),
        }),
        WasmTypeKind::Flags => {
            Val::Flags(value.unwrap_flags().map(|name| name.into_owned()).collect())
        }
        other => bail!("a value of type {other} cannot be passed"),
    })
}

/// A function's result as WAVE has it, for [`wasm_wave::to_string`].
pub fn to_wave(value: &Val, ty: &Type) -> Result<Value> {
    let mismatch = || anyhow!("the value {value:?} is not of the type {ty}");
    let payload = |value: &Option<Box<Val>>, ty: Option<&Type>| match (value, ty) {
        (Some(value), Some(ty)) => to_wave(value, ty).map(Some),
        (None, None) => Ok(None),
        _ => Err(mismatch()),
    };
    Ok(match value {
        Val::Bool(value) => Value::make_bool(*value),
        Val::S8(value) => Value::make_s8(*value),
        Val::U8(value) => Value::make_u8(*value),
        Val::S16(value) => Value::make_s16(*value),
        Val::U16(value) => Value::make_u16(*value),
        Val::S32(value) => Value::make_s32(*value),
        Val::U32(value) => Value::make_u32(*value),
        Val::S64(value) => Value::make_s64(*value),
        Val::U64(value) => Value::make_u64(*value),
        Val::F32(value) => Value::make_f32(*value),
        Val::F64(value) => Value::make_f64(*value),
        Val::Char(value) => Value::make_char(*value),
        Val::String(value) => Value::make_string(value.into()),
        Val::List(values) => {
            let element = ty.list_element_type().with_context(mismatch)?;
            let values = values
                .iter()
                .map(|value| to_wave(value, &element))
                .collect::<Result<Vec<_>>>()?;
            Value::make_list(ty, values)?
        }
        Val::Map(entries) => {
            let (key_type, value_type) = ty.map_key_value_types().with_context(mismatch)?;
            let entries = entries
                .iter()
                .map(|(key, value)| Ok((to_wave(key, &key_type)?, to_wave(value, &value_type)?)));
            Value::make_map(ty, entries.collect::<Result<Vec<_>>>()?)?
        }
        Val::Record(fields) => {
            let fields = fields
                .iter()
                .zip(ty.record_fields())
                .map(|((name, value), (_, ty))| Ok((name.as_str(), to_wave(value, &ty)?)));
            Value::make_record(ty, fields.collect::<Result<Vec<_>>>()?)?
        }
        Val::Tuple(values) => {
            let values = values
                .iter()
                .zip(ty.tuple_element_types())
                .map(|(value, ty)| to_wave(value, &ty));
            Value::make_tuple(ty, values.collect::<Result<Vec<_>>>()?)?
        }
        Val::Variant(name, value) => {
            let (_, case) = ty
                .variant_cases()
                .find(|(case, _)| case == name)
                .with_context(mismatch)?;
            Value::make_variant(ty, name, payload(value, case.as_ref())?)?
        }
        Val::Enum(name) => Value::make_enum(ty, name)?,
        Val::Option(value) => {
            let some = ty.option_some_type().with_context(mismatch)?;
            Value::make_option(
                ty,
                value
                    .as_ref()
                    .map(|value| to_wave(value, &some))
                    .transpose()?,
            )?
        }
        Val::Result(value) => {
            let (ok, err) = ty.result_types().with_context(mismatch)?;
            let value = match value {
                Ok(value) => Ok(payload(value, ok.as_ref())?),
                Err(value) => Err(payload(value, err.as_ref())?),
            };
            Value::make_result(ty, value)?
        }
        Val::Flags(names) => Value::make_flags(ty, names.iter().map(String::as_str))?,
        Val::Resource(_) | Val::Stream(_) | Val::Future(_) | Val::ErrorContext(_) => {
            return Err(mismatch());
        }
    })
}
