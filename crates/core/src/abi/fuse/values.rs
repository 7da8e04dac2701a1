//! Passing values in core code: what [`transfer::run`](crate::abi::transfer) does, written out for one type.
//!
//! Both memories have 32-bit addresses, so that a type has the same layout on both sides.

use super::code::{Code, Length, Place, Result, Unfit};
use super::fault::ValueFault;
use crate::abi::transfer::node::{Bulk, Kind, Node, Piece};
use crate::abi::transfer::run::Mode;
use crate::abi::{CANONICAL_NAN32, CANONICAL_NAN64, Program};
use crate::plan::CoreDef;
use wasm_encoder::{BlockType, Ieee32, Ieee64, Instruction, ValType};

/// How a block is allocated in the target.
#[derive(Clone, Debug, Default)]
pub(super) struct Allocator {
    pub(super) realloc: Option<CoreDef>,
    /// A global that is 0 meanwhile.
    pub(super) may_leave: Option<u32>,
    /// A global that is 1 from then on.
    pub(super) entered: Option<u32>,
}

/// Flat values, in locals.
#[derive(Clone, Debug, Default)]
pub(super) struct Flat {
    pub(super) slots: Vec<(u32, ValType)>,
    pub(super) next: usize,
}

/// Where a value is, or goes.
pub(super) enum At<'a> {
    Flat(&'a mut Flat),
    Memory(Place),
}

/// A transfer as it is written.
pub(super) struct Transfer<'a, 'm> {
    pub(super) code: &'a mut Code<'m>,
    pub(super) program: &'a Program,
    pub(super) source: Option<CoreDef>,
    pub(super) target: Option<CoreDef>,
    pub(super) allocator: Allocator,
    /// A local: how many more bytes of strings and lists may be passed.
    pub(super) budget: Option<u32>,
    pub(super) vectors: bool,
}

/// The floats that all NaNs become.
fn canonical32() -> Instruction<'static> {
    Instruction::F32Const(Ieee32::new(CANONICAL_NAN32))
}

fn canonical64() -> Instruction<'static> {
    Instruction::F64Const(Ieee64::new(CANONICAL_NAN64))
}

impl Flat {
    pub(super) fn next(&mut self) -> Result<(u32, ValType)> {
        let slot = self.slots.get(self.next).copied().ok_or(Unfit)?;
        self.next += 1;
        Ok(slot)
    }
}

impl At<'_> {
    pub(super) fn part(&mut self, offset: usize) -> Result<At<'_>> {
        Ok(match self {
            At::Flat(flat) => At::Flat(flat),
            At::Memory(place) => At::Memory(place.at(u32::try_from(offset).map_err(|_| Unfit)?)),
        })
    }
}

impl Transfer<'_, '_> {
    pub(super) fn source_memory(&mut self) -> Result<u32> {
        let memory = self.source.as_ref().ok_or(Unfit)?;
        Ok(self.code.imports.memory(memory))
    }

    pub(super) fn target_memory(&mut self) -> Result<u32> {
        let memory = self.target.as_ref().ok_or(Unfit)?;
        Ok(self.code.imports.memory(memory))
    }

    /// The whole value, in one pass or two.
    pub(super) fn values(&mut self, from: &mut At<'_>, to: &mut At<'_>) -> Result {
        if self.program.needs_two_passes() {
            self.lift(from)?;
            self.pass(Mode::Lower, from, to)
        } else {
            self.pass(Mode::Both, from, to)
        }
    }

    /// Lifts the value in a pass that another one follows.
    pub(super) fn lift(&mut self, from: &mut At<'_>) -> Result {
        let mut nowhere = Flat::default();
        let start = match from {
            At::Flat(flat) => flat.next,
            At::Memory(_) => 0,
        };
        self.pass(Mode::Lift, from, &mut At::Flat(&mut nowhere))?;
        if let At::Flat(flat) = from {
            flat.next = start;
        }
        Ok(())
    }

    pub(super) fn pass(&mut self, mode: Mode, from: &mut At<'_>, to: &mut At<'_>) -> Result {
        self.node(mode, self.program.root(), from, to)
    }

