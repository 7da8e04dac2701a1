//! Booleans, integers, floats and characters.

use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    TypeContext, TypeMismatch, memory,
};
use crate::trap::Trap;
use crate::types::ValType;

/// The `f32` NaN that lifting makes of every NaN.
pub const CANONICAL_NAN32: u32 = 0x7fc0_0000;
/// The `f64` NaN that lifting makes of every NaN.
pub const CANONICAL_NAN64: u64 = 0x7ff8_0000_0000_0000;

/// The bits of an `f32` with any NaN made canonical.
#[inline]
pub fn canonicalize_nan32(bits: u32) -> u32 {
    if f32::from_bits(bits).is_nan() {
        CANONICAL_NAN32
    } else {
        bits
    }
}

/// The bits of an `f64` with any NaN made canonical.
#[inline]
pub fn canonicalize_nan64(bits: u64) -> u64 {
    if f64::from_bits(bits).is_nan() {
        CANONICAL_NAN64
    } else {
        bits
    }
}

/// Checks that a word is a Unicode scalar value.
///
/// # Errors
/// [`Trap::InvalidChar`].
#[inline]
pub fn convert_u32_to_char(word: u32) -> Result<char, Trap> {
    char::from_u32(word).ok_or(Trap::InvalidChar(word))
}

macro_rules! component_type {
    ($rust:ty, $ty:ident, $name:literal) => {
        impl ComponentType for $rust {
            const LAYOUT: Layout = Layout::scalar(size_of::<$rust>() as u32);

            fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                match ty {
                    ValType::$ty => Ok(()),
                    other => Err(TypeMismatch::kind($name, cx, other)),
                }
            }
        }
    };
}

macro_rules! number {
    ($rust:ty, $ty:ident, $name:literal, from_word: $from_word:expr, to_word: $to_word:expr, from_bytes: $from_bytes:expr, to_bytes: $to_bytes:expr) => {
        component_type!($rust, $ty, $name);

        impl Lift for $rust {
            const PLAIN: bool = true;

            #[inline]
            fn lift_flat(
                _: &mut LiftContext<'_>,
                _: ValType,
                src: &mut FlatReader<'_>,
            ) -> anyhow::Result<Self> {
                let from_word: fn(u64) -> $rust = $from_word;
                Ok(from_word(src.word()?))
            }

            #[inline]
            fn lift_mem(cx: &mut LiftContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<Self> {
                Self::lift_plain(cx.memory, ptr)
            }

            #[inline]
            fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
                let from_bytes: fn([u8; size_of::<$rust>()]) -> $rust = $from_bytes;
                Ok(from_bytes(memory::load(bytes, at)?))
            }

            fn lift_list(
                cx: &mut LiftContext<'_>,
                _: ValType,
                ptr: usize,
                length: usize,
            ) -> anyhow::Result<Vec<Self>> {
                const SIZE: usize = size_of::<$rust>();
                let from_bytes: fn([u8; SIZE]) -> $rust = $from_bytes;
                cx.budget.take(length, SIZE)?;
                let bytes = memory::bytes(cx.memory, ptr, length * SIZE)?;
                let (chunks, _) = bytes.as_chunks::<SIZE>();
                Ok(chunks.iter().map(|&chunk| from_bytes(chunk)).collect())
            }
        }

        impl Lower for $rust {
            const PLAIN: bool = true;

            #[inline]
            fn lower_flat(
                &self,
                _: &mut LowerContext<'_>,
                _: ValType,
                dst: &mut FlatWriter<'_>,
            ) -> anyhow::Result<()> {
                let to_word: fn($rust) -> u64 = $to_word;
                dst.push(to_word(*self))
            }

            #[inline]
            fn lower_mem(
                &self,
                cx: &mut LowerContext<'_>,
                _: ValType,
                ptr: usize,
            ) -> anyhow::Result<()> {
                self.lower_plain(cx.memory(), ptr)
            }

            #[inline]
            fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
                let to_bytes: fn($rust) -> [u8; size_of::<$rust>()] = $to_bytes;
                memory::store(bytes, at, to_bytes(*self))
            }

            fn lower_list(
                list: &[Self],
                cx: &mut LowerContext<'_>,
                _: ValType,
                ptr: usize,
            ) -> anyhow::Result<()> {
                const SIZE: usize = size_of::<$rust>();
                let to_bytes: fn($rust) -> [u8; SIZE] = $to_bytes;
                let bytes = memory::bytes_mut(cx.memory(), ptr, list.len() * SIZE)?;
                let (chunks, _) = bytes.as_chunks_mut::<SIZE>();
                for (chunk, &value) in chunks.iter_mut().zip(list) {
                    *chunk = to_bytes(value);
                }
                Ok(())
            }
        }
    };
}

