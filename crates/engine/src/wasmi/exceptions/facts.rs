//! What a translation must know of a module in advance.

use wasmparser::{
    ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValType, Validator, WasmFeatures,
};

/// Features of modules that can be translated: those of the engine, and exceptions.
pub(in crate::wasmi) fn features() -> WasmFeatures {
    WasmFeatures::WASM2
        | WasmFeatures::MULTI_MEMORY
        | WasmFeatures::MEMORY64
        | WasmFeatures::TAIL_CALL
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::RELAXED_SIMD
        | WasmFeatures::EXCEPTIONS
}

/// The things of a module that a translation moves or replaces.
#[derive(Debug, Default)]
pub(in crate::wasmi) struct Facts {
    /// Its types.
    pub(super) types: Vec<FuncType>,
    /// The types of the functions it defines.
    pub(super) funcs: Vec<u32>,
    pub(super) imported_funcs: u32,
    pub(super) imported_globals: u32,
    /// The names of imported tags.
    pub(in crate::wasmi) imported_tags: Vec<(String, String)>,
    /// The types of all tags, imported ones first.
    pub(super) tags: Vec<u32>,
    /// The names of exported tags and their indices.
    pub(in crate::wasmi) exported_tags: Vec<(String, u32)>,
    /// Whether it throws, catches or has tags.
    pub(in crate::wasmi) uses_exceptions: bool,
    /// Modules it imports from.
    import_modules: Vec<String>,
}

impl Facts {
    /// The types of a tag's payload.
    pub(in crate::wasmi) fn payload(&self, tag: u32) -> &[ValType] {
        self.tags
            .get(tag as usize)
            .and_then(|ty| self.types.get(*ty as usize))
            .map_or(&[], FuncType::params)
    }

    /// How many tags there are.
    pub(in crate::wasmi) fn tags(&self) -> u32 {
        self.tags.len() as u32
    }

    /// A module name that nothing is imported from.
    pub(super) fn unused_module(&self) -> String {
        let mut name = "\0exceptions".to_owned();
        while self.import_modules.contains(&name) {
            name.insert(0, '\0');
        }
        name
    }
}

/// Validates a module and collects the facts. `wasm` has no start section any more.
pub(in crate::wasmi) fn facts(wasm: &[u8]) -> wasmparser::Result<Facts> {
    Validator::new_with_features(features()).validate_all(wasm)?;
    let mut facts = Facts::default();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    facts.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    facts.import_modules.push(import.module.into());
                    match import.ty {
                        TypeRef::Func(_) | TypeRef::FuncExact(_) => facts.imported_funcs += 1,
                        TypeRef::Global(_) => facts.imported_globals += 1,
                        TypeRef::Tag(tag) => {
                            facts.tags.push(tag.func_type_idx);
                            facts
                                .imported_tags
                                .push((import.module.into(), import.name.into()));
                        }
                        TypeRef::Table(_) | TypeRef::Memory(_) => {}
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    facts.funcs.push(ty?);
                }
            }
            Payload::TagSection(section) => {
                for tag in section {
                    facts.tags.push(tag?.func_type_idx);
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Tag {
                        facts.exported_tags.push((export.name.into(), export.index));
                    }
                }
            }
            Payload::CodeSectionEntry(body) if !facts.uses_exceptions => {
                for operator in body.get_operators_reader()? {
                    facts.uses_exceptions |= matches!(
                        operator?,
                        Operator::TryTable { .. } | Operator::Throw { .. } | Operator::ThrowRef
                    );
                }
            }
            _ => {}
        }
    }
    facts.uses_exceptions |= !facts.tags.is_empty();
    Ok(facts)
}