    pub(super) fn node(
        &mut self,
        mode: Mode,
        index: usize,
        from: &mut At<'_>,
        to: &mut At<'_>,
    ) -> Result {
        self.code.check_size()?;
        let program = self.program;
        let node = program.node(index);
        if mode == Mode::Lift && !node.does.trap {
            if let At::Flat(flat) = from {
                flat.next += node.flat as usize;
            }
            return Ok(());
        }
        match &node.kind {
            Kind::Bool
            | Kind::Int { .. }
            | Kind::F32
            | Kind::F64
            | Kind::Char
            | Kind::Flags { .. } => self.scalar(mode, node, from, to),
            Kind::String => self.string(mode, from, to),
            Kind::List {
                element,
                source_align,
                ..
            } => self.list(mode, *element, *source_align, from, to),
            Kind::FixedList { element, length } => {
                self.fixed_list(mode, node, *element, *length, from, to)
            }
            Kind::Record { fields, runs } => match (&*from, &*to) {
                (&At::Memory(from), &At::Memory(to)) if mode != Mode::Lift => {
                    self.runs(mode, runs, from, to)
                }
                _ => fields.iter().try_for_each(|part| {
                    self.node(
                        mode,
                        part.node,
                        &mut from.part(part.offset.source)?,
                        &mut to.part(part.offset.target)?,
                    )
                }),
            },
            Kind::Variant {
                discriminant,
                payload,
                cases,
            } => self.variant(mode, node, (*discriminant, payload.source), cases, from, to),
            Kind::Own { .. } | Kind::Borrow { .. } | Kind::Async { .. } => Err(Unfit),
        }
    }

    fn runs(&mut self, mode: Mode, runs: &[Piece], from: Place, to: Place) -> Result {
        for piece in runs {
            let part = |offset: usize| u32::try_from(offset).map_err(|_| Unfit);
            match piece {
                Piece::Bytes { offset, length } => {
                    let (from, to) = (from.at(part(offset.source)?), to.at(part(offset.target)?));
                    self.code.copy(from, to, part(*length)?);
                }
                Piece::Field(field) => self.node(
                    mode,
                    field.node,
                    &mut At::Memory(from.at(part(field.offset.source)?)),
                    &mut At::Memory(to.at(part(field.offset.target)?)),
                )?,
            }
        }
        Ok(())
    }

    fn fixed_list(
        &mut self,
        mode: Mode,
        node: &Node,
        element: usize,
        length: usize,
        from: &mut At<'_>,
        to: &mut At<'_>,
    ) -> Result {
        if let (&At::Memory(from), &At::Memory(to), Some(Bulk::Integers)) =
            (&*from, &*to, node.bulk)
        {
            let size = u32::try_from(node.size.source).map_err(|_| Unfit)?;
            self.code.copy(from, to, size);
            return Ok(());
        }
        let size = self.program.node(element).size;
        for i in 0..length {
            // Each turn looks at how much code there is.
            self.node(
                mode,
                element,
                &mut from.part(i * size.source)?,
                &mut to.part(i * size.target)?,
            )?;
        }
        Ok(())
    }

