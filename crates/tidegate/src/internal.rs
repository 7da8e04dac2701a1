//! What generated code refers to. Not part of the API: it may change in any version.

pub use crate::has_data::{HostGetter, Part, View, Whole};
pub use std::boxed::Box;
/// What stands for `map<K, V>`.
pub use std::collections::BTreeMap as Map;
pub use std::string::String;
pub use std::vec::Vec;
pub use tidegate_core::abi;
pub use tidegate_core::types::ValType;

use crate::{AsContextMut, Component, ExportIndex, Func, Instance, Result, TypedFunc};
use anyhow::Context;
use std::fmt::Debug;
use tidegate_core::abi::{LiftResult, LowerParams};

/// Finds an export by name; an interface also by a compatible version of it.
pub fn export_index(
    component: &Component,
    instance: Option<&ExportIndex>,
    name: &str,
) -> Result<ExportIndex> {
    component
        .export_index(instance, name)
        .with_context(|| format!("the component does not export `{name}`"))
}

/// Takes an exported function from an instance, and checks its type.
pub fn load_func<P: LowerParams, R: LiftResult>(
    store: impl AsContextMut,
    instance: &Instance,
    index: &ExportIndex,
    name: &str,
) -> Result<Func> {
    let func = instance
        .get_typed_func::<P, R>(store, index)
        .with_context(|| format!("the exported function `{name}`"))?;
    Ok(func.func().clone())
}

/// Gives a function that was checked by [`load_func`] its type again.
pub fn typed_func<P: LowerParams, R: LiftResult>(func: &Func) -> TypedFunc<P, R> {
    TypedFunc::new(func.clone())
}

/// Traces that a guest calls a host function.
pub fn trace_call(interface: &str, function: &str, arguments: &[(&str, &dyn Debug)]) {
    tracing::trace!(interface, function, arguments = ?Arguments(arguments), "call");
}

/// Traces that a host function returns.
pub fn trace_return(interface: &str, function: &str, result: &dyn Debug) {
    tracing::trace!(interface, function, ?result, "return");
}

/// Arguments by name.
struct Arguments<'a>(&'a [(&'a str, &'a dyn Debug)]);

impl Debug for Arguments<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.0.iter().copied()).finish()
    }
}
