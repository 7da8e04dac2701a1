//! Flat values: core values as words.
//!
//! Every core value is one `u64`: `i32` and `f32` are zero-extended, floats are their bits. That makes the joins of [flattening] (an `f32` case beside
//! an `i64` case, say) no conversion at all: a reader takes the low half of what is wider. Only the padding of shorter cases remains.
//!
//! [flattening]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#flattening

/// Reads core values in order.
#[derive(Clone, Copy, Debug)]
pub struct FlatReader<'a> {
    words: &'a [u64],
    at: usize,
}

impl<'a> FlatReader<'a> {
    /// Reads from the first word on.
    #[inline]
    pub fn new(words: &'a [u64]) -> Self {
        Self { words, at: 0 }
    }

    /// The next core value.
    ///
    /// # Errors
    /// When there is none: the words do not belong to the type that is lifted.
    #[inline]
    pub fn word(&mut self) -> anyhow::Result<u64> {
        match self.words.get(self.at) {
            Some(&word) => {
                self.at += 1;
                Ok(word)
            }
            None => Err(miscounted()),
        }
    }

    /// The next core value, as an `i32`.
    ///
    /// # Errors
    /// See [`word`](Self::word).
    #[inline]
    pub fn word32(&mut self) -> anyhow::Result<u32> {
        Ok(self.word()? as u32)
    }

    /// The next core value, as a pointer or length in a memory with 32-bit or 64-bit addresses.
    ///
    /// # Errors
    /// See [`word`](Self::word).
    #[inline]
    pub fn address(&mut self, memory64: bool) -> anyhow::Result<u64> {
        let word = self.word()?;
        Ok(if memory64 {
            word
        } else {
            u64::from(word as u32)
        })
    }

    /// How many words have been read.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes on at a later word: past the padding of a variant's shorter case.
    #[inline]
    pub fn skip_to(&mut self, position: usize) {
        self.at = self.at.max(position);
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a [u64] {
        self.words.get(self.at..).unwrap_or_default()
    }
}

/// Writes core values in order.
#[derive(Debug)]
pub struct FlatWriter<'a> {
    words: &'a mut [u64],
    at: usize,
}

impl<'a> FlatWriter<'a> {
    /// Writes from the first word on.
    #[inline]
    pub fn new(words: &'a mut [u64]) -> Self {
        Self { words, at: 0 }
    }

    /// Writes the next core value.
    ///
    /// # Errors
    /// When there is no room: the words do not belong to the type that is lowered.
    #[inline]
    pub fn push(&mut self, word: u64) -> anyhow::Result<()> {
        match self.words.get_mut(self.at) {
            Some(slot) => {
                *slot = word;
                self.at += 1;
                Ok(())
            }
            None => Err(miscounted()),
        }
    }

    /// How many words have been written.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Writes zeros up to a position: the padding of a variant's shorter case.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    #[inline]
    pub fn pad_to(&mut self, position: usize) -> anyhow::Result<()> {
        while self.at < position {
            self.push(0)?;
        }
        Ok(())
    }
}

#[cold]
fn miscounted() -> anyhow::Error {
    anyhow::anyhow!(
        "a bug in Tidegate: the number of flat values differs from the function's type; please report it"
    )
}
