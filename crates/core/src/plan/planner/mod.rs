//! Symbolic execution of a component: every definition is executed once for each instantiation of its component.

mod canon;
mod core_module;
mod imports;
mod instances;
mod scope;
mod signature;
mod type_definitions;

use super::decode::{Decoded, Definition, Item};
use super::{
    CoreModuleType, Export, ImportIdx, ImportKind, InstanceIdx, ModuleDef, Options, OptionsIdx,
    Plan, PlanError, PlanLimits,
};
use crate::types::TypeError;
use core_module::CoreModule;
use imports::Source;
use instances::{MAX_NAME, core_space_mut};
use scope::{Component, Entity, Exports, Scope, ScopeId, TypeItem};
use std::collections::HashMap;
use std::rc::Rc;
use wasmparser::{
    ComponentAlias, ComponentExport, ComponentExternalKind, ComponentOuterAliasKind,
    ComponentTypeRef,
};

/// The state of the execution.
struct Planner<'a> {
    bytes: &'a [u8],
    limits: &'a PlanLimits,
    plan: Plan,
    scopes: Vec<Scope<'a>>,
    /// The heads of the embedded modules, read when first needed.
    core_modules: Vec<Option<Rc<CoreModule>>>,
    /// The module of each core instance so far.
    instantiated: Vec<ModuleDef>,
    /// The types of the imported modules, by import.
    imported_modules: HashMap<ImportIdx, Rc<CoreModuleType>>,
    options: HashMap<Options, OptionsIdx>,
    /// What [`PlanLimits::max_definitions`] counts.
    definitions: u64,
    depth: u32,
    /// The definition under evaluation, for messages.
    offset: usize,
}

/// Plans a decoded and validated component.
pub(super) fn plan(
    bytes: &[u8],
    decoded: Decoded<'_>,
    limits: &PlanLimits,
) -> Result<Plan, PlanError> {
    let Decoded { root, modules } = decoded;
    let mut planner = Planner {
        bytes,
        limits,
        core_modules: vec![None; modules.len()],
        plan: Plan {
            modules,
            ..Plan::default()
        },
        scopes: Vec::new(),
        instantiated: Vec::new(),
        imported_modules: HashMap::new(),
        options: HashMap::new(),
        definitions: 0,
        depth: 0,
        offset: 0,
    };
    let name = root.name.unwrap_or("root");
    let instance = planner.add_instance(None, name.chars().take(MAX_NAME).collect())?;
    let exports = planner.instantiate(&root, None, instance, Source::Outside)?;
    let full_names = full_export_names(&root);
    for (name, entity) in exports.iter() {
        let export = planner.export(entity)?;
        let name = full_names.get(name).map_or(name, |name| name);
        planner.plan.exports.push((name.into(), export));
    }
    Ok(planner.plan)
}

/// The names of exported interfaces whose version is completed by a suffix.
fn full_export_names<'a>(root: &Definition<'a>) -> HashMap<&'a str, String> {
    root.items
        .iter()
        .filter_map(|(_, item)| match item {
            Item::Export(ComponentExport { name, .. }) if name.version_suffix.is_some() => {
                Some((name.name, imports::full_name(name)))
            }
            _ => None,
        })
        .collect()
}

