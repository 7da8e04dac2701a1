//! Passing values in core code: what [`transfer::run`](crate::abi::transfer) does, written out for one type.
//!
//! Both memories have 32-bit addresses, so that a type has the same layout on both sides.

use super::code::{Code, Length, Place, Range, Result, Unfit};
use super::fault::{Part, ValueFault};
use super::text;
use crate::abi::transfer::node::{Bulk, Kind, Node, Piece};
use crate::abi::transfer::run::Mode;
use crate::abi::{
    CANONICAL_NAN32, CANONICAL_NAN64, MAX_LIST_BYTE_LENGTH, MAX_STRING_BYTE_LENGTH, Program,
};
use crate::plan::{CoreDef, StringEncoding};
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
    fn next(&mut self) -> Result<(u32, ValType)> {
        let slot = self.slots.get(self.next).copied().ok_or(Unfit)?;
        self.next += 1;
        Ok(slot)
    }
}

impl At<'_> {
    fn part(&mut self, offset: usize) -> Result<At<'_>> {
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

    fn node(&mut self, mode: Mode, index: usize, from: &mut At<'_>, to: &mut At<'_>) -> Result {
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

    fn string(&mut self, mode: Mode, from: &mut At<'_>, to: &mut At<'_>) -> Result {
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

    fn list(
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
        self.code.emit([
            Instruction::Block(BlockType::Empty),
            Instruction::Loop(BlockType::Empty),
            Instruction::LocalGet(source.base),
            Instruction::LocalGet(end),
            Instruction::I32Eq,
            Instruction::BrIf(1),
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
        self.code
            .emit([Instruction::Br(0), Instruction::End, Instruction::End]);
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

    /// What goes on the stack before a value that is to be stored.
    fn store_address(&mut self, to: &At<'_>) {
        if let At::Memory(place) = to {
            self.code.get(place.base);
        }
    }

    /// Loads an integer of up to four bytes, or a flat value, of which all counts unless it is signed.
    fn load32(&mut self, from: &mut At<'_>, size: u32, signed: bool) -> Result {
        let flat = match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([match (size, signed) {
                    (1, false) => Instruction::I32Load8U(arg),
                    (1, true) => Instruction::I32Load8S(arg),
                    (2, false) => Instruction::I32Load16U(arg),
                    (2, true) => Instruction::I32Load16S(arg),
                    _ => Instruction::I32Load(arg),
                }]);
                return Ok(());
            }
            At::Flat(flat) => flat,
        };
        self.flat32(flat)?;
        match (size, signed) {
            (1, true) => self.code.emit([Instruction::I32Extend8S]),
            (2, true) => self.code.emit([Instruction::I32Extend16S]),
            _ => {}
        }
        Ok(())
    }

    /// The low half of a flat value.
    fn flat32(&mut self, flat: &mut Flat) -> Result {
        let (local, ty) = flat.next()?;
        self.code.get(local);
        match ty {
            ValType::I32 => {}
            ValType::I64 => self.code.emit([Instruction::I32WrapI64]),
            ValType::F32 => self.code.emit([Instruction::I32ReinterpretF32]),
            _ => return Err(Unfit),
        }
        Ok(())
    }

    fn load64(&mut self, from: &mut At<'_>) -> Result {
        match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([Instruction::I64Load(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                self.code.get(local);
                match ty {
                    ValType::I64 => {}
                    ValType::F64 => self.code.emit([Instruction::I64ReinterpretF64]),
                    _ => return Err(Unfit),
                }
            }
        }
        Ok(())
    }

    fn load_f32(&mut self, from: &mut At<'_>) -> Result {
        match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([Instruction::F32Load(arg)]);
            }
            At::Flat(flat) if flat.slots.get(flat.next).is_some_and(is_f32) => {
                let (local, _) = flat.next()?;
                self.code.get(local);
            }
            At::Flat(flat) => {
                self.flat32(flat)?;
                self.code.emit([Instruction::F32ReinterpretI32]);
            }
        }
        Ok(())
    }

    fn load_f64(&mut self, from: &mut At<'_>) -> Result {
        match from {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.get(place.base);
                self.code.emit([Instruction::F64Load(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                self.code.get(local);
                match ty {
                    ValType::F64 => {}
                    ValType::I64 => self.code.emit([Instruction::F64ReinterpretI64]),
                    _ => return Err(Unfit),
                }
            }
        }
        Ok(())
    }

    /// Stores the integer on the stack, which is above an address if it goes to memory.
    fn store32(&mut self, to: &mut At<'_>, size: u32) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([match size {
                    1 => Instruction::I32Store8(arg),
                    2 => Instruction::I32Store16(arg),
                    _ => Instruction::I32Store(arg),
                }]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                match ty {
                    ValType::I32 => {}
                    ValType::I64 => self.code.emit([Instruction::I64ExtendI32U]),
                    ValType::F32 => self.code.emit([Instruction::F32ReinterpretI32]),
                    _ => return Err(Unfit),
                }
                self.code.emit([Instruction::LocalSet(local)]);
            }
        }
        Ok(())
    }

    fn store64(&mut self, to: &mut At<'_>) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([Instruction::I64Store(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                match ty {
                    ValType::I64 => {}
                    ValType::F64 => self.code.emit([Instruction::F64ReinterpretI64]),
                    _ => return Err(Unfit),
                }
                self.code.emit([Instruction::LocalSet(local)]);
            }
        }
        Ok(())
    }

    fn store_f32(&mut self, to: &mut At<'_>) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([Instruction::F32Store(arg)]);
            }
            At::Flat(flat) if flat.slots.get(flat.next).is_some_and(is_f32) => {
                let (local, _) = flat.next()?;
                self.code.emit([Instruction::LocalSet(local)]);
            }
            At::Flat(_) => {
                self.code.emit([Instruction::I32ReinterpretF32]);
                self.store32(to, 4)?;
            }
        }
        Ok(())
    }

    fn store_f64(&mut self, to: &mut At<'_>) -> Result {
        match to {
            At::Memory(place) => {
                let arg = place.arg();
                self.code.emit([Instruction::F64Store(arg)]);
            }
            At::Flat(flat) => {
                let (local, ty) = flat.next()?;
                match ty {
                    ValType::F64 => {}
                    ValType::I64 => self.code.emit([Instruction::I64ReinterpretF64]),
                    _ => return Err(Unfit),
                }
                self.code.emit([Instruction::LocalSet(local)]);
            }
        }
        Ok(())
    }
}

fn is_f32((_, ty): &(u32, ValType)) -> bool {
    *ty == ValType::F32
}
