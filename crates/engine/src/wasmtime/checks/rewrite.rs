//! Rewriting a module.

use std::collections::HashMap;

use wasm_encoder::{
    BlockType, ConstExpr, Function, GlobalType, Instruction, MemArg, MemoryType, ValType,
};

use super::{
    CHECK, MODULE, WORDS,
    body::{self, Source},
    calls::{self, Facts},
    loops,
    words::{MAX_PAGES, NEVER_ZERO},
};
use crate::rewrite::{
    Additions, Error, assemble,
    bulk::{Bulk, Sizes},
};

/// Operations on memory that are larger are checked. A page that has not been touched before is as large.
pub(super) const SMALL: u32 = 4 << 10;

/// How much of an operation on memory is between two checks: up to 0.1 ms if the memory has not been touched before.
const PIECE: u32 = 64 << 10;

/// Puts checks into a valid module.
///
/// # Errors
/// What the engine is not set up for, or cannot be encoded.
pub(crate) fn rewrite(bytes: &[u8], shared_memories: bool) -> Result<Vec<u8>, String> {
    let facts = calls::facts(bytes).map_err(|error| error.to_string())?;
    if facts.shape.memories.iter().any(|memory| memory.shared) && !shared_memories {
        return Err("shared memories need an engine that is set up for threads".into());
    }
    encode(bytes, &facts).map_err(|error| error.to_string())
}

fn encode(bytes: &[u8], facts: &Facts<'_>) -> Result<Vec<u8>, Error> {
    let mut rewriter = Rewriter::new(facts);
    let mut functions = Vec::with_capacity(facts.shape.bodies.len());
    for (number, body) in facts.shape.bodies.iter().enumerate() {
        let source = Source {
            body,
            code: &loops::instructions(body)?,
            loops: &facts.loops[number],
            params: facts.shape.params(number),
            is_checked: facts.checked_functions[number],
        };
        functions.push(body::rewrite(&mut rewriter, &source)?);
    }
    assemble(bytes, rewriter.additions, &functions)
}

/// What is added to a module.
pub(super) struct Rewriter<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) additions: Additions,
    pub(super) bulk: Bulk,
    check: Check,
    /// The functions that call the one that is imported, by what they take and give back.
    looks: HashMap<Vec<ValType>, u32>,
}

/// The things that a check consists of.
#[derive(Clone, Copy)]
struct Check {
    /// The memory of the words.
    words: u32,
    /// The global that has the address of the word.
    address: u32,
    /// The function that is imported.
    function: u32,
}

impl<'a> Rewriter<'a> {
    fn new(facts: &'a Facts<'a>) -> Self {
        let mut additions = Additions::new(MODULE, &facts.shape);
        let ty = additions.ty(vec![], vec![ValType::I32]);
        let check = Check {
            words: additions.import_memory(
                WORDS,
                MemoryType {
                    minimum: 1,
                    maximum: Some(MAX_PAGES.into()),
                    memory64: false,
                    shared: true,
                    page_size_log2: None,
                },
            ),
            function: additions.import_function(CHECK, ty),
            address: additions.global(
                GlobalType {
                    val_type: ValType::I32,
                    mutable: true,
                    shared: false,
                },
                ConstExpr::i32_const(NEVER_ZERO.cast_signed()),
            ),
        };
        let sizes = Sizes {
            small: SMALL,
            piece: PIECE,
        };
        let piece = [
            &check.load()[..],
            &[Instruction::If(BlockType::Empty)],
            &check.call(),
            &[Instruction::End],
        ];
        Self {
            facts,
            additions,
            bulk: Bulk::new(sizes, piece.concat()),
            check,
            looks: HashMap::new(),
        }
    }

    /// Code that loads the word.
    pub(super) fn load(&self) -> [Instruction<'static>; 2] {
        self.check.load()
    }

