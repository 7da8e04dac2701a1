//! Running a program.

use super::handles::Taken;
use super::node::{Bulk, Kind, Node, Part, Piece, Sizes};
use super::place::{Input, Output};
use super::program::Program;
use super::text::transfer_string;
use super::{Transfer, TransferContext};
use crate::abi::context::check_realloc;
use crate::abi::list::{check_list, list_bytes};
use crate::abi::strings::GuestString;
use crate::abi::variant::check_discriminant;
use crate::abi::{LiftBudget, canonicalize_nan32, canonicalize_nan64, convert_u32_to_char, memory};
use std::collections::VecDeque;

/// What a pass over a value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::abi) enum Mode {
    /// Lifts: checks the value, and takes its handles.
    Lift,
    /// Lowers what was lifted in a pass before.
    Lower,
    /// Both at once.
    Both,
}

impl Mode {
    /// What is left to do: lowering, or all of it if nothing was lifted yet.
    pub(in crate::abi) fn after_lifting(lifted: bool) -> Self {
        if lifted { Mode::Lower } else { Mode::Both }
    }
}

pub(super) struct Run<'a, 'c, X: ?Sized> {
    pub(super) program: &'a Program,
    pub(super) cx: &'a mut TransferContext<'c>,
    pub(super) x: &'a mut X,
    /// What a pass of lifting took and the pass of lowering has not used yet, in order.
    pub(super) taken: VecDeque<Taken>,
    /// How many more bytes of strings and lists may be lifted.
    budget: LiftBudget,
}

impl<'a, 'c, X: Transfer + ?Sized> Run<'a, 'c, X> {
    pub(super) fn new(program: &'a Program, cx: &'a mut TransferContext<'c>, x: &'a mut X) -> Self {
        let budget = x.budget();
        Self {
            program,
            cx,
            x,
            taken: VecDeque::new(),
            budget,
        }
    }

    /// Passes the program's value, in one pass or two.
    pub(super) fn values(
        &mut self,
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        if self.program.needs_two_passes() {
            self.lift(input)?;
            self.pass(Mode::Lower, input, output)
        } else {
            self.pass(Mode::Both, input, output)
        }
    }

    /// Lifts the program's value in a pass that another one follows.
    pub(super) fn lift(&mut self, input: &Input<'_, '_>) -> anyhow::Result<()> {
        // Nothing is written in such a pass.
        let mut nowhere = Output::Memory(0);
        match input {
            Input::Flat(src) => {
                let mut ahead = **src;
                self.pass(Mode::Lift, &mut Input::Flat(&mut ahead), &mut nowhere)
            }
            Input::Memory(at) => self.pass(Mode::Lift, &mut Input::Memory(*at), &mut nowhere),
        }
    }

    /// One pass over the program's value.
    pub(super) fn pass(
        &mut self,
        mode: Mode,
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        let done = self.node(mode, self.program.root(), input, output);
        if done.is_err() {
            self.give_back();
        }
        done
    }

    /// One pass over items in memory.
    pub(super) fn items(
        &mut self,
        mode: Mode,
        src: usize,
        dst: usize,
        count: usize,
    ) -> anyhow::Result<()> {
        let done = self.elements(mode, self.program.root(), src, dst, count);
        if done.is_err() {
            self.give_back();
        }
        done
    }

    /// Allocates a block in the target.
    pub(super) fn allocate(
        &mut self,
        align: u32,
        size: u64,
        what: &'static str,
    ) -> anyhow::Result<usize> {
        let allocated = self
            .x
            .realloc(0, 0, align, size)
            .and_then(|pointer| check_realloc(self.x.parts().0, pointer, size, align, what));
        if allocated.is_err() {
            self.give_back();
        }
        Ok(allocated?.start())
    }

