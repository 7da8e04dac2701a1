//! Instantiating core modules and nested components.

use super::core_module::CoreModule;
use super::imports::Source;
use super::scope::{CoreInstanceItem, Exports, Scope, ScopeId};
use super::{Planner, weight};
use crate::plan::{
    ComponentInstance, CoreDef, CoreExternType, CoreInstanceIdx, InstanceIdx, ModuleDef, ModuleIdx,
    PlanError, Step,
};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use wasmparser::{ExternalKind, Instance};

/// Instances' names in messages are cut to this many characters.
pub(super) const MAX_NAME: usize = 200;

impl<'a> Planner<'a> {
    pub(super) fn component_instance(
        &mut self,
        scope: ScopeId,
        instance: &'a wasmparser::ComponentInstance<'a>,
        name: Option<&str>,
    ) -> Result<Exports<'a>, PlanError> {
        let mut given = Exports::default();
        match instance {
            wasmparser::ComponentInstance::FromExports(exports) => {
                self.spend(exports.iter().map(|export| weight(export.name.name)).sum())?;
                for export in exports {
                    let entity = self.entity(scope, export.kind, export.index)?;
                    given.add(export.name.name, entity, self.offset, self.limits)?;
                }
                Ok(given)
            }
            wasmparser::ComponentInstance::Instantiate {
                component_index,
                args,
            } => {
                self.spend(args.iter().map(|arg| weight(arg.name)).sum())?;
                for arg in args {
                    let entity = self.entity(scope, arg.kind, arg.index)?;
                    given.add(arg.name, entity, self.offset, self.limits)?;
                }
                let component = *self.at(
                    &self.scope(scope).components,
                    *component_index,
                    "a component",
                )?;
                let parent = self.scope(scope).instance;
                let name = self.instance_name(parent, name);
                let child = self.add_instance(Some(parent), name)?;
                let offset = self.offset;
                let exports = self.instantiate(
                    component.definition,
                    Some(component.scope),
                    child,
                    Source::Given(&given),
                )?;
                self.offset = offset;
                Ok(exports)
            }
        }
    }

    pub(super) fn core_instance(
        &mut self,
        scope: ScopeId,
        instance: &'a Instance<'a>,
    ) -> Result<(), PlanError> {
        let item = match instance {
            Instance::FromExports(exports) => {
                self.spend(exports.len())?;
                let mut bag = HashMap::with_capacity(exports.len());
                for export in exports {
                    let space = core_space(self.scope(scope), export.kind);
                    let def = self.at(space, export.index, "a core definition")?;
                    bag.insert(export.name, def.clone());
                }
                CoreInstanceItem::Bag(Rc::new(bag))
            }
            Instance::Instantiate { module_index, args } => {
                let module = *self.at(&self.scope(scope).modules, *module_index, "a module")?;
                let mut given = HashMap::with_capacity(args.len());
                for arg in args {
                    let items = &self.scope(scope).core_instances;
                    let item = self.at(items, arg.index, "a core instance")?;
                    given.insert(arg.name, item.clone());
                }
                let imports = self.module_imports(module)?;
                self.spend(args.len() + imports.len())?;
                let mut args = Vec::with_capacity(imports.len());
                for (from, field) in imports {
                    let item = self.found(given.get(&*from), "a core argument")?;
                    let def = self.core_export(item, &field)?;
                    args.push((from, field, def));
                }
                if self.instantiated.len() >= self.limits.max_core_instances as usize {
                    return Err(PlanError::Limit {
                        what: "core instances",
                        limit: self.limits.max_core_instances.into(),
                        option: "max_core_instances",
                        offset: self.offset,
                    });
                }
                let starts = match module {
                    ModuleDef::Static(index) => self.core_module(index)?.starts,
                    ModuleDef::Import(_) => true,
                };
                self.plan.steps.push(Step::Instantiate {
                    instance: self.scope(scope).instance,
                    module,
                    args,
                    starts,
                });
                self.instantiated.push(module);
                CoreInstanceItem::Instantiated(CoreInstanceIdx(self.instantiated.len() as u32 - 1))
            }
        };
        self.scope_mut(scope).core_instances.push(item);
        Ok(())
    }

    fn module_imports(&mut self, module: ModuleDef) -> Result<ImportNames, PlanError> {
        Ok(match module {
            ModuleDef::Static(index) => self.core_module(index)?.imports.clone(),
            ModuleDef::Import(import) => {
                let ty = self.found(self.imported_modules.get(&import), "a module type")?;
                let imports = ty.imports.iter();
                imports
                    .map(|(module, field, _)| ((&**module).into(), (&**field).into()))
                    .collect()
            }
        })
    }

    fn core_module(&mut self, index: ModuleIdx) -> Result<Rc<CoreModule>, PlanError> {
        let slot = self.core_modules.get(index.index()).cloned();
        if let Some(Some(module)) = slot {
            return Ok(module);
        }
        let range = self.found(self.plan.modules.get(index.index()), "a module")?;
        let start = range.start;
        let bytes = self.found(self.bytes.get(range.clone()), "a module")?;
        let module = Rc::new(CoreModule::parse(bytes, start)?);
        self.plan.defines_tags |= module.defines_tags;
        self.core_modules[index.index()] = Some(module.clone());
        Ok(module)
    }

    pub(super) fn core_export(
        &self,
        item: &CoreInstanceItem<'a>,
        name: &Arc<str>,
    ) -> Result<CoreDef, PlanError> {
        match item {
            CoreInstanceItem::Instantiated(instance) => Ok(CoreDef::Export {
                instance: *instance,
                name: name.clone(),
            }),
            CoreInstanceItem::Bag(bag) => self.found(bag.get(&**name), "a core export").cloned(),
        }
    }

    /// Whether a memory or table has 64-bit addresses.
    pub(super) fn is_wide(&mut self, def: &CoreDef) -> Result<bool, PlanError> {
        let CoreDef::Export { instance, name } = def else {
            return Ok(false);
        };
        let module = *self.found(self.instantiated.get(instance.index()), "a core instance")?;
        match module {
            ModuleDef::Static(index) => Ok(self.core_module(index)?.is_wide(name)),
            ModuleDef::Import(import) => {
                let ty = self.found(self.imported_modules.get(&import), "a module type")?;
                let export = ty.exports.iter().find(|(export, _)| **export == **name);
                Ok(export.is_some_and(|(_, ty)| match ty {
                    CoreExternType::Memory(memory) => memory.memory64,
                    CoreExternType::Table(table) => table.table64,
                    _ => false,
                }))
            }
        }
    }

    pub(super) fn add_instance(
        &mut self,
        parent: Option<InstanceIdx>,
        name: Box<str>,
    ) -> Result<InstanceIdx, PlanError> {
        if self.plan.instances.len() >= self.limits.max_instances as usize {
            return Err(PlanError::Limit {
                what: "component instances",
                limit: self.limits.max_instances.into(),
                option: "max_instances",
                offset: self.offset,
            });
        }
        self.plan.instances.push(ComponentInstance { parent, name });
        Ok(InstanceIdx(self.plan.instances.len() as u32 - 1))
    }

    /// The name of a child of `parent`: its own, after the parent's unless that is the root.
    fn instance_name(&self, parent: InstanceIdx, name: Option<&str>) -> Box<str> {
        let own = match name {
            Some(name) => name.to_owned(),
            None => format!("instance-{}", self.plan.instances.len()),
        };
        let full = match self.plan.instances.get(parent.index()) {
            Some(parent) if parent.parent.is_some() => format!("{}/{own}", parent.name),
            _ => own,
        };
        full.chars().take(MAX_NAME).collect()
    }
}

/// Module name and field name of each import.
type ImportNames = Vec<(Arc<str>, Arc<str>)>;

pub(super) fn core_space<'s>(scope: &'s Scope<'_>, kind: ExternalKind) -> &'s [CoreDef] {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => &scope.core_funcs,
        ExternalKind::Table => &scope.core_tables,
        ExternalKind::Memory => &scope.core_memories,
        ExternalKind::Global => &scope.core_globals,
        ExternalKind::Tag => &scope.core_tags,
    }
}

pub(super) fn core_space_mut<'s>(
    scope: &'s mut Scope<'_>,
    kind: ExternalKind,
) -> &'s mut Vec<CoreDef> {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => &mut scope.core_funcs,
        ExternalKind::Table => &mut scope.core_tables,
        ExternalKind::Memory => &mut scope.core_memories,
        ExternalKind::Global => &mut scope.core_globals,
        ExternalKind::Tag => &mut scope.core_tags,
    }
}
