//! The core arguments of code that is to run.

/// How many words are kept in place.
const FEW: usize = 4;

/// Core values, in place if they are few: a callback has three.
#[derive(Clone, Debug)]
pub(crate) enum Args {
    Few([u64; FEW], usize),
    Many(Box<[u64]>),
}

impl From<&[u64]> for Args {
    fn from(words: &[u64]) -> Self {
        if words.len() > FEW {
            return Self::Many(words.into());
        }
        let mut few = [0; FEW];
        few[..words.len()].copy_from_slice(words);
        Self::Few(few, words.len())
    }
}

impl std::ops::Deref for Args {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        match self {
            Self::Few(words, count) => &words[..*count],
            Self::Many(words) => words,
        }
    }
}
