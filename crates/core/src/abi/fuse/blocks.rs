//! Strings and lists: checked in the source, allocated in the target, and passed from one to the other.

use super::code::{Length, Place, Range, Result, Unfit};
use super::fault::{Part, ValueFault};
use super::text;
use super::values::{Allocator, At, Transfer};
use crate::abi::transfer::node::Bulk;
use crate::abi::transfer::run::Mode;
use crate::abi::{MAX_LIST_BYTE_LENGTH, MAX_STRING_BYTE_LENGTH};
use crate::plan::StringEncoding;
use wasm_encoder::{BlockType, Instruction, ValType};

impl Transfer<'_, '_> {
    pub(super) fn string(&mut self, mode: Mode, from: &mut At<'_>, to: &mut At<'_>) -> Result {
        let (source, target) = (self.program.source_side(), self.program.target_side());
        if (source.encoding, target.encoding) != (StringEncoding::Utf8, StringEncoding::Utf8) {
            return Err(Unfit);
        }
        let (pointer, length) = self.load_pair(from)?;
        if mode != Mode::Lower {
            self.check_length(Part::String, length, 1, MAX_STRING_BYTE_LENGTH)?;
            let memory = self.source_memory()?;
            self.code.check_range(Range {
                pointer,
                length: Length::Local(length),
                align: 1,
                memory,
                what: Part::String,
                realloc: false,
            });
            self.spend(length)?;
            let memory = self.source.clone().ok_or(Unfit)?;
            text::validate(self.code, &memory, pointer, length, self.vectors);
        }
        if mode == Mode::Lift {
            return Ok(());
        }
        let start = self.allocate(Part::String, Length::Local(length), 1)?;
        self.copy_bytes(start, pointer, length)?;
        self.store_pair(to, start, length)
    }

    pub(super) fn list(
        &mut self,
        mode: Mode,
        element: usize,
        align: u32,
        from: &mut At<'_>,
        to: &mut At<'_>,
    ) -> Result {
        let size = u32::try_from(self.program.node(element).size.source).map_err(|_| Unfit)?;
        if size == 0 {
            return Err(Unfit);
        }
        let (pointer, length) = self.load_pair(from)?;
        if mode != Mode::Lower {
            self.check_length(Part::List, length, size, MAX_LIST_BYTE_LENGTH)?;
        }
        let bytes = if size == 1 {
            length
        } else {
            self.code.emit([
                Instruction::LocalGet(length),
                Instruction::I32Const(size as i32),
                Instruction::I32Mul,
            ]);
            self.code.save(ValType::I32)
        };
        if mode != Mode::Lower {
            let memory = self.source_memory()?;
            self.code.check_range(Range {
                pointer,
                length: Length::Local(bytes),
                align,
                memory,
                what: Part::List,
                realloc: false,
            });
            self.spend(bytes)?;
        }
        if mode == Mode::Lift {
            return self.elements(mode, element, size, bytes, (pointer, pointer));
        }
        let start = self.allocate(Part::List, Length::Local(bytes), align)?;
        self.elements(mode, element, size, bytes, (pointer, start))?;
        self.store_pair(to, start, length)
    }

    /// Elements that lie in memory one after another, from one address to another.
    fn elements(
        &mut self,
        mode: Mode,
        element: usize,
        size: u32,
        bytes: u32,
        (from, to): (u32, u32),
    ) -> Result {
        let node = self.program.node(element);
        if mode == Mode::Lift && !node.does.trap {
            return Ok(());
        }
        if node.bulk == Some(Bulk::Integers) {
            return self.copy_bytes(to, from, bytes);
        }
        let (source, target) = (self.source_memory()?, self.target_memory()?);
        self.code.get(from);
        let source = Place::new(source, self.code.save(ValType::I32));
        self.code.get(to);
        let target = Place::new(target, self.code.save(ValType::I32));
        self.code.emit([
            Instruction::LocalGet(from),
            Instruction::LocalGet(bytes),
            Instruction::I32Add,
        ]);
        let end = self.code.save(ValType::I32);
        let more = [
            Instruction::LocalGet(source.base),
            Instruction::LocalGet(end),
            Instruction::I32Ne,
        ];
        self.code.emit(more.clone());
        self.code.emit([
            Instruction::If(BlockType::Empty),
            Instruction::Loop(BlockType::Empty),
        ]);
        self.node(
            mode,
            element,
            &mut At::Memory(source),
            &mut At::Memory(target),
        )?;
        for place in [source, target] {
            self.code.emit([
                Instruction::LocalGet(place.base),
                Instruction::I32Const(size as i32),
                Instruction::I32Add,
                Instruction::LocalSet(place.base),
            ]);
        }
        self.code.emit(more);
        self.code
            .emit([Instruction::BrIf(0), Instruction::End, Instruction::End]);
        Ok(())
    }

