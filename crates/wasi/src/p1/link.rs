//! Binding the functions to core modules.

use tidegate::module::{FuncType, GuestMemory, ModuleLinker, Outcome as HostOutcome, ValType};

use super::{CoreType, FUNCTIONS, MODULE, Outcome, Process};
use crate::I32Exit;

/// Offers all functions of `wasi_snapshot_preview1` to the modules that `linker` instantiates.
/// `get` finds the guest's [`Preview1`](super::Preview1) in the store's data, or its [`ThreadPreview1`](super::ThreadPreview1) if the guest has
/// several threads:
///
/// ```
/// use tidegate::module::{Module, ModuleLinker};
/// use tidegate::{Engine, Store};
/// use tidegate_wasi::p1::{self, Preview1};
/// use tidegate_wasi::{I32Exit, WasiCtx};
///
/// # fn main() -> tidegate::Result<()> {
/// let engine = Engine::default();
/// let module = Module::new(
///     &engine,
///     r#"(module
///          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
///          (memory (export "memory") 1)
///          (func (export "_start") (call $exit (i32.const 3))))"#,
/// )?;
/// let mut linker = ModuleLinker::<Preview1>::new(&engine);
/// p1::add_to_linker(&mut linker, |wasi| wasi)?;
/// let wasi = Preview1::new(WasiCtx::builder().arg("program").build());
/// let mut store = Store::new(&engine, wasi);
/// let instance = linker.instantiate(&mut store, &module)?;
/// let start = instance.get_func(&mut store, "_start").unwrap();
/// let error = start.call(&mut store, &mut []).unwrap_err();
/// assert_eq!(error.downcast_ref(), Some(&I32Exit(3)));
/// # Ok(())
/// # }
/// ```
///
/// A guest that ends itself unwinds with [`I32Exit`]; one that passes a pointer outside of its
/// memory, with [`Trap`](super::Trap). A module must export its memory as `memory`; without one, no
/// pointer is valid.
///
/// # Errors
/// When the linker has a function of one of these names already.
pub fn add_to_linker<T: Send + 'static, P: Process>(
    linker: &mut ModuleLinker<T>,
    get: impl Fn(&mut T) -> &mut P + Clone + Send + Sync + 'static,
) -> tidegate::Result<()> {
    for function in FUNCTIONS {
        let get = get.clone();
        let ty = FuncType::new(
            function.params().iter().map(value_type),
            function.results().iter().map(value_type),
        );
        let host = move |caller: &mut tidegate::module::Caller<'_, T>, slots: &mut [u64]| {
            let outcome = match caller.guest_memory_and_data_mut() {
                Ok((memory, data)) => get(data).with(|host| function.call(host, memory, slots)),
                Err(_) => {
                    let memory = GuestMemory::Own(&mut []);
                    get(caller.data_mut()).with(|host| function.call(host, memory, slots))
                }
            };
            match outcome? {
                Outcome::Done(errno) => {
                    if !function.results().is_empty() {
                        slots[0] = errno.into();
                    }
                    Ok(HostOutcome::Done)
                }
                Outcome::Exit(status) => Err(I32Exit(status.cast_signed()).into()),
                Outcome::Wait(readiness) => Ok(HostOutcome::Wait(readiness)),
            }
        };
        if function.may_wait() {
            linker.func_waiting(MODULE, function.name(), ty, host)?;
        } else {
            linker.func(MODULE, function.name(), ty, host)?;
        }
    }
    Ok(())
}

fn value_type(ty: &CoreType) -> ValType {
    match ty {
        CoreType::I32 => ValType::I32,
        CoreType::I64 => ValType::I64,
    }
}
