//! Matching a component's imports with what a linker offers.

use super::{Definition, HostFunc, HostResource, Names};
use crate::Component;
use crate::module::Module;
use std::sync::Arc;
use tidegate_core::abi::{ResourceKind, TypeContext, TypeMismatch};
use tidegate_core::plan::{Import, ImportKind, Plan, Resource, names};

/// Why a component cannot be linked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing is defined for an import.
    #[error("unknown import `{import}`: no {kind} of this name is defined{}", suggest(.nearest))]
    Unknown {
        /// The import: the interface and the name in it.
        import: String,
        /// What it must be.
        kind: &'static str,
        /// The name that is defined and most like it.
        nearest: Option<String>,
    },
    /// What is defined is of another kind.
    #[error("import `{import}` must be a {expected}, but a {found} is defined")]
    Kind {
        /// The import.
        import: String,
        /// What it must be.
        expected: &'static str,
        /// What is defined.
        found: &'static str,
    },
    /// A host function is of another type.
    #[error("import `{import}` has another type than the function that is defined for it")]
    Type {
        /// The import.
        import: String,
        /// Where they differ.
        #[source]
        mismatch: TypeMismatch,
    },
    /// A core module does not have the type that the component wants.
    #[error("core module import `{import}`: {reason}")]
    Module {
        /// The import.
        import: String,
        /// Where they differ.
        reason: String,
    },
}

fn suggest(nearest: &Option<String>) -> String {
    match nearest {
        Some(name) => format!(" (there is `{name}`)"),
        None => String::new(),
    }
}

/// What was found for an import.
#[derive(Clone)]
pub(crate) enum Resolved {
    Func(Arc<HostFunc>),
    Resource(HostResource),
    Module(Module),
    Instance,
}

/// What was found for each of a plan's imports, and who implements its resource types.
pub(crate) struct Imports {
    pub(crate) resolved: Box<[Resolved]>,
    pub(crate) kinds: Arc<[ResourceKind]>,
}

impl Imports {
    /// Finds every import of a component among `names`, and checks that the types fit.
    pub(crate) fn resolve(component: &Component, names: &Names) -> Result<Self, LinkError> {
        let plan = component.plan();
        let resolved = plan
            .imports
            .iter()
            .map(|import| find(import, names))
            .collect::<Result<Box<[_]>, _>>()?;
        let kinds = resource_kinds(plan, &resolved);
        let cx = TypeContext {
            types: &plan.types,
            resource_kinds: &kinds,
        };
        for (import, resolved) in plan.imports.iter().zip(&resolved) {
            if let (ImportKind::Func(ty), Resolved::Func(func)) = (&import.kind, resolved) {
                func.check(plan.types.func(*ty), &cx)
                    .map_err(|mismatch| LinkError::Type {
                        import: path(import),
                        mismatch,
                    })?;
            }
        }
        Ok(Self { resolved, kinds })
    }
}

fn resource_kinds(plan: &Plan, resolved: &[Resolved]) -> Arc<[ResourceKind]> {
    plan.resources
        .iter()
        .map(|resource| match resource {
            Resource::Imported(import) => match &resolved[import.index()] {
                Resolved::Resource(resource) => ResourceKind::Host(resource.ty),
                _ => ResourceKind::Guest,
            },
            Resource::Defined { .. } => ResourceKind::Guest,
        })
        .collect()
}

/// An import's path as messages name it.
pub(crate) fn path(import: &Import) -> String {
    import.path.join("#")
}

pub(super) fn find(import: &Import, names: &Names) -> Result<Resolved, LinkError> {
    let kind = kind_name(&import.kind);
    let mut definition = None;
    let mut scope = Some(names);
    for (depth, name) in import.path.iter().enumerate() {
        let implements = import.implements.as_deref().filter(|_| depth == 0);
        definition = scope.and_then(|names| lookup(names, name, implements));
        let Some(found) = definition else {
            // An interface of types alone needs no one to provide it.
            if matches!(import.kind, ImportKind::EmptyInstance) {
                return Ok(Resolved::Instance);
            }
            let offered = scope.into_iter().flatten().map(|(name, _)| name.as_str());
            return Err(LinkError::Unknown {
                import: path(import),
                kind,
                nearest: names::nearest(name, offered).map(Into::into),
            });
        };
        scope = match found {
            Definition::Instance(names) => Some(names),
            _ => None,
        };
    }
    let Some(definition) = definition else {
        return Err(LinkError::Unknown {
            import: path(import),
            kind,
            nearest: None,
        });
    };
    match (&import.kind, definition) {
        (ImportKind::Func(_), Definition::Func(func)) => Ok(Resolved::Func(func.clone())),
        (ImportKind::Resource(_), Definition::Resource(resource)) => {
            Ok(Resolved::Resource(resource.clone()))
        }
        (ImportKind::Module(ty), Definition::Module(module)) => match module.check(ty) {
            Ok(()) => Ok(Resolved::Module(module.clone())),
            Err(reason) => Err(LinkError::Module {
                import: path(import),
                reason,
            }),
        },
        (ImportKind::EmptyInstance, Definition::Instance(_)) => Ok(Resolved::Instance),
        (_, found) => Err(LinkError::Kind {
            import: path(import),
            expected: kind,
            found: found.kind(),
        }),
    }
}

fn kind_name(kind: &ImportKind) -> &'static str {
    match kind {
        ImportKind::Func(_) => "function",
        ImportKind::Resource(_) => "resource type",
        ImportKind::Module(_) => "core module",
        ImportKind::EmptyInstance => "instance",
    }
}

/// A definition by its name, by the interface that the import implements, or by a compatible version of either.
fn lookup<'a>(names: &'a Names, wanted: &str, implements: Option<&str>) -> Option<&'a Definition> {
    names.get(offered_name(names, wanted, implements)?)
}

/// The name by which a definition is found.
pub(super) fn offered_name<'a>(
    names: &'a Names,
    wanted: &str,
    implements: Option<&str>,
) -> Option<&'a str> {
    let exact = |name: &str| names.get_key_value(name).map(|(name, _)| name.as_str());
    exact(wanted).or_else(|| exact(implements?)).or_else(|| {
        let offered = || names.keys().map(String::as_str);
        names::newest_compatible(wanted, offered())
            .or_else(|| names::newest_compatible(implements?, offered()))
    })
}
