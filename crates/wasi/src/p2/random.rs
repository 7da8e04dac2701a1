//! `wasi:random`.

use tidegate::Result;

use super::bindings::wasi::random::{insecure, insecure_seed, random};
use super::view::WasiCtxView;
use crate::random::Random;

/// The most random bytes one call gives. The interface promises exactly as many as were asked for,
/// and the guest's number must not size an allocation of the host: asking for more is a trap.
pub const RANDOM_LIMIT: u64 = 16 * 1024 * 1024;

/// The trap for asking for too many random bytes.
#[derive(Debug, thiserror::Error)]
#[error("{0} random bytes at once; at most {RANDOM_LIMIT} are given")]
struct TooManyBytes(u64);

fn bytes(source: &mut dyn Random, len: u64) -> Result<Vec<u8>> {
    if len > RANDOM_LIMIT {
        return Err(TooManyBytes(len).into());
    }
    let mut bytes = vec![0; len as usize];
    source.fill(&mut bytes)?;
    Ok(bytes)
}

fn number(source: &mut dyn Random) -> Result<u64> {
    let mut bytes = [0; 8];
    source.fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

impl random::Host for WasiCtxView<'_> {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(self.ctx.random(), len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        number(self.ctx.random())
    }
}

impl insecure::Host for WasiCtxView<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        bytes(self.ctx.insecure_random(), len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        number(self.ctx.insecure_random())
    }
}

impl insecure_seed::Host for WasiCtxView<'_> {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((
            number(self.ctx.insecure_random())?,
            number(self.ctx.insecure_random())?,
        ))
    }
}
