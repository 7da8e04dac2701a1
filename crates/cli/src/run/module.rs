//! Core modules: WASI 0.1.

use super::Ended;
use super::call::{Call, unknown};
use super::ending::{Ending, Guest};
use crate::status::Failure;
use anyhow::{Context as _, bail};
use std::mem::ManuallyDrop;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use tidegate::module::{
    CoreFunc, ExternType, FuncType, Module, ModuleInstance, ModuleLinker, Threads, ValType,
};
use tidegate::scheduler::Scheduler;
use tidegate::{Engine, Limits, Store, block_on};
use tidegate_wasi::WasiCtx;
use tidegate_wasi::p1::{self, Preview1, ThreadPreview1};
use wasm_wave::value::{Type, Value};
use wasm_wave::wasm::{WasmTypeKind, WasmValue as _};

/// What a command's entry point is called.
const START: &str = "_start";
/// What a reactor wants to have called before anything else.
const INITIALIZE: &str = "_initialize";

/// Runs `_start`, or calls a function.
pub fn run(
    engine: &Engine,
    limits: Limits,
    module: &Module,
    wasi: WasiCtx,
    call: Option<&str>,
    ending: &Ending,
) -> Result<ExitCode, Ended> {
    if module.uses_threads() {
        return run_threads(engine, limits, module, wasi, call, ending);
    }
    let call = call.map(Call::parse).transpose()?;
    let mut linker = ModuleLinker::new(engine);
    p1::add_to_linker(&mut linker, |host: &mut Preview1| host)?;
    // The process ends with the run: the system takes memory back faster than we could.
    let mut store = ManuallyDrop::new(Store::with_limits(engine, Preview1::new(wasi), limits));
    let store = &mut *store;
    ending.watch(Guest::Store(store.interrupt_handle()));
    let instance = linker.instantiate(&mut *store, module)?;
    if let Some(initialize) = instance.get_func(&mut *store, INITIALIZE) {
        initialize
            .call(&mut *store, &mut [])
            .map_err(Ended::Guest)?;
    }
    match call {
        Some(call) => invoke(store, module, instance, &call),
        None => {
            let start = instance.get_func(&mut *store, START).ok_or_else(|| {
                Failure::from(anyhow::anyhow!(
                    "the module is no command: it does not export {START:?}"
                ))
                .help("call a function of it with --invoke NAME(ARGS)")
            })?;
            start.call(store, &mut []).map_err(Ended::Guest)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a program of several threads.
fn run_threads(
    engine: &Engine,
    limits: Limits,
    module: &Module,
    wasi: WasiCtx,
    call: Option<&str>,
    ending: &Ending,
) -> Result<ExitCode, Ended> {
    if call.is_some() {
        return Err(
            Failure::usage("--invoke: a program of several threads can only be run").into(),
        );
    }
    let mut linker = ModuleLinker::new(engine);
    p1::add_to_linker(&mut linker, |host: &mut ThreadPreview1| host)?;
    let process = Mutex::new(ThreadPreview1::new(Preview1::new(wasi)));
    let view = move || {
        process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    };
    let threads = Threads::new(linker, module, view)?.limits(limits);
    ending.watch(Guest::Threads(threads.handle()));
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let scheduler = Scheduler::new(workers).context("cannot start threads")?;
    let spawning = scheduler.clone();
    let main = scheduler.spawn(threads.run(move |thread| {
        // Whoever started it does not wait for it.
        drop(spawning.spawn(thread));
    }));
    match block_on(main) {
        Some(result) => result.map_err(Ended::Guest)?,
        None => return Err(Failure::from(anyhow::anyhow!("the main thread panicked")).into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn invoke(
    store: &mut Store<Preview1>,
    module: &Module,
    instance: ModuleInstance,
    call: &Call<'_>,
) -> Result<ExitCode, Ended> {
    let exports = module.exports();
    let functions = exports.iter().filter_map(|export| match &export.ty {
        ExternType::Func(ty) => Some((&*export.name, ty)),
        _ => None,
    });
    let found = functions.clone().find(|(name, _)| *name == call.name);
    let (ty, func) = found
        .and_then(|(name, ty)| Some((ty, instance.get_func(&mut *store, name)?)))
        .ok_or_else(|| unknown(call.name, functions.map(|(name, _)| name)))?;
    let mut slots = arguments(call, ty, &func)?;
    func.call(&mut *store, &mut slots).map_err(Ended::Guest)?;
    let results: Vec<String> = ty
        .results
        .iter()
        .zip(slots)
        .map(|(ty, word)| to_text(*ty, word))
        .collect::<Result<_, _>>()?;
    match &results[..] {
        [] => {}
        [one] => println!("{one}"),
        many => println!("({})", many.join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}

/// The arguments as the function's words, in as many slots as the call needs.
fn arguments(call: &Call<'_>, ty: &FuncType, func: &CoreFunc) -> Result<Vec<u64>, Failure> {
    let types: Vec<Type> = ty
        .params
        .iter()
        .map(|ty| wave_type(*ty))
        .collect::<Result<_, _>>()?;
    let values: Vec<Value> = call.arguments.to_wasm_params(&types).map_err(|error| {
        Failure::usage(format_args!("--invoke: {} takes {ty}: {error}", call.name))
    })?;
    let mut slots: Vec<u64> = values.iter().map(to_word).collect();
    slots.resize(func.slots().max(slots.len()), 0);
    Ok(slots)
}

/// Core numbers are read and shown with a sign; other core values have no text in WAVE.
fn wave_type(ty: ValType) -> anyhow::Result<Type> {
    let kind = match ty {
        ValType::I32 => WasmTypeKind::S32,
        ValType::I64 => WasmTypeKind::S64,
        ValType::F32 => WasmTypeKind::F32,
        ValType::F64 => WasmTypeKind::F64,
        other => bail!("--invoke: a value of type {other} has no text"),
    };
    Type::simple(kind).context("numbers have a text")
}

fn to_word(value: &Value) -> u64 {
    match value.kind() {
        WasmTypeKind::S32 => u64::from(value.unwrap_s32().cast_unsigned()),
        WasmTypeKind::F32 => u64::from(value.unwrap_f32().to_bits()),
        WasmTypeKind::F64 => value.unwrap_f64().to_bits(),
        // `wave_type` gives no other kinds.
        _ => value.unwrap_s64().cast_unsigned(),
    }
}

fn to_text(ty: ValType, word: u64) -> anyhow::Result<String> {
    let value = match ty {
        // The high half is zero.
        ValType::I32 => Value::make_s32(word as u32 as i32),
        ValType::F32 => Value::make_f32(f32::from_bits(word as u32)),
        ValType::F64 => Value::make_f64(f64::from_bits(word)),
        ValType::I64 => Value::make_s64(word.cast_signed()),
        other => bail!("--invoke: a value of type {other} has no text"),
    };
    Ok(wasm_wave::to_string(&value)?)
}
