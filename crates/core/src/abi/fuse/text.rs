//! Strings: whether they are UTF-8.
//!
//! Nearly all are ASCII, which core code finds out fast. Only for the others the host is asked, which then looks at the whole of the string.

use super::code::{Code, Place};
use crate::plan::CoreDef;
use wasm_encoder::{BlockType, Instruction, MemArg, ValType};

/// Traps unless the bytes at an address are UTF-8. Their bounds were checked.
pub(super) fn validate(
    code: &mut Code<'_>,
    memory: &CoreDef,
    pointer: u32,
    length: u32,
    vectors: bool,
) {
    let ask = code.imports.validate(memory);
    if vectors {
        let memory = code.imports.memory(memory);
        high_bits(code, Place::new(memory, pointer), length);
        code.emit([Instruction::If(BlockType::Empty)]);
    }
    code.emit([
        Instruction::LocalGet(pointer),
        Instruction::LocalGet(length),
        Instruction::Call(ask),
    ]);
    if vectors {
        code.emit([Instruction::End]);
    }
}

/// Leaves an `i32` on the stack: not 0 if some byte is not ASCII.
fn high_bits(code: &mut Code<'_>, at: Place, length: u32) {
    let number = BlockType::Result(ValType::I32);
    at_least(code, length, 16, number);
    vectors(code, at, length);
    code.emit([Instruction::Else]);
    at_least(code, length, 8, number);
    // Two words, which may overlap, are all of it.
    code.emit([
        Instruction::LocalGet(at.base),
        Instruction::I64Load(at.arg()),
    ]);
    from_end(code, at, length, 8);
    code.emit([
        Instruction::I64Load(at.arg()),
        Instruction::I64Or,
        Instruction::I64Const(0x8080_8080_8080_8080_u64 as i64),
        Instruction::I64And,
        Instruction::I64Const(0),
        Instruction::I64Ne,
        Instruction::Else,
    ]);
    at_least(code, length, 4, number);
    code.emit([
        Instruction::LocalGet(at.base),
        Instruction::I32Load(at.arg()),
    ]);
    from_end(code, at, length, 4);
    code.emit([
        Instruction::I32Load(at.arg()),
        Instruction::I32Or,
        Instruction::I32Const(0x8080_8080_u32 as i32),
        Instruction::I32And,
        Instruction::Else,
    ]);
    at_least(code, length, 1, number);
    // The first, the middle and the last of up to three bytes.
    code.emit([
        Instruction::LocalGet(at.base),
        Instruction::I32Load8U(at.arg()),
        Instruction::LocalGet(at.base),
        Instruction::LocalGet(length),
        Instruction::I32Const(1),
        Instruction::I32ShrU,
        Instruction::I32Add,
        Instruction::I32Load8U(at.arg()),
        Instruction::I32Or,
    ]);
    from_end(code, at, length, 1);
    code.emit([
        Instruction::I32Load8U(at.arg()),
        Instruction::I32Or,
        Instruction::I32Const(0x80),
        Instruction::I32And,
        Instruction::Else,
        Instruction::I32Const(0),
        Instruction::End,
        Instruction::End,
        Instruction::End,
        Instruction::End,
    ]);
}

/// The same for at least 16 bytes: 64 at a time, then 16, then the last 16.
fn vectors(code: &mut Code<'_>, at: Place, length: u32) {
    code.get(at.base);
    let here = Place {
        base: code.save(ValType::I32),
        ..at
    };
    code.get(length);
    let left = code.save(ValType::I32);
    code.emit([Instruction::Block(BlockType::Result(ValType::I32))]);
    for size in [64, 16] {
        code.emit([
            Instruction::Block(BlockType::Empty),
            Instruction::Loop(BlockType::Empty),
        ]);
        code.emit([
            Instruction::LocalGet(left),
            Instruction::I32Const(size),
            Instruction::I32LtU,
            Instruction::BrIf(1),
        ]);
        // What a branch out of both blocks takes along.
        code.emit([Instruction::I32Const(1)]);
        for step in 0..size / 16 {
            code.emit([
                Instruction::LocalGet(here.base),
                Instruction::V128Load(MemArg {
                    offset: step as u64 * 16,
                    ..here.arg()
                }),
            ]);
            if step > 0 {
                code.emit([Instruction::V128Or]);
            }
        }
        code.emit([
            Instruction::I8x16Bitmask,
            Instruction::BrIf(2),
            Instruction::Drop,
            Instruction::LocalGet(here.base),
            Instruction::I32Const(size),
            Instruction::I32Add,
            Instruction::LocalSet(here.base),
            Instruction::LocalGet(left),
            Instruction::I32Const(size),
            Instruction::I32Sub,
            Instruction::LocalSet(left),
            Instruction::Br(0),
            Instruction::End,
            Instruction::End,
        ]);
    }
    from_end(code, at, length, 16);
    code.emit([
        Instruction::V128Load(at.arg()),
        Instruction::I8x16Bitmask,
        Instruction::End,
    ]);
}

/// Opens an `if`: whether there are so many bytes.
fn at_least(code: &mut Code<'_>, length: u32, count: i32, ty: BlockType) {
    code.emit([
        Instruction::LocalGet(length),
        Instruction::I32Const(count),
        Instruction::I32GeU,
        Instruction::If(ty),
    ]);
}

/// Leaves the address of the last so many bytes on the stack.
fn from_end(code: &mut Code<'_>, at: Place, length: u32, count: i32) {
    code.emit([
        Instruction::LocalGet(at.base),
        Instruction::LocalGet(length),
        Instruction::I32Add,
        Instruction::I32Const(count),
        Instruction::I32Sub,
    ]);
}
