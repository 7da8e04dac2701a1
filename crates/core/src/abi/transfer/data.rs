//! Lists of elements that hold neither pointers nor handles: their layout is the same on both sides, whatever the memories.
//!
//! They are converted a block at a time, away from both memories, so that a memory is looked up once for a block and not for every field. What
//! cannot trap is converted column by column, so that it is asked once for a block what a field is; with what can, the first that is wrong must be told.

use super::Transfer;
use super::node::{Bulk, Column, Content, Kind, Piece};
use super::program::Program;
use super::run::{Mode, Run, misplaced};
use crate::abi::variant::check_discriminant;
use crate::abi::{canonicalize_nan32, canonicalize_nan64, convert_u32_to_char, memory};

/// The size of a block in bytes.
const BLOCK: usize = 2048;

impl<X: Transfer + ?Sized> Run<'_, '_, X> {
    /// Converts elements by blocks, if they are such elements. Gives whether they are.
    pub(super) fn data(
        &mut self,
        mode: Mode,
        element: usize,
        src: usize,
        dst: usize,
        count: usize,
    ) -> anyhow::Result<bool> {
        let program = self.program;
        let node = program.node(element);
        let size = node.size.source;
        if !node.data || size == 0 || size > BLOCK {
            return Ok(false);
        }
        let (mut input, mut output) = ([0; BLOCK], [0; BLOCK]);
        let most = BLOCK / size;
        let mut done = 0;
        while done < count {
            let now = most.min(count - done);
            let length = now * size;
            let (src, dst) = (src + done * size, dst + done * size);
            let input = &mut input[..length];
            input.copy_from_slice(memory::bytes(self.x.source(), src, length)?);
            if let Some(columns) = &node.columns {
                // It is never run only to lift.
                let output = memory::bytes_mut(self.x.parts().0, dst, length)?;
                for column in columns {
                    column.convert(size, input, output);
                }
            } else {
                let output = &mut output[..length];
                if mode != Mode::Lift {
                    // Padding stays as it is.
                    output.copy_from_slice(memory::bytes(self.x.parts().0, dst, length)?);
                }
                for i in 0..now {
                    program.convert(element, input, output, i * size)?;
                }
                if mode != Mode::Lift {
                    memory::bytes_mut(self.x.parts().0, dst, length)?.copy_from_slice(output);
                }
            }
            done += now;
        }
        Ok(true)
    }
}

impl Column {
    /// Converts it for values of a size that lie one after another.
    fn convert(self, size: usize, src: &[u8], dst: &mut [u8]) {
        let at = self.offset;
        match self.content {
            Content::Bytes(1) => each(size, at, src, dst, |byte: [u8; 1]| byte),
            Content::Bytes(2) => each(size, at, src, dst, |bytes: [u8; 2]| bytes),
            Content::Bytes(4) => each(size, at, src, dst, |bytes: [u8; 4]| bytes),
            Content::Bytes(8) => each(size, at, src, dst, |bytes: [u8; 8]| bytes),
            Content::Bytes(16) => each(size, at, src, dst, |bytes: [u8; 16]| bytes),
            Content::Bytes(length) => {
                for (src, dst) in src.chunks_exact(size).zip(dst.chunks_exact_mut(size)) {
                    if let (Some(src), Some(dst)) =
                        (src.get(at..at + length), dst.get_mut(at..at + length))
                    {
                        dst.copy_from_slice(src);
                    }
                }
            }
            Content::Bool => each(size, at, src, dst, |[byte]| [u8::from(byte != 0)]),
            Content::F32 => each(size, at, src, dst, |bytes| {
                canonicalize_nan32(u32::from_le_bytes(bytes)).to_le_bytes()
            }),
            Content::F64 => each(size, at, src, dst, |bytes| {
                canonicalize_nan64(u64::from_le_bytes(bytes)).to_le_bytes()
            }),
            // A mask of so many bytes.
            Content::Flags { mask, size: 1 } => {
                each(size, at, src, dst, |[byte]| [byte & mask as u8]);
            }
            Content::Flags { mask, size: 2 } => each(size, at, src, dst, |bytes| {
                (u16::from_le_bytes(bytes) & mask as u16).to_le_bytes()
            }),
            Content::Flags { mask, .. } => each(size, at, src, dst, |bytes| {
                (u32::from_le_bytes(bytes) & mask).to_le_bytes()
            }),
        }
    }
}

