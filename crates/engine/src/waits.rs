//! Waits that hold no thread: `memory.atomic.wait32`, `wait64` and `notify` become calls of imported functions when a module is loaded.
//!
//! The engine's own instructions would hold the thread of the operating system. The functions are imported after all others. They take what the
//! instructions take, and the constant offset.

use std::borrow::Cow;

use anyhow::{Context, Result, bail};
use wasm_encoder::{Function, Instruction, ValType, reencode::Reencode};
use wasmparser::{FunctionBody, Operator, Validator, WasmFeatures};

use crate::{
    rewrite::{Additions, Error, Rewritten, Shape, assemble},
    types::Import,
};

/// The module that the functions are imported from.
pub const MODULE: &str = "tidegate:futex";
/// The function for `memory.atomic.wait32`.
pub const WAIT32: &str = "wait32";
/// The function for `memory.atomic.wait64`.
pub const WAIT64: &str = "wait64";
/// The function for `memory.atomic.notify`.
pub const NOTIFY: &str = "notify";

/// The bytes of a module as they are to be compiled: with waits on a shared memory that it imports made asynchronous.
///
/// # Errors
/// The module is malformed or invalid, with the offset, or imports several shared memories.
pub fn rewritten(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    Ok(match rewrite(bytes)? {
        Some(rewritten) => Cow::Owned(rewritten),
        None => Cow::Borrowed(bytes),
    })
}

/// Whether an import was added here.
pub fn is_added(import: &Import) -> bool {
    import.module == MODULE
}

/// Gives nothing for a module that imports no shared memory.
fn rewrite(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let shape = Shape::of(bytes)?;
    let imported = &shape.memories[..shape.imported_memories as usize];
    let mut shared = (0..).zip(imported).filter(|(_, memory)| memory.shared);
    let Some((memory, ty)) = shared.next() else {
        return Ok(None);
    };
    if shared.next().is_some() {
        bail!("the module imports several shared memories; programs of several threads have one");
    }
    // What is wrong with the module is to be reported with the offset that it has in the module as it was given.
    Validator::new_with_features(WasmFeatures::all()).validate_all(bytes)?;
    encode(bytes, &shape, memory, ty.memory64)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("making the module's waits asynchronous")
        .map(Some)
}

fn encode(bytes: &[u8], shape: &Shape<'_>, memory: u32, is_wide: bool) -> Result<Vec<u8>, Error> {
    let mut additions = Additions::new(MODULE, shape);
    let (i32, i64) = (ValType::I32, ValType::I64);
    let address = if is_wide { i64 } else { i32 };
    let operands = [
        (WAIT32, vec![address, i32, i64, i64]),
        (WAIT64, vec![address, i64, i64, i64]),
        (NOTIFY, vec![address, i32, i64]),
    ];
    let functions = operands.map(|(name, params)| {
        let ty = additions.ty(params, vec![i32]);
        additions.import_function(name, ty)
    });
    let waits = Waits { memory, functions };
    let bodies = shape.bodies.iter();
    let code = bodies.map(|body| waits.body(&mut additions, body));
    let code = code.collect::<Result<Vec<_>, Error>>()?;
    assemble(bytes, additions, &code)
}

struct Waits {
    /// The shared memory.
    memory: u32,
    /// The functions that stand for the instructions.
    functions: [u32; 3],
}

impl Waits {
    fn body(&self, additions: &mut Additions, body: &FunctionBody<'_>) -> Result<Rewritten, Error> {
        let mut function: Function = additions.new_function_with_parsed_locals(body)?;
        for operator in body.get_operators_reader()? {
            let operator = operator?;
            match self.call(&operator) {
                Some((offset, index)) => {
                    function.instruction(&Instruction::I64Const(offset.cast_signed()));
                    function.instruction(&Instruction::Call(index));
                }
                None => {
                    function.instruction(&additions.instruction(operator)?);
                }
            }
        }
        Ok((function, Vec::new()))
    }

    /// The function that stands for an instruction, with the offset that it is given beside its operands.
    fn call(&self, operator: &Operator<'_>) -> Option<(u64, u32)> {
        let [wait32, wait64, notify] = self.functions;
        let (memarg, function) = match operator {
            Operator::MemoryAtomicWait32 { memarg } => (memarg, wait32),
            Operator::MemoryAtomicWait64 { memarg } => (memarg, wait64),
            Operator::MemoryAtomicNotify { memarg } => (memarg, notify),
            _ => return None,
        };
        (memarg.memory == self.memory).then_some((memarg.offset, function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewrite_text(text: &str) -> Option<String> {
        let bytes = wat::parse_str(text).unwrap();
        let out = rewrite(&bytes).unwrap()?;
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(&out)
            .unwrap();
        Some(String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn modules_without_an_imported_shared_memory_stay_as_they_are() {
        assert_eq!(rewrite_text("(module)"), None);
        assert_eq!(
            rewrite_text("(module (import \"a\" \"b\" (memory 1)))"),
            None
        );
        assert_eq!(rewrite_text("(module (memory 1 1 shared))"), None);
    }

    #[test]
    fn everything_that_names_functions_follows() {
        let out = rewrite_text(
            r#"(module
                (import "env" "memory" (memory 1 1 shared))
                (import "env" "f" (func $f (param i32)))
                (table 3 funcref)
                (elem (i32.const 0) $f $own $other)
                (global $g funcref (ref.func $own))
                (func $own (export "own") (result i32)
                    (call $f (i32.const 1))
                    (memory.atomic.wait32 offset=16 (i32.const 0) (i32.const 1) (i64.const -1)))
                (func $other (export "other") (result i32)
                    (drop (call $own))
                    (drop (memory.atomic.wait64 (i32.const 0) (i64.const 1) (i64.const -1)))
                    unreachable
                    memory.atomic.notify)
                (func $start)
                (start $start))"#,
        );
        assert!(out.unwrap().contains(MODULE));
    }

    #[test]
    fn wide_memories_and_modules_without_types_are_rewritten() {
        rewrite_text("(module (import \"env\" \"memory\" (memory 1 1 shared)))").unwrap();
        rewrite_text(
            r#"(module (import "env" "memory" (memory i64 1 1 shared))
                (func (result i32) (memory.atomic.notify offset=5000000000 (i64.const 0) (i32.const 1))))"#,
        )
        .unwrap();
    }

    #[test]
    fn several_shared_memories_are_refused() {
        let text =
            r#"(module (import "a" "a" (memory 1 1 shared)) (import "a" "b" (memory 1 1 shared)))"#;
        let error = rewrite(&wat::parse_str(text).unwrap()).unwrap_err();
        assert!(
            error.to_string().contains("several shared memories"),
            "{error}"
        );
    }
}
