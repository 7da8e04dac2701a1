//! `wasi:io/error` and `wasi:io/streams`.

use tidegate::{Resource, Result};

use super::bindings::wasi::io::{error, streams};
use super::poll::{Pollable, subscribe};
use crate::fault::{Fault, StreamFault};
use crate::io::{InputStream, OutputStream, StreamError};
use crate::view::WasiCtxView;

type Answer<T> = std::result::Result<T, StreamFault>;

impl error::Host for WasiCtxView<'_> {}

impl error::HostError for WasiCtxView<'_> {
    fn to_debug_string(&mut self, error: Resource<std::io::Error>) -> Result<String> {
        Ok(self.table.get(&error)?.to_string())
    }

    fn drop(&mut self, error: Resource<std::io::Error>) -> Result<()> {
        self.table.delete(error)?;
        Ok(())
    }
}

impl streams::Host for WasiCtxView<'_> {
    fn convert_stream_error(&mut self, fault: StreamFault) -> Result<streams::StreamError> {
        match fault {
            Fault::Error(StreamError::LastOperationFailed(error)) => Ok(
                streams::StreamError::LastOperationFailed(self.table.push(error)?),
            ),
            Fault::Error(StreamError::Closed) => Ok(streams::StreamError::Closed),
            Fault::Error(StreamError::Misuse(misuse)) => Err(misuse.into()),
            Fault::Trap(trap) => Err(trap),
        }
    }
}

impl streams::HostInputStream for WasiCtxView<'_> {
    fn read(&mut self, stream: Resource<InputStream>, len: u64) -> Answer<Vec<u8>> {
        Ok(self.table.get_mut(&stream)?.read(len)?)
    }

    async fn blocking_read(&mut self, stream: Resource<InputStream>, len: u64) -> Answer<Vec<u8>> {
        Ok(self.table.get_mut(&stream)?.blocking_read(len).await?)
    }

    fn skip(&mut self, stream: Resource<InputStream>, len: u64) -> Answer<u64> {
        Ok(self.table.get_mut(&stream)?.skip(len)?)
    }

    async fn blocking_skip(&mut self, stream: Resource<InputStream>, len: u64) -> Answer<u64> {
        Ok(self.table.get_mut(&stream)?.blocking_skip(len).await?)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> Result<Resource<Pollable>> {
        subscribe(self.table, &stream)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl streams::HostOutputStream for WasiCtxView<'_> {
    fn check_write(&mut self, stream: Resource<OutputStream>) -> Answer<u64> {
        Ok(self.table.get_mut(&stream)?.check_write()?)
    }

    fn write(&mut self, stream: Resource<OutputStream>, contents: Vec<u8>) -> Answer<()> {
        Ok(self.table.get_mut(&stream)?.write(&contents)?)
    }

    async fn blocking_write_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        contents: Vec<u8>,
    ) -> Answer<()> {
        let stream = self.table.get_mut(&stream)?;
        Ok(stream.blocking_write_and_flush(&contents).await?)
    }

    fn flush(&mut self, stream: Resource<OutputStream>) -> Answer<()> {
        Ok(self.table.get_mut(&stream)?.flush()?)
    }

    async fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> Answer<()> {
        Ok(self.table.get_mut(&stream)?.blocking_flush().await?)
    }

    fn subscribe(&mut self, stream: Resource<OutputStream>) -> Result<Resource<Pollable>> {
        subscribe(self.table, &stream)
    }

    fn write_zeroes(&mut self, stream: Resource<OutputStream>, len: u64) -> Answer<()> {
        Ok(self.table.get_mut(&stream)?.write_zeroes(len)?)
    }

    async fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        len: u64,
    ) -> Answer<()> {
        let stream = self.table.get_mut(&stream)?;
        Ok(stream.blocking_write_zeroes_and_flush(len).await?)
    }

    fn splice(
        &mut self,
        stream: Resource<OutputStream>,
        source: Resource<InputStream>,
        len: u64,
    ) -> Answer<u64> {
        // Both are in the same table, which lends one entry at a time.
        let mut from = std::mem::take(self.table.get_mut(&source)?);
        let moved = match self.table.get_mut(&stream) {
            Ok(to) => to.splice(&mut from, len).map_err(Fault::from),
            Err(error) => Err(error.into()),
        };
        *self.table.get_mut(&source)? = from;
        moved
    }

    async fn blocking_splice(
        &mut self,
        stream: Resource<OutputStream>,
        source: Resource<InputStream>,
        len: u64,
    ) -> Answer<u64> {
        loop {
            self.table.get_mut(&stream)?.ready().await;
            self.table.get_mut(&source)?.ready().await;
            let (to, from) = (
                Resource::new_borrow(stream.rep()),
                Resource::new_borrow(source.rep()),
            );
            let moved = self.splice(to, from, len)?;
            // What was ready a moment ago may have gone to another stream on the same source.
            if moved > 0 || len == 0 {
                return Ok(moved);
            }
        }
    }

    fn drop(&mut self, stream: Resource<OutputStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
