//! Strings in the three encodings: finding, checking and decoding them in a guest's memory, and the Rust types that stand for them.

mod store;
mod transcode;
mod types;

pub(super) use store::{Conversion, StringPort, store_string};

use super::memory::GuestRange;
use crate::plan::StringEncoding;
use crate::trap::Trap;

/// The bytes that a string takes in a guest's memory at most, for it to be lifted.
pub const MAX_STRING_BYTE_LENGTH: u64 = (1 << 28) - 1;

/// How the bytes of one string are encoded: as [`StringEncoding`], with the tag of [`StringEncoding::Latin1OrUtf16`] resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Simple {
    Utf8,
    Utf16,
    Latin1,
}

impl Simple {
    /// The size of a code unit in bytes.
    pub(super) fn unit(self) -> usize {
        match self {
            Simple::Utf8 | Simple::Latin1 => 1,
            Simple::Utf16 => 2,
        }
    }
}

/// A string in memory whose length, alignment and bounds have been checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct GuestString {
    pub range: GuestRange,
    pub simple: Simple,
}

/// The bit of a length that says UTF-16 in [`StringEncoding::Latin1OrUtf16`].
pub(super) fn utf16_tag(memory64: bool) -> u64 {
    if memory64 { 1 << 63 } else { 1 << 31 }
}

impl GuestString {
    /// Checks where a string is: the first half of `load_string_from_range`.
    pub(super) fn locate(
        memory: &[u8],
        memory64: bool,
        encoding: StringEncoding,
        pointer: u64,
        tagged_code_units: u64,
    ) -> Result<Self, Trap> {
        let tag = utf16_tag(memory64);
        let (align, units, simple) = match encoding {
            StringEncoding::Utf8 => (1, tagged_code_units, Simple::Utf8),
            StringEncoding::Utf16 => (2, tagged_code_units, Simple::Utf16),
            StringEncoding::Latin1OrUtf16 if tagged_code_units & tag != 0 => {
                (2, tagged_code_units ^ tag, Simple::Utf16)
            }
            StringEncoding::Latin1OrUtf16 => (2, tagged_code_units, Simple::Latin1),
        };
        let length = units.saturating_mul(simple.unit() as u64);
        if length > MAX_STRING_BYTE_LENGTH {
            return Err(Trap::TooLong {
                what: "string",
                length,
                limit: MAX_STRING_BYTE_LENGTH,
            });
        }
        let range = GuestRange::check(memory, pointer, length, align, "string")?;
        Ok(Self { range, simple })
    }

    /// Checks that the bytes are valid in their encoding: the second half of `load_string_from_range`.
    pub(super) fn validate(self, memory: &[u8]) -> anyhow::Result<()> {
        let bytes = self.range.bytes(memory)?;
        match self.simple {
            Simple::Utf8 => {
                std::str::from_utf8(bytes).map_err(|error| invalid_utf8(&error, 0))?;
            }
            Simple::Utf16 => validate_utf16(bytes)?,
            Simple::Latin1 => {}
        }
        Ok(())
    }

    /// Decodes the string.
    pub(super) fn decode(self, memory: &[u8]) -> anyhow::Result<String> {
        let bytes = self.range.bytes(memory)?;
        Ok(match self.simple {
            Simple::Utf8 => std::str::from_utf8(bytes)
                .map_err(|error| invalid_utf8(&error, 0))?
                .to_owned(),
            Simple::Utf16 => {
                let mut at = 0;
                char::decode_utf16(units(bytes))
                    .map(|decoded| match decoded {
                        Ok(char) => {
                            at += char.len_utf16() * 2;
                            Ok(char)
                        }
                        Err(_) => Err(unpaired_surrogate(at)),
                    })
                    .collect::<Result<String, Trap>>()?
            }
            Simple::Latin1 => bytes.iter().map(|&byte| char::from(byte)).collect(),
        })
    }
}

/// Checks that the bytes of a string that lies within memory are UTF-8.
///
/// # Errors
/// [`Trap::InvalidString`]; [`Trap::OutOfBounds`] if it lies beyond after all.
pub fn validate_utf8(memory: &[u8], pointer: u64, length: u64) -> anyhow::Result<()> {
    GuestString::locate(memory, false, StringEncoding::Utf8, pointer, length)?.validate(memory)
}

/// The code units of UTF-16 bytes, little endian.
fn units(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let (chunks, _) = bytes.as_chunks::<2>();
    chunks.iter().map(|&chunk| u16::from_le_bytes(chunk))
}

fn validate_utf16(bytes: &[u8]) -> Result<(), Trap> {
    // Surrogates are rare, and without them there is nothing to check.
    if !units(bytes).any(|unit| unit & 0xf800 == 0xd800) {
        return Ok(());
    }
    let mut at = 0;
    for decoded in char::decode_utf16(units(bytes)) {
        match decoded {
            Ok(char) => at += char.len_utf16() * 2,
            Err(_) => return Err(unpaired_surrogate(at)),
        }
    }
    Ok(())
}

fn invalid_utf8(error: &std::str::Utf8Error, base: usize) -> Trap {
    Trap::InvalidString {
        fault: match error.error_len() {
            Some(_) => "invalid utf-8",
            None => "incomplete utf-8 byte sequence",
        },
        offset: (base + error.valid_up_to()) as u64,
    }
}

fn unpaired_surrogate(offset: usize) -> Trap {
    Trap::InvalidString {
        fault: "invalid utf-16: unpaired surrogate",
        offset: offset as u64,
    }
}
