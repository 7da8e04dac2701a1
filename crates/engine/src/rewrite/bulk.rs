//! Operations on much memory, by pieces.
//!
//! `memory.fill`, `memory.copy` and `memory.init`, and those of tables, take as long as the guest likes, and nothing stops an engine in the middle of one. So those that are
//! not small become calls of a function that is added, which does a piece at a time: between the pieces engines can do what they do in any other code. Small ones
//! stay what they are, behind a comparison where the length is not a constant.
//!
//! Operands are looked at before anything is written: if they are out of bounds, the function executes the instruction as it was, which then traps. Nothing
//! shrinks, so that what was within bounds stays so, whatever other threads do meanwhile. Pieces are copied from the end if what is copied reaches into where it goes to.
//! Which memories are the same cannot be told from their indices, so that addresses decide, in all cases.

use std::collections::HashMap;

use wasm_encoder::{
    BlockType, BranchHint, Function, Instruction, ValType,
    reencode::{Reencode, utils},
};
use wasmparser::Operator;

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

/// What is operated on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Space {
    Memory(u32),
    Table(u32),
}

impl Space {
    /// The type of addresses. Of a module that is not valid this may be anything.
    fn address(self, shape: &Shape<'_>) -> ValType {
        let is_wide = match self {
            Self::Memory(memory) => shape.memories.get(memory as usize).map(|ty| ty.memory64),
            Self::Table(table) => shape.tables.get(table as usize).map(|ty| ty.table64),
        };
        match is_wide {
            Some(true) => ValType::I64,
            _ => ValType::I32,
        }
    }
}

/// An instruction, with its indices.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Fill(Space),
    Copy {
        to: Space,
        from: Space,
    },
    /// From a segment.
    Init {
        to: Space,
        segment: u32,
    },
}

impl Operation {
    fn of(operator: &Operator<'_>) -> Option<Self> {
        use Space::{Memory, Table};
        Some(match *operator {
            Operator::MemoryFill { mem } => Self::Fill(Memory(mem)),
            Operator::MemoryCopy { dst_mem, src_mem } => Self::Copy {
                to: Memory(dst_mem),
                from: Memory(src_mem),
            },
            Operator::MemoryInit { data_index, mem } => Self::Init {
                to: Memory(mem),
                segment: data_index,
            },
            Operator::TableFill { table } => Self::Fill(Table(table)),
            Operator::TableCopy {
                dst_table,
                src_table,
            } => Self::Copy {
                to: Table(dst_table),
                from: Table(src_table),
            },
            Operator::TableInit { elem_index, table } => Self::Init {
                to: Table(table),
                segment: elem_index,
            },
            _ => return None,
        })
    }

    fn target(self) -> Space {
        let (Self::Fill(to) | Self::Copy { to, .. } | Self::Init { to, .. }) = self;
        to
    }

    /// The type of the length.
    fn length(self, shape: &Shape<'_>) -> ValType {
        match self {
            Self::Fill(space) => space.address(shape),
            Self::Copy { to, from } => match (to.address(shape), from.address(shape)) {
                (ValType::I64, ValType::I64) => ValType::I64,
                _ => ValType::I32,
            },
            Self::Init { .. } => ValType::I32,
        }
    }

    fn instruction(self, additions: &mut Additions) -> Result<Instruction<'static>, Error> {
        use Space::{Memory, Table};
        Ok(match self {
            Self::Fill(Memory(memory)) => Instruction::MemoryFill(additions.memory_index(memory)?),
            Self::Fill(Table(table)) => Instruction::TableFill(table),
            Self::Copy {
                to: Memory(to),
                from: Memory(from),
            } => Instruction::MemoryCopy {
                dst_mem: additions.memory_index(to)?,
                src_mem: additions.memory_index(from)?,
            },
            Self::Copy {
                to: Memory(to) | Table(to),
                from: Memory(from) | Table(from),
            } => Instruction::TableCopy {
                dst_table: to,
                src_table: from,
            },
            Self::Init {
                to: Memory(memory),
                segment,
            } => Instruction::MemoryInit {
                mem: additions.memory_index(memory)?,
                data_index: segment,
            },
            Self::Init {
                to: Table(table),
                segment,
            } => Instruction::TableInit {
                elem_index: segment,
                table,
            },
        })
    }
}

