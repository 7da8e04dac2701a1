//! Where values are on either side: among flat values or in memory.

use super::Transfer;
use super::node::Node;
use super::run::{Mode, Run, misplaced};
use crate::abi::{FlatReader, FlatWriter, memory};

/// Where a value is lifted from.
pub(super) enum Input<'a, 'b> {
    Flat(&'a mut FlatReader<'b>),
    Memory(usize),
}

impl<'b> Input<'_, 'b> {
    pub(super) fn flat(&mut self) -> Option<&mut FlatReader<'b>> {
        match self {
            Input::Flat(src) => Some(src),
            Input::Memory(_) => None,
        }
    }

    pub(super) fn part<'c>(&'c mut self, offset: usize) -> Input<'c, 'b> {
        match self {
            Input::Flat(src) => Input::Flat(src),
            Input::Memory(at) => Input::Memory(*at + offset),
        }
    }
}

/// Where a value is lowered to.
pub(super) enum Output<'a, 'b> {
    Flat(&'a mut FlatWriter<'b>),
    Memory(usize),
}

impl<'b> Output<'_, 'b> {
    pub(super) fn part<'c>(&'c mut self, offset: usize) -> Output<'c, 'b> {
        match self {
            Output::Flat(dst) => Output::Flat(dst),
            Output::Memory(at) => Output::Memory(*at + offset),
        }
    }
}

impl<X: Transfer + ?Sized> Run<'_, '_, X> {
    /// Loads a scalar, as its flat word or zero-extended from memory.
    #[inline]
    pub(super) fn load(&mut self, input: &mut Input<'_, '_>, node: &Node) -> anyhow::Result<u64> {
        match input {
            Input::Flat(src) => src.word(),
            Input::Memory(at) => {
                // A scalar has at most eight bytes.
                memory::load_uint(self.x.source(), *at, node.size.source as u32)
            }
        }
    }

    /// Stores a scalar.
    #[inline]
    pub(super) fn store(
        &mut self,
        mode: Mode,
        output: &mut Output<'_, '_>,
        node: &Node,
        word: u64,
    ) -> anyhow::Result<()> {
        if mode == Mode::Lift {
            return Ok(());
        }
        match output {
            Output::Flat(dst) => dst.push(word),
            Output::Memory(at) => {
                // A scalar has at most eight bytes.
                memory::store_uint(self.x.parts().0, *at, word, node.size.target as u32)
            }
        }
    }

    /// Loads the two words of a string or list.
    pub(super) fn load_pair(&mut self, input: &mut Input<'_, '_>) -> anyhow::Result<(u64, u64)> {
        let memory64 = self.program.source_side().memory64;
        if let Some(src) = input.flat() {
            return Ok((src.address(memory64)?, src.address(memory64)?));
        }
        let &mut Input::Memory(at) = input else {
            return Err(misplaced());
        };
        let size = if memory64 { 8 } else { 4 };
        let memory = self.x.source();
        Ok((
            memory::load_uint(memory, at, size)?,
            memory::load_uint(memory, at + size as usize, size)?,
        ))
    }

    /// Stores the two words of a string or list.
    pub(super) fn store_pair(
        &mut self,
        output: &mut Output<'_, '_>,
        first: u64,
        second: u64,
    ) -> anyhow::Result<()> {
        let size = if self.program.target_side().memory64 {
            8
        } else {
            4
        };
        match output {
            Output::Flat(dst) => {
                dst.push(first)?;
                dst.push(second)
            }
            Output::Memory(at) => {
                let memory = self.x.parts().0;
                memory::store_uint(memory, *at, first, size)?;
                memory::store_uint(memory, *at + size as usize, second, size)
            }
        }
    }
}
