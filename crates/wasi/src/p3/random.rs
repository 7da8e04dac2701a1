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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WasiCtx;
    use tidegate::ResourceTable;

    #[test]
    fn one_call_gives_no_more_than_can_be_waited_for() -> Result<()> {
        let (mut ctx, mut table) = (WasiCtx::builder().build(), ResourceTable::new());
        let mut view = WasiCtxView {
            ctx: &mut ctx,
            table: &mut table,
        };
        for (asked, given) in [(0, 0), (100, 100), (AT_ONCE, AT_ONCE), (u64::MAX, AT_ONCE)] {
            let secure = random::Host::get_random_bytes(&mut view, asked)?;
            let insecure = insecure::Host::get_insecure_random_bytes(&mut view, asked)?;
            assert_eq!([secure.len(), insecure.len()], [given as usize; 2]);
        }
        Ok(())
    }
}