    fn node(
        &mut self,
        mode: Mode,
        index: usize,
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        let program = self.program;
        let node = program.node(index);
        if mode == Mode::Lift && !node.does.trap {
            if let Some(src) = input.flat() {
                src.skip_to(src.position() + node.flat as usize);
            }
            return Ok(());
        }
        if let (Some(bulk), &mut Input::Memory(src), &mut Output::Memory(dst)) =
            (node.bulk, &mut *input, &mut *output)
        {
            return self.bulk(bulk, src, dst, node.size.source);
        }
        match &node.kind {
            Kind::Bool => {
                let word = self.load(input, node)?;
                self.store(mode, output, node, u64::from(word as u32 != 0))
            }
            Kind::Int { signed } => {
                let word = self.load(input, node)?;
                let unused = 64 - 8 * node.size.source as u32;
                let word = if *signed {
                    ((word << unused) as i64 >> unused) as u64
                } else {
                    word << unused >> unused
                };
                // Narrow signed integers are sign-extended to an `i32`, not further.
                let word = if node.size.source < 8 {
                    u64::from(word as u32)
                } else {
                    word
                };
                self.store(mode, output, node, word)
            }
            Kind::F32 => {
                let word = self.load(input, node)? as u32;
                self.store(mode, output, node, canonicalize_nan32(word).into())
            }
            Kind::F64 => {
                let word = self.load(input, node)?;
                self.store(mode, output, node, canonicalize_nan64(word))
            }
            Kind::Char => {
                let char = convert_u32_to_char(self.load(input, node)? as u32)?;
                self.store(mode, output, node, u32::from(char).into())
            }
            Kind::Flags { mask } => {
                let word = self.load(input, node)? as u32;
                self.store(mode, output, node, (word & mask).into())
            }
            Kind::String => self.string(mode, input, output),
            Kind::List {
                element,
                source_align,
                target_align,
            } => self.list(
                mode,
                *element,
                (*source_align, *target_align),
                input,
                output,
            ),
            Kind::FixedList { element, length } => {
                let size = program.node(*element).size;
                for i in 0..*length {
                    self.node(
                        mode,
                        *element,
                        &mut input.part(i * size.source),
                        &mut output.part(i * size.target),
                    )?;
                }
                Ok(())
            }
            Kind::Record { fields, runs } => match (&*input, &*output) {
                (&Input::Memory(src), &Output::Memory(dst)) if mode != Mode::Lift => {
                    self.runs(mode, runs, src, dst)
                }
                _ => fields
                    .iter()
                    .try_for_each(|part| self.field(mode, part, input, output)),
            },
            Kind::Variant {
                discriminant,
                payload,
                cases,
            } => self.variant(mode, node, (*discriminant, *payload), cases, input, output),
            Kind::Own { .. } | Kind::Borrow { .. } | Kind::Async { .. } => {
                self.handle(mode, node, input, output)
            }
        }
    }

    fn field(
        &mut self,
        mode: Mode,
        part: &Part,
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        self.node(
            mode,
            part.node,
            &mut input.part(part.offset.source),
            &mut output.part(part.offset.target),
        )
    }

    fn runs(&mut self, mode: Mode, runs: &[Piece], src: usize, dst: usize) -> anyhow::Result<()> {
        for piece in runs {
            match piece {
                Piece::Bytes { offset, length } => {
                    self.x
                        .copy(src + offset.source, dst + offset.target, *length)?;
                }
                Piece::Field(part) => self.node(
                    mode,
                    part.node,
                    &mut Input::Memory(src + part.offset.source),
                    &mut Output::Memory(dst + part.offset.target),
                )?,
            }
        }
        Ok(())
    }

    /// Elements that lie in memory one after another.
    fn elements(
        &mut self,
        mode: Mode,
        element: usize,
        src: usize,
        dst: usize,
        count: usize,
    ) -> anyhow::Result<()> {
        let node = self.program.node(element);
        if mode == Mode::Lift && !node.does.trap {
            return Ok(());
        }
        if let Some(bulk) = node.bulk {
            return self.bulk(bulk, src, dst, count * node.size.source);
        }
        if self.data(mode, element, src, dst, count)? {
            return Ok(());
        }
        for i in 0..count {
            self.node(
                mode,
                element,
                &mut Input::Memory(src + i * node.size.source),
                &mut Output::Memory(dst + i * node.size.target),
            )?;
        }
        Ok(())
    }

