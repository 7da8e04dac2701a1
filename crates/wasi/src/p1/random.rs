//! Randomness.

use super::outcome::let_others_run;
use super::{Memory, Preview1, Progress, Stop};

/// How many bytes one turn produces, so that a guest that asks for gigabytes can be interrupted
/// within a fraction of a millisecond.
const TURN: usize = 64 * 1024;

impl Preview1 {
    /// `random_get`: fills `buf_len` bytes at `buf` from the secure source.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#random_get)
    ///
    /// Traps when the source has failed. Lets others run after every 64 KiB.
    pub(super) fn random_get(
        &mut self,
        memory: &mut Memory<'_>,
        buf: u32,
        buf_len: u32,
    ) -> Result<(), Stop> {
        let range = memory.range(buf, buf_len.into())?;
        let filled = match self.resume.take() {
            Some(Progress::Filled { bytes }) => bytes.min(range.len()),
            _ => 0,
        };
        let end = filled.saturating_add(TURN).min(range.len());
        let turn = range.start + filled..range.start + end;
        self.ctx
            .random()
            .fill(memory.bytes_mut(turn))
            .map_err(Stop::Random)?;
        if end == range.len() {
            return Ok(());
        }
        Err(self
            .resume
            .wait(Progress::Filled { bytes: end }, let_others_run()))
    }
}
