//! Interfaces as text: WIT for components, a list of imports and exports for core modules.

use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};
use wit_component::{DecodedWasm, OutputToString, WitPrinter};

/// The world of a component, and the packages that it refers to, as WIT.
pub fn component(bytes: &[u8]) -> Result<String> {
    let decoded: DecodedWasm =
        wit_component::decode(bytes).context("the component's types cannot be written as WIT")?;
    let resolve = decoded.resolve();
    let root = decoded.package();
    let others: Vec<_> = resolve
        .packages
        .iter()
        .map(|(id, _)| id)
        .filter(|&id| id != root)
        .collect();
    let mut printer = WitPrinter::new(OutputToString::default());
    printer.print(resolve, root, &others)?;
    Ok(printer.output.to_string())
}

/// What a core module imports and exports.
#[derive(Debug, Default)]
pub struct Module {
    /// Module name, name and type of each import.
    pub imports: Vec<(String, String, String)>,
    /// Name and kind of each export.
    pub exports: Vec<(String, &'static str)>,
}

impl Module {
    /// Reads the import and export sections of a valid module.
    ///
    /// # Errors
    /// Where the binary is malformed, with the offset.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut module = Self::default();
        let mut types = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section.into_iter_err_on_gc_types() {
                        types.push(group?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        let ty = match import.ty {
                            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                                match types.get(index as usize) {
                                    Some(ty) => function(ty),
                                    None => "func".into(),
                                }
                            }
                            TypeRef::Table(_) => "table".into(),
                            TypeRef::Memory(memory) => {
                                format!("memory, at least {} pages", memory.initial)
                            }
                            TypeRef::Global(global) => format!("global {}", global.content_type),
                            TypeRef::Tag(_) => "tag".into(),
                        };
                        module
                            .imports
                            .push((import.module.into(), import.name.into(), ty));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        let kind = match export.kind {
                            ExternalKind::Func | ExternalKind::FuncExact => "func",
                            ExternalKind::Table => "table",
                            ExternalKind::Memory => "memory",
                            ExternalKind::Global => "global",
                            ExternalKind::Tag => "tag",
                        };
                        module.exports.push((export.name.into(), kind));
                    }
                }
                _ => {}
            }
        }
        Ok(module)
    }
}

fn function(ty: &wasmparser::FuncType) -> String {
    let list = |types: &[wasmparser::ValType]| {
        let names: Vec<String> = types.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    let mut text = format!("func({})", list(ty.params()));
    if !ty.results().is_empty() {
        // Writing to a `String` cannot fail.
        let _ = write!(text, " -> {}", list(ty.results()));
    }
    text
}
