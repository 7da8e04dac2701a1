//! Memories that values move between.

use super::canon::{CanonOptions, Guest};
use crate::baton::Baton;
use anyhow::{Context as _, Result};
use tidegate_core::abi::{LiftBudget, LowerTarget as _, Transfer};
use tidegate_core::runtime::State;
use tidegate_engine::{Cx, Memory};

/// Two memories of one isolate.
pub(super) struct Within<'a> {
    source: Option<Memory>,
    target: Guest<'a>,
}

impl<'a> Within<'a> {
    pub(super) fn new(
        cx: &'a mut Cx<'_, Baton>,
        from: &CanonOptions,
        to: &'a CanonOptions,
    ) -> Self {
        Self {
            source: from.memory,
            target: Guest {
                cx: cx.reborrow(),
                options: to,
            },
        }
    }
}

impl Transfer for Within<'_> {
    fn source(&mut self) -> &[u8] {
        match self.source {
            Some(memory) => self.target.cx.memory(memory),
            None => &[],
        }
    }

    fn parts(&mut self) -> (&mut [u8], &mut State) {
        self.target.parts()
    }

    fn copy(&mut self, src: usize, dst: usize, length: usize) -> Result<()> {
        match (self.source, self.target.options.memory) {
            (Some(from), Some(to)) => {
                self.target
                    .cx
                    .copy(to, dst as u64, from, src as u64, length as u64)
            }
            _ => no_memory(length),
        }
    }

    fn budget(&mut self) -> LiftBudget {
        LiftBudget::new(self.target.cx.data_mut().limits.max_lifted_bytes)
    }

    fn realloc(&mut self, old: u64, old_size: u64, align: u32, new_size: u64) -> Result<u64> {
        self.target.realloc(old, old_size, align, new_size)
    }
}

/// Memories of two isolates.
pub(super) struct Across<'a, 'b> {
    source: (Cx<'a, Baton>, Option<Memory>),
    target: Guest<'b>,
}

impl<'a, 'b> Across<'a, 'b> {
    pub(super) fn new(
        from: (Cx<'a, Baton>, &CanonOptions),
        to: (Cx<'b, Baton>, &'b CanonOptions),
    ) -> Self {
        Self {
            source: (from.0, from.1.memory),
            target: Guest {
                cx: to.0,
                options: to.1,
            },
        }
    }
}

impl Transfer for Across<'_, '_> {
    fn source(&mut self) -> &[u8] {
        match &self.source {
            (cx, Some(memory)) => cx.memory(*memory),
            (_, None) => &[],
        }
    }

    fn parts(&mut self) -> (&mut [u8], &mut State) {
        self.target.parts()
    }

    fn copy(&mut self, src: usize, dst: usize, length: usize) -> Result<()> {
        let ((from, Some(source)), Some(target)) = (&self.source, self.target.options.memory)
        else {
            return no_memory(length);
        };
        let (from, to) = (from.memory(*source), self.target.cx.memory_mut(target));
        let from = src.checked_add(length).and_then(|end| from.get(src..end));
        let to = dst.checked_add(length).and_then(|end| to.get_mut(dst..end));
        let (from, to) = from.zip(to).context("a copy reaches beyond a memory")?;
        to.copy_from_slice(from);
        Ok(())
    }

    fn budget(&mut self) -> LiftBudget {
        LiftBudget::new(self.target.cx.data_mut().limits.max_lifted_bytes)
    }

    fn realloc(&mut self, old: u64, old_size: u64, align: u32, new_size: u64) -> Result<u64> {
        self.target.realloc(old, old_size, align, new_size)
    }
}

fn no_memory(length: usize) -> Result<()> {
    anyhow::ensure!(length == 0, "a copy without a memory");
    Ok(())
}
