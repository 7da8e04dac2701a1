//! Where the host functions find their state in the store's data.

use tidegate::{HasData, Resource, ResourceTable, Result};

use crate::WasiCtx;

/// Store data that a WASI guest's state is a part of.
pub trait WasiView: Send + 'static {
    /// The guest's state.
    fn wasi(&mut self) -> WasiCtxView<'_>;
}

/// The state of a WASI guest: what it was granted, and what it has handles to.
pub struct WasiCtxView<'a> {
    /// What it was granted.
    pub ctx: &'a mut WasiCtx,
    /// What it has handles to. May be shared with other host interfaces.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiCtxView`] as the data that the WASI host functions work on.
pub struct Wasi;

impl HasData for Wasi {
    type Data<'a> = WasiCtxView<'a>;
}

/// Puts what is there into the table.
pub(crate) fn push_some<R: Send + 'static>(
    table: &mut ResourceTable,
    value: Option<R>,
) -> Result<Option<Resource<R>>> {
    Ok(value.map(|value| table.push(value)).transpose()?)
}
