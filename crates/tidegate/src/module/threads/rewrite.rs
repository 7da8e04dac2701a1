//! Making waits asynchronous: `memory.atomic.wait32`, `wait64` and `notify` become calls of imported functions when a module is loaded.
//!
//! The engine's own instructions would hold the thread of the operating system. The functions are imported after all others, so
//! that only functions that the module defines change their index. They take what the instructions take, and the constant offset.

use crate::Result;
use anyhow::{Context, bail};
use std::borrow::Cow;
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{
    CodeSection, EntityType, Function, ImportSection, Instruction, Module, SectionId, TypeSection,
    ValType,
};
use wasmparser::{
    FunctionBody, ImportSectionReader, Operator, Parser, Payload, TypeRef, TypeSectionReader,
    Validator, WasmFeatures,
};

/// The module that the functions are imported from.
pub(crate) const MODULE: &str = "tidegate:futex";
pub(crate) const WAIT32: &str = "wait32";
pub(crate) const WAIT64: &str = "wait64";
pub(crate) const NOTIFY: &str = "notify";

/// Rewrites a module that imports a shared memory; gives `None` for any other.
///
/// # Errors
/// The module is malformed or invalid, with the offset, or has several shared memories.
pub(crate) fn rewrite(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let Some(facts) = facts(bytes)? else {
        return Ok(None);
    };
    // What is wrong with the module is to be reported with the offset that it has in the module as it was given.
    Validator::new_with_features(WasmFeatures::all()).validate_all(bytes)?;
    let mut module = Module::new();
    Rewriter(facts)
        .parse_core_module(&mut module, Parser::new(0), bytes)
        .map_err(|error| anyhow::anyhow!("{error}"))
        .context("making the module's waits asynchronous")?;
    Ok(Some(module.finish()))
}

/// What is known of a module before it is rewritten.
struct Facts {
    types: u32,
    imported_functions: u32,
    /// The index of the shared memory.
    memory: u32,
    memory64: bool,
}

/// `None` for a module that imports no shared memory.
fn facts(bytes: &[u8]) -> Result<Option<Facts>> {
    let mut types = 0;
    let mut imported_functions = 0;
    let mut memories = 0;
    let mut shared = None;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::TypeSection(section) => {
                for group in section {
                    types += u32::try_from(group?.types().len())?;
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    match import?.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => imported_functions += 1,
                        TypeRef::Memory(ty) => {
                            if ty.shared && shared.replace((memories, ty.memory64)).is_some() {
                                bail!(
                                    "the module imports several shared memories; programs of several threads have one"
                                );
                            }
                            memories += 1;
                        }
                        _ => {}
                    }
                }
                if shared.is_none() {
                    return Ok(None);
                }
            }
            Payload::CodeSectionStart { .. } => break,
            _ => {}
        }
    }
    Ok(shared.map(|(memory, memory64)| Facts {
        types,
        imported_functions,
        memory,
        memory64,
    }))
}

/// How many functions are added.
const ADDED: u32 = 3;

struct Rewriter(Facts);

type Error = reencode::Error<std::convert::Infallible>;

impl Rewriter {
    /// The instruction that stands for one of the shared memory, with the offset that it is given beside its operands.
    fn call(&self, operator: &Operator<'_>) -> Option<(u64, u32)> {
        let (memarg, function) = match operator {
            Operator::MemoryAtomicWait32 { memarg } => (memarg, 0),
            Operator::MemoryAtomicWait64 { memarg } => (memarg, 1),
            Operator::MemoryAtomicNotify { memarg } => (memarg, 2),
            _ => return None,
        };
        (memarg.memory == self.0.memory)
            .then_some((memarg.offset, self.0.imported_functions + function))
    }
}

impl Reencode for Rewriter {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32, Error> {
        Ok(if func < self.0.imported_functions {
            func
        } else {
            func + ADDED
        })
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_type_section(self, types, section)?;
        self.add_types(types);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_import_section(self, imports, section)?;
        for (index, name) in (0..).zip([WAIT32, WAIT64, NOTIFY]) {
            imports.import(MODULE, name, EntityType::Function(self.0.types + index));
        }
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error> {
        // A module without functions has no types.
        if after.is_none() && before.is_some_and(|section| section != SectionId::Type) {
            let mut types = TypeSection::new();
            self.add_types(&mut types);
            module.section(&types);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error> {
        let mut function: Function = self.new_function_with_parsed_locals(&body)?;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let operator = reader.read()?;
            match self.call(&operator) {
                Some((offset, index)) => {
                    function.instruction(&Instruction::I64Const(offset.cast_signed()));
                    function.instruction(&Instruction::Call(index));
                }
                None => {
                    function.instruction(&self.instruction(operator)?);
                }
            }
        }
        code.function(&function);
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        module: &mut Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        // Debug information tells offsets in code, which have changed.
        if section.name().starts_with(".debug_") {
            return Ok(());
        }
        reencode::utils::parse_custom_section(self, module, section)
    }
}

impl Rewriter {
    fn add_types(&self, types: &mut TypeSection) {
        let address = if self.0.memory64 {
            ValType::I64
        } else {
            ValType::I32
        };
        let (i32, i64) = (ValType::I32, ValType::I64);
        types.ty().function([address, i32, i64, i64], [i32]);
        types.ty().function([address, i64, i64, i64], [i32]);
        types.ty().function([address, i32, i64], [i32]);
    }
}

/// Whether an import was added here.
pub(crate) fn is_added(import: &tidegate_engine::Import) -> bool {
    import.module == MODULE
}

/// The bytes of a module as they are to be compiled for an engine with threads.
///
/// # Errors
/// As [`rewrite`].
pub(crate) fn rewritten(bytes: &[u8]) -> Result<Cow<'_, [u8]>> {
    Ok(match rewrite(bytes)? {
        Some(rewritten) => Cow::Owned(rewritten),
        None => Cow::Borrowed(bytes),
    })
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
