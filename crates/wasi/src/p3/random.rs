//! `wasi:random`.

use tidegate::Result;

use super::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::random::{random_bytes, random_number};
use crate::view::WasiCtxView;

/// How many bytes one call gives: nothing interrupts it, and this takes less than a millisecond. The guest asks for the rest again.
const AT_ONCE: u64 = 256 << 10;

impl random::Host for WasiCtxView<'_> {
    fn get_random_bytes(&mut self, max_len: u64) -> Result<Vec<u8>> {
        Ok(random_bytes(self.ctx.random(), max_len.min(AT_ONCE))?)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(random_number(self.ctx.random())?)
    }
}

impl insecure::Host for WasiCtxView<'_> {
    fn get_insecure_random_bytes(&mut self, max_len: u64) -> Result<Vec<u8>> {
        Ok(random_bytes(
            self.ctx.insecure_random(),
            max_len.min(AT_ONCE),
        )?)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(random_number(self.ctx.insecure_random())?)
    }
}

impl insecure_seed::Host for WasiCtxView<'_> {
    fn get_insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok(self.ctx.insecure_seed()?)
    }
}
