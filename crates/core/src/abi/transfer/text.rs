//! Strings on their way from one guest to another.

use super::Transfer;
use crate::abi::memory;
use crate::abi::strings::{Conversion, GuestString, StringPort, store_string};
use crate::plan::StringEncoding;

/// Stores a string of the source that was found valid into the target. Gives its address and tagged length.
pub(super) fn transfer_string<X: Transfer + ?Sized>(
    x: &mut X,
    string: GuestString,
    from: StringEncoding,
    to: StringEncoding,
    memory64: bool,
) -> anyhow::Result<(u64, u64)> {
    let conversion = Conversion {
        from,
        simple: string.simple,
        length: string.range.length(),
        to,
        memory64,
    };
    store_string(&mut Between { x, string }, conversion)
}

struct Between<'a, X: ?Sized> {
    x: &'a mut X,
    string: GuestString,
}

impl<X: Transfer + ?Sized> StringPort for Between<'_, X> {
    fn read(&mut self, offset: usize, into: &mut [u8]) -> anyhow::Result<()> {
        let bytes = self.string.range.bytes(self.x.source())?;
        into.copy_from_slice(memory::bytes(bytes, offset, into.len())?);
        Ok(())
    }

    fn copy(&mut self, dst: usize) -> anyhow::Result<()> {
        let range = self.string.range;
        self.x.copy(range.start(), dst, range.length())
    }

    fn target(&mut self) -> &mut [u8] {
        self.x.parts().0
    }

    fn realloc(
        &mut self,
        old: u64,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<u64> {
        self.x.realloc(old, old_size, align, new_size)
    }
}
