//! Adapter modules: several adapters, and what they import.

use super::code::{Code, Unfit};
use super::{Adapter, Import, body};
use crate::plan::{Canon, CoreDef, CoreFuncType, FuncDef, InstanceIdx, Plan, TrampolineIdx};
use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalType,
    ImportSection, MemoryType, Module, NameMap, NameSection, TypeSection, ValType,
};

/// A core module of adapters.
#[derive(Debug)]
pub struct AdapterModule {
    /// Its binary. Always the same for the same plan.
    pub wasm: Box<[u8]>,
    /// What it is to be instantiated with, in order.
    pub imports: Box<[Import]>,
    /// Which of its adapters are accompanied.
    pub accompanied: Box<[TrampolineIdx]>,
}

/// Makes adapter modules.
#[derive(Clone, Copy, Debug)]
pub struct Modules<'a> {
    /// The component's plan.
    pub plan: &'a Plan,
    /// Whether vector instructions are faster than calls of the host: not where they are interpreted.
    pub vectors: bool,
}

impl Modules<'_> {
    /// The module with these adapters. Each is exported under its trampoline's index.
    pub fn adapters(self, adapters: &[Adapter<'_>]) -> AdapterModule {
        let mut imports = Imports::default();
        let mut accompanied = Vec::new();
        let mut functions: Vec<(TrampolineIdx, Function)> = Vec::with_capacity(adapters.len());
        for adapter in adapters {
            let function = match self.direct(adapter, &mut imports) {
                Ok(function) => function,
                Err(Unfit) => {
                    accompanied.push(adapter.trampoline);
                    self.accompanied(adapter, &mut imports)
                }
            };
            functions.push((adapter.trampoline, function));
        }
        AdapterModule {
            wasm: self.encode(&mut imports, &functions).into(),
            imports: imports.into_list(),
            accompanied: accompanied.into(),
        }
    }

    fn direct(self, adapter: &Adapter<'_>, imports: &mut Imports) -> Result<Function, Unfit> {
        if adapter.needs_task {
            return Err(Unfit);
        }
        let known = imports.known();
        let core_type = &self.plan.trampolines[adapter.trampoline.index()].core_type;
        let mut code = Code::new(imports, core_type.params.len());
        match body::direct(self, adapter, &mut code) {
            Ok(()) => Ok(code.finish()),
            Err(Unfit) => {
                imports.forget(known);
                Err(Unfit)
            }
        }
    }

    fn accompanied(self, adapter: &Adapter<'_>, imports: &mut Imports) -> Function {
        let core_type = &self.plan.trampolines[adapter.trampoline.index()].core_type;
        let mut code = Code::new(imports, core_type.params.len());
        body::accompanied(self, adapter, &mut code);
        code.finish()
    }

    fn encode(self, imports: &mut Imports, functions: &[(TrampolineIdx, Function)]) -> Vec<u8> {
        let core_type = |index: &TrampolineIdx| &self.plan.trampolines[index.index()].core_type;
        let own: Vec<u32> = functions
            .iter()
            .map(|(index, _)| imports.type_index(core_type(index)))
            .collect();
        let mut types = TypeSection::new();
        for ty in &imports.types {
            types.ty().function(values(&ty.params), values(&ty.results));
        }
        let mut import_section = ImportSection::new();
        let entities = imports
            .funcs
            .iter()
            .map(|(_, ty)| EntityType::Function(*ty))
            .chain(imports.memories.iter().map(|_| EntityType::Memory(MEMORY)))
            .chain(imports.globals.iter().map(|import| {
                EntityType::Global(match import {
                    Import::Budget => global(ValType::I64),
                    _ => global(ValType::I32),
                })
            }));
        for (index, entity) in entities.enumerate() {
            import_section.import("", &index.to_string(), entity);
        }
        let (mut defined, mut exports) = (FunctionSection::new(), ExportSection::new());
        let mut bodies = CodeSection::new();
        let first = imports.funcs.len() as u32;
        for ((position, (index, function)), ty) in (0..).zip(functions).zip(own) {
            defined.function(ty);
            exports.export(&index.0.to_string(), ExportKind::Func, first + position);
            bodies.function(function);
        }
        let mut module = Module::new();
        module
            .section(&types)
            .section(&import_section)
            .section(&defined)
            .section(&exports)
            .section(&bodies)
            .section(&self.names(first, functions));
        module.finish()
    }

    /// Names for backtraces.
    fn names(self, first: u32, functions: &[(TrampolineIdx, Function)]) -> NameSection {
        let mut names = NameMap::new();
        for (position, (index, _)) in (first..).zip(functions) {
            let trampoline = &self.plan.trampolines[index.index()];
            let name = |instance: InstanceIdx| &self.plan.instances[instance.index()].name;
            if let Canon::Lower {
                func: FuncDef::Lift(lift),
                ..
            } = trampoline.canon
            {
                let callee = self.plan.lifts[lift.index()].instance;
                let text = format!("{} calls {}", name(trampoline.instance), name(callee));
                names.append(position, &text);
            }
        }
        let mut section = NameSection::new();
        section.module("adapters");
        section.functions(&names);
        section
    }
}

