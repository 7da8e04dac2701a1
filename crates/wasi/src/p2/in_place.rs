//! The functions that move bytes in bulk: from the kernel into the guest's memory and back, with no copy in between.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;

use tidegate::{Answer, GuestBytes, InPlace, Linker, Resource, Result};

use super::bindings::wasi::filesystem::types::{self, Host as _};
use super::bindings::wasi::io::streams::{self, Host as _};
use super::filesystem::Descriptor;
use crate::fault::{Fault, FsFault, StreamFault};
use crate::io::{InputStream, OutputStream, READ_CHUNK, StreamError};
use crate::view::WasiView;

const STREAMS: &str = "wasi:io/streams@0.2.12";
const FILES: &str = "wasi:filesystem/types@0.2.12";

/// Of fewer bytes a copy takes no longer than asking for the size of the file.
const ASKED_FROM: usize = 16 * 1024;

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
    let mut files = linker.instance(FILES)?;
    files.allow_shadowing(true);
    files.func_in_place("[method]descriptor.read", |call, params| {
        let read = read_at::<T>(call, params);
        file_answer(call, read)
    })?;
    files.func_in_place("[method]descriptor.write", |call, params| {
        let written = write_at::<T>(call, params);
        file_answer(call, written)
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

/// `descriptor.read`: at most 64 KiB at once. The flag says that the end was met: there is nothing beyond what was returned.
fn read_at<T: WasiView>(
    call: &mut InPlace<'_, T>,
    (descriptor, length, offset): &(Resource<Descriptor>, u64, u64),
) -> std::result::Result<(GuestBytes, bool), FsFault> {
    let wanted = usize::try_from(*length)
        .unwrap_or(usize::MAX)
        .min(READ_CHUNK);
    let file = call.data_mut().wasi().table.get(descriptor)?.file()?;
    let file = Arc::clone(file);
    // The guest allocates no more than it gets. Files that the system makes up have no size.
    let rest = match wanted < ASKED_FROM || !file.may_read() {
        true => 0,
        false => file.stat()?.size.saturating_sub(*offset),
    };
    if rest > 0 {
        let room = usize::try_from(rest).unwrap_or(usize::MAX).min(wanted);
        let list = call.allocate(room)?;
        let (bytes, _) = call.bytes(list)?;
        let count = file.read_at(&mut [IoSliceMut::new(bytes)], *offset)?;
        return Ok((list.truncate(count), count < wanted));
    }
    let read = file.read_at_vec(wanted, *offset)?;
    let list = call.allocate(read.len())?;
    let (bytes, _) = call.bytes(list)?;
    bytes.copy_from_slice(&read);
    Ok((list, read.len() < wanted))
}

/// `descriptor.write`.
fn write_at<T: WasiView>(
    call: &mut InPlace<'_, T>,
    (descriptor, buffer, offset): &(Resource<Descriptor>, GuestBytes, u64),
) -> std::result::Result<u64, FsFault> {
    let (bytes, data) = call.bytes(*buffer)?;
    let file = data.wasi().table.get(descriptor)?.file()?;
    Ok(file.write_at(&[IoSlice::new(bytes)], *offset)? as u64)
}

/// Gives the guest an error of the filesystem as one, and traps otherwise.
fn file_answer<T: WasiView, R>(
    call: &mut InPlace<'_, T>,
    result: std::result::Result<R, FsFault>,
) -> Result<(std::result::Result<R, types::ErrorCode>,)> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(fault) => Err(call.data_mut().wasi().convert_error_code(fault)?),
    },))
}
