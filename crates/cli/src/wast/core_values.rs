//! The values of core modules in scripts. Only numbers pass in and out of the engines.

use anyhow::{Result, bail, ensure};
use tidegate_engine::ValType;
use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::{WastArg, WastRet};

/// A result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// The bits of an `f32`.
    F32(u32),
    /// The bits of an `f64`.
    F64(u64),
}

impl Number {
    /// What an engine gave.
    pub fn new(ty: ValType, slot: u64) -> Result<Self> {
        // The upper half of a 32-bit number's slot is zero.
        Ok(match ty {
            ValType::I32 => Self::I32((slot as u32).cast_signed()),
            ValType::I64 => Self::I64(slot.cast_signed()),
            ValType::F32 => Self::F32(slot as u32),
            ValType::F64 => Self::F64(slot),
            other => bail!("results of type {other} cannot be looked at"),
        })
    }
}

/// An argument, as engines take it.
pub fn argument(value: &WastArg<'_>) -> Result<u64> {
    let WastArg::Core(value) = value else {
        bail!("a core function takes no value of the Component Model");
    };
    Ok(match value {
        WastArgCore::I32(value) => value.cast_unsigned().into(),
        WastArgCore::I64(value) => value.cast_unsigned(),
        WastArgCore::F32(value) => value.bits.into(),
        WastArgCore::F64(value) => value.bits,
        WastArgCore::V128(_) => bail!("vectors cannot be passed to a guest"),
        _ => bail!("references cannot be passed to a guest"),
    })
}

/// Checks results against what a script expects.
pub fn compare(found: &[Number], expected: &[WastRet<'_>]) -> Result<()> {
    let equal = found.len() == expected.len()
        && found
            .iter()
            .zip(expected)
            .all(|(found, expected)| match expected {
                WastRet::Core(expected) => equal(*found, expected),
                _ => false,
            });
    ensure!(equal, "expected: {expected:?}\nfound: {found:?}");
    Ok(())
}

fn equal(found: Number, expected: &WastRetCore<'_>) -> bool {
    match (found, expected) {
        (found, WastRetCore::Either(any)) => any.iter().any(|one| equal(found, one)),
        (Number::I32(found), WastRetCore::I32(expected)) => found == *expected,
        (Number::I64(found), WastRetCore::I64(expected)) => found == *expected,
        (Number::F32(found), WastRetCore::F32(expected)) => match expected {
            NanPattern::Value(expected) => found == expected.bits,
            NanPattern::CanonicalNan => found & 0x7fff_ffff == 0x7fc0_0000,
            NanPattern::ArithmeticNan => found & 0x7fc0_0000 == 0x7fc0_0000,
        },
        (Number::F64(found), WastRetCore::F64(expected)) => match expected {
            NanPattern::Value(expected) => found == expected.bits,
            NanPattern::CanonicalNan => found & (u64::MAX >> 1) == 0x7ff8 << 48,
            NanPattern::ArithmeticNan => found & (0x7ff8 << 48) == 0x7ff8 << 48,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nans_are_canonical_or_arithmetic() {
        let canonical = WastRetCore::F32(NanPattern::CanonicalNan);
        let arithmetic = WastRetCore::F32(NanPattern::ArithmeticNan);
        for (bits, is_canonical, is_arithmetic) in [
            (0x7fc0_0000, true, true),
            (0xffc0_0000, true, true),
            (0x7fc0_0001, false, true),
            (0x7fa0_0000, false, false),
            (0x3f80_0000, false, false),
        ] {
            assert_eq!(equal(Number::F32(bits), &canonical), is_canonical);
            assert_eq!(equal(Number::F32(bits), &arithmetic), is_arithmetic);
        }
        let canonical = WastRetCore::F64(NanPattern::CanonicalNan);
        assert!(equal(Number::F64(f64::NAN.to_bits()), &canonical));
        assert!(!equal(Number::F64(f64::NAN.to_bits() | 1), &canonical));
    }

    #[test]
    fn numbers_of_different_types_differ() {
        assert!(equal(Number::I32(-1), &WastRetCore::I32(-1)));
        assert!(!equal(Number::I64(-1), &WastRetCore::I32(-1)));
        let either = WastRetCore::Either(vec![WastRetCore::I32(1), WastRetCore::I32(2)]);
        assert!(equal(Number::I32(2), &either));
        assert!(!equal(Number::I32(3), &either));
    }
}
