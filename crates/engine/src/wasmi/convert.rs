//! Types, values and errors of wasmi in terms of this crate.

use std::fmt;

use wasmi::{
    F32, F64, Val,
    errors::{ErrorKind, HostError, InstantiationError},
};

use crate::{
    error::EngineError,
    signature::{Number, Signature},
    trap::{Trap, TrapCode},
    types::{ExternType, FuncType, GlobalType, MemoryType, TableType, ValType},
};

fn val_type(ty: wasmi::ValType) -> ValType {
    match ty {
        wasmi::ValType::I32 => ValType::I32,
        wasmi::ValType::I64 => ValType::I64,
        wasmi::ValType::F32 => ValType::F32,
        wasmi::ValType::F64 => ValType::F64,
        wasmi::ValType::V128 => ValType::V128,
        wasmi::ValType::FuncRef => ValType::FuncRef,
        wasmi::ValType::ExternRef => ValType::ExternRef,
    }
}

pub(super) fn func_type(ty: &wasmi::FuncType) -> FuncType {
    FuncType::new(
        ty.params().iter().copied().map(val_type),
        ty.results().iter().copied().map(val_type),
    )
}

pub(super) fn signature(ty: &wasmi::FuncType) -> Signature {
    Signature::new(
        ty.params().iter().copied().map(val_type),
        ty.results().iter().copied().map(val_type),
    )
}

/// A function type of numbers only, as the engine has it.
pub(super) fn engine_func_type(ty: &FuncType) -> Result<wasmi::FuncType, EngineError> {
    let all = |types: &[ValType]| {
        types
            .iter()
            .map(|ty| match ty {
                ValType::I32 => Ok(wasmi::ValType::I32),
                ValType::I64 => Ok(wasmi::ValType::I64),
                ValType::F32 => Ok(wasmi::ValType::F32),
                ValType::F64 => Ok(wasmi::ValType::F64),
                _ => Err(EngineError::Unsupported(format!(
                    "a host function cannot take or give a {ty}"
                ))),
            })
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(wasmi::FuncType::new(all(&ty.params)?, all(&ty.results)?))
}

pub(super) fn memory_type(ty: &wasmi::MemoryType) -> MemoryType {
    MemoryType {
        minimum: ty.minimum(),
        maximum: ty.maximum(),
        memory64: ty.is_64(),
        shared: false,
        // Custom page sizes are not enabled.
        page_size_log2: 16,
    }
}

pub(super) fn table_type(ty: &wasmi::TableType) -> TableType {
    TableType {
        element: match ty.element() {
            wasmi::RefType::Func => ValType::FuncRef,
            wasmi::RefType::Extern => ValType::ExternRef,
        },
        minimum: ty.minimum(),
        maximum: ty.maximum(),
        table64: ty.is_64(),
    }
}

pub(super) fn global_type(ty: &wasmi::GlobalType) -> GlobalType {
    GlobalType {
        content: val_type(ty.content()),
        mutable: ty.mutability() == wasmi::Mutability::Var,
    }
}

pub(super) fn extern_type(ty: &wasmi::ExternType) -> ExternType {
    match ty {
        wasmi::ExternType::Func(ty) => ExternType::Func(func_type(ty)),
        wasmi::ExternType::Global(ty) => ExternType::Global(global_type(ty)),
        wasmi::ExternType::Table(ty) => ExternType::Table(table_type(ty)),
        wasmi::ExternType::Memory(ty) => ExternType::Memory(memory_type(ty)),
    }
}

/// The type of a tag with this payload. Exception references are external references here.
pub(super) fn payload_type(payload: &[wasmparser::ValType]) -> FuncType {
    FuncType::new(engine_types(payload).into_iter().map(val_type), [])
}

/// Types of a translated module, as the engine has them.
pub(super) fn engine_types(types: &[wasmparser::ValType]) -> Vec<wasmi::ValType> {
    types
        .iter()
        .map(|ty| match ty {
            wasmparser::ValType::I32 => wasmi::ValType::I32,
            wasmparser::ValType::I64 => wasmi::ValType::I64,
            wasmparser::ValType::F32 => wasmi::ValType::F32,
            wasmparser::ValType::F64 => wasmi::ValType::F64,
            wasmparser::ValType::V128 => wasmi::ValType::V128,
            wasmparser::ValType::Ref(ty) if ty.is_func_ref() => wasmi::ValType::FuncRef,
            wasmparser::ValType::Ref(_) => wasmi::ValType::ExternRef,
        })
        .collect()
}

/// A value from a word. Narrow values are the word's low half.
#[inline]
pub(super) fn to_val(kind: Number, word: u64) -> Val {
    match kind {
        Number::I32 => Val::I32(word as i32),
        Number::I64 => Val::I64(word.cast_signed()),
        Number::F32 => Val::F32(F32::from_bits(word as u32)),
        Number::F64 => Val::F64(F64::from_bits(word)),
    }
}

/// The word of a value, or `None` if it is not a number.
#[inline]
pub(super) fn from_val(value: &Val) -> Option<u64> {
    match value {
        Val::I32(value) => Some(u64::from(value.cast_unsigned())),
        Val::I64(value) => Some(value.cast_unsigned()),
        Val::F32(value) => Some(u64::from(value.to_bits())),
        Val::F64(value) => Some(value.to_bits()),
        _ => None,
    }
}

/// What a host function fails with on its way through guest frames.
#[derive(Debug)]
pub(super) enum Signal {
    /// It failed.
    Error(anyhow::Error),
    /// It blocks; the rest is in the store.
    Blocked,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Blocked => f.write_str("blocked"),
        }
    }
}

