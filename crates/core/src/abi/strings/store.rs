//! Storing strings: the specification's `store_string_into_range` with all its conversions.
//!
//! Every call of `realloc` is the specification's own, as are the moments at which bytes are written: a guest can watch both. See [Storing] of the
//! Canonical ABI.
//!
//! [Storing]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#storing

use super::transcode::transcode;
use super::{Simple, utf16_tag};
use crate::abi::context::check_realloc;
use crate::abi::list::REALLOC_I32_MAX;
use crate::abi::memory;
use crate::plan::StringEncoding;
use crate::trap::Trap;

/// Beyond the last Unicode scalar value.
const NO_LIMIT: u32 = 0x11_0000;

/// Both ends of a string's way: its bytes, and the memory and allocator that it goes to.
pub(in crate::abi) trait StringPort {
    /// Reads bytes of the source.
    fn read(&mut self, offset: usize, into: &mut [u8]) -> anyhow::Result<()>;

    /// Copies all bytes of the source to `dst` as they are.
    fn copy(&mut self, dst: usize) -> anyhow::Result<()>;

    /// The memory that the string goes to.
    fn target(&mut self) -> &mut [u8];

    /// Calls the guest's `realloc`.
    fn realloc(
        &mut self,
        old: u64,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<u64>;
}

/// What a string is to be stored from and to.
#[derive(Clone, Copy, Debug)]
pub(in crate::abi) struct Conversion {
    /// The encoding of the source's instance; UTF-8 for the host.
    pub from: StringEncoding,
    /// How this very string is encoded.
    pub simple: Simple,
    /// The length of the source in bytes.
    pub length: usize,
    /// The encoding of the destination.
    pub to: StringEncoding,
    /// Whether the destination's memory has 64-bit addresses.
    pub memory64: bool,
}

/// Stores a valid string, and gives its address and its length in code units, tagged if need be.
pub(in crate::abi) fn store_string<P: StringPort + ?Sized>(
    port: &mut P,
    conversion: Conversion,
) -> anyhow::Result<(u64, u64)> {
    let mut store = Store {
        port,
        from: conversion.simple,
        length: conversion.length,
        units: (conversion.length / conversion.simple.unit()) as u64,
        memory64: conversion.memory64,
    };
    use StringEncoding as Encoding;
    match (conversion.to, conversion.simple, conversion.from) {
        (Encoding::Utf8, Simple::Utf8, _) => store.store_copy(1, 1),
        (Encoding::Utf8, Simple::Utf16, _) => store.store_utf8(3),
        (Encoding::Utf8, Simple::Latin1, _) => store.store_utf8(2),
        (Encoding::Utf16, Simple::Utf8, _) => store.store_utf8_to_utf16(),
        (Encoding::Utf16, Simple::Utf16 | Simple::Latin1, _) => store.store_copy(2, 2),
        (Encoding::Latin1OrUtf16, Simple::Latin1, _) => store.store_copy(1, 2),
        (Encoding::Latin1OrUtf16, Simple::Utf16, Encoding::Latin1OrUtf16) => {
            store.store_probably_utf16_to_latin1_or_utf16()
        }
        (Encoding::Latin1OrUtf16, Simple::Utf8 | Simple::Utf16, _) => store.store_latin1_or_utf16(),
    }
}

struct Store<'a, P: ?Sized> {
    port: &'a mut P,
    from: Simple,
    /// Of the source, in bytes.
    length: usize,
    /// Of the source.
    units: u64,
    memory64: bool,
}

