//! The choices that the specification leaves open.

use super::{ThreadId, WaitableId};

/// A choice to make. Where candidates are listed, there is at least one, and the answer is a position in the list.
#[derive(Clone, Copy, Debug)]
pub enum Choice<'a> {
    /// Which of the threads that are ready runs next, in the order in which they became known to be ready.
    ReadyThread(&'a [ThreadId]),
    /// Which of a task's threads learns that the task was cancelled.
    CancelledThread(&'a [ThreadId]),
    /// Which waitable of a set delivers its event, in the order in which the events became pending.
    Event(&'a [WaitableId]),
    /// Whether a thread goes on (0) or blocks (1), although what it waits for is there already.
    BlockThoughReady {
        /// Whether it asked to yield, and so is expected to block.
        yields: bool,
    },
}

/// Who makes the choices that the specification leaves open.
///
/// Production is fair ([`Fair`]), a test may enumerate, and a failure may be replayed from its seed.
pub trait Chooser {
    /// Makes a choice. An answer that is out of range counts as the last candidate.
    fn choose(&mut self, choice: Choice<'_>) -> usize;

    /// Whether [`Choice::ReadyThread`] and [`Choice::Event`] are always answered with 0, so that the candidates need not be collected.
    fn takes_first(&self) -> bool {
        false
    }
}

/// First come, first served: nobody who is ready is passed over for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fair;

impl Chooser for Fair {
    fn choose(&mut self, choice: Choice<'_>) -> usize {
        match choice {
            Choice::BlockThoughReady { yields: true } => 1,
            _ => 0,
        }
    }

    fn takes_first(&self) -> bool {
        true
    }
}

/// Pseudo-random choices from a seed: the same seed makes the same choices.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// A chooser for a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        // SplitMix64: any seed will do, 0 included.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * bound as u128) >> 64) as usize
    }
}

impl Chooser for Seeded {
    fn choose(&mut self, choice: Choice<'_>) -> usize {
        match choice {
            Choice::ReadyThread(threads) | Choice::CancelledThread(threads) => {
                self.below(threads.len())
            }
            Choice::Event(waitables) => self.below(waitables.len()),
            Choice::BlockThoughReady { .. } => self.below(2),
        }
    }
}
