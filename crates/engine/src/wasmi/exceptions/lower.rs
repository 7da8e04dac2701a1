//! The translation of a module.

use std::convert::Infallible;

use wasm_encoder::{
    AbstractHeapType, BlockType, CodeSection, DataCountSection, DataSection, ElementSection,
    EntityType, ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection,
    Instruction, MemorySection, Module, RefType, TableSection, TypeSection, ValType,
    reencode::{self, Reencode, utils},
};
use wasmparser::{Catch, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

use super::facts::Facts;

/// The imports that a translation adds: after a module's own functions three for each tag and three more, unless it has to do
/// with exceptions only by standing in their way; after its own globals one.
pub(in crate::wasmi) struct Layout {
    /// Where the added imports come from.
    pub(in crate::wasmi) module: String,
}

const PER_TAG: u32 = 3;
const THROW: u32 = 0;
const MATCHES: u32 = 1;
const PAYLOAD: u32 = 2;

const SHARED: u32 = 3;
const TAKE: u32 = 0;
const THROW_REF: u32 = 1;
const CLEAR: u32 = 2;

type Result<T> = std::result::Result<T, reencode::Error<Infallible>>;

/// Translates a valid module without a start section.
pub(in crate::wasmi) fn lower(wasm: &[u8], facts: &Facts) -> Result<(Vec<u8>, Layout)> {
    let mut lower = Lower {
        facts,
        added_funcs: match facts.uses_exceptions {
            true => PER_TAG * facts.tags() + SHARED,
            false => 0,
        },
        next_body: 0,
        params_only: facts.types.len() as u32 + PER_TAG * facts.tags() + SHARED,
    };
    let layout = Layout {
        module: facts.unused_module(),
    };
    let mut sections = Sections::default();
    for payload in Parser::new(0).parse_all(wasm) {
        lower.section(&mut sections, payload?)?;
    }
    lower.add_types(&mut sections.types)?;
    lower.add_imports(&mut sections.imports, &layout);
    Ok((sections.assemble(), layout))
}

#[derive(Default)]
struct Sections {
    types: TypeSection,
    imports: ImportSection,
    funcs: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    globals: GlobalSection,
    exports: ExportSection,
    elements: ElementSection,
    data_count: Option<DataCountSection>,
    code: CodeSection,
    data: DataSection,
}

impl Sections {
    fn assemble(self) -> Vec<u8> {
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&self.funcs)
            .section(&self.tables)
            .section(&self.memories)
            .section(&self.globals)
            .section(&self.exports)
            .section(&self.elements);
        if let Some(data_count) = &self.data_count {
            module.section(data_count);
        }
        module.section(&self.code).section(&self.data);
        module.finish()
    }
}

struct Lower<'a> {
    facts: &'a Facts,
    added_funcs: u32,
    /// Which function's body comes next.
    next_body: usize,
    /// Where the types begin that have each type's parameters and no results.
    params_only: u32,
}

impl Reencode for Lower<'_> {
    type Error = Infallible;

    fn function_index(&mut self, func: u32) -> Result<u32> {
        Ok(match func < self.facts.imported_funcs {
            true => func,
            false => func + self.added_funcs,
        })
    }

    fn global_index(&mut self, global: u32) -> Result<u32> {
        Ok(match global < self.facts.imported_globals {
            true => global,
            false => global + 1,
        })
    }

    fn abstract_heap_type(
        &mut self,
        value: wasmparser::AbstractHeapType,
    ) -> Result<AbstractHeapType> {
        use wasmparser::AbstractHeapType::{Exn, NoExn};
        Ok(match value {
            Exn | NoExn => AbstractHeapType::Extern,
            other => utils::abstract_heap_type(self, other),
        })
    }

    fn ref_type(&mut self, ty: wasmparser::RefType) -> Result<RefType> {
        // Only what catches give is never null, and the engine has nullable references only.
        let mut ty = utils::ref_type(self, ty)?;
        ty.nullable = true;
        Ok(ty)
    }
}

