//! `wasi:random`.

use tidegate::Result;

use super::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::random::{RANDOM_LIMIT, Random, random_bytes, random_number};
use crate::view::WasiCtxView;

fn bytes(source: &mut dyn Random, len: u64) -> Result<Vec<u8>> {
    if len > RANDOM_LIMIT {
        return Err(TooManyBytes(len).into());
    }
    Ok(random_bytes(source, len)?)
}

/// The trap for asking for too many random bytes.
#[derive(Debug, thiserror::Error)]
#[error("{0} random bytes at once; at most {RANDOM_LIMIT} are given")]
struct TooManyBytes(u64);

impl random::Host for WasiCtxView<'_> {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(self.ctx.random(), len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(random_number(self.ctx.random())?)
    }
}

impl insecure::Host for WasiCtxView<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(self.ctx.insecure_random(), len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(random_number(self.ctx.insecure_random())?)
    }
}

impl insecure_seed::Host for WasiCtxView<'_> {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok(self.ctx.insecure_seed()?)
    }
}