/// Parameters of the function that goes by pieces: those of the instruction.
const TO: u32 = 0;
const FROM: u32 = 1;
const LENGTH: u32 = 2;
/// Its locals, of 64 bits so that nothing overflows: where the next piece goes to and comes from, how much is left, and a size.
const NEXT_TO: u32 = 3;
const NEXT_FROM: u32 = 4;
const LEFT: u32 = 5;
const SIZE: u32 = 6;
const LOCALS: u32 = 4;

/// The function that goes by pieces.
struct Helper {
    operation: Operation,
    instruction: Instruction<'static>,
    /// Its type.
    ty: u32,
    to: ValType,
    from: ValType,
    length: ValType,
    /// The sizes of what it reads or writes, in units, with the local that has the place in it.
    bounds: Vec<(u32, Vec<Instruction<'static>>)>,
    code: Function,
}

impl Helper {
    fn new(
        additions: &mut Additions,
        shape: &Shape<'_>,
        operation: Operation,
    ) -> Result<Self, Error> {
        let target = operation.target();
        let mut bounds = vec![(NEXT_TO, size(target, additions, shape)?)];
        let from = match operation {
            Operation::Fill(Space::Table(table)) => match shape.tables.get(table as usize) {
                Some(table) => ValType::Ref(utils::ref_type(additions, table.element_type)?),
                None => ValType::I32,
            },
            Operation::Fill(_) | Operation::Init { .. } => ValType::I32,
            Operation::Copy { from, .. } => {
                bounds.push((NEXT_FROM, size(from, additions, shape)?));
                from.address(shape)
            }
        };
        let (to, length) = (target.address(shape), operation.length(shape));
        Ok(Self {
            operation,
            instruction: operation.instruction(additions)?,
            ty: additions.ty(vec![to, from, length], vec![]),
            to,
            from,
            length,
            bounds,
            code: Function::new([(LOCALS, ValType::I64)]),
        })
    }