impl HostError for Signal {}

/// Sends an error of a host function into the engine.
#[cold]
pub(super) fn to_engine(error: anyhow::Error) -> wasmi::Error {
    wasmi::Error::host(Signal::Error(error))
}

/// What came out of the engine: a trap, a host function's error as it was, or else the engine's own words.
#[cold]
pub(super) fn from_engine(error: wasmi::Error) -> anyhow::Error {
    if let Some(code) = error.as_trap_code() {
        return Trap::new(trap_code(code)).into();
    }
    let message = error.to_string();
    match error.downcast::<Signal>() {
        Some(Signal::Error(error)) => error,
        // Blocking is for stacks, which see to it themselves.
        Some(Signal::Blocked) => EngineError::CannotBlock.into(),
        None => anyhow::Error::msg(message),
    }
}

/// Why an instantiation failed.
#[cold]
pub(super) fn instantiation_failed(error: wasmi::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }) => {
            Trap::new(TrapCode::TableOutOfBounds).into()
        }
        ErrorKind::Instantiation(error) => EngineError::Link(error.to_string()).into(),
        _ => from_engine(error),
    }
}

pub(super) fn invalid_module(error: &wasmi::Error) -> EngineError {
    let offset = match error.kind() {
        ErrorKind::Wasm(error) => Some(error.offset()),
        _ => None,
    };
    EngineError::InvalidModule {
        message: error.to_string(),
        offset,
    }
}

fn trap_code(code: wasmi::TrapCode) -> TrapCode {
    use wasmi::TrapCode as T;
    match code {
        T::UnreachableCodeReached => TrapCode::Unreachable,
        T::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        T::TableOutOfBounds => TrapCode::TableOutOfBounds,
        T::IndirectCallToNull => TrapCode::UninitializedElement,
        T::IntegerDivisionByZero => TrapCode::IntegerDivideByZero,
        T::IntegerOverflow => TrapCode::IntegerOverflow,
        T::BadConversionToInteger => TrapCode::InvalidConversionToInteger,
        T::StackOverflow => TrapCode::StackExhausted,
        T::BadSignature => TrapCode::IndirectCallTypeMismatch,
        T::OutOfFuel => TrapCode::Interrupted,
        T::GrowthOperationLimited | T::OutOfSystemMemory => TrapCode::OutOfResources,
    }
}
