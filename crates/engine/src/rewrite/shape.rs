//! What is known of a module before it is rewritten.

use wasmparser::{
    BinaryReaderError, FuncType, FunctionBody, MemoryType, Parser, Payload, TableType, TypeRef,
    ValType,
};

/// The things that a module imports and defines, imported ones first.
#[derive(Default)]
pub(crate) struct Shape<'a> {
    pub(crate) types: Vec<FuncType>,
    pub(crate) imported_functions: u32,
    pub(crate) imported_memories: u32,
    /// The types of its functions.
    pub(crate) functions: Vec<u32>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) tables: Vec<TableType>,
    /// How many globals there are.
    pub(crate) globals: u32,
    /// The code of the functions that it defines.
    pub(crate) bodies: Vec<FunctionBody<'a>>,
}

impl<'a> Shape<'a> {
    /// # Errors
    /// The module is malformed, or has types of garbage-collected things, which no engine here takes.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, BinaryReaderError> {
        let mut shape = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        shape.types.push(ty?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        shape.import(import?.ty);
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        shape.functions.push(ty?);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        shape.tables.push(table?.ty);
                    }
                }
                Payload::MemorySection(section) => {
                    for ty in section {
                        shape.memories.push(ty?);
                    }
                }
                Payload::GlobalSection(section) => shape.globals += section.count(),
                Payload::CodeSectionEntry(body) => shape.bodies.push(body),
                _ => {}
            }
        }
        Ok(shape)
    }

    fn import(&mut self, ty: TypeRef) {
        match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.imported_functions += 1;
                self.functions.push(ty);
            }
            TypeRef::Memory(ty) => {
                self.imported_memories += 1;
                self.memories.push(ty);
            }
            TypeRef::Table(ty) => self.tables.push(ty),
            TypeRef::Global(_) => self.globals += 1,
            TypeRef::Tag(_) => {}
        }
    }

    /// The parameters of a function that a valid module defines.
    pub(crate) fn params(&self, defined: usize) -> &[ValType] {
        self.functions
            .get(self.imported_functions as usize + defined)
            .and_then(|ty| self.types.get(*ty as usize))
            .map_or(&[], FuncType::params)
    }
}