impl Lower<'_> {
    fn section(&mut self, out: &mut Sections, payload: Payload<'_>) -> Result<()> {
        match payload {
            Payload::TypeSection(section) => self.parse_type_section(&mut out.types, section),
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    if !matches!(import.ty, TypeRef::Tag(_)) {
                        let ty = self.entity_type(import.ty)?;
                        out.imports.import(import.module, import.name, ty);
                    }
                }
                Ok(())
            }
            Payload::FunctionSection(section) => {
                self.parse_function_section(&mut out.funcs, section)
            }
            Payload::TableSection(section) => self.parse_table_section(&mut out.tables, section),
            Payload::MemorySection(section) => {
                self.parse_memory_section(&mut out.memories, section)
            }
            Payload::GlobalSection(section) => self.parse_global_section(&mut out.globals, section),
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind != ExternalKind::Tag {
                        self.parse_export(&mut out.exports, export)?;
                    }
                }
                Ok(())
            }
            Payload::ElementSection(section) => {
                self.parse_element_section(&mut out.elements, section)
            }
            Payload::DataCountSection { count, .. } => {
                out.data_count = Some(DataCountSection { count });
                Ok(())
            }
            Payload::CodeSectionEntry(body) => self.body(&mut out.code, &body),
            Payload::DataSection(section) => self.parse_data_section(&mut out.data, section),
            _ => Ok(()),
        }
    }

    fn vals(&mut self, types: &[wasmparser::ValType]) -> Result<Vec<ValType>> {
        types.iter().map(|ty| self.val_type(*ty)).collect()
    }

    /// The types of the added imports, in their order, then the types with parameters only.
    fn add_types(&mut self, types: &mut TypeSection) -> Result<()> {
        let facts = self.facts;
        for tag in 0..facts.tags() {
            let payload = self.vals(facts.payload(tag))?;
            types.ty().function(payload.clone(), []);
            types.ty().function([], [ValType::I32]);
            types.ty().function([], payload);
        }
        types.ty().function([], [ValType::Ref(RefType::EXTERNREF)]);
        types.ty().function([ValType::Ref(RefType::EXTERNREF)], []);
        types.ty().function([], []);
        for ty in &facts.types {
            let params = self.vals(ty.params())?;
            types.ty().function(params, []);
        }
        Ok(())
    }

    fn add_imports(&self, imports: &mut ImportSection, layout: &Layout) {
        let first = self.facts.types.len() as u32;
        for added in 0..self.added_funcs {
            imports.import(&layout.module, "", EntityType::Function(first + added));
        }
        let pending = GlobalType {
            val_type: ValType::I32,
            mutable: true,
            shared: false,
        };
        imports.import(&layout.module, "", EntityType::Global(pending));
    }

    fn body(&mut self, code: &mut CodeSection, body: &FunctionBody<'_>) -> Result<()> {
        let facts = self.facts;
        let results = facts
            .funcs
            .get(self.next_body)
            .and_then(|ty| facts.types.get(*ty as usize))
            .map_or(&[][..], |ty| ty.results());
        self.next_body += 1;
        let out = self.new_function_with_parsed_locals(body)?;
        let mut body_out = Body {
            results,
            out,
            labels: vec![0],
            frames: vec![Frame::Function],
            depth: 1,
            landing: 1,
        };
        body_out.open(BlockType::Empty);
        for operator in body.get_operators_reader()? {
            self.operator(&mut body_out, operator?)?;
        }
        code.function(&body_out.out);
        Ok(())
    }

    fn operator(&mut self, body: &mut Body<'_>, operator: Operator<'_>) -> Result<()> {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                body.labels.push(body.depth);
                body.frames.push(Frame::Plain);
                body.depth += 1;
                let instruction = self.instruction(operator)?;
                body.out.instruction(&instruction);
            }
            Operator::TryTable { try_table } => self.try_table(body, &try_table)?,
            Operator::End => self.end(body)?,
            Operator::Br { relative_depth } => {
                let target = body.label(relative_depth);
                body.out.instruction(&Instruction::Br(target));
            }
            Operator::BrIf { relative_depth } => {
                let target = body.label(relative_depth);
                body.out.instruction(&Instruction::BrIf(target));
            }
            Operator::BrTable { targets } => {
                let default = body.label(targets.default());
                let targets = targets
                    .targets()
                    .map(|target| Ok(body.label(target?)))
                    .collect::<Result<Vec<_>>>()?;
                body.out
                    .instruction(&Instruction::BrTable(targets.into(), default));
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } => {
                let instruction = self.instruction(operator)?;
                body.out.instruction(&instruction);
                let landing = body.relative(body.landing);
                body.out
                    .instruction(&Instruction::GlobalGet(self.facts.imported_globals))
                    .instruction(&Instruction::BrIf(landing));
            }
            Operator::Throw { tag_index } => {
                let throw = self.tag_func(tag_index, THROW);
                body.out.instruction(&Instruction::Call(throw));
                body.land();
            }
            Operator::ThrowRef => {
                let throw = self.shared_func(THROW_REF);
                body.out.instruction(&Instruction::Call(throw));
                body.land();
            }
            other => {
                let instruction = self.instruction(other)?;
                body.out.instruction(&instruction);
            }
        }
        Ok(())
    }

    /// `block $after` for the results and for branches to the `try_table`, and in it `block $landing`.
    fn try_table(&mut self, body: &mut Body<'_>, try_table: &wasmparser::TryTable) -> Result<()> {
        // The labels of the clauses are those outside.
        let clauses = try_table
            .catches
            .iter()
            .map(|catch| match *catch {
                Catch::One { label, .. }
                | Catch::OneRef { label, .. }
                | Catch::All { label }
                | Catch::AllRef { label } => (*catch, body.target(label)),
            })
            .collect();
        let landing_type = match try_table.ty {
            wasmparser::BlockType::FuncType(ty) => BlockType::FunctionType(self.params_only + ty),
            _ => BlockType::Empty,
        };
        let ty = self.block_type(try_table.ty)?;
        body.labels.push(body.depth);
        body.frames.push(Frame::Try {
            after: body.depth,
            outer_landing: body.landing,
            clauses,
        });
        body.open(ty);
        body.landing = body.depth;
        body.open(landing_type);
        Ok(())
    }

    fn end(&mut self, body: &mut Body<'_>) -> Result<()> {
        match body.frames.pop() {
            None => {}
            Some(Frame::Plain) => {
                body.labels.pop();
                body.close();
            }
            Some(Frame::Try {
                after,
                outer_landing,
                clauses,
            }) => {
                let after = body.relative(after);
                body.out.instruction(&Instruction::Br(after));
                body.close();
                body.landing = outer_landing;
                for (catch, target) in clauses {
                    self.clause(body, catch, target);
                }
                body.land();
                body.labels.pop();
                body.close();
            }
            Some(Frame::Function) => {
                body.out.instruction(&Instruction::Return);
                body.close();
                for ty in body.results {
                    let zero = zero(self.val_type(*ty)?);
                    body.out.instruction(&zero);
                }
                body.close();
            }
        }
        Ok(())
    }

    fn clause(&self, body: &mut Body<'_>, catch: Catch, target: u32) {
        let (tag, keep) = match catch {
            Catch::One { tag, .. } => (Some(tag), CLEAR),
            Catch::OneRef { tag, .. } => (Some(tag), TAKE),
            Catch::All { .. } => (None, CLEAR),
            Catch::AllRef { .. } => (None, TAKE),
        };
        if let Some(tag) = tag {
            let matches = self.tag_func(tag, MATCHES);
            body.out
                .instruction(&Instruction::Call(matches))
                .instruction(&Instruction::If(BlockType::Empty));
            body.depth += 1;
            let payload = self.tag_func(tag, PAYLOAD);
            body.out.instruction(&Instruction::Call(payload));
        }
        let keep = self.shared_func(keep);
        let label = body.relative(target);
        body.out
            .instruction(&Instruction::Call(keep))
            .instruction(&Instruction::Br(label));
        if tag.is_some() {
            body.close();
        }
    }

    fn tag_func(&self, tag: u32, which: u32) -> u32 {
        self.facts.imported_funcs + PER_TAG * tag + which
    }

    fn shared_func(&self, which: u32) -> u32 {
        self.facts.imported_funcs + PER_TAG * self.facts.tags() + which
    }
}