impl<'a> Planner<'a> {
    /// Executes a component's definitions and gives what it exports.
    fn instantiate(
        &mut self,
        definition: &'a Definition<'a>,
        parent: Option<ScopeId>,
        instance: InstanceIdx,
        source: Source<'_, 'a>,
    ) -> Result<Exports<'a>, PlanError> {
        self.enter()?;
        let scope = self.add_scope(parent, instance)?;
        let mut exports = Exports::default();
        for (offset, item) in &definition.items {
            self.offset = *offset;
            self.spend(1)?;
            match item {
                Item::CoreModule(module) => {
                    let module = ModuleDef::Static(*module);
                    self.scope_mut(scope).modules.push(module);
                }
                Item::CoreInstance(instance) => self.core_instance(scope, instance)?,
                Item::CoreType(ty) => self.core_type(scope, ty)?,
                Item::Component(definition) => {
                    let component = Component { definition, scope };
                    self.scope_mut(scope).components.push(component);
                }
                Item::Instance(instance) => {
                    let index = self.scope(scope).instances.len() as u32;
                    let name = definition.instance_names.get(&index).copied();
                    let exports = self.component_instance(scope, instance, name)?;
                    self.scope_mut(scope).instances.push(Rc::new(exports));
                }
                Item::Alias(alias) => self.alias(scope, alias)?,
                Item::Type(ty) => {
                    let ty = self.type_definition(scope, ty)?;
                    self.scope_mut(scope).types.push(ty);
                }
                Item::Canon(canon) => self.canon(scope, canon)?,
                Item::Start => return Err(self.unsupported("component start functions and values")),
                Item::Import(import) => {
                    self.spend(weight(import.name.name))?;
                    let name = imports::full_name(&import.name);
                    let entity = match source {
                        Source::Given(given) => {
                            let given = self.found(given.get(import.name.name), "an argument")?;
                            self.bind_given(scope, given.clone(), import.ty)?
                        }
                        _ => {
                            let path = vec![name.into()];
                            let implements = import.name.implements;
                            self.bind_import(scope, path, implements, import.ty)?
                        }
                    };
                    self.push(scope, entity);
                }
                Item::Export(export) => {
                    self.spend(weight(export.name.name))?;
                    let entity = self.exported(scope, export)?;
                    exports.add(export.name.name, entity.clone(), self.offset, self.limits)?;
                    self.push(scope, entity);
                }
            }
        }
        self.depth -= 1;
        Ok(exports)
    }

    /// An export of a component: what is exported, restricted to the type that is ascribed to it.
    fn exported(
        &mut self,
        scope: ScopeId,
        export: &ComponentExport<'a>,
    ) -> Result<Entity<'a>, PlanError> {
        let entity = self.entity(scope, export.kind, export.index)?;
        if let Entity::Type(TypeItem::Resource(resource)) = entity {
            self.plan.types.name_resource(resource, export.name.name);
        }
        match export.ty {
            Some(ty @ ComponentTypeRef::Instance(_)) => self.bind_given(scope, entity, ty),
            _ => Ok(entity),
        }
    }

    fn alias(&mut self, scope: ScopeId, alias: &ComponentAlias<'a>) -> Result<(), PlanError> {
        match *alias {
            ComponentAlias::InstanceExport {
                instance_index,
                name,
                ..
            } => {
                let instances = &self.scope(scope).instances;
                let instance = self.at(instances, instance_index, "an instance")?;
                let entity = self.found(instance.get(name), "an export")?.clone();
                self.push(scope, entity);
            }
            ComponentAlias::CoreInstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let instances = &self.scope(scope).core_instances;
                let instance = self.at(instances, instance_index, "a core instance")?;
                let instance = instance.clone();
                self.spend(weight(name))?;
                let def = self.core_export(&instance, &name.into())?;
                core_space_mut(self.scope_mut(scope), kind).push(def);
            }
            ComponentAlias::Outer { kind, count, index } => {
                let mut outer = scope;
                for _ in 0..count {
                    outer = self.found(self.scope(outer).parent, "an outer component")?;
                }
                let from = self.scope(outer);
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        let module = *self.at(&from.modules, index, "a module")?;
                        self.scope_mut(scope).modules.push(module);
                    }
                    ComponentOuterAliasKind::CoreType => {
                        let ty = self.at(&from.core_types, index, "a core type")?.clone();
                        self.scope_mut(scope).core_types.push(ty);
                    }
                    ComponentOuterAliasKind::Type => {
                        let ty = *self.at(&from.types, index, "a type")?;
                        self.scope_mut(scope).types.push(ty);
                    }
                    ComponentOuterAliasKind::Component => {
                        let component = *self.at(&from.components, index, "a component")?;
                        self.scope_mut(scope).components.push(component);
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks up an index of a component-level index space.
    fn entity(
        &self,
        scope: ScopeId,
        kind: ComponentExternalKind,
        index: u32,
    ) -> Result<Entity<'a>, PlanError> {
        let scope = self.scope(scope);
        Ok(match kind {
            ComponentExternalKind::Module => {
                Entity::Module(*self.at(&scope.modules, index, "a module")?)
            }
            ComponentExternalKind::Func => {
                Entity::Func(*self.at(&scope.funcs, index, "a function")?)
            }
            ComponentExternalKind::Type => Entity::Type(*self.at(&scope.types, index, "a type")?),
            ComponentExternalKind::Instance => {
                Entity::Instance(self.at(&scope.instances, index, "an instance")?.clone())
            }
            ComponentExternalKind::Component => {
                Entity::Component(*self.at(&scope.components, index, "a component")?)
            }
            ComponentExternalKind::Value => return Err(self.unsupported("component values")),
        })
    }

    /// Adds an entity to the index space of its kind.
    fn push(&mut self, scope: ScopeId, entity: Entity<'a>) {
        let scope = self.scope_mut(scope);
        match entity {
            Entity::Module(module) => scope.modules.push(module),
            Entity::Func(func) => scope.funcs.push(func),
            Entity::Type(ty) => scope.types.push(ty),
            Entity::Instance(instance) => scope.instances.push(instance),
            Entity::Component(component) => scope.components.push(component),
        }
    }

    /// What an entity is to the outside of the root.
    fn export(&mut self, entity: &Entity<'a>) -> Result<Export, PlanError> {
        self.spend(1)?;
        Ok(match entity {
            Entity::Module(module) => Export::Module(*module),
            Entity::Func(func) => Export::Func {
                def: func.def,
                ty: func.ty,
            },
            Entity::Type(TypeItem::Value(ty)) => Export::Type(*ty),
            Entity::Type(TypeItem::Resource(resource)) => Export::Resource(*resource),
            Entity::Type(TypeItem::Func(ty)) => Export::FuncType(*ty),
            Entity::Type(TypeItem::Instance(_) | TypeItem::Component) => Export::OpaqueType,
            Entity::Component(_) => Export::Component,
            Entity::Instance(exports) => {
                let mut nested = Vec::new();
                for (name, entity) in exports.iter() {
                    self.spend(weight(name))?;
                    nested.push((name.into(), self.export(entity)?));
                }
                Export::Instance(nested)
            }
        })
    }

    /// Counts one more level of nesting.
    fn enter(&mut self) -> Result<(), PlanError> {
        self.depth += 1;
        if self.depth > self.limits.max_depth {
            return Err(PlanError::Limit {
                what: "levels of nested instantiation",
                limit: self.limits.max_depth.into(),
                option: "max_depth",
                offset: self.offset,
            });
        }
        Ok(())
    }

    /// Undoes [`enter`](Self::enter).
    fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Counts evaluated definitions.
    fn spend(&mut self, count: usize) -> Result<(), PlanError> {
        self.definitions = self.definitions.saturating_add(count as u64);
        if self.definitions > self.limits.max_definitions {
            return Err(PlanError::Limit {
                what: "definitions to evaluate",
                limit: self.limits.max_definitions,
                option: "max_definitions",
                offset: self.offset,
            });
        }
        Ok(())
    }

    fn add_scope(
        &mut self,
        parent: Option<ScopeId>,
        instance: InstanceIdx,
    ) -> Result<ScopeId, PlanError> {
        // An empty scope takes as much memory as this many small definitions.
        self.spend(10)?;
        self.scopes.push(Scope::new(parent, instance));
        Ok(ScopeId(self.scopes.len() as u32 - 1))
    }

    fn scope(&self, id: ScopeId) -> &Scope<'a> {
        &self.scopes[id.0 as usize]
    }

    fn scope_mut(&mut self, id: ScopeId) -> &mut Scope<'a> {
        &mut self.scopes[id.0 as usize]
    }

    /// An entry of an index space, which the validator has seen to be there.
    fn at<'s, T>(
        &self,
        space: &'s [T],
        index: u32,
        what: &'static str,
    ) -> Result<&'s T, PlanError> {
        self.found(space.get(index as usize), what)
    }

    /// Unwraps what the validator has seen to be there.
    fn found<T>(&self, entry: Option<T>, what: &'static str) -> Result<T, PlanError> {
        entry.ok_or(PlanError::Bug {
            what,
            offset: self.offset,
        })
    }

    fn unsupported(&self, what: impl Into<String>) -> PlanError {
        PlanError::Unsupported {
            what: what.into(),
            offset: self.offset,
        }
    }

    fn refused(&self, source: TypeError) -> PlanError {
        PlanError::Type {
            source,
            offset: self.offset,
        }
    }

    fn add_import(
        &mut self,
        path: Vec<Box<str>>,
        implements: Option<&str>,
        kind: ImportKind,
    ) -> ImportIdx {
        self.plan.imports.push(super::Import {
            path,
            implements: implements.map(Into::into),
            kind,
        });
        ImportIdx(self.plan.imports.len() as u32 - 1)
    }
}

/// What a name counts for in [`PlanLimits::max_definitions`]: it is copied wherever it is evaluated.
fn weight(name: &str) -> usize {
    1 + name.len() / 16
}
