//! A guest of the tests: a memory with an allocator that only moves forward, and remembers how it was called.

use tidegate_core::abi::{LiftBudget, LowerTarget, Transfer};
use tidegate_core::runtime::State;

/// A call of `realloc`: old address, old size, alignment, new size.
pub type Call = (u64, u64, u32, u64);

#[derive(Clone, Debug, Default)]
pub struct Guest {
    pub memory: Vec<u8>,
    /// Where the next block is made.
    pub next: u64,
    /// Which call to answer with which address, whatever was asked.
    pub lie: Option<(usize, u64)>,
    pub calls: Vec<Call>,
}

impl Guest {
    pub fn new(size: usize, next: u64) -> Self {
        Self {
            memory: vec![0; size],
            next,
            ..Self::default()
        }
    }

    fn realloc(&mut self, old: u64, old_size: u64, align: u32, new_size: u64) -> u64 {
        self.calls.push((old, old_size, align, new_size));
        if let Some((call, address)) = self.lie
            && call == self.calls.len() - 1
        {
            return address;
        }
        let address = self.next.next_multiple_of(align.into());
        self.next = address + new_size;
        let size = self.memory.len() as u64;
        if address + new_size <= size && old + old_size <= size {
            let kept = old_size.min(new_size);
            self.memory
                .copy_within(old as usize..(old + kept) as usize, address as usize);
        }
        address
    }
}

/// A guest that values are lowered into.
pub struct Target<'a> {
    pub guest: &'a mut Guest,
    pub state: &'a mut State,
}

impl LowerTarget for Target<'_> {
    fn parts(&mut self) -> (&mut [u8], &mut State) {
        (&mut self.guest.memory, self.state)
    }

    fn realloc(
        &mut self,
        old: u64,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<u64> {
        Ok(self.guest.realloc(old, old_size, align, new_size))
    }
}

/// Two guests, one of which passes values to the other.
pub struct Pair<'a> {
    pub budget: LiftBudget,
    pub source: &'a [u8],
    pub target: &'a mut Guest,
    pub state: &'a mut State,
}

impl Transfer for Pair<'_> {
    fn source(&mut self) -> &[u8] {
        self.source
    }

    fn parts(&mut self) -> (&mut [u8], &mut State) {
        (&mut self.target.memory, self.state)
    }

    fn budget(&mut self) -> LiftBudget {
        self.budget
    }

    fn copy(&mut self, src: usize, dst: usize, length: usize) -> anyhow::Result<()> {
        self.target.memory[dst..dst + length].copy_from_slice(&self.source[src..src + length]);
        Ok(())
    }

    fn realloc(
        &mut self,
        old: u64,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<u64> {
        Ok(self.target.realloc(old, old_size, align, new_size))
    }
}
