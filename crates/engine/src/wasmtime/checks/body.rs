//! Rewriting the code of a function.

use wasm_encoder::{
    BlockType, BranchHint, Function, Instruction as Encoded, ValType, reencode::Reencode,
};
use wasmparser::{FunctionBody, Operator};

use super::{
    loops::{Checked, Instruction, Loop},
    rewrite::Rewriter,
};
use crate::rewrite::{Error, Rewritten, bulk::Lengths};

/// The most locals that go through the function that looks, which has registers for about as many.
const MAX_PASSED: usize = 8;

/// A function that is to be rewritten.
pub(super) struct Source<'a> {
    pub(super) body: &'a FunctionBody<'a>,
    pub(super) code: &'a [Instruction<'a>],
    pub(super) loops: &'a [Loop],
    pub(super) params: &'a [wasmparser::ValType],
    /// Whether it is checked at its beginning.
    pub(super) is_checked: bool,
}

/// The code with checks, and which branches are not likely.
pub(super) fn rewrite(
    rewriter: &mut Rewriter<'_>,
    source: &Source<'_>,
) -> Result<Rewritten, Error> {
    let (mut locals, mut ends) = (Vec::new(), Vec::new());
    let mut added = u32::try_from(source.params.len()).unwrap_or(u32::MAX);
    for group in source.body.get_locals_reader()? {
        let (count, ty) = group?;
        let ty = rewriter.additions.val_type(ty)?;
        locals.push((count, ty));
        added += count;
        ends.push((added, ty));
    }
    let counts = |found: &Loop| matches!(found.checked, Checked::Every(_));
    let turns = added;
    if source.loops.iter().any(counts) {
        locals.push((1, ValType::I32));
        added += 1;
    }
    let operators = source.code.iter().map(|(operator, _)| operator);
    let lengths = (rewriter.bulk).lengths(&rewriter.facts.shape, operators, added, &mut locals);
    let mut writer = Writer {
        rewriter,
        params: source.params,
        function: Function::new(locals),
        locals: ends,
        turns,
        lengths: lengths.unwrap_or_default(),
        hints: Vec::new(),
    };
    if source.is_checked {
        writer.check(&[]);
    }
    writer.code(source)?;
    Ok((writer.function, writer.hints))
}

struct Writer<'a, 'm> {
    rewriter: &'a mut Rewriter<'m>,
    params: &'a [wasmparser::ValType],
    /// The other locals: those of a type each, by where they end.
    locals: Vec<(u32, ValType)>,
    function: Function,
    /// The local that is added to count turns, if there is need for one: innermost loops can share it.
    turns: u32,
    /// Those for the lengths of operations on memory.
    lengths: Lengths,
    hints: Vec<BranchHint>,
}

impl Writer<'_, '_> {
    fn code(&mut self, source: &Source<'_>) -> Result<(), Error> {
        let mut loops = source.loops.iter();
        let mut before = None;
        let mut code = source.code;
        while let [(operator, _), rest @ ..] = code {
            let begun = std::mem::replace(&mut code, rest);
            match operator {
                Operator::Loop { .. } => {
                    let found = loops.next();
                    if let Some(Loop {
                        checked: Checked::Every(turns),
                        ..
                    }) = found
                    {
                        self.count(*turns);
                    }
                    if let Some(found) = found.filter(|found| found.copies > 1) {
                        let (whole, rest) = begun.split_at(found.length);
                        self.small_loop(found, operator, whole)?;
                        (code, before) = (rest, None);
                        continue;
                    }
                    self.copy(operator)?;
                    if let Some(found) = found {
                        self.turn(found);
                    }
                }
                Operator::CallIndirect { type_index, .. }
                | Operator::ReturnCallIndirect { type_index, .. }
                    if self.rewriter.facts.checked_types[*type_index as usize] =>
                {
                    self.check(&[]);
                    self.copy(operator)?;
                }
                _ if self.bulk(before, operator)? => {}
                _ => self.copy(operator)?,
            }
            before = Some(operator);
        }
        Ok(())
    }

