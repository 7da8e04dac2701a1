//! Putting a module together again.

use wasm_encoder::{
    BranchHint, BranchHints, CodeSection, Function, FunctionSection, GlobalSection, ImportSection,
    Module, NameMap, NameSection, SectionId, TypeSection,
    reencode::{self, Reencode},
};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionSectionReader, GlobalSectionReader,
    ImportSectionReader, KnownCustom, Name, NameSectionReader, Parser, TypeSectionReader,
};

use super::{Additions, Error};

/// A function of a module with its code rewritten, and which branches in it are not likely.
pub(crate) type Rewritten = (Function, Vec<BranchHint>);

/// The module with what was added, and with its functions' code rewritten.
///
/// Of sections that only tools read, what names the module and its functions is kept; offsets in code have changed.
///
/// # Errors
/// It is malformed, or has what cannot be encoded.
pub(crate) fn assemble(
    bytes: &[u8],
    additions: Additions,
    functions: &[Rewritten],
) -> Result<Vec<u8>, Error> {
    let (mut code, mut hints) = (CodeSection::new(), BranchHints::new());
    for (number, (function, unlikely)) in (0..).zip(functions) {
        code.function(function);
        if !unlikely.is_empty() {
            hints.function_hints(additions.defined(number), unlikely.iter().copied());
        }
    }
    additions.add_code(&mut code);
    let mut assembly = Assembly {
        additions,
        code,
        hints,
        names: None,
        written: None,
    };
    let mut module = Module::new();
    assembly.parse_core_module(&mut module, Parser::new(0), bytes)?;
    Ok(module.finish())
}

struct Assembly {
    additions: Additions,
    code: CodeSection,
    hints: BranchHints,
    names: Option<NameSection>,
    /// The last section that has been written.
    written: Option<SectionId>,
}

impl Assembly {
    /// Writes the sections that the module does not have, up to one that it has.
    fn add_sections(&mut self, module: &mut Module, before: Option<SectionId>) {
        let additions = &self.additions;
        let due = |written, section| {
            place(written) < place(Some(section))
                && before.is_none_or(|before| place(Some(before)) > place(Some(section)))
        };
        if additions.has_types() && due(self.written, SectionId::Type) {
            let mut types = TypeSection::new();
            additions.add_types(&mut types);
            module.section(&types);
        }
        if additions.has_imports() && due(self.written, SectionId::Import) {
            let mut imports = ImportSection::new();
            additions.add_imports(&mut imports);
            module.section(&imports);
        }
        if additions.has_globals() && due(self.written, SectionId::Global) {
            let mut globals = GlobalSection::new();
            additions.add_globals(&mut globals);
            module.section(&globals);
        }
    }

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
        self.additions.add_names(&mut functions);
        names.functions(&functions);
        Ok(names)
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

impl Reencode for Assembly {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        self.additions.function_index(function)
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Error> {
        self.additions.memory_index(memory)
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: TypeSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_type_section(self, types, section)?;
        self.additions.add_types(types);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_import_section(self, imports, section)?;
        self.additions.add_imports(imports);
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_function_section(self, functions, section)?;
        self.additions.add_functions(functions);
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: GlobalSectionReader<'_>,
    ) -> Result<(), Error> {
        reencode::utils::parse_global_section(self, globals, section)?;
        self.additions.add_globals(globals);
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
                self.additions.add_names(&mut functions);
                names.functions(&functions);
                names
            });
            module.section(&names);
        }
        if before == Some(SectionId::Code) && !self.hints.is_empty() {
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