    /// Traps if so many elements of a size are more bytes than a string or list may have.
    fn check_length(&mut self, what: Part, length: u32, size: u32, limit: u64) -> Result {
        let bytes = [
            Instruction::LocalGet(length),
            Instruction::I64ExtendI32U,
            Instruction::I64Const(size.into()),
            Instruction::I64Mul,
        ];
        // Both factors have 32 bits.
        self.code.emit(bytes.clone());
        self.code.emit([
            Instruction::I64Const(i64::try_from(limit).map_err(|_| Unfit)?),
            Instruction::I64GtU,
        ]);
        let fault = super::Fault::Value(ValueFault::TooLong(what));
        self.code.fail_if(fault, |code| {
            code.emit(bytes);
            1
        });
        Ok(())
    }

    /// Takes bytes from the budget.
    fn spend(&mut self, bytes: u32) -> Result {
        let left = self.budget.ok_or(Unfit)?;
        let limit = self.code.imports.global(super::Import::Budget);
        self.code.emit([
            Instruction::LocalGet(left),
            Instruction::LocalGet(bytes),
            Instruction::I64ExtendI32U,
            Instruction::I64LtU,
        ]);
        self.code
            .fail_if(super::Fault::Value(ValueFault::Budget), |code| {
                code.emit([Instruction::GlobalGet(limit)]);
                1
            });
        self.code.emit([
            Instruction::LocalGet(left),
            Instruction::LocalGet(bytes),
            Instruction::I64ExtendI32U,
            Instruction::I64Sub,
            Instruction::LocalSet(left),
        ]);
        Ok(())
    }

    /// Allocates a block in the target; gives the local with its address.
    pub(super) fn allocate(&mut self, what: Part, length: Length, align: u32) -> Result<u32> {
        let memory = self.target_memory()?;
        let Allocator {
            realloc,
            may_leave,
            entered,
        } = &self.allocator;
        let realloc = self.code.imports.realloc(realloc.as_ref().ok_or(Unfit)?);
        let (may_leave, entered) = (*may_leave, *entered);
        if let Some(entered) = entered {
            self.code.set_global(entered, 1);
        }
        if let Some(may_leave) = may_leave {
            self.code.set_global(may_leave, 0);
        }
        self.code.emit([
            Instruction::I32Const(0),
            Instruction::I32Const(0),
            Instruction::I32Const(align as i32),
            match length {
                Length::Bytes(bytes) => Instruction::I32Const(bytes as i32),
                Length::Local(local) => Instruction::LocalGet(local),
            },
            Instruction::Call(realloc),
        ]);
        let pointer = self.code.save(ValType::I32);
        if let Some(may_leave) = may_leave {
            self.code.set_global(may_leave, 1);
        }
        self.code.check_range(Range {
            pointer,
            length,
            align,
            memory,
            what,
            realloc: true,
        });
        Ok(pointer)
    }

    /// Copies bytes between the memories, by what is in locals.
    fn copy_bytes(&mut self, to: u32, from: u32, bytes: u32) -> Result {
        let (src_mem, dst_mem) = (self.source_memory()?, self.target_memory()?);
        self.code.emit([
            Instruction::LocalGet(to),
            Instruction::LocalGet(from),
            Instruction::LocalGet(bytes),
            Instruction::MemoryCopy { src_mem, dst_mem },
        ]);
        Ok(())
    }

    /// Loads the two words of a string or list; gives the locals with them.
    fn load_pair(&mut self, from: &mut At<'_>) -> Result<(u32, u32)> {
        self.load32(&mut from.part(0)?, 4, false)?;
        let first = self.code.save(ValType::I32);
        self.load32(&mut from.part(4)?, 4, false)?;
        Ok((first, self.code.save(ValType::I32)))
    }

    fn store_pair(&mut self, to: &mut At<'_>, first: u32, second: u32) -> Result {
        for (offset, word) in [(0, first), (4, second)] {
            let mut to = to.part(offset)?;
            self.store_address(&to);
            self.code.get(word);
            self.store32(&mut to, 4)?;
        }
        Ok(())
    }
}
