//! Types and errors of wasmtime in terms of this crate.

use std::fmt;

use wasmtime::{HeapType, ThrownException, WasmBacktrace};

use super::checks;
use crate::{
    error::EngineError,
    signature::Signature,
    trap::{Backtrace, Frame, Trap, TrapCode},
    types::{ExternType, FuncType, GlobalType, MemoryType, TableType, ValType},
};

pub(super) fn val_type(ty: &wasmtime::ValType) -> ValType {
    match ty {
        wasmtime::ValType::I32 => ValType::I32,
        wasmtime::ValType::I64 => ValType::I64,
        wasmtime::ValType::F32 => ValType::F32,
        wasmtime::ValType::F64 => ValType::F64,
        wasmtime::ValType::V128 => ValType::V128,
        wasmtime::ValType::Ref(ty) => ref_type(ty),
    }
}

fn ref_type(ty: &wasmtime::RefType) -> ValType {
    match ty.heap_type() {
        HeapType::Func if ty.is_nullable() => ValType::FuncRef,
        HeapType::Extern if ty.is_nullable() => ValType::ExternRef,
        _ => ValType::OtherRef,
    }
}

pub(super) fn func_type(ty: &wasmtime::FuncType) -> FuncType {
    FuncType::new(
        ty.params().map(|ty| val_type(&ty)),
        ty.results().map(|ty| val_type(&ty)),
    )
}

pub(super) fn signature(ty: &wasmtime::FuncType) -> Signature {
    Signature::new(
        ty.params().map(|ty| val_type(&ty)),
        ty.results().map(|ty| val_type(&ty)),
    )
}

/// A function type of numbers only, as the engine has it.
pub(super) fn engine_func_type(
    engine: &wasmtime::Engine,
    ty: &FuncType,
) -> Result<wasmtime::FuncType, EngineError> {
    let all = |types: &[ValType]| {
        types
            .iter()
            .map(|ty| match ty {
                ValType::I32 => Ok(wasmtime::ValType::I32),
                ValType::I64 => Ok(wasmtime::ValType::I64),
                ValType::F32 => Ok(wasmtime::ValType::F32),
                ValType::F64 => Ok(wasmtime::ValType::F64),
                _ => Err(EngineError::Unsupported(format!(
                    "a host function cannot take or give a {ty}"
                ))),
            })
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(wasmtime::FuncType::new(
        engine,
        all(&ty.params)?,
        all(&ty.results)?,
    ))
}

pub(super) fn memory_type(ty: &wasmtime::MemoryType) -> MemoryType {
    MemoryType {
        minimum: ty.minimum(),
        maximum: ty.maximum(),
        memory64: ty.is_64(),
        shared: ty.is_shared(),
        page_size_log2: ty.page_size_log2(),
    }
}

pub(super) fn table_type(ty: &wasmtime::TableType) -> TableType {
    TableType {
        element: ref_type(ty.element()),
        minimum: ty.minimum(),
        maximum: ty.maximum(),
        table64: ty.is_64(),
    }
}

pub(super) fn global_type(ty: &wasmtime::GlobalType) -> GlobalType {
    GlobalType {
        content: val_type(ty.content()),
        mutable: ty.mutability() == wasmtime::Mutability::Var,
    }
}

pub(super) fn extern_type(ty: &wasmtime::ExternType) -> ExternType {
    match ty {
        wasmtime::ExternType::Func(ty) => ExternType::Func(func_type(ty)),
        wasmtime::ExternType::Global(ty) => ExternType::Global(global_type(ty)),
        wasmtime::ExternType::Table(ty) => ExternType::Table(table_type(ty)),
        wasmtime::ExternType::Memory(ty) => ExternType::Memory(memory_type(ty)),
        wasmtime::ExternType::Tag(ty) => ExternType::Tag(func_type(ty.ty())),
    }
}

/// An error of a host function on its way through guest frames.
#[derive(Debug)]
struct HostError(anyhow::Error);

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl std::error::Error for HostError {}

/// Sends an error of a host function into the engine.
#[cold]
pub(super) fn to_engine(error: anyhow::Error) -> wasmtime::Error {
    wasmtime::Error::new(HostError(error))
}

/// The guest's frames of a backtrace, without those that checks have added.
pub(super) fn frames(trace: &WasmBacktrace) -> Vec<Frame> {
    let frames = trace.frames().iter();
    frames
        .filter(|info| info.func_name() != Some(checks::MODULE))
        .map(frame)
        .collect()
}

/// What came out of the engine: a trap, a host function's error as it was, or else the engine's own words.
#[cold]
pub(super) fn from_engine(error: wasmtime::Error) -> anyhow::Error {
    let frames: Vec<Frame> = error
        .downcast_ref::<WasmBacktrace>()
        .map(frames)
        .unwrap_or_default();
    if let Some(trap) = error.downcast_ref::<wasmtime::Trap>() {
        return anyhow::Error::new(Trap {
            code: trap_code(*trap),
            frames,
        });
    }
    if error.is::<ThrownException>() {
        return anyhow::Error::new(Trap {
            code: TrapCode::UncaughtException,
            frames,
        });
    }
    match error.downcast::<HostError>() {
        // The innermost backtrace is the one that tells: a trap carries its own, and one level of context is enough.
        Ok(HostError(error))
            if frames.is_empty() || error.is::<Trap>() || error.is::<Backtrace>() =>
        {
            error
        }
        Ok(HostError(error)) => error.context(Backtrace { frames }),
        Err(error) if error.is::<wasmtime::PoolConcurrencyLimitError>() => {
            EngineError::Full(format!("{error:#}")).into()
        }
        Err(error) => anyhow::Error::msg(format!("{error:#}")),
    }
}

/// Whether an error is the guest's or a host function's, not the engine's.
pub(super) fn is_from_code(error: &wasmtime::Error) -> bool {
    error.is::<wasmtime::Trap>() || error.is::<ThrownException>() || error.is::<HostError>()
}

pub(super) fn invalid_module(error: &wasmtime::Error) -> EngineError {
    let offset = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<wasmparser::BinaryReaderError>())
        .map(|error| error.offset());
    EngineError::InvalidModule {
        message: format!("{error:#}"),
        offset,
    }
}