    fn variant(
        &mut self,
        mode: Mode,
        node: &Node,
        (size, payload): (u32, usize),
        cases: &[Option<usize>],
        from: &mut At<'_>,
        to: &mut At<'_>,
    ) -> Result {
        let end = |at: &At<'_>| match at {
            At::Flat(flat) => Some(flat.next + node.flat as usize),
            At::Memory(_) => None,
        };
        let (from_end, to_end) = (end(from), end(to));
        self.load32(from, size, false)?;
        let discriminant = self.code.save(ValType::I32);
        if mode != Mode::Lower {
            let count = u32::try_from(cases.len()).map_err(|_| Unfit)?;
            self.code.emit([
                Instruction::LocalGet(discriminant),
                Instruction::I32Const(count as i32),
                Instruction::I32GeU,
            ]);
            self.code.fail_value_if(
                ValueFault::Discriminant,
                &[Length::Local(discriminant), Length::Bytes(count)],
            );
        }
        if mode != Mode::Lift {
            self.store_address(to);
            self.code.get(discriminant);
            self.store32(to, size)?;
        }
        // What follows the discriminant among flat values.
        let start = |at: &At<'_>| match at {
            At::Flat(flat) => flat.next,
            At::Memory(_) => 0,
        };
        let (from_start, to_start) = (start(from), start(to));
        let rewind = |at: &mut At<'_>, next: usize| {
            if let At::Flat(flat) = at {
                flat.next = next;
            }
        };
        for (case, inner) in cases.iter().enumerate() {
            let Some(inner) = *inner else { continue };
            rewind(from, from_start);
            rewind(to, to_start);
            self.code.emit([
                Instruction::LocalGet(discriminant),
                Instruction::I32Const(case as i32),
                Instruction::I32Eq,
                Instruction::If(BlockType::Empty),
            ]);
            self.node(
                mode,
                inner,
                &mut from.part(payload)?,
                &mut to.part(payload)?,
            )?;
            self.code.emit([Instruction::End]);
        }
        // Locals that nothing was written to are 0, as padding is.
        if let Some(end) = from_end {
            rewind(from, end);
        }
        if let Some(end) = to_end.filter(|_| mode != Mode::Lift) {
            rewind(to, end);
        }
        Ok(())
    }

    fn scalar(&mut self, mode: Mode, node: &Node, from: &mut At<'_>, to: &mut At<'_>) -> Result {
        // A scalar has at most eight bytes.
        let size = node.size.source as u32;
        if mode != Mode::Lift {
            self.store_address(to);
        }
        match node.kind {
            Kind::Int { .. } if size == 8 => {
                self.load64(from)?;
                self.store64(to)
            }
            Kind::Int { signed } => {
                self.load32(from, size, signed)?;
                // Of a flat value the low bytes count.
                if matches!(from, At::Flat(_)) && !signed && size < 4 {
                    let mask = if size == 1 { 0xff } else { 0xffff };
                    self.code
                        .emit([Instruction::I32Const(mask), Instruction::I32And]);
                }
                self.store32(to, size)
            }
            Kind::Bool => {
                self.load32(from, size, false)?;
                self.code
                    .emit([Instruction::I32Const(0), Instruction::I32Ne]);
                self.store32(to, size)
            }
            Kind::Flags { mask } => {
                self.load32(from, size, false)?;
                self.code
                    .emit([Instruction::I32Const(mask as i32), Instruction::I32And]);
                self.store32(to, size)
            }
            Kind::Char => {
                self.load32(from, size, false)?;
                let char = self.code.save(ValType::I32);
                if mode != Mode::Lower {
                    self.check_char(char);
                }
                if mode == Mode::Lift {
                    return Ok(());
                }
                self.code.get(char);
                self.store32(to, size)
            }
            Kind::F32 => {
                self.load_f32(from)?;
                let float = self.code.save(ValType::F32);
                self.code.emit([
                    Instruction::LocalGet(float),
                    canonical32(),
                    Instruction::LocalGet(float),
                    Instruction::LocalGet(float),
                    Instruction::F32Eq,
                    Instruction::Select,
                ]);
                self.store_f32(to)
            }
            Kind::F64 => {
                self.load_f64(from)?;
                let float = self.code.save(ValType::F64);
                self.code.emit([
                    Instruction::LocalGet(float),
                    canonical64(),
                    Instruction::LocalGet(float),
                    Instruction::LocalGet(float),
                    Instruction::F64Eq,
                    Instruction::Select,
                ]);
                self.store_f64(to)
            }
            _ => Err(Unfit),
        }
    }

    /// Traps unless a local holds a Unicode scalar value: below the surrogates, or from behind them up to U+10FFFF.
    fn check_char(&mut self, char: u32) {
        self.code.emit([
            Instruction::LocalGet(char),
            Instruction::I32Const(0xd800),
            Instruction::I32GeU,
            Instruction::LocalGet(char),
            Instruction::I32Const(0xe000),
            Instruction::I32Sub,
            Instruction::I32Const(0x11_0000 - 0xe000),
            Instruction::I32GeU,
            Instruction::I32And,
        ]);
        self.code
            .fail_value_if(ValueFault::Char, &[Length::Local(char)]);
    }
}