// Narrow integers are lifted from the low bits of their word. Signed ones are sign-extended to an `i32` when lowered, and the word is
// that `i32`, zero-extended.
number!(u8, U8, "u8", from_word: |w| w as u8, to_word: u64::from, from_bytes: u8::from_le_bytes, to_bytes: u8::to_le_bytes);
number!(u16, U16, "u16", from_word: |w| w as u16, to_word: u64::from, from_bytes: u16::from_le_bytes, to_bytes: u16::to_le_bytes);
number!(u32, U32, "u32", from_word: |w| w as u32, to_word: u64::from, from_bytes: u32::from_le_bytes, to_bytes: u32::to_le_bytes);
number!(u64, U64, "u64", from_word: |w| w, to_word: |v| v, from_bytes: u64::from_le_bytes, to_bytes: u64::to_le_bytes);
number!(i8, S8, "s8", from_word: |w| w as i8, to_word: |v| u64::from(i32::from(v) as u32), from_bytes: i8::from_le_bytes, to_bytes: i8::to_le_bytes);
number!(i16, S16, "s16", from_word: |w| w as i16, to_word: |v| u64::from(i32::from(v) as u32), from_bytes: i16::from_le_bytes, to_bytes: i16::to_le_bytes);
number!(i32, S32, "s32", from_word: |w| w as i32, to_word: |v| u64::from(v as u32), from_bytes: i32::from_le_bytes, to_bytes: i32::to_le_bytes);
number!(i64, S64, "s64", from_word: |w| w as i64, to_word: |v| v as u64, from_bytes: i64::from_le_bytes, to_bytes: i64::to_le_bytes);
number!(f32, F32, "f32",
    from_word: |w| f32::from_bits(canonicalize_nan32(w as u32)),
    to_word: |v| canonicalize_nan32(v.to_bits()).into(),
    from_bytes: |b| f32::from_bits(canonicalize_nan32(u32::from_le_bytes(b))),
    to_bytes: |v| canonicalize_nan32(v.to_bits()).to_le_bytes());
number!(f64, F64, "f64",
    from_word: |w| f64::from_bits(canonicalize_nan64(w)),
    to_word: |v| canonicalize_nan64(v.to_bits()),
    from_bytes: |b| f64::from_bits(canonicalize_nan64(u64::from_le_bytes(b))),
    to_bytes: |v| canonicalize_nan64(v.to_bits()).to_le_bytes());

component_type!(bool, Bool, "bool");
component_type!(char, Char, "char");

impl Lift for bool {
    const PLAIN: bool = true;

    #[inline]
    fn lift_flat(
        _: &mut LiftContext<'_>,
        _: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        Ok(src.word32()? != 0)
    }

    #[inline]
    fn lift_mem(cx: &mut LiftContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<Self> {
        Self::lift_plain(cx.memory, ptr)
    }

    #[inline]
    fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
        Ok(memory::load::<1>(bytes, at)? != [0])
    }
}

impl Lower for bool {
    const PLAIN: bool = true;

    #[inline]
    fn lower_flat(
        &self,
        _: &mut LowerContext<'_>,
        _: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        dst.push(u64::from(*self))
    }

    #[inline]
    fn lower_mem(&self, cx: &mut LowerContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<()> {
        self.lower_plain(cx.memory(), ptr)
    }

    #[inline]
    fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
        memory::store(bytes, at, [u8::from(*self)])
    }
}

impl Lift for char {
    const PLAIN: bool = true;

    #[inline]
    fn lift_flat(
        _: &mut LiftContext<'_>,
        _: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        Ok(convert_u32_to_char(src.word32()?)?)
    }

    #[inline]
    fn lift_mem(cx: &mut LiftContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<Self> {
        Self::lift_plain(cx.memory, ptr)
    }

    #[inline]
    fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
        Ok(convert_u32_to_char(u32::from_le_bytes(memory::load(
            bytes, at,
        )?))?)
    }
}

impl Lower for char {
    const PLAIN: bool = true;

    #[inline]
    fn lower_flat(
        &self,
        _: &mut LowerContext<'_>,
        _: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        dst.push(u32::from(*self).into())
    }

    #[inline]
    fn lower_mem(&self, cx: &mut LowerContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<()> {
        self.lower_plain(cx.memory(), ptr)
    }

    #[inline]
    fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
        memory::store(bytes, at, u32::from(*self).to_le_bytes())
    }
}
