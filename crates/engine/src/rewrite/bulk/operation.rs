//! The instructions that operate on much memory.

use wasm_encoder::{Instruction, ValType, reencode::Reencode as _};
use wasmparser::Operator;

use super::super::{Additions, Error, Shape};

/// What is operated on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Space {
    Memory(u32),
    Table(u32),
}

impl Space {
    /// The type of addresses. Of a module that is not valid this may be anything.
    pub(super) fn address(self, shape: &Shape<'_>) -> ValType {
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
pub(super) enum Operation {
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
    pub(super) fn of(operator: &Operator<'_>) -> Option<Self> {
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

    pub(super) fn target(self) -> Space {
        let (Self::Fill(to) | Self::Copy { to, .. } | Self::Init { to, .. }) = self;
        to
    }

    /// The type of the length.
    pub(super) fn length(self, shape: &Shape<'_>) -> ValType {
        match self {
            Self::Fill(space) => space.address(shape),
            Self::Copy { to, from } => match (to.address(shape), from.address(shape)) {
                (ValType::I64, ValType::I64) => ValType::I64,
                _ => ValType::I32,
            },
            Self::Init { .. } => ValType::I32,
        }
    }

    pub(super) fn instruction(
        self,
        additions: &mut Additions,
    ) -> Result<Instruction<'static>, Error> {
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

/// Code that gives the size of something, as 64 bits. No memory is as large as that.
pub(super) fn size(
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
