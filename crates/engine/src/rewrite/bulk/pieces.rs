//! The function that does an operation by pieces.

use wasm_encoder::{BlockType, Function, Instruction, ValType, reencode::utils};

use super::super::{Additions, Error, Shape};
use super::{
    constant,
    operation::{Operation, Space, size},
};

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
pub(super) struct Helper {
    operation: Operation,
    instruction: Instruction<'static>,
    /// Its type.
    pub(super) ty: u32,
    to: ValType,
    from: ValType,
    pub(super) length: ValType,
    /// The sizes of what it reads or writes, in units, with the local that has the place in it.
    bounds: Vec<(u32, Vec<Instruction<'static>>)>,
    code: Function,
}

impl Helper {
    pub(super) fn new(
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

    pub(super) fn write(
        &mut self,
        piece: u32,
        check: &[Instruction<'static>],
    ) -> Result<Function, Error> {
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
