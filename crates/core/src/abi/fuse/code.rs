//! Core code as it is written: instructions, locals, and what they refer to outside.

use super::fault::{Fault, Part, ValueFault};
use super::module::Imports;
use wasm_encoder::{BlockType, Function, Instruction, MemArg, ValType};

/// Core code cannot do it, or only with more code than is worth it.
#[derive(Debug)]
pub(super) struct Unfit;

pub(super) type Result<T = ()> = std::result::Result<T, Unfit>;

/// An adapter with more instructions is accompanied instead. Types are the guest's choice.
const MAX_INSTRUCTIONS: usize = 20_000;

/// The body of an adapter.
pub(super) struct Code<'m> {
    pub(super) imports: &'m mut Imports,
    params: usize,
    locals: Vec<ValType>,
    code: Vec<Instruction<'static>>,
}

/// A length: known, or in a local.
#[derive(Clone, Copy)]
pub(super) enum Length {
    Bytes(u32),
    Local(u32),
}

/// A range of bytes to be checked as [`GuestRange`](crate::abi::memory::GuestRange) does.
#[derive(Clone, Copy)]
pub(super) struct Range {
    /// The local with the address.
    pub(super) pointer: u32,
    pub(super) length: Length,
    pub(super) align: u32,
    pub(super) memory: u32,
    pub(super) what: Part,
    /// Whether `realloc` gave it.
    pub(super) realloc: bool,
}

