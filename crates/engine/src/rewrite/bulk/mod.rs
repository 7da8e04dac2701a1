//! Operations on much memory, by pieces.
//!
//! `memory.fill`, `memory.copy` and `memory.init`, and those of tables, take as long as the guest likes, and nothing stops an engine in the middle of one. So those that are
//! not small become calls of a function that is added, which does a piece at a time: between the pieces engines can do what they do in any other code. Small ones
//! stay what they are, behind a comparison where the length is not a constant.
//!
//! Operands are looked at before anything is written: if they are out of bounds, the function executes the instruction as it was, which then traps. Nothing
//! shrinks, so that what was within bounds stays so, whatever other threads do meanwhile. Pieces are copied from the end if what is copied reaches into where it goes to.
//! Which memories are the same cannot be told from their indices, so that addresses decide, in all cases.

mod operation;
mod pieces;

use std::collections::HashMap;

use wasm_encoder::{
    BlockType, BranchHint, Function, Instruction, ValType, reencode::Reencode as _,
};
use wasmparser::Operator;

use self::{
    operation::{Operation, Space},
    pieces::Helper,
};
use super::{Additions, Error, Shape};

/// How operations are divided.
pub(crate) struct Bulk {
    sizes: Sizes,
    /// What each piece begins with.
    check: Vec<Instruction<'static>>,
    /// The functions that go by pieces.
    functions: HashMap<Operation, u32>,
}

/// Sizes in bytes of a memory; an element of a table counts as [`ELEMENT`].
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Operations of this many stay as they are.
    pub(crate) small: u32,
    /// The others are done by so many at a time.
    pub(crate) piece: u32,
}

/// Elements are of eight bytes, and initializing one may take longer than copying it.
const ELEMENT: u32 = 32;

/// The locals that lengths are kept in, by their width, where a function needs one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Lengths {
    narrow: Option<u32>,
    wide: Option<u32>,
}

/// What becomes of an instruction.
enum Site {
    Small,
    Large,
    /// That is seen from the length.
    Either,
}

impl Bulk {
    pub(crate) fn new(sizes: Sizes, check: Vec<Instruction<'static>>) -> Self {
        Self {
            sizes,
            check,
            functions: HashMap::new(),
        }
    }

    /// Adds the locals that a function needs, `next` being the index of the first; gives nothing if none of its operations is to be rewritten.
    pub(crate) fn lengths<'a>(
        &self,
        shape: &Shape<'_>,
        code: impl Iterator<Item = &'a Operator<'a>>,
        mut next: u32,
        locals: &mut Vec<(u32, ValType)>,
    ) -> Option<Lengths> {
        let (mut lengths, mut before, mut is_needed) = (Lengths::default(), None, false);
        for operator in code {
            if let Some(operation) = Operation::of(operator) {
                let length = operation.length(shape);
                let site = self.site(operation, before);
                is_needed |= !matches!(site, Site::Small);
                let local = lengths.of(length);
                if matches!(site, Site::Either) && local.is_none() {
                    *local = Some(next);
                    next += 1;
                    locals.push((1, length));
                }
            }
            before = Some(operator);
        }
        is_needed.then_some(lengths)
    }

    /// Writes an instruction by pieces; gives whether it did, rather than leave it as it is. What comes `before` it may tell its length.
    pub(crate) fn write(
        &mut self,
        additions: &mut Additions,
        shape: &Shape<'_>,
        (before, operator): (Option<&Operator<'_>>, &Operator<'_>),
        mut lengths: Lengths,
        (out, unlikely): (&mut Function, &mut Vec<BranchHint>),
    ) -> Result<bool, Error> {
        let Some(operation) = Operation::of(operator) else {
            return Ok(false);
        };
        let site = self.site(operation, before);
        if let Site::Small = site {
            return Ok(false);
        }
        let mut helper = Helper::new(additions, shape, operation)?;
        let (ty, length) = (helper.ty, helper.length);
        let function = match self.functions.get(&operation) {
            Some(function) => *function,
            None => {
                let code = helper.write(self.units(operation, self.sizes.piece), &self.check)?;
                let function = additions.function(ty, code);
                self.functions.insert(operation, function);
                function
            }
        };
        let Some(local) = lengths.of(length).filter(|_| matches!(site, Site::Either)) else {
            out.instruction(&Instruction::Call(function));
            return Ok(true);
        };
        out.instruction(&Instruction::LocalTee(local));
        out.instruction(&Instruction::LocalGet(local));
        let small = self.units(operation, self.sizes.small);
        out.instruction(&constant(length, small.into()));
        out.instruction(&match length {
            ValType::I64 => Instruction::I64GtU,
            _ => Instruction::I32GtU,
        });
        unlikely.push(BranchHint {
            branch_func_offset: u32::try_from(out.byte_len()).unwrap_or(u32::MAX),
            branch_hint_value: 0,
        });
        out.instruction(&Instruction::If(BlockType::FunctionType(ty)));
        out.instruction(&Instruction::Call(function));
        out.instruction(&Instruction::Else);
        out.instruction(&additions.instruction(operator.clone())?);
        out.instruction(&Instruction::End);
        Ok(true)
    }

    fn site(&self, operation: Operation, before: Option<&Operator<'_>>) -> Site {
        let length = match before {
            Some(Operator::I32Const { value }) => u64::from(value.cast_unsigned()),
            Some(Operator::I64Const { value }) => value.cast_unsigned(),
            _ => return Site::Either,
        };
        if length <= self.units(operation, self.sizes.small).into() {
            Site::Small
        } else {
            Site::Large
        }
    }

    fn units(&self, operation: Operation, bytes: u32) -> u32 {
        match operation.target() {
            Space::Memory(_) => bytes,
            Space::Table(_) => bytes / ELEMENT,
        }
    }
}

impl Lengths {
    fn of(&mut self, length: ValType) -> &mut Option<u32> {
        match length {
            ValType::I64 => &mut self.wide,
            _ => &mut self.narrow,
        }
    }
}

fn constant(ty: ValType, value: i64) -> Instruction<'static> {
    match ty {
        ValType::I64 => Instruction::I64Const(value),
        // Sizes of pieces, which are far less than 32 bits.
        _ => Instruction::I32Const(value as i32),
    }
}