    fn write(&mut self, piece: u32, check: &[Instruction<'static>]) -> Result<Function, Error> {
        self.set_wide(TO, self.to, NEXT_TO);
        if !matches!(self.operation, Operation::Fill(_)) {
            self.set_wide(FROM, self.from, NEXT_FROM);
        }
        self.set_wide(LENGTH, self.length, LEFT);
        for (place, size) in std::mem::take(&mut self.bounds) {
            self.stay_within(place, &size);
        }
        if let Operation::Init { .. } = self.operation {
            self.stay_within_segment();
        }
        self.put(&[Instruction::Block(BlockType::Empty)]);
        if let Operation::Copy { .. } = self.operation {
            self.copy_from_end(piece, check);
        }
        self.put(&[Instruction::Loop(BlockType::Empty)]);
        self.begin_piece(piece, check, 1);
        self.operands(false);
        self.put(&[
            constant(self.length, piece.into()),
            self.instruction.clone(),
        ]);
        self.change(NEXT_TO, piece, Instruction::I64Add);
        if !matches!(self.operation, Operation::Fill(_)) {
            self.change(NEXT_FROM, piece, Instruction::I64Add);
        }
        self.change(LEFT, piece, Instruction::I64Sub);
        self.put(&[Instruction::Br(0), Instruction::End, Instruction::End]);
        // What is left is less than a piece.
        self.operands(false);
        self.get(LEFT, self.length);
        self.put(&[self.instruction.clone(), Instruction::End]);
        Ok(std::mem::replace(&mut self.code, Function::new([])))
    }

    /// Traps, as the instruction does, if it reaches beyond the end of what has this size.
    fn stay_within(&mut self, place: u32, size: &[Instruction<'static>]) {
        self.put(size);
        self.put(&[
            Instruction::LocalTee(SIZE),
            Instruction::LocalGet(LEFT),
            Instruction::I64LtU,
            Instruction::LocalGet(place),
            Instruction::LocalGet(SIZE),
            Instruction::LocalGet(LEFT),
            Instruction::I64Sub,
            Instruction::I64GtU,
            Instruction::I32Or,
        ]);
        self.leave_to_instruction();
    }

    /// The same for a segment, of which only the instruction tells the size: one of length zero does so without writing anything.
    fn stay_within_segment(&mut self) {
        self.put(&[
            Instruction::LocalGet(NEXT_FROM),
            Instruction::LocalGet(LEFT),
            Instruction::I64Add,
            Instruction::LocalTee(SIZE),
            Instruction::I64Const(u32::MAX.into()),
            Instruction::I64GtU,
        ]);
        self.leave_to_instruction();
        self.put(&[constant(self.to, 0)]);
        self.get(SIZE, self.from);
        self.put(&[constant(self.length, 0), self.instruction.clone()]);
    }

    /// Executes the instruction as it was if the condition holds.
    fn leave_to_instruction(&mut self) {
        self.put(&[
            Instruction::If(BlockType::Empty),
            Instruction::LocalGet(TO),
            Instruction::LocalGet(FROM),
            Instruction::LocalGet(LENGTH),
            self.instruction.clone(),
            Instruction::Return,
            Instruction::End,
        ]);
    }

    /// Copies pieces from the end, but for the one that is first, if that is at a higher address than what is copied, and within it.
    fn copy_from_end(&mut self, piece: u32, check: &[Instruction<'static>]) {
        self.put(&[
            Instruction::LocalGet(NEXT_TO),
            Instruction::LocalGet(NEXT_FROM),
            Instruction::I64Sub,
            Instruction::LocalGet(LEFT),
            Instruction::I64LtU,
            Instruction::If(BlockType::Empty),
            Instruction::Loop(BlockType::Empty),
        ]);
        self.begin_piece(piece, check, 2);
        self.change(LEFT, piece, Instruction::I64Sub);
        self.operands(true);
        self.put(&[
            constant(self.length, piece.into()),
            self.instruction.clone(),
            Instruction::Br(0),
            Instruction::End,
            Instruction::End,
        ]);
    }

    /// Checks, and branches if no more than a piece is left.
    fn begin_piece(&mut self, piece: u32, check: &[Instruction<'static>], label: u32) {
        self.put(check);
        self.put(&[
            Instruction::LocalGet(LEFT),
            Instruction::I64Const(piece.into()),
            Instruction::I64LeU,
            Instruction::BrIf(label),
        ]);
    }

    /// Where a piece goes to and comes from, or what it is filled with; `at_end` of what is left, or at its beginning.
    fn operands(&mut self, at_end: bool) {
        let code = [(NEXT_TO, self.to), (NEXT_FROM, self.from)];
        for (local, ty) in code {
            if local == NEXT_FROM && matches!(self.operation, Operation::Fill(_)) {
                self.put(&[Instruction::LocalGet(FROM)]);
                continue;
            }
            self.put(&[Instruction::LocalGet(local)]);
            if at_end {
                self.put(&[Instruction::LocalGet(LEFT), Instruction::I64Add]);
            }
            self.narrow(ty);
        }
    }

    fn change(&mut self, local: u32, by: u32, how: Instruction<'static>) {
        self.put(&[
            Instruction::LocalGet(local),
            Instruction::I64Const(by.into()),
            how,
            Instruction::LocalSet(local),
        ]);
    }

    fn set_wide(&mut self, param: u32, ty: ValType, local: u32) {
        self.put(&[Instruction::LocalGet(param)]);
        if ty != ValType::I64 {
            self.put(&[Instruction::I64ExtendI32U]);
        }
        self.put(&[Instruction::LocalSet(local)]);
    }

    fn get(&mut self, local: u32, ty: ValType) {
        self.put(&[Instruction::LocalGet(local)]);
        self.narrow(ty);
    }

    fn narrow(&mut self, ty: ValType) {
        if ty != ValType::I64 {
            self.put(&[Instruction::I32WrapI64]);
        }
    }

    fn put(&mut self, code: &[Instruction<'_>]) {
        for instruction in code {
            self.code.instruction(instruction);
        }
    }
}

/// Code that gives the size of something, as 64 bits. No memory is as large as that.
fn size(
    space: Space,
    additions: &mut Additions,
    shape: &Shape<'_>,
) -> Result<Vec<Instruction<'static>>, Error> {
    let mut code = vec![match space {
        Space::Memory(memory) => Instruction::MemorySize(additions.memory_index(memory)?),
        Space::Table(table) => Instruction::TableSize(table),
    }];
    if space.address(shape) != ValType::I64 {
        code.push(Instruction::I64ExtendI32U);
    }
    if let Space::Memory(memory) = space {
        let ty = shape.memories.get(memory as usize);
        let page = ty.and_then(|ty| ty.page_size_log2).unwrap_or(16);
        code.extend([Instruction::I64Const(page.into()), Instruction::I64Shl]);
    }
    Ok(code)
}

fn constant(ty: ValType, value: i64) -> Instruction<'static> {
    match ty {
        ValType::I64 => Instruction::I64Const(value),
        // Sizes of pieces, which are far less than 32 bits.
        _ => Instruction::I32Const(value as i32),
    }
}
