//! How functions are called with words.

use crate::{
    error::EngineError,
    types::{FuncType, ValType},
};

/// How a function is called with words: two bits a value, so that calls need not look its type up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) params: u8,
    pub(crate) results: u8,
    /// Whether all values are numbers, and few enough.
    pub(crate) callable: bool,
    /// Whether all values are 32 bits wide, as they are in most functions: then none is looked at by itself.
    narrow: bool,
    param_kinds: u64,
    result_kinds: u64,
}

/// The bits of the kinds of a [`Signature`] that are set for values of 64 bits.
const WIDE: u64 = 0x5555_5555_5555_5555;

/// The kind of a value as a [`Signature`] keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    I32,
    I64,
    F32,
    F64,
}

impl Number {
    /// The type, if it is a number.
    pub(crate) fn of(ty: ValType) -> Option<Self> {
        Some(match ty {
            ValType::I32 => Self::I32,
            ValType::I64 => Self::I64,
            ValType::F32 => Self::F32,
            ValType::F64 => Self::F64,
            _ => return None,
        })
    }

    #[inline]
    fn from_bits(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::I32,
            1 => Self::I64,
            2 => Self::F32,
            _ => Self::F64,
        }
    }

    /// Whether a word of this kind has a zero high half.
    #[inline]
    pub(crate) fn is_narrow(self) -> bool {
        matches!(self, Self::I32 | Self::F32)
    }
}

impl Signature {
    /// The most parameters and the most results of a function that is called from here: two bits each in a word. The
    /// Canonical ABI needs 16 and 1.
    pub(crate) const MAX: usize = 32;

    pub(crate) fn new(
        params: impl ExactSizeIterator<Item = ValType>,
        results: impl ExactSizeIterator<Item = ValType>,
    ) -> Self {
        let unfit = Self {
            params: 0,
            results: 0,
            callable: false,
            narrow: false,
            param_kinds: 0,
            result_kinds: 0,
        };
        let (param_count, result_count) = (params.len(), results.len());
        if param_count > Self::MAX || result_count > Self::MAX {
            return unfit;
        }
        let (Some(param_kinds), Some(result_kinds)) = (pack(params), pack(results)) else {
            return unfit;
        };
        Self {
            params: param_count as u8,
            results: result_count as u8,
            callable: true,
            narrow: (param_kinds | result_kinds) & WIDE == 0,
            param_kinds,
            result_kinds,
        }
    }

    pub(crate) fn of(ty: &FuncType) -> Self {
        Self::new(ty.params.iter().copied(), ty.results.iter().copied())
    }

    #[inline]
    pub(crate) fn param(&self, index: usize) -> Number {
        Number::from_bits(self.param_kinds >> (2 * index))
    }

    #[inline]
    pub(crate) fn result(&self, index: usize) -> Number {
        Number::from_bits(self.result_kinds >> (2 * index))
    }

    /// Gives each word of the parameters its value: `word` says what a parameter's is, given whether it is 32 bits wide.
    #[inline(always)]
    pub(crate) fn read_params(&self, words: &mut [u64], word: impl Fn(usize, bool) -> u64) {
        let words = &mut words[..usize::from(self.params)];
        self.read(words, self.param_kinds, word);
    }

    /// The same for the results.
    #[inline(always)]
    pub(crate) fn read_results(&self, words: &mut [u64], word: impl Fn(usize, bool) -> u64) {
        let words = &mut words[..usize::from(self.results)];
        self.read(words, self.result_kinds, word);
    }

    #[inline(always)]
    fn read(&self, words: &mut [u64], kinds: u64, word: impl Fn(usize, bool) -> u64) {
        if self.narrow {
            for (index, slot) in words.iter_mut().enumerate() {
                *slot = word(index, true);
            }
        } else {
            for (index, slot) in words.iter_mut().enumerate() {
                *slot = word(index, Number::from_bits(kinds >> (2 * index)).is_narrow());
            }
        }
    }

    #[inline]
    pub(crate) fn slots(&self) -> usize {
        usize::from(self.params.max(self.results))
    }

    /// Checks that a function can be called from here with this many slots.
    #[inline]
    pub(crate) fn check(&self, slots: usize) -> Result<(), EngineError> {
        if self.callable && slots >= self.slots() {
            Ok(())
        } else {
            Err(self.misfit())
        }
    }

    #[cold]
    fn misfit(&self) -> EngineError {
        if self.callable {
            return EngineError::Misuse("fewer slots than the function has parameters or results");
        }
        EngineError::Unsupported(format!(
            "a function with references, vectors, or more than {} parameters or results cannot be called by the host",
            Self::MAX
        ))
    }
}

fn pack(types: impl Iterator<Item = ValType>) -> Option<u64> {
    let mut kinds = 0;
    for (index, ty) in types.enumerate() {
        kinds |= (Number::of(ty)? as u64) << (2 * index);
    }
    Some(kinds)
}