    fn bulk(&mut self, bulk: Bulk, src: usize, dst: usize, length: usize) -> anyhow::Result<()> {
        self.x.copy(src, dst, length)?;
        match bulk {
            Bulk::Integers => {}
            Bulk::F32 => {
                let bytes = memory::bytes_mut(self.x.parts().0, dst, length)?;
                for chunk in bytes.as_chunks_mut().0 {
                    *chunk = canonicalize_nan32(u32::from_le_bytes(*chunk)).to_le_bytes();
                }
            }
            Bulk::F64 => {
                let bytes = memory::bytes_mut(self.x.parts().0, dst, length)?;
                for chunk in bytes.as_chunks_mut().0 {
                    *chunk = canonicalize_nan64(u64::from_le_bytes(*chunk)).to_le_bytes();
                }
            }
        }
        Ok(())
    }

    fn string(
        &mut self,
        mode: Mode,
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        let (source, target) = (self.program.source_side(), self.program.target_side());
        let (pointer, tagged_code_units) = self.load_pair(input)?;
        let memory = self.x.source();
        let string = GuestString::locate(
            memory,
            source.memory64,
            source.encoding,
            pointer,
            tagged_code_units,
        )?;
        if mode != Mode::Lower {
            self.budget.take(string.range.length(), 1)?;
            string.validate(memory)?;
        }
        if mode == Mode::Lift {
            return Ok(());
        }
        let (pointer, tagged_code_units) = transfer_string(
            self.x,
            string,
            source.encoding,
            target.encoding,
            target.memory64,
        )?;
        self.store_pair(output, pointer, tagged_code_units)
    }

    fn list(
        &mut self,
        mode: Mode,
        element: usize,
        (source_align, target_align): (u32, u32),
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        let size = self.program.node(element).size;
        let (pointer, length) = self.load_pair(input)?;
        let range = check_list(self.x.source(), pointer, length, size.source, source_align)?;
        // It was just found to fit memory.
        let count = length as usize;
        if mode != Mode::Lower {
            self.budget.take(range.length(), 1)?;
        }
        if mode == Mode::Lift {
            return self.elements(mode, element, range.start(), 0, count);
        }
        let bytes = list_bytes(count, size.target)?;
        let start = self.allocate(target_align, bytes, "list")?;
        self.elements(mode, element, range.start(), start, count)?;
        self.store_pair(output, start as u64, length)
    }

    fn variant(
        &mut self,
        mode: Mode,
        node: &Node,
        (size, payload): (u32, Sizes),
        cases: &[Option<usize>],
        input: &mut Input<'_, '_>,
        output: &mut Output<'_, '_>,
    ) -> anyhow::Result<()> {
        let read_end = input.flat().map(|src| src.position() + node.flat as usize);
        let discriminant = match input.flat() {
            Some(src) => src.word32()?,
            None => {
                let &mut Input::Memory(at) = input else {
                    return Err(misplaced());
                };
                // At most four bytes.
                memory::load_uint(self.x.source(), at, size)? as u32
            }
        };
        // A type has fewer than 2^32 cases.
        check_discriminant(discriminant, cases.len() as u32)?;
        let write_end = match output {
            Output::Flat(dst) if mode != Mode::Lift => {
                let end = dst.position() + node.flat as usize;
                dst.push(discriminant.into())?;
                Some(end)
            }
            Output::Memory(at) if mode != Mode::Lift => {
                memory::store_uint(self.x.parts().0, *at, discriminant.into(), size)?;
                None
            }
            _ => None,
        };
        if let Some(&Some(case)) = cases.get(discriminant as usize) {
            self.node(
                mode,
                case,
                &mut input.part(payload.source),
                &mut output.part(payload.target),
            )?;
        }
        if let (Some(src), Some(end)) = (input.flat(), read_end) {
            src.skip_to(end);
        }
        match (output, write_end) {
            (Output::Flat(dst), Some(end)) => dst.pad_to(end),
            _ => Ok(()),
        }
    }
}

#[cold]
pub(super) fn misplaced() -> anyhow::Error {
    anyhow::anyhow!(
        "a bug in Tidegate: a program that passes values between guests does not fit them; please report it"
    )
}
