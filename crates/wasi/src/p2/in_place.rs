//! The functions of `wasi:io/streams` that move bytes in bulk: from the kernel into the guest's memory and
//! back, with no copy in between.

use tidegate::{Answer, GuestBytes, InPlace, Linker, Resource, Result};

use super::bindings::wasi::io::streams::{self, Host as _};
use crate::fault::{Fault, StreamFault};
use crate::io::{InputStream, OutputStream, StreamError};
use crate::view::WasiView;

const STREAMS: &str = "wasi:io/streams@0.2.12";

type Answered<R> = (std::result::Result<R, streams::StreamError>,);

/// Puts these functions in the place of the generated ones.
///
/// # Errors
/// When the name of the interface is that of something else.
pub(super) fn replace_in<T: WasiView>(linker: &mut Linker<T>) -> Result<()> {
    let mut streams = linker.instance(STREAMS)?;
    streams.allow_shadowing(true);
    streams.func_in_place("[method]input-stream.read", |call, params| {
        let read = read::<T>(call, params);
        answer(call, read)
    })?;
    streams.func_in_place_waiting("[method]input-stream.blocking-read", |call, params| {
        let (stream, len): &(Resource<InputStream>, u64) = params;
        match read::<T>(call, params) {
            Ok(bytes) if bytes.is_empty() && *len > 0 => {
                let view = call.data_mut().wasi();
                Ok(Answer::Wait(view.table.get_mut(stream)?.ready()))
            }
            other => answer(call, other).map(Answer::Return),
        }
    })?;
    streams.func_in_place("[method]output-stream.write", |call, params| {
        let written = write::<T>(call, params);
        answer(call, written)
    })?;
    Ok(())
}

/// `input-stream.read`. The guest allocates as much as is known to be there; should somebody else take a part of that at the same
/// time, the list is shorter than what was allocated for it.
fn read<T: WasiView>(
    call: &mut InPlace<'_, T>,
    (stream, len): &(Resource<InputStream>, u64),
) -> std::result::Result<GuestBytes, StreamFault> {
    let input = call.data_mut().wasi().table.get_mut(stream)?;
    if let Some(there) = input.available(*len) {
        let list = call.allocate(there).map_err(Fault::Trap)?;
        let (bytes, data) = call.bytes(list).map_err(Fault::Trap)?;
        let input = data.wasi().table.get_mut(stream)?;
        return Ok(list.truncate(input.read_into(bytes)?));
    }
    let read = input.read(*len)?;
    let list = call.allocate(read.len()).map_err(Fault::Trap)?;
    let (bytes, _) = call.bytes(list).map_err(Fault::Trap)?;
    bytes.copy_from_slice(&read);
    Ok(list)
}

/// `output-stream.write`.
fn write<T: WasiView>(
    call: &mut InPlace<'_, T>,
    (stream, contents): &(Resource<OutputStream>, GuestBytes),
) -> std::result::Result<(), StreamFault> {
    let (bytes, data) = call.bytes(*contents).map_err(Fault::Trap)?;
    Ok(data.wasi().table.get_mut(stream)?.write(bytes)?)
}

/// Gives the guest an error of the stream as one, and traps otherwise.
fn answer<T: WasiView, R>(
    call: &mut InPlace<'_, T>,
    result: std::result::Result<R, Fault<StreamError>>,
) -> Result<Answered<R>> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(fault) => Err(call.data_mut().wasi().convert_stream_error(fault)?),
    },))
}
