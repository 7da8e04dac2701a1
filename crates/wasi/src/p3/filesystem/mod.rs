//! `wasi:filesystem`.

mod convert;
mod descriptor;
mod entries;

use tidegate::{Resource, Result};

use super::bindings::wasi::filesystem::{preopens, types};
use crate::fault::{Fault, FsFault};
use crate::view::{Wasi, WasiCtxView};

pub use descriptor::Descriptor;

type Answer<T> = std::result::Result<T, FsFault>;

impl preopens::Host for WasiCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        let mut directories = Vec::with_capacity(self.ctx.preopens.len());
        for preopen in &self.ctx.preopens {
            let descriptor = Descriptor::preopened(preopen);
            directories.push((self.table.push(descriptor)?, preopen.name().to_owned()));
        }
        Ok(directories)
    }
}

impl types::Host<Wasi> for WasiCtxView<'_> {
    fn convert_error_code(&mut self, fault: FsFault) -> Result<types::ErrorCode> {
        match fault {
            Fault::Error(code) => Ok(code.into()),
            Fault::Trap(trap) => Err(trap),
        }
    }
}