/// A function body being translated. Labels are counted from the outside; the function's own is 0.
struct Body<'a> {
    results: &'a [wasmparser::ValType],
    out: Function,
    /// For each label of the original, the label in the translation.
    labels: Vec<u32>,
    frames: Vec<Frame>,
    /// Labels open in the translation.
    depth: u32,
    /// The label of the nearest landing pad.
    landing: u32,
}

enum Frame {
    Function,
    Plain,
    Try {
        after: u32,
        outer_landing: u32,
        clauses: Vec<(Catch, u32)>,
    },
}

impl Body<'_> {
    fn open(&mut self, ty: BlockType) {
        self.out.instruction(&Instruction::Block(ty));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.out.instruction(&Instruction::End);
        self.depth -= 1;
    }

    /// The label that a relative one of the original stands for. The module is valid, so there is one.
    fn target(&self, relative: u32) -> u32 {
        let index = self.labels.len().checked_sub(1 + relative as usize);
        index.map_or(0, |index| self.labels[index])
    }

    fn relative(&self, label: u32) -> u32 {
        self.depth - 1 - label
    }

    fn label(&self, relative: u32) -> u32 {
        self.relative(self.target(relative))
    }

    /// Branches to the nearest landing pad.
    fn land(&mut self) {
        let landing = self.relative(self.landing);
        self.out.instruction(&Instruction::Br(landing));
    }
}

/// A value of a type that nobody will look at.
fn zero(ty: ValType) -> Instruction<'static> {
    match ty {
        ValType::I32 => Instruction::I32Const(0),
        ValType::I64 => Instruction::I64Const(0),
        ValType::F32 => Instruction::F32Const(0.0.into()),
        ValType::F64 => Instruction::F64Const(0.0.into()),
        ValType::V128 => Instruction::V128Const(0),
        ValType::Ref(ty) => Instruction::RefNull(ty.heap_type),
    }
}
