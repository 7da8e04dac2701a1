//! Moving a string's characters from one place and encoding to another, a chunk at a time.

use super::store::StringPort;
use super::{Simple, invalid_utf8, units, unpaired_surrogate};
use crate::abi::memory;
use crate::trap::Trap;

/// The bytes of the source that are converted at once.
const CHUNK: usize = 1024;

/// Room for what a chunk is converted to: no conversion makes more than two bytes of one. A character is written in a place of four.
const ROOM: usize = 2 * CHUNK + 4;

/// How far a conversion came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Where in the source it stopped, in bytes: at its end, or at the first character beyond the limit.
    pub at: usize,
    /// How many bytes it wrote.
    pub written: usize,
}

/// Converts the source's characters from byte `at` to byte `end`, or up to the first that is `limit` or more, and writes them at `dst`.
pub(super) fn transcode<P: StringPort + ?Sized>(
    port: &mut P,
    from: Simple,
    mut at: usize,
    end: usize,
    to: Simple,
    dst: usize,
    limit: u32,
) -> anyhow::Result<Progress> {
    let mut input = [0; CHUNK];
    let mut output = [0; ROOM];
    let mut written = 0;
    while at < end {
        let input = &mut input[..CHUNK.min(end - at)];
        port.read(at, input)?;
        let last = at + input.len() == end;
        let mut sink = Sink {
            out: &mut output,
            length: 0,
            to,
            limit,
        };
        let (used, full) = decode(from, input, at, last, &mut sink)?;
        let made = sink.length;
        memory::bytes_mut(port.target(), dst + written, made)?.copy_from_slice(&output[..made]);
        written += made;
        at += used;
        if full {
            break;
        }
    }
    Ok(Progress { at, written })
}

/// Decodes a chunk into the sink. Gives how many bytes were used, and whether the limit was met.
fn decode(
    from: Simple,
    input: &[u8],
    base: usize,
    last: bool,
    sink: &mut Sink<'_>,
) -> Result<(usize, bool), Trap> {
    if sink.push_ascii(from, input) {
        return Ok((input.len(), false));
    }
    match from {
        Simple::Latin1 => {
            for (i, &byte) in input.iter().enumerate() {
                if !sink.push(char::from(byte)) {
                    return Ok((i, true));
                }
            }
            Ok((input.len(), false))
        }
        Simple::Utf8 => {
            let valid = match std::str::from_utf8(input) {
                Ok(valid) => valid,
                // The chunk ends within a character: the next one begins with it.
                Err(error) if error.error_len().is_none() && !last && error.valid_up_to() > 0 => {
                    std::str::from_utf8(&input[..error.valid_up_to()])
                        .map_err(|error| invalid_utf8(&error, base))?
                }
                Err(error) => return Err(invalid_utf8(&error, base)),
            };
            for (i, char) in valid.char_indices() {
                if !sink.push(char) {
                    return Ok((i, true));
                }
            }
            Ok((valid.len(), false))
        }
        Simple::Utf16 => {
            let mut used = 0;
            for decoded in char::decode_utf16(units(input)) {
                match decoded {
                    Ok(char) => {
                        if !sink.push(char) {
                            return Ok((used, true));
                        }
                        used += 2 * char.len_utf16();
                    }
                    // A high surrogate that ends the chunk: the next one begins with it.
                    Err(_) if !last && used > 0 && used + 2 == input.len() => break,
                    Err(_) => return Err(unpaired_surrogate(base + used)),
                }
            }
            Ok((used, false))
        }
    }
}

/// Encodes characters into a buffer that has room for those of a chunk.
struct Sink<'a> {
    out: &'a mut [u8; ROOM],
    length: usize,
    to: Simple,
    limit: u32,
}

impl Sink<'_> {
    /// Encodes a whole chunk if it is ASCII, which every limit allows.
    fn push_ascii(&mut self, from: Simple, input: &[u8]) -> bool {
        let ascii = match from {
            Simple::Utf8 | Simple::Latin1 => input.is_ascii(),
            Simple::Utf16 => units(input).all(|unit| unit < 0x80),
        };
        let length = input.len() / from.unit() * self.to.unit();
        let Some(out) = self.out.get_mut(..length).filter(|_| ascii) else {
            return false;
        };
        match (from.unit(), self.to.unit()) {
            (1, 2) => {
                for (wide, &byte) in out.chunks_exact_mut(2).zip(input) {
                    wide.copy_from_slice(&[byte, 0]);
                }
            }
            (2, 1) => {
                for (byte, wide) in out.iter_mut().zip(input.chunks_exact(2)) {
                    *byte = wide[0];
                }
            }
            _ => out.copy_from_slice(input),
        }
        self.length = length;
        true
    }

    /// Encodes a character; false if it is beyond the limit.
    #[inline]
    fn push(&mut self, char: char) -> bool {
        if u32::from(char) >= self.limit {
            return false;
        }
        // A character takes at most four bytes. The buffer has room for a chunk, so that this never fails.
        let Some(out) = self
            .out
            .get_mut(self.length..)
            .and_then(|rest| rest.first_chunk_mut::<4>())
        else {
            return false;
        };
        self.length += match self.to {
            Simple::Latin1 => {
                out[0] = u32::from(char) as u8;
                1
            }
            Simple::Utf8 => char.encode_utf8(out).len(),
            Simple::Utf16 => {
                let mut words = [0; 2];
                let length = char.encode_utf16(&mut words).len();
                let [[a, b], [c, d]] = words.map(u16::to_le_bytes);
                *out = [a, b, c, d];
                2 * length
            }
        };
        true
    }
}