    /// The function that is called where the word is not zero, which gives back what it takes.
    pub(super) fn look(&mut self, passed: Vec<ValType>) -> u32 {
        if let Some(look) = self.looks.get(&passed) {
            return *look;
        }
        let mut function = Function::new([]);
        for instruction in self.check.call() {
            function.instruction(&instruction);
        }
        for local in (0..).take(passed.len()) {
            function.instruction(&Instruction::LocalGet(local));
        }
        function.instruction(&Instruction::End);
        let ty = self.additions.ty(passed.clone(), passed.clone());
        let look = self.additions.function(ty, function);
        self.looks.insert(passed, look);
        look
    }
}

impl Check {
    fn load(self) -> [Instruction<'static>; 2] {
        let word = MemArg {
            offset: 0,
            align: 2,
            memory_index: self.words,
        };
        [
            Instruction::GlobalGet(self.address),
            Instruction::I32Load(word),
        ]
    }

    /// Code that calls the function, which gives the address.
    fn call(self) -> [Instruction<'static>; 2] {
        [
            Instruction::Call(self.function),
            Instruction::GlobalSet(self.address),
        ]
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Validator, WasmFeatures};

    use super::*;

    fn rewritten(text: &str) -> String {
        let out = rewrite(&wat::parse_str(text).unwrap(), false).unwrap();
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        validator.validate_all(&out).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn modules_have_the_sections_that_are_added_whatever_they_had() {
        for text in [
            "(module)",
            "(module (func))",
            "(module (memory 1))",
            "(module (table 1 funcref))",
            "(module (global i32 (i32.const 1)))",
            "(module (tag))",
            r#"(module (import "a" "b" (global i32)))"#,
            r#"(module (import "a" "b" (memory 1)) (data (i32.const 0) "a"))"#,
            r#"(module (memory (export "memory") 1) (func (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 0))) (data "a"))"#,
        ] {
            assert!(rewritten(text).contains(MODULE), "{text}");
        }
    }

    #[test]
    fn everything_that_names_functions_and_memories_follows() {
        let out = rewritten(
            r#"(module
                (import "a" "a" (func $a (result i32)))
                (import "a" "m" (memory $m 1))
                (memory $n 1)
                (global $g (mut i32) (i32.const 1))
                (table 3 funcref)
                (elem (i32.const 0) $a $named)
                (data (memory $n) (i32.const 0) "x")
                (export "f" (func $named))
                (export "n" (memory $n))
                (func $named (result i32)
                    (memory.copy $n $m (i32.const 0) (i32.const 0) (i32.const 0))
                    (global.set $g (i32.load8_u $n (i32.const 0)))
                    (i32.add (call $a) (call $named)))
                (func $start (drop (call $named)))
                (start $start))"#,
        );
        assert!(out.contains("named"));
    }

    #[test]
    fn blocks_of_every_kind_stay_valid() {
        rewritten(
            "(module
                (tag $e (param i32))
                (type $t (func (param i32) (result i32)))
                (func $f (param i32) (result i32)
                    (block $out (result i32)
                        (loop $l (result i32)
                            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
                            (if (i32.eqz (local.get 0)) (then (br $out (i32.const 3))) (else (br $l)))
                            (block $a (block $b (br_table $l $a $b (local.get 0))))
                            (br_if $out (i32.const 4) (local.get 0))
                            drop
                            (i32.const 7))))
                (func $params (param i32) (result i32)
                    (local.get 0)
                    (loop $l (param i32) (result i32)
                        (br_if $l (i32.const 1) (local.get 0)) (i32.add)))
                (func $nested (param i32)
                    (loop $a
                        (loop $b
                            (br_if $a (local.get 0))
                            (block $c (result i32)
                                (try_table (catch $e $c) (catch_all $b) (throw $e (i32.const 1)))
                                unreachable)
                            (br_if $b)
                            (return))))
                (func $ends (loop $l (br $l))))",
        );
    }

    #[test]
    fn shared_memories_are_for_engines_with_threads() {
        let bytes = wat::parse_str("(module (memory 1 1 shared))").unwrap();
        assert!(rewrite(&bytes, false).unwrap_err().contains("threads"));
        assert!(rewrite(&bytes, true).is_ok());
    }
}
