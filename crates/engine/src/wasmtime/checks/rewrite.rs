//! Rewriting a module.

use std::collections::HashMap;

use wasm_encoder::{
    BranchHints, CodeSection, ConstExpr, EntityType, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, Instruction, MemoryType, Module, NameMap, NameSection, SectionId,
    TypeSection, ValType,
    reencode::{self, Reencode},
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionSectionReader, GlobalSectionReader,
    ImportSectionReader, KnownCustom, Name, NameSectionReader, Parser, TypeSectionReader,
};

use super::{
    CHECK, MODULE, WORDS,
    body::{self, Source},
    calls::{self, Facts},
    loops,
    words::{MAX_PAGES, NEVER_ZERO},
};

pub(super) type Error = reencode::Error<std::convert::Infallible>;

/// Puts checks into a valid module.
///
/// Of sections that only tools read, what names functions is kept; offsets in code have changed.
///
/// # Errors
/// What the engine is not set up for, or cannot be encoded.
pub(crate) fn rewrite(bytes: &[u8], shared_memories: bool) -> Result<Vec<u8>, String> {
    let facts = calls::facts(bytes).map_err(|error| error.to_string())?;
    if facts.has_shared_memory && !shared_memories {
        return Err("shared memories need an engine that is set up for threads".into());
    }
    encode(bytes, &facts).map_err(|error| error.to_string())
}

fn encode(bytes: &[u8], facts: &Facts<'_>) -> Result<Vec<u8>, Error> {
    let mut rewriter = Rewriter {
        facts,
        code: CodeSection::new(),
        hints: BranchHints::new(),
        passing: Vec::new(),
        looks: HashMap::new(),
        names: None,
        written: None,
    };
    for (number, body) in (0..).zip(&facts.bodies) {
        let function = number as usize;
        let source = Source {
            body,
            code: &loops::instructions(body)?,
            loops: &facts.loops[function],
            params: &facts.params[facts.functions[function] as usize],
            is_checked: facts.checked_functions[function],
        };
        let (function, hints) = body::rewrite(&mut rewriter, &source)?;
        rewriter.code.function(&function);
        if !hints.is_empty() {
            let index = rewriter.check() + 1 + number;
            rewriter.hints.function_hints(index, hints);
        }
    }
    rewriter.add_code();
    let mut module = Module::new();
    rewriter.parse_core_module(&mut module, Parser::new(0), bytes)?;
    Ok(module.finish())
}

/// What is added to a module, and how that moves what it has.
pub(super) struct Rewriter<'a> {
    pub(super) facts: &'a Facts<'a>,
    code: CodeSection,
    hints: BranchHints,
    /// What the functions take and give that call the one that is imported.
    passing: Vec<Vec<ValType>>,
    looks: HashMap<Vec<ValType>, u32>,
    names: Option<NameSection>,
    /// The last section that has been written.
    written: Option<SectionId>,
}

