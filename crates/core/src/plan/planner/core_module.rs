//! What the planner must know of an embedded core module: what it imports, and the address types of what it exports.

use crate::plan::PlanError;
use std::collections::HashMap;
use std::sync::Arc;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// An embedded core module, as far as wiring is concerned.
#[derive(Debug, Default)]
pub(super) struct CoreModule {
    /// Module name and field name of each import, in order.
    pub imports: Vec<(Arc<str>, Arc<str>)>,
    /// Whether it has a start function.
    pub starts: bool,
    /// Whether it defines exception tags.
    pub defines_tags: bool,
    /// Of each exported memory and table, whether its addresses have 64 bits.
    wide_exports: HashMap<Box<str>, bool>,
}

impl CoreModule {
    /// Reads the head of a module; what is validated later need not be sound here.
    pub fn parse(bytes: &[u8], offset: usize) -> Result<Self, PlanError> {
        let mut module = CoreModule::default();
        let (mut memories, mut tables) = (Vec::new(), Vec::new());
        for payload in Parser::new(offset as u64).parse_all(bytes) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        match import.ty {
                            TypeRef::Memory(ty) => memories.push(ty.memory64),
                            TypeRef::Table(ty) => tables.push(ty.table64),
                            _ => {}
                        }
                        module
                            .imports
                            .push((import.module.into(), import.name.into()));
                    }
                }
                Payload::TableSection(section) => {
                    for table in section {
                        tables.push(table?.ty.table64);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        memories.push(memory?.memory64);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        let space = match export.kind {
                            ExternalKind::Memory => &memories,
                            ExternalKind::Table => &tables,
                            _ => continue,
                        };
                        if let Some(&wide) = space.get(export.index as usize) {
                            module.wide_exports.insert(export.name.into(), wide);
                        }
                    }
                }
                Payload::StartSection { .. } => module.starts = true,
                Payload::TagSection(section) => module.defines_tags = section.count() > 0,
                // What follows are bodies and data.
                Payload::CodeSectionStart { .. } | Payload::DataSection(_) => break,
                _ => {}
            }
        }
        Ok(module)
    }

    /// Whether an exported memory or table has 64-bit addresses.
    pub fn is_wide(&self, export: &str) -> bool {
        self.wide_exports.get(export).copied().unwrap_or(false)
    }
}