fn frame(info: &wasmtime::FrameInfo) -> Frame {
    let added = added_before(info);
    Frame {
        module: info.module().name().map(Into::into),
        func_index: info.func_index() - added.unwrap_or(0),
        func_name: info
            .symbols()
            .first()
            .and_then(|symbol| symbol.name())
            .or(info.func_name())
            .map(Into::into),
        // Checks have moved what the module was given with.
        offset: info.module_offset().filter(|_| added.is_none()),
    }
}

/// How many functions have been added to a module with checks that come before a function.
fn added_before(info: &wasmtime::FrameInfo) -> Option<u32> {
    let imports = || info.module().imports();
    let added = imports().last()?;
    if (added.module(), added.name()) != (checks::MODULE, checks::CHECK) {
        return None;
    }
    let functions = imports().filter(|import| matches!(import.ty(), wasmtime::ExternType::Func(_)));
    Some(u32::from(info.func_index() as usize >= functions.count()))
}

fn trap_code(trap: wasmtime::Trap) -> TrapCode {
    use wasmtime::Trap as T;
    match trap {
        T::StackOverflow => TrapCode::StackExhausted,
        T::MemoryOutOfBounds => TrapCode::MemoryOutOfBounds,
        T::HeapMisaligned => TrapCode::UnalignedAtomic,
        T::TableOutOfBounds => TrapCode::TableOutOfBounds,
        T::IndirectCallToNull => TrapCode::UninitializedElement,
        T::BadSignature => TrapCode::IndirectCallTypeMismatch,
        T::IntegerOverflow => TrapCode::IntegerOverflow,
        T::IntegerDivisionByZero => TrapCode::IntegerDivideByZero,
        T::BadConversionToInteger => TrapCode::InvalidConversionToInteger,
        T::UnreachableCodeReached => TrapCode::Unreachable,
        T::Interrupt | T::OutOfFuel => TrapCode::Interrupted,
        T::AtomicWaitNonSharedMemory => TrapCode::AtomicWait,
        T::NullReference => TrapCode::NullReference,
        T::AllocationTooLarge => TrapCode::OutOfResources,
        T::UncaughtException => TrapCode::UncaughtException,
        _ => TrapCode::Other,
    }
}