impl Rewriter<'_> {
    /// The memory of the words.
    pub(super) fn words(&self) -> u32 {
        self.facts.imported_memories
    }

    /// The global that has the address of the word.
    pub(super) fn address(&self) -> u32 {
        self.facts.globals
    }

    /// The function that is imported.
    fn check(&self) -> u32 {
        self.facts.imported_functions
    }

    /// The function that is called where the word is not zero, which gives back what it takes.
    pub(super) fn look(&mut self, passed: Vec<ValType>) -> u32 {
        let next = u32::try_from(self.passing.len()).unwrap_or(u32::MAX);
        let passing = &mut self.passing;
        let number = *self.looks.entry(passed).or_insert_with_key(|passed| {
            passing.push(passed.clone());
            next
        });
        self.first_look() + number
    }

    fn first_look(&self) -> u32 {
        let defined = u32::try_from(self.facts.bodies.len()).unwrap_or(u32::MAX);
        self.check() + 1 + defined
    }

    fn add_types(&self, types: &mut TypeSection) {
        types.ty().function([], [ValType::I32]);
        for passed in &self.passing {
            types.ty().function(passed.clone(), passed.clone());
        }
    }

    /// Adds the functions that look.
    fn add_code(&mut self) {
        for passed in &self.passing {
            let mut function = Function::new([]);
            function.instruction(&Instruction::Call(self.check()));
            function.instruction(&Instruction::GlobalSet(self.address()));
            for local in (0..).take(passed.len()) {
                function.instruction(&Instruction::LocalGet(local));
            }
            function.instruction(&Instruction::End);
            self.code.function(&function);
        }
    }

    /// Adds their names to those of the module: they are not to be seen in backtraces.
    fn add_names(&self, names: &mut NameMap) {
        for index in (self.first_look()..).take(self.passing.len()) {
            names.append(index, MODULE);
        }
    }

    fn add_imports(&self, imports: &mut ImportSection) {
        let memory = MemoryType {
            minimum: 1,
            maximum: Some(MAX_PAGES.into()),
            memory64: false,
            shared: true,
            page_size_log2: None,
        };
        imports.import(MODULE, WORDS, EntityType::Memory(memory));
        imports.import(MODULE, CHECK, EntityType::Function(self.facts.types));
    }

    fn add_globals(&self, globals: &mut GlobalSection) {
        let address = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        globals.global(address, &ConstExpr::i32_const(NEVER_ZERO.cast_signed()));
    }

    /// Writes the sections that the module does not have, up to one that it has.
    fn add_sections(&mut self, module: &mut Module, before: Option<SectionId>) {
        for section in [SectionId::Type, SectionId::Import, SectionId::Global] {
            if place(self.written) >= place(Some(section))
                || before.is_some_and(|before| place(Some(before)) <= place(Some(section)))
            {
                continue;
            }
            match section {
                SectionId::Type => {
                    let mut types = TypeSection::new();
                    self.add_types(&mut types);
                    module.section(&types);
                }
                SectionId::Import => {
                    let mut imports = ImportSection::new();
                    self.add_imports(&mut imports);
                    module.section(&imports);
                }
                _ => {
                    let mut globals = GlobalSection::new();
                    self.add_globals(&mut globals);
                    module.section(&globals);
                }
            }
            self.written = Some(section);
        }
    }
}

/// The order of sections.
fn place(section: Option<SectionId>) -> u8 {
    match section {
        None => 0,
        Some(SectionId::Type) => 1,
        Some(SectionId::Import) => 2,
        Some(SectionId::Function | SectionId::Table | SectionId::Memory | SectionId::Tag) => 3,
        Some(SectionId::Global) => 4,
        Some(_) => 5,
    }
}

impl Reencode for Rewriter<'_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32, Error> {
        Ok(func + u32::from(func >= self.facts.imported_functions))
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Error> {
        Ok(memory + u32::from(memory >= self.facts.imported_memories))
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
        self.add_imports(imports);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_function_section(self, functions, section)?;
        for ty in (self.facts.types + 1..).take(self.passing.len()) {
            functions.function(ty);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_global_section(self, globals, section)?;
        self.add_globals(globals);
        Ok(())
    }

    /// It has been rewritten already: what is not likely in it is written before.
    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        _: CodeSectionReader<'_>,
    ) -> Result<(), Error> {
        *code = std::mem::take(&mut self.code);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), Error> {
        self.add_sections(module, before);
        if before.is_none() {
            let names = self.names.take().unwrap_or_else(|| {
                let (mut names, mut functions) = (NameSection::new(), NameMap::new());
                self.add_names(&mut functions);
                names.functions(&functions);
                names
            });
            module.section(&names);
        }
        if before == Some(SectionId::Code) {
            module.section(&self.hints);
        }
        self.written = before.or(self.written);
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        _: &mut Module,
        section: CustomSectionReader<'_>,
    ) -> Result<(), Error> {
        if let KnownCustom::Name(names) = section.as_known() {
            // Engines take no offence at names that are malformed.
            self.names = self.names(names).ok();
        }
        Ok(())
    }
}

impl Rewriter<'_> {
    /// The names of a module, renumbered.
    fn names(&mut self, section: NameSectionReader<'_>) -> Result<NameSection, Error> {
        let mut names = NameSection::new();
        let mut functions = NameMap::new();
        for name in section {
            match name? {
                Name::Module { name, .. } => names.module(name),
                Name::Function(map) => {
                    for naming in map {
                        let naming = naming?;
                        functions.append(self.function_index(naming.index)?, naming.name);
                    }
                }
                // Of no use to anybody once the module is compiled.
                _ => {}
            }
        }
        self.add_names(&mut functions);
        names.functions(&functions);
        Ok(names)
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
