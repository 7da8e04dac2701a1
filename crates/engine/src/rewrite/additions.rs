//! What is added to a module, and how that moves what it has.

use std::{collections::HashMap, convert::Infallible};

use wasm_encoder::{
    CodeSection, ConstExpr, EntityType, Function, FunctionSection, GlobalSection, GlobalType,
    ImportSection, MemoryType, NameMap, TypeSection, ValType,
    reencode::{self, Reencode},
};

use super::Shape;

pub(crate) type Error = reencode::Error<Infallible>;

/// Parameters and results.
type Signature = (Vec<ValType>, Vec<ValType>);

/// What is added to a module. Things are imported before any code is rewritten, as that is what moves others.
pub(crate) struct Additions {
    /// The module that things are imported from. Functions that are added have its name.
    module: &'static str,
    imported_functions: Imported,
    imported_memories: Imported,
    imports: Vec<(&'static str, EntityType)>,
    /// The index of the first type that is added.
    first_type: u32,
    types: Vec<Signature>,
    numbers: HashMap<Signature, u32>,
    /// How many functions the module defines.
    defined_functions: u32,
    functions: Vec<(u32, Function)>,
    /// The index of the first global that is added.
    first_global: u32,
    globals: Vec<(GlobalType, ConstExpr)>,
}

/// How many things of a kind are imported.
#[derive(Clone, Copy)]
struct Imported {
    own: u32,
    added: u32,
}

impl Imported {
    fn add(&mut self) -> u32 {
        let index = self.own + self.added;
        self.added += 1;
        index
    }

    fn moved(self, index: u32) -> u32 {
        if index < self.own {
            index
        } else {
            index + self.added
        }
    }
}

/// Modules are smaller than 4 GiB, and what is added to them grows with them.
fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

impl Additions {
    pub(crate) fn new(module: &'static str, shape: &Shape<'_>) -> Self {
        Self {
            module,
            imported_functions: Imported {
                own: shape.imported_functions,
                added: 0,
            },
            imported_memories: Imported {
                own: shape.imported_memories,
                added: 0,
            },
            imports: Vec::new(),
            first_type: count(shape.types.len()),
            types: Vec::new(),
            numbers: HashMap::new(),
            defined_functions: count(shape.functions.len()) - shape.imported_functions,
            functions: Vec::new(),
            first_global: shape.globals,
            globals: Vec::new(),
        }
    }

    /// The type of functions that take and give this.
    pub(crate) fn ty(&mut self, params: Vec<ValType>, results: Vec<ValType>) -> u32 {
        let (types, next) = (&mut self.types, self.first_type);
        let number = self.numbers.entry((params, results));
        *number.or_insert_with_key(|signature| {
            types.push(signature.clone());
            next + count(types.len()) - 1
        })
    }

    /// Imports a function.
    pub(crate) fn import_function(&mut self, name: &'static str, ty: u32) -> u32 {
        self.imports.push((name, EntityType::Function(ty)));
        self.imported_functions.add()
    }

    /// Imports a memory.
    pub(crate) fn import_memory(&mut self, name: &'static str, ty: MemoryType) -> u32 {
        self.imports.push((name, EntityType::Memory(ty)));
        self.imported_memories.add()
    }

    pub(crate) fn function(&mut self, ty: u32, function: Function) -> u32 {
        self.functions.push((ty, function));
        self.first_function() + count(self.functions.len()) - 1
    }

    pub(crate) fn global(&mut self, ty: GlobalType, value: ConstExpr) -> u32 {
        self.globals.push((ty, value));
        self.first_global + count(self.globals.len()) - 1
    }

    /// The index that a function has which the module defines.
    pub(super) fn defined(&self, number: u32) -> u32 {
        self.imported_functions.own + self.imported_functions.added + number
    }

    fn first_function(&self) -> u32 {
        self.defined(self.defined_functions)
    }

    pub(super) fn add_types(&self, section: &mut TypeSection) {
        for (params, results) in &self.types {
            section
                .ty()
                .function(params.iter().copied(), results.iter().copied());
        }
    }

    pub(super) fn add_imports(&self, section: &mut ImportSection) {
        for (name, ty) in &self.imports {
            section.import(self.module, name, *ty);
        }
    }

    pub(super) fn add_functions(&self, section: &mut FunctionSection) {
        for (ty, _) in &self.functions {
            section.function(*ty);
        }
    }

    pub(super) fn add_globals(&self, section: &mut GlobalSection) {
        for (ty, value) in &self.globals {
            section.global(*ty, value);
        }
    }

    pub(super) fn add_code(&self, section: &mut CodeSection) {
        for (_, function) in &self.functions {
            section.function(function);
        }
    }

    pub(super) fn add_names(&self, names: &mut NameMap) {
        for index in (self.first_function()..).take(self.functions.len()) {
            names.append(index, self.module);
        }
    }

    pub(super) fn has_types(&self) -> bool {
        !self.types.is_empty()
    }

    pub(super) fn has_imports(&self) -> bool {
        !self.imports.is_empty()
    }

    pub(super) fn has_globals(&self) -> bool {
        !self.globals.is_empty()
    }
}

/// Instructions, with the indices that things have afterwards.
impl Reencode for Additions {
    type Error = Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error> {
        Ok(self.imported_functions.moved(function))
    }

    fn memory_index(&mut self, memory: u32) -> Result<u32, Error> {
        Ok(self.imported_memories.moved(memory))
    }
}
