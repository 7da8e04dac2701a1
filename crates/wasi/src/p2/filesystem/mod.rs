//! `wasi:filesystem`.

mod convert;
mod descriptor;
mod entries;

pub use crate::fs::Opened as Descriptor;
pub use entries::DirectoryEntryStream;

use tidegate::{Resource, Result};

use super::bindings::wasi::filesystem::{preopens, types};
use crate::fault::{Fault, FsFault};
use crate::fs::ErrorCode;
use crate::view::WasiCtxView;

type Answer<T> = std::result::Result<T, FsFault>;

impl preopens::Host for WasiCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        let mut directories = Vec::with_capacity(self.ctx.preopens.len());
        for preopen in &self.ctx.preopens {
            let descriptor = Descriptor::Dir(preopen.dir().clone());
            directories.push((self.table.push(descriptor)?, preopen.name().to_owned()));
        }
        Ok(directories)
    }
}

impl types::Host for WasiCtxView<'_> {
    /// The code of a stream's error, if it is one of a file, or of a pipe or terminal that a
    /// program may take for one.
    fn filesystem_error_code(
        &mut self,
        error: Resource<std::io::Error>,
    ) -> Result<Option<types::ErrorCode>> {
        let error = self.table.get(&error)?;
        let code = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(code) => Some(*code),
            None => match rustix::io::Errno::from_io_error(error).map(ErrorCode::from) {
                // Of no file: what the filesystem has no code for.
                Some(ErrorCode::Io) if error.raw_os_error() != Some(EIO) => None,
                code => code,
            },
        };
        Ok(code.map(types::ErrorCode::from))
    }

    fn convert_error_code(&mut self, fault: FsFault) -> Result<types::ErrorCode> {
        match fault {
            Fault::Error(code) => Ok(code.into()),
            Fault::Trap(trap) => Err(trap),
        }
    }
}

const EIO: i32 = rustix::io::Errno::IO.raw_os_error();