impl<'m> Code<'m> {
    pub(super) fn new(imports: &'m mut Imports, params: usize) -> Self {
        Self {
            imports,
            params,
            locals: Vec::new(),
            code: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Function {
        let mut function = Function::new_with_locals_types(self.locals);
        for instruction in &self.code {
            function.instruction(instruction);
        }
        function.instruction(&Instruction::End);
        function
    }

    /// Adds instructions.
    pub(super) fn emit<const N: usize>(&mut self, instructions: [Instruction<'static>; N]) {
        self.code.extend(instructions);
    }

    /// Gives up if there are too many already. To be asked wherever types repeat.
    pub(super) fn check_size(&self) -> Result {
        if self.code.len() > MAX_INSTRUCTIONS {
            return Err(Unfit);
        }
        Ok(())
    }

    /// A new local, which is 0.
    pub(super) fn local(&mut self, ty: ValType) -> u32 {
        self.locals.push(ty);
        (self.params + self.locals.len() - 1) as u32
    }

    /// A new local with the value on the stack.
    pub(super) fn save(&mut self, ty: ValType) -> u32 {
        let local = self.local(ty);
        self.emit([Instruction::LocalSet(local)]);
        local
    }

    pub(super) fn get(&mut self, local: u32) {
        self.emit([Instruction::LocalGet(local)]);
    }

    pub(super) fn set_global(&mut self, global: u32, value: i32) {
        self.emit([Instruction::I32Const(value), Instruction::GlobalSet(global)]);
    }

    /// `memory.size` in bytes, as an `i64`.
    fn memory_bytes(&mut self, memory: u32) {
        self.emit([
            Instruction::MemorySize(memory),
            Instruction::I64ExtendI32U,
            Instruction::I64Const(16),
            Instruction::I64Shl,
        ]);
    }

    fn length(&mut self, length: Length) {
        match length {
            Length::Bytes(bytes) => self.emit([Instruction::I64Const(bytes.into())]),
            Length::Local(local) => {
                self.emit([Instruction::LocalGet(local), Instruction::I64ExtendI32U]);
            }
        }
    }

    /// Takes an `i32`, and traps unless it is 0. `words` leaves at most three `i64`s on the stack, and says how many.
    pub(super) fn fail_if(&mut self, fault: Fault, words: impl FnOnce(&mut Self) -> usize) {
        self.emit([
            Instruction::If(BlockType::Empty),
            // Codes are small.
            Instruction::I32Const(fault.code() as i32),
        ]);
        for _ in words(self)..3 {
            self.emit([Instruction::I64Const(0)]);
        }
        let fail = self.imports.fail();
        self.emit([
            Instruction::Call(fail),
            Instruction::Unreachable,
            Instruction::End,
        ]);
    }

    /// The same with `i32`s as words.
    pub(super) fn fail_value_if(&mut self, fault: ValueFault, words: &[Length]) {
        self.fail_if(Fault::Value(fault), |code| {
            for &word in words {
                code.length(word);
            }
            words.len()
        });
    }

    /// Leaves an `i32` on the stack: whether a range ends outside its memory.
    fn is_outside(&mut self, range: Range) {
        self.emit([
            Instruction::LocalGet(range.pointer),
            Instruction::I64ExtendI32U,
        ]);
        self.length(range.length);
        self.emit([Instruction::I64Add]);
        self.memory_bytes(range.memory);
        self.emit([Instruction::I64GtU]);
    }

    fn is_unaligned(&mut self, range: Range) {
        self.emit([
            Instruction::LocalGet(range.pointer),
            // An alignment is at most 8.
            Instruction::I32Const(range.align as i32 - 1),
            Instruction::I32And,
        ]);
    }

    /// Traps unless a range is aligned and lies in its memory.
    pub(super) fn check_range(&mut self, range: Range) {
        let Range { what, realloc, .. } = range;
        if range.align > 1 {
            self.is_unaligned(range);
            self.fail_value_if(
                ValueFault::Unaligned { realloc },
                &[Length::Local(range.pointer), Length::Bytes(range.align)],
            );
        }
        self.is_outside(range);
        let fault = Fault::Value(ValueFault::OutOfBounds { what, realloc });
        self.fail_if(fault, |code| {
            code.length(Length::Local(range.pointer));
            code.length(range.length);
            code.memory_bytes(range.memory);
            3
        });
    }

    /// Leaves an `i32` on the stack: whether [`check_range`](Self::check_range) would trap.
    pub(super) fn is_bad(&mut self, range: Range) {
        self.is_outside(range);
        if range.align > 1 {
            self.is_unaligned(range);
            self.emit([Instruction::I32Or]);
        }
    }

    /// Copies a few bytes, known in number, from one place to another.
    pub(super) fn copy(&mut self, from: Place, to: Place, length: u32) {
        const INLINE: u32 = 64;
        if length > INLINE {
            to.address(self);
            from.address(self);
            self.emit([
                Instruction::I32Const(length as i32),
                Instruction::MemoryCopy {
                    src_mem: from.memory,
                    dst_mem: to.memory,
                },
            ]);
            return;
        }
        let mut done = 0;
        while done < length {
            let size = match length - done {
                8.. => 8,
                4.. => 4,
                2.. => 2,
                _ => 1,
            };
            let (from, to) = (from.at(done), to.at(done));
            self.emit([
                Instruction::LocalGet(to.base),
                Instruction::LocalGet(from.base),
            ]);
            let (from, to) = (from.arg(), to.arg());
            match size {
                8 => self.emit([Instruction::I64Load(from), Instruction::I64Store(to)]),
                4 => self.emit([Instruction::I32Load(from), Instruction::I32Store(to)]),
                2 => self.emit([Instruction::I32Load16U(from), Instruction::I32Store16(to)]),
                _ => self.emit([Instruction::I32Load8U(from), Instruction::I32Store8(to)]),
            }
            done += size;
        }
    }
}

/// A place in memory: so far behind the address in a local.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) memory: u32,
    pub(super) base: u32,
    pub(super) offset: u32,
}

impl Place {
    pub(super) fn new(memory: u32, base: u32) -> Self {
        Self {
            memory,
            base,
            offset: 0,
        }
    }

    pub(super) fn at(self, offset: u32) -> Self {
        Self {
            offset: self.offset + offset,
            ..self
        }
    }

    pub(super) fn arg(self) -> MemArg {
        MemArg {
            offset: self.offset.into(),
            align: 0,
            memory_index: self.memory,
        }
    }

    /// Leaves the address on the stack.
    fn address(self, code: &mut Code<'_>) {
        code.get(self.base);
        if self.offset != 0 {
            code.emit([
                Instruction::I32Const(self.offset as i32),
                Instruction::I32Add,
            ]);
        }
    }
}