impl<P: StringPort + ?Sized> Store<'_, P> {
    /// `store_string_copy`: the destination has as many code units.
    fn store_copy(&mut self, unit: u64, align: u32) -> anyhow::Result<(u64, u64)> {
        let ptr = self.realloc(0, 0, align, unit * self.units)?;
        if self.from.unit() as u64 == unit {
            self.port.copy(ptr)?;
        } else {
            self.pump(0, Simple::Utf16, ptr, NO_LIMIT)?;
        }
        Ok((ptr as u64, self.units))
    }

    /// `store_string_to_utf8`: as if it were ASCII, and from the first other character on with room for the worst.
    fn store_utf8(&mut self, worst_unit: u64) -> anyhow::Result<(u64, u64)> {
        let ptr = self.realloc(0, 0, 1, self.units)?;
        let ascii = self.pump(0, Simple::Latin1, ptr, 0x80)?;
        if ascii.at == self.length {
            return Ok((ptr as u64, self.units));
        }
        let worst = worst_unit * self.units;
        let mut ptr = self.realloc(ptr, self.units, 1, worst)?;
        let rest = self.pump(ascii.at, Simple::Utf8, ptr + ascii.written, NO_LIMIT)?;
        let length = (ascii.written + rest.written) as u64;
        if worst > length {
            ptr = self.realloc(ptr, worst, 1, length)?;
        }
        Ok((ptr as u64, length))
    }

    /// `store_utf8_to_utf16`: room for the worst at once.
    fn store_utf8_to_utf16(&mut self) -> anyhow::Result<(u64, u64)> {
        let worst = 2 * self.units;
        let mut ptr = self.realloc(0, 0, 2, worst)?;
        let length = self.pump(0, Simple::Utf16, ptr, NO_LIMIT)?.written as u64;
        if length < worst {
            ptr = self.realloc(ptr, worst, 2, length)?;
        }
        Ok((ptr as u64, length / 2))
    }

    /// `store_string_to_latin1_or_utf16`: as if it were Latin-1, and widened at the first other character.
    fn store_latin1_or_utf16(&mut self) -> anyhow::Result<(u64, u64)> {
        let mut ptr = self.realloc(0, 0, 2, self.units)?;
        let latin1 = self.pump(0, Simple::Latin1, ptr, 0x100)?;
        if latin1.at == self.length {
            let length = latin1.written as u64;
            if length < self.units {
                ptr = self.realloc(ptr, self.units, 2, length)?;
            }
            return Ok((ptr as u64, length));
        }
        let worst = 2 * self.units;
        ptr = self.realloc(ptr, self.units, 2, worst)?;
        let narrow = latin1.written;
        let wide = memory::bytes_mut(self.port.target(), ptr, 2 * narrow)?;
        for i in (0..narrow).rev() {
            wide[2 * i] = wide[i];
            wide[2 * i + 1] = 0;
        }
        let rest = self.pump(latin1.at, Simple::Utf16, ptr + 2 * narrow, NO_LIMIT)?;
        let length = (2 * narrow + rest.written) as u64;
        if worst > length {
            ptr = self.realloc(ptr, worst, 2, length)?;
        }
        Ok((ptr as u64, (length / 2) | utf16_tag(self.memory64)))
    }

    /// `store_probably_utf16_to_latin1_or_utf16`: copied, then narrowed if it can be.
    fn store_probably_utf16_to_latin1_or_utf16(&mut self) -> anyhow::Result<(u64, u64)> {
        let ptr = self.realloc(0, 0, 2, self.length as u64)?;
        self.port.copy(ptr)?;
        let bytes = memory::bytes_mut(self.port.target(), ptr, self.length)?;
        if bytes.chunks_exact(2).any(|unit| unit[1] != 0) {
            return Ok((ptr as u64, self.units | utf16_tag(self.memory64)));
        }
        for i in 0..bytes.len() / 2 {
            bytes[i] = bytes[2 * i];
        }
        let ptr = self.realloc(ptr, self.length as u64, 1, self.units)?;
        Ok((ptr as u64, self.units))
    }

    fn pump(
        &mut self,
        at: usize,
        to: Simple,
        dst: usize,
        limit: u32,
    ) -> anyhow::Result<super::transcode::Progress> {
        transcode(self.port, self.from, at, self.length, to, dst, limit)
    }

    /// Calls `realloc` and checks its answer.
    fn realloc(
        &mut self,
        old: usize,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<usize> {
        if new_size > REALLOC_I32_MAX {
            return Err(Trap::TooLong {
                what: "string",
                length: new_size,
                limit: REALLOC_I32_MAX,
            }
            .into());
        }
        let pointer = self.port.realloc(old as u64, old_size, align, new_size)?;
        let range = check_realloc(self.port.target(), pointer, new_size, align, "string")?;
        Ok(range.start())
    }
}