    /// Writes a loop with its body several times, in a block that is left where the loop ends. Each copy but the last is in a block: to go on with the loop is to
    /// leave that, and to come to the next.
    fn small_loop(
        &mut self,
        found: &Loop,
        begin: &Operator<'_>,
        whole: &[Instruction<'_>],
    ) -> Result<(), Error> {
        let Operator::Loop { blockty } = *begin else {
            return Ok(());
        };
        self.copy(&Operator::Block { blockty })?;
        self.copy(begin)?;
        self.turn(found);
        let body = &whole[1..whole.len() - 1];
        for _ in 1..found.copies {
            self.write(&Encoded::Block(BlockType::Empty));
            self.body(body, 2)?;
            self.write(&Encoded::Br(2));
            self.write(&Encoded::End);
        }
        self.body(body, 1)?;
        self.write(&Encoded::End);
        self.write(&Encoded::End);
        Ok(())
    }

    /// Writes the body of a loop, with so many labels more between it and what is around it.
    fn body(&mut self, code: &[Instruction<'_>], labels: u32) -> Result<(), Error> {
        let mut open = 0;
        for (operator, _) in code {
            let moved = |label: u32| if label > open { label + labels } else { label };
            match operator {
                Operator::Br { relative_depth } => self.write(&Encoded::Br(moved(*relative_depth))),
                Operator::BrIf { relative_depth } => {
                    self.write(&Encoded::BrIf(moved(*relative_depth)));
                }
                Operator::BrTable { targets } => {
                    let labels = targets.targets().map(|label| label.map(moved));
                    let labels = labels.collect::<Result<Vec<_>, _>>()?;
                    let default = moved(targets.default());
                    self.write(&Encoded::BrTable(labels.into(), default));
                }
                _ => self.copy(operator)?,
            }
            match operator {
                Operator::Block { .. } | Operator::If { .. } => open += 1,
                Operator::End => open -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes an operation on much memory.
    fn bulk(
        &mut self,
        before: Option<&Operator<'_>>,
        operator: &Operator<'_>,
    ) -> Result<bool, Error> {
        let Rewriter {
            facts,
            additions,
            bulk,
            ..
        } = &mut *self.rewriter;
        bulk.write(
            additions,
            &facts.shape,
            (before, operator),
            self.lengths,
            (&mut self.function, &mut self.hints),
        )
    }

    fn copy(&mut self, operator: &Operator<'_>) -> Result<(), Error> {
        let instruction = self.rewriter.additions.instruction(operator.clone())?;
        self.write(&instruction);
        Ok(())
    }

    /// What a turn of a loop begins with.
    fn turn(&mut self, found: &Loop) {
        match found.checked {
            Checked::Always => return self.check(&found.sets),
            Checked::When {
                local,
                is_wide: false,
                bits,
            } => {
                self.write(&Encoded::LocalGet(local));
                // Of 32 bits.
                self.write(&Encoded::I32Const((bits as u32).cast_signed()));
                self.write(&Encoded::I32And);
                self.write(&Encoded::I32Eqz);
            }
            Checked::When { local, bits, .. } => {
                self.write(&Encoded::LocalGet(local));
                self.write(&Encoded::I64Const(bits.cast_signed()));
                self.write(&Encoded::I64And);
                self.write(&Encoded::I64Eqz);
            }
            Checked::Every(_) => {
                self.write(&Encoded::LocalGet(self.turns));
                self.write(&Encoded::I32Const(1));
                self.write(&Encoded::I32Sub);
                self.write(&Encoded::LocalTee(self.turns));
                self.write(&Encoded::I32Eqz);
            }
        }
        self.begin_unlikely();
        if let Checked::Every(turns) = found.checked {
            self.count(turns);
        }
        self.check(&found.sets);
        self.write(&Encoded::End);
    }

    /// Begins to count turns.
    fn count(&mut self, turns: u32) {
        self.write(&Encoded::I32Const(turns.cast_signed()));
        self.write(&Encoded::LocalSet(self.turns));
    }

    /// A check. Locals that are passed go through the function that looks. What the loop goes on with is then not what was there before the call, so that it can be
    /// in registers that a call changes.
    fn check(&mut self, passed: &[u32]) {
        for instruction in self.rewriter.load() {
            self.write(&instruction);
        }
        self.begin_unlikely();
        let passed: Vec<_> = passed
            .iter()
            .take(MAX_PASSED)
            .filter_map(|local| Some((*local, self.number(*local)?)))
            .collect();
        for (local, _) in &passed {
            self.write(&Encoded::LocalGet(*local));
        }
        let types = passed.iter().map(|(_, ty)| *ty).collect();
        let look = self.rewriter.look(types);
        self.write(&Encoded::Call(look));
        for (local, _) in passed.iter().rev() {
            self.write(&Encoded::LocalSet(*local));
        }
        self.write(&Encoded::End);
    }

    fn begin_unlikely(&mut self) {
        self.hints.push(BranchHint {
            branch_func_offset: u32::try_from(self.function.byte_len()).unwrap_or(u32::MAX),
            branch_hint_value: 0,
        });
        self.write(&Encoded::If(BlockType::Empty));
    }

    /// The type of a local that holds a number.
    fn number(&self, local: u32) -> Option<ValType> {
        let ty = match self.params.get(local as usize) {
            Some(wasmparser::ValType::I32) => ValType::I32,
            Some(wasmparser::ValType::I64) => ValType::I64,
            Some(wasmparser::ValType::F32) => ValType::F32,
            Some(wasmparser::ValType::F64) => ValType::F64,
            Some(_) => return None,
            None => {
                let group = self.locals.partition_point(|(end, _)| *end <= local);
                self.locals.get(group)?.1
            }
        };
        matches!(
            ty,
            ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64
        )
        .then_some(ty)
    }

    fn write(&mut self, instruction: &Encoded<'_>) {
        self.function.instruction(instruction);
    }
}