/// Any 32-bit memory that is not shared can be imported as this.
const MEMORY: MemoryType = MemoryType {
    minimum: 0,
    maximum: None,
    memory64: false,
    shared: false,
    page_size_log2: None,
};

fn global(val_type: ValType) -> GlobalType {
    GlobalType {
        val_type,
        mutable: true,
        shared: false,
    }
}

/// Number types in the encoder's words; canonical functions have no others.
pub(super) fn values(types: &[wasmparser::ValType]) -> Vec<ValType> {
    let value = |ty: &wasmparser::ValType| match ty {
        wasmparser::ValType::I64 => ValType::I64,
        wasmparser::ValType::F32 => ValType::F32,
        wasmparser::ValType::F64 => ValType::F64,
        _ => ValType::I32,
    };
    types.iter().map(value).collect()
}

/// What the adapters of a module import, as far as it is known. Adapters call nothing else, so that indices do not change.
#[derive(Debug, Default)]
pub(super) struct Imports {
    types: Vec<CoreFuncType>,
    funcs: Vec<(Import, u32)>,
    memories: Vec<Import>,
    globals: Vec<Import>,
}

impl Imports {
    fn known(&self) -> [usize; 3] {
        [self.funcs.len(), self.memories.len(), self.globals.len()]
    }

    fn forget(&mut self, known: [usize; 3]) {
        self.funcs.truncate(known[0]);
        self.memories.truncate(known[1]);
        self.globals.truncate(known[2]);
    }

    fn into_list(self) -> Box<[Import]> {
        let funcs = self.funcs.into_iter().map(|(import, _)| import);
        funcs.chain(self.memories).chain(self.globals).collect()
    }

    fn type_index(&mut self, ty: &CoreFuncType) -> u32 {
        let known = self.types.iter().position(|other| other == ty);
        known.unwrap_or_else(|| {
            self.types.push(ty.clone());
            self.types.len() - 1
        }) as u32
    }

    /// The index of a function.
    pub(super) fn func(&mut self, import: Import, ty: &CoreFuncType) -> u32 {
        if let Some(index) = self.funcs.iter().position(|(other, _)| *other == import) {
            return index as u32;
        }
        let ty = self.type_index(ty);
        self.funcs.push((import, ty));
        self.funcs.len() as u32 - 1
    }

    /// The index of the function that traps.
    pub(super) fn fail(&mut self) -> u32 {
        use wasmparser::ValType::{I32, I64};
        self.func(Import::Fail, &func_type(&[I32, I64, I64, I64], &[]))
    }

    /// The index of the function that validates strings in a memory.
    pub(super) fn validate(&mut self, memory: &CoreDef) -> u32 {
        use wasmparser::ValType::I32;
        let import = Import::Validate(memory.clone());
        self.func(import, &func_type(&[I32, I32], &[]))
    }

    /// The index of an allocator.
    pub(super) fn realloc(&mut self, realloc: &CoreDef) -> u32 {
        use wasmparser::ValType::I32;
        let import = Import::Core(realloc.clone());
        self.func(import, &func_type(&[I32; 4], &[I32]))
    }

    /// The index of a memory.
    pub(super) fn memory(&mut self, memory: &CoreDef) -> u32 {
        intern(&mut self.memories, Import::Core(memory.clone()))
    }

    /// The index of a global.
    pub(super) fn global(&mut self, import: Import) -> u32 {
        intern(&mut self.globals, import)
    }
}

fn intern(list: &mut Vec<Import>, import: Import) -> u32 {
    let known = list.iter().position(|other| *other == import);
    known.unwrap_or_else(|| {
        list.push(import);
        list.len() - 1
    }) as u32
}

fn func_type(params: &[wasmparser::ValType], results: &[wasmparser::ValType]) -> CoreFuncType {
    CoreFuncType {
        params: params.into(),
        results: results.into(),
    }
}
