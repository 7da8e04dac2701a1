//! Binding imports: to the arguments of an instantiation, or, for the root, to what the outside must provide.

use super::scope::{CoreTypeItem, Entity, Exports, FuncItem, InterfaceType, ScopeId, TypeItem};
use super::type_definitions::module_weight;
use super::{Planner, weight};
use crate::plan::{FuncDef, ImportKind, ModuleDef, PlanError, Resource};
use crate::types::ResourceIdx;
use std::rc::Rc;
use wasmparser::{ComponentExternName, ComponentTypeRef, InstanceTypeDeclaration, TypeBounds};

/// Where the imports of a component, or the exports that an instance type declares, come from.
#[derive(Clone, Copy)]
pub(super) enum Source<'s, 'a> {
    /// From outside the root.
    Outside,
    /// From these.
    Given(&'s Exports<'a>),
}

/// An extern name with the version completed by its suffix, if it has one.
pub(super) fn full_name(name: &ComponentExternName<'_>) -> String {
    match name.version_suffix {
        Some(suffix) if name.implements.is_none() && name.name.contains('@') => {
            format!("{}{suffix}", name.name)
        }
        _ => name.name.to_owned(),
    }
}

impl<'a> Planner<'a> {
    /// Binds an import or declared export of type `ty` to `given`, restricted to what the type shows.
    pub(super) fn bind_given(
        &mut self,
        scope: ScopeId,
        given: Entity<'a>,
        ty: ComponentTypeRef,
    ) -> Result<Entity<'a>, PlanError> {
        match (ty, given) {
            (ComponentTypeRef::Instance(index), Entity::Instance(exports)) => {
                let ty = self.interface_type(scope, index)?;
                let shown = self.show_interface(ty, &exports)?;
                Ok(Entity::Instance(Rc::new(shown)))
            }
            (ComponentTypeRef::Value(_), _) => Err(self.unsupported("component values")),
            (_, given) => Ok(given),
        }
    }

    /// Makes an import of the root: a leaf, or the leaves of an instance.
    pub(super) fn bind_import(
        &mut self,
        scope: ScopeId,
        path: Vec<Box<str>>,
        implements: Option<&'a str>,
        ty: ComponentTypeRef,
    ) -> Result<Entity<'a>, PlanError> {
        self.spend(path.iter().map(|name| weight(name)).sum())?;
        Ok(match ty {
            ComponentTypeRef::Func(index) => {
                let TypeItem::Func(ty) = *self.at(&self.scope(scope).types, index, "a type")?
                else {
                    return self.found(None, "a function type");
                };
                let import = self.add_import(path, implements, ImportKind::Func(ty));
                let def = FuncDef::Import(import);
                Entity::Func(FuncItem { def, ty })
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => {
                let ty = *self.at(&self.scope(scope).types, index, "a type")?;
                Entity::Type(ty)
            }
            ComponentTypeRef::Type(TypeBounds::SubResource) => {
                let resource = ResourceIdx(self.plan.resources.len() as u32);
                if let Some(name) = path.last() {
                    self.plan.types.name_resource(resource, name);
                }
                let import = self.add_import(path, implements, ImportKind::Resource(resource));
                self.plan.resources.push(Resource::Imported(import));
                Entity::Type(TypeItem::Resource(resource))
            }
            ComponentTypeRef::Module(index) => {
                let ty = self.at(&self.scope(scope).core_types, index, "a core type")?;
                let CoreTypeItem::Module(ty) = ty.clone() else {
                    return self.found(None, "a module type");
                };
                self.spend(module_weight(&ty))?;
                let kind = ImportKind::Module(Box::new((*ty).clone()));
                let import = self.add_import(path, implements, kind);
                self.imported_modules.insert(import, ty);
                Entity::Module(ModuleDef::Import(import))
            }
            ComponentTypeRef::Instance(index) => {
                let ty = self.interface_type(scope, index)?;
                let leaves = self.plan.imports.len();
                let exports = self.import_interface(ty, &path, implements)?;
                if self.plan.imports.len() == leaves {
                    self.add_import(path, implements, ImportKind::EmptyInstance);
                }
                Entity::Instance(Rc::new(exports))
            }
            ComponentTypeRef::Component(_) => {
                return Err(self.unsupported(format!(
                    "import of the component `{}`: the embedder cannot provide components; compose it in beforehand",
                    path.join("` `")
                )));
            }
            ComponentTypeRef::Value(_) => {
                return Err(self.unsupported(format!(
                    "import of the value `{}`: component values are not supported",
                    path.join("` `")
                )));
            }
        })
    }

    fn interface_type(&self, scope: ScopeId, index: u32) -> Result<InterfaceType<'a>, PlanError> {
        match self.at(&self.scope(scope).types, index, "a type")? {
            TypeItem::Instance(ty) => Ok(*ty),
            _ => self.found(None, "an instance type"),
        }
    }

    /// An instance as its type shows it: without the exports that the type does not mention.
    fn show_interface(
        &mut self,
        ty: InterfaceType<'a>,
        given: &Exports<'a>,
    ) -> Result<Exports<'a>, PlanError> {
        self.declare(ty, |planner, scope, name, ty| {
            let given = planner.found(given.get(name), "an export")?.clone();
            planner.bind_given(scope, given, ty)
        })
    }

    fn import_interface(
        &mut self,
        ty: InterfaceType<'a>,
        path: &[Box<str>],
        implements: Option<&'a str>,
    ) -> Result<Exports<'a>, PlanError> {
        self.declare(ty, |planner, scope, name, ty| {
            let path = path.iter().cloned().chain([name.into()]).collect();
            planner.bind_import(scope, path, implements, ty)
        })
    }

    /// Evaluates an instance type in a scope of its own, with `bind` to say what each export is.
    fn declare(
        &mut self,
        ty: InterfaceType<'a>,
        mut bind: impl FnMut(
            &mut Self,
            ScopeId,
            &'a str,
            ComponentTypeRef,
        ) -> Result<Entity<'a>, PlanError>,
    ) -> Result<Exports<'a>, PlanError> {
        self.enter()?;
        let instance = self.scope(ty.scope).instance;
        let scope = self.add_scope(Some(ty.scope), instance)?;
        let mut exports = Exports::default();
        for declaration in ty.declarations {
            self.spend(1)?;
            match declaration {
                InstanceTypeDeclaration::CoreType(ty) => self.core_type(scope, ty)?,
                InstanceTypeDeclaration::Type(ty) => {
                    let ty = self.type_definition(scope, ty)?;
                    self.scope_mut(scope).types.push(ty);
                }
                InstanceTypeDeclaration::Alias(alias) => self.alias(scope, alias)?,
                InstanceTypeDeclaration::Export { name, ty } => {
                    self.spend(weight(name.name))?;
                    let entity = bind(self, scope, name.name, *ty)?;
                    exports.add(name.name, entity.clone(), self.offset, self.limits)?;
                    self.push(scope, entity);
                }
            }
        }
        self.leave();
        Ok(exports)
    }
}