/// Converts what lies at an offset of each value.
#[inline]
fn each<const N: usize>(
    size: usize,
    at: usize,
    src: &[u8],
    dst: &mut [u8],
    convert: impl Fn([u8; N]) -> [u8; N],
) {
    for (src, dst) in src.chunks_exact(size).zip(dst.chunks_exact_mut(size)) {
        // Values are as long as their fields demand.
        if let (Some(src), Some(dst)) = (src.get(at..at + N), dst.get_mut(at..at + N))
            && let (Ok(src), Ok(dst)) = (<[u8; N]>::try_from(src), <&mut [u8; N]>::try_from(dst))
        {
            *dst = convert(src);
        }
    }
}

impl Program {
    /// Converts the value that lies at an offset of both.
    fn convert(&self, index: usize, src: &[u8], dst: &mut [u8], at: usize) -> anyhow::Result<()> {
        let node = self.node(index);
        let size = node.size.source;
        match (&node.kind, node.bulk) {
            (_, Some(Bulk::Integers)) => {
                memory::bytes_mut(dst, at, size)?.copy_from_slice(memory::bytes(src, at, size)?);
                Ok(())
            }
            (Kind::Bool, _) => {
                let [byte] = memory::load(src, at)?;
                memory::store(dst, at, [u8::from(byte != 0)])
            }
            (Kind::F32, _) => {
                let bits = canonicalize_nan32(u32::from_le_bytes(memory::load(src, at)?));
                memory::store(dst, at, bits.to_le_bytes())
            }
            (Kind::F64, _) => {
                let bits = canonicalize_nan64(u64::from_le_bytes(memory::load(src, at)?));
                memory::store(dst, at, bits.to_le_bytes())
            }
            (Kind::Char, _) => {
                let char = convert_u32_to_char(u32::from_le_bytes(memory::load(src, at)?))?;
                memory::store(dst, at, u32::from(char).to_le_bytes())
            }
            (Kind::Flags { mask }, _) => {
                // At most four bytes.
                let bits = memory::load_uint(src, at, size as u32)? & u64::from(*mask);
                memory::store_uint(dst, at, bits, size as u32)
            }
            (Kind::FixedList { element, length }, _) => {
                let size = self.node(*element).size.source;
                (0..*length).try_for_each(|i| self.convert(*element, src, dst, at + i * size))
            }
            (Kind::Record { runs, .. }, _) => runs.iter().try_for_each(|piece| match piece {
                Piece::Bytes { offset, length } => {
                    let at = at + offset.source;
                    let bytes = memory::bytes(src, at, *length)?;
                    memory::bytes_mut(dst, at, *length)?.copy_from_slice(bytes);
                    Ok(())
                }
                Piece::Field(part) => self.convert(part.node, src, dst, at + part.offset.source),
            }),
            (
                Kind::Variant {
                    discriminant,
                    payload,
                    cases,
                },
                _,
            ) => {
                let case = memory::load_uint(src, at, *discriminant)?;
                // At most four bytes were loaded, and a type has fewer than 2^32 cases.
                check_discriminant(case as u32, cases.len() as u32)?;
                memory::store_uint(dst, at, case, *discriminant)?;
                match cases.get(case as usize) {
                    Some(Some(node)) => self.convert(*node, src, dst, at + payload.source),
                    _ => Ok(()),
                }
            }
            (Kind::Int { .. }, _)
            | (Kind::String | Kind::List { .. }, _)
            | (Kind::Own { .. } | Kind::Borrow { .. } | Kind::Async { .. }, _) => Err(misplaced()),
        }
    }
}
