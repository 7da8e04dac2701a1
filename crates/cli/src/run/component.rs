//! Components: WASI 0.2 and 0.3.

use super::call::{Call, unknown};
use super::ending::{Ending, Guest};
use super::{Ended, wave};
use crate::status::Failure;
use anyhow::Context as _;
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use tidegate::{Component, Engine, Func, Instance, Limits, Linker, ResourceTable, Store, Val};
use tidegate_core::plan::Export;
use tidegate_wasi::WasiCtx;
use tidegate_wasi::p3::{WasiCtxView, WasiView};
use tidegate_wasi::{p2, p3};
use wasm_wave::value::{Type, Value};

/// The interface that a command exports, in any version of these generations of WASI; the first that is there is run.
const RUN: [&str; 2] = ["wasi:cli/run@0.3.", "wasi:cli/run@0.2."];

/// The data of a component's store.
struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn wasi(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// Runs `wasi:cli/run`, or calls a function.
pub fn run(
    engine: &Engine,
    limits: Limits,
    component: &Component,
    wasi: WasiCtx,
    call: Option<&str>,
    ending: &Ending,
) -> Result<ExitCode, Ended> {
    let call = call.map(Call::parse).transpose()?;
    let mut linker = Linker::new(engine);
    let generations = Generations::of(component);
    if generations.p2 {
        p2::add_to_linker(&mut linker)?;
    }
    if generations.p3 {
        p3::add_to_linker(&mut linker)?;
    }
    let linked = linker.instantiate_pre(component)?;
    // The process ends with the run: the system takes memory back faster than we could.
    let mut store = ManuallyDrop::new(Store::with_limits(
        engine,
        Host {
            wasi,
            table: ResourceTable::new(),
        },
        limits,
    ));
    let store = &mut *store;
    ending.watch(Guest::Store(store.interrupt_handle()));
    let instance = linked.instantiate(&mut *store).map_err(Ended::Guest)?;
    match call {
        Some(call) => invoke(store, &instance, &call),
        None => command(store, &instance),
    }
}

/// The generations of WASI that a component may want something of: defining those that it does not would be a tenth of a short run.
struct Generations {
    p2: bool,
    p3: bool,
}

impl Generations {
    fn of(component: &Component) -> Self {
        let imports = || {
            let imports = component.plan().imports.iter();
            imports.filter_map(|import| import.implements.as_ref().or(import.path.first()))
        };
        let p2 = imports().any(|name| name.contains("@0.2."));
        let p3 = imports().any(|name| name.contains("@0.3."));
        // An import of neither is unknown, and its error names what is known.
        let others = imports().any(|name| !name.contains("@0.2.") && !name.contains("@0.3."));
        Self {
            p2: p2 || others,
            p3: p3 || others,
        }
    }
}

/// The interface by which a component is a command, if it is one.
pub fn command_interface(component: &Component) -> Option<&str> {
    let names = component.plan().exports.iter().map(|(name, _)| &**name);
    RUN.iter()
        .find_map(|run| names.clone().find(|name| name.starts_with(run)))
}

fn command(store: &mut Store<Host>, instance: &Instance) -> Result<ExitCode, Ended> {
    let run = command_interface(instance.component())
        .and_then(|name| function(store, instance, Some(name), "run"))
        .ok_or_else(|| {
            Failure::from(anyhow::anyhow!(
                "the component is no command: it exports neither wasi:cli/run@0.3 nor wasi:cli/run@0.2"
            ))
            .help("call a function of it with --invoke NAME(ARGS)")
        })?;
    let (succeeded,) = run
        .typed::<(), (Result<(), ()>,)>()?
        .call(store, ())
        .map_err(Ended::Guest)?;
    Ok(if succeeded.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn invoke(
    store: &mut Store<Host>,
    instance: &Instance,
    call: &Call<'_>,
) -> Result<ExitCode, Ended> {
    let functions = functions(instance);
    let found = match call.name.split_once('#') {
        Some((interface, name)) => function(store, instance, Some(interface), name),
        None => functions
            .iter()
            .find(|(_, name)| *name == call.name)
            .and_then(|(interface, name)| function(store, instance, *interface, name)),
    };
    let func = found.ok_or_else(|| {
        let names: Vec<String> = functions
            .iter()
            .map(|(interface, name)| match interface {
                Some(interface) => format!("{interface}#{name}"),
                None => (*name).to_owned(),
            })
            .collect();
        unknown(call.name, names.iter().map(String::as_str))
    })?;
    let (arguments, result) = arguments(&func, call)?;
    let mut results = vec![Val::Bool(false); usize::from(result.is_some())];
    func.call(store, &arguments, &mut results)
        .map_err(Ended::Guest)?;
    if let (Some(ty), Some(value)) = (&result, results.first()) {
        println!(
            "{}",
            wasm_wave::to_string(&wave::to_wave(value, ty)?).map_err(anyhow::Error::from)?
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The call's arguments, and the type of the result.
fn arguments(func: &Func, call: &Call<'_>) -> Result<(Vec<Val>, Option<Type>), Failure> {
    let (ty, types) = func.ty();
    let params = ty
        .params
        .iter()
        .map(|param| {
            wave::ty(types, param.ty).with_context(|| format!("parameter `{}`", param.name))
        })
        .collect::<Result<Vec<Type>, _>>()?;
    let result = ty
        .result
        .map(|ty| wave::ty(types, ty).context("the result"))
        .transpose()?;
    let values: Vec<Value> = call.arguments.to_wasm_params(&params).map_err(|error| {
        let expected: Vec<String> = ty
            .params
            .iter()
            .zip(&params)
            .map(|(param, ty)| format!("{}: {ty}", param.name))
            .collect();
        Failure::usage(format_args!(
            "--invoke: {} takes ({}): {error}",
            call.name,
            expected.join(", ")
        ))
    })?;
    Ok((
        values.iter().map(wave::to_val).collect::<Result<_, _>>()?,
        result,
    ))
}

/// A function that is exported, at the top level or in an instance.
fn function(
    store: &mut Store<Host>,
    instance: &Instance,
    interface: Option<&str>,
    name: &str,
) -> Option<Func> {
    let component = instance.component();
    let interface = match interface {
        Some(interface) => Some(component.export_index(None, interface)?),
        None => None,
    };
    let index = component.export_index(interface.as_ref(), name)?;
    instance.get_func(store, &index)
}

/// All exported functions: the instance that exports each, if one does, and its name.
fn functions(instance: &Instance) -> Vec<(Option<&str>, &str)> {
    let mut found = Vec::new();
    for (name, export) in &instance.component().plan().exports {
        match export {
            Export::Func { .. } => found.push((None, &**name)),
            Export::Instance(exports) => {
                let functions = exports
                    .iter()
                    .filter(|(_, export)| matches!(export, Export::Func { .. }));
                found.extend(functions.map(|(function, _)| (Some(&**name), &**function)));
            }
            _ => {}
        }
    }
    found
}
