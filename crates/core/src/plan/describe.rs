//! A plan's imports and exports as text, for messages and for inspection.

use super::{CoreExternType, CoreFuncType, Export, ImportKind, Plan};
use std::fmt::Write;

/// An import or export: where it is and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The names from the root to it.
    pub path: Vec<Box<str>>,
    /// Its kind and type, in the syntax of WIT as far as that has one.
    pub what: String,
}

impl Plan {
    /// What the component needs from outside, in the order of its imports.
    pub fn describe_imports(&self) -> Vec<Described> {
        let imports = self.imports.iter().map(|import| Described {
            path: import.path.clone(),
            what: self.describe_import(&import.kind),
        });
        imports.collect()
    }

    /// What the component exports, without the instances that only group others.
    pub fn describe_exports(&self) -> Vec<Described> {
        let mut described = Vec::new();
        self.collect_exports(&self.exports, &mut Vec::new(), &mut described);
        described
    }

    /// What an import must be, as text.
    pub fn describe_import(&self, kind: &ImportKind) -> String {
        match kind {
            ImportKind::Func(ty) => self.types.display_func(*ty).to_string(),
            ImportKind::Resource(_) => "resource".into(),
            ImportKind::EmptyInstance => "interface without functions".into(),
            ImportKind::Module(module) => {
                let mut text = String::from("core module");
                for (from, name, ty) in &module.imports {
                    // Writing to a string does not fail.
                    let _ = write!(text, ", importing {from:?} {name:?} {}", core_extern(ty));
                }
                for (name, ty) in &module.exports {
                    let _ = write!(text, ", exporting {name:?} {}", core_extern(ty));
                }
                text
            }
        }
    }

    fn collect_exports(
        &self,
        exports: &[(Box<str>, Export)],
        path: &mut Vec<Box<str>>,
        described: &mut Vec<Described>,
    ) {
        for (name, export) in exports {
            path.push(name.clone());
            let what = match export {
                Export::Func { ty, .. } => Some(self.types.display_func(*ty).to_string()),
                Export::Module(_) => Some("core module".into()),
                Export::Resource(_) => Some("resource".into()),
                Export::Type(ty) => Some(format!("type {}", self.types.display(*ty))),
                Export::FuncType(ty) => Some(format!("type {}", self.types.display_func(*ty))),
                Export::OpaqueType => Some("type of an instance or component".into()),
                Export::Component => Some("component".into()),
                Export::Instance(exports) if exports.is_empty() => Some("empty instance".into()),
                Export::Instance(exports) => {
                    self.collect_exports(exports, path, described);
                    None
                }
            };
            if let Some(what) = what {
                described.push(Described {
                    path: path.clone(),
                    what,
                });
            }
            path.pop();
        }
    }
}

fn core_extern(ty: &CoreExternType) -> String {
    match ty {
        CoreExternType::Func(ty) => format!("func{}", core_func(ty)),
        CoreExternType::Tag(ty) => format!("tag{}", core_func(ty)),
        CoreExternType::Memory(ty) => match ty.maximum {
            Some(maximum) => format!("memory of {} to {maximum} pages", ty.initial),
            None => format!("memory of {} pages or more", ty.initial),
        },
        CoreExternType::Table(ty) => format!("table of {}", ty.element_type),
        CoreExternType::Global(ty) => {
            let mutable = if ty.mutable { "mutable " } else { "" };
            format!("{mutable}global {}", ty.content_type)
        }
    }
}

fn core_func(ty: &CoreFuncType) -> String {
    let list = |types: &[wasmparser::ValType]| {
        let names: Vec<_> = types.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    match &*ty.results {
        [] => format!("({})", list(&ty.params)),
        results => format!("({}) -> ({})", list(&ty.params), list(results)),
    }
}
