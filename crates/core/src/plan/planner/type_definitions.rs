//! Evaluating type definitions: their parts are looked up, and what comes out is interned.

use super::scope::{CoreTypeItem, InterfaceType, ScopeId, TypeItem};
use super::{Planner, weight};
use crate::plan::value_types::{Resolved, fields, part_count, primitive, resolve};
use crate::plan::{CoreExternType, CoreFuncType, CoreModuleType, PlanError, Resource, Step};
use crate::types::{FuncType, ResourceIdx, ValType};
use std::rc::Rc;
use wasmparser::{
    ComponentDefinedType, ComponentType, ComponentValType, CoreType, ModuleTypeDeclaration,
    RecGroup, TypeRef,
};

impl<'a> Planner<'a> {
    /// Evaluates a type. A resource type is fresh each time.
    pub(super) fn type_definition(
        &mut self,
        scope: ScopeId,
        ty: &'a ComponentType<'a>,
    ) -> Result<TypeItem<'a>, PlanError> {
        Ok(match ty {
            ComponentType::Defined(ty) => TypeItem::Value(self.defined_type(scope, ty)?),
            ComponentType::Func(ty) => {
                self.spend(ty.params.iter().map(|(name, _)| weight(name)).sum())?;
                let func = FuncType {
                    params: fields(&ty.params, &mut |ty| self.value_type(scope, ty))?,
                    result: self.optional(scope, ty.result)?,
                    async_: ty.async_,
                };
                let index = self.plan.types.intern_func(func);
                TypeItem::Func(index.map_err(|error| self.refused(error))?)
            }
            ComponentType::Component(_) => TypeItem::Component,
            ComponentType::Instance(declarations) => TypeItem::Instance(InterfaceType {
                declarations,
                scope,
            }),
            ComponentType::Resource { rep, dtor } => {
                // Validation allows `i32` and `i64`.
                let rep64 = *rep == wasmparser::ValType::I64;
                let dtor = match dtor {
                    Some(index) => {
                        let funcs = &self.scope(scope).core_funcs;
                        Some(self.at(funcs, *index, "a core function")?.clone())
                    }
                    None => None,
                };
                let resource = ResourceIdx(self.plan.resources.len() as u32);
                let instance = self.scope(scope).instance;
                self.plan
                    .resources
                    .push(Resource::Defined { instance, rep64 });
                self.plan.steps.push(Step::Resource { resource, dtor });
                TypeItem::Resource(resource)
            }
        })
    }

    fn defined_type(
        &mut self,
        scope: ScopeId,
        ty: &ComponentDefinedType<'a>,
    ) -> Result<ValType, PlanError> {
        self.spend(part_count(ty))?;
        let value = |ty| self.value_type(scope, ty);
        let def = match resolve(ty, value, |index| self.resource(scope, index))? {
            Resolved::Scalar(ty) => return Ok(ty),
            Resolved::Composite(def) => def,
        };
        let ty = self.plan.types.intern(def);
        ty.map_err(|error| self.refused(error))
    }

    pub(super) fn value_type(
        &self,
        scope: ScopeId,
        ty: ComponentValType,
    ) -> Result<ValType, PlanError> {
        match ty {
            ComponentValType::Primitive(ty) => Ok(primitive(ty)),
            ComponentValType::Type(index) => {
                match self.at(&self.scope(scope).types, index, "a type")? {
                    TypeItem::Value(ty) => Ok(*ty),
                    _ => self.found(None, "a value type"),
                }
            }
        }
    }

    pub(super) fn optional(
        &self,
        scope: ScopeId,
        ty: Option<ComponentValType>,
    ) -> Result<Option<ValType>, PlanError> {
        ty.map(|ty| self.value_type(scope, ty)).transpose()
    }

    pub(super) fn resource(&self, scope: ScopeId, index: u32) -> Result<ResourceIdx, PlanError> {
        match self.at(&self.scope(scope).types, index, "a type")? {
            TypeItem::Resource(resource) => Ok(*resource),
            _ => self.found(None, "a resource type"),
        }
    }

    /// Evaluates a core type, which may be a group of several.
    pub(super) fn core_type(&mut self, scope: ScopeId, ty: &CoreType<'a>) -> Result<(), PlanError> {
        match ty {
            CoreType::Rec(group) => {
                let types = func_types(group);
                self.spend(types.iter().map(core_weight).sum())?;
                self.scope_mut(scope).core_types.extend(types);
            }
            CoreType::Module(declarations) => {
                self.spend(declarations.len())?;
                let ty = self.module_type(scope, declarations)?;
                self.spend(module_weight(&ty))?;
                let item = CoreTypeItem::Module(Rc::new(ty));
                self.scope_mut(scope).core_types.push(item);
            }
        }
        Ok(())
    }

    fn module_type(
        &self,
        scope: ScopeId,
        declarations: &[ModuleTypeDeclaration<'a>],
    ) -> Result<CoreModuleType, PlanError> {
        let mut module = CoreModuleType::default();
        let mut types = Vec::new();
        for declaration in declarations {
            match declaration {
                ModuleTypeDeclaration::Type(group) => types.extend(func_types(group)),
                ModuleTypeDeclaration::OuterAlias { count, index, .. } => {
                    // A module type is a scope itself: one level out is the scope that it is defined in.
                    let mut outer = scope;
                    for _ in 1..*count {
                        outer = self.found(self.scope(outer).parent, "an outer component")?;
                    }
                    let space = match count {
                        0 => &types,
                        _ => &self.scope(outer).core_types,
                    };
                    types.push(self.at(space, *index, "a core type")?.clone());
                }
                ModuleTypeDeclaration::Import(import) => {
                    let ty = self.core_extern_type(&types, import.ty)?;
                    let names = (import.module.into(), import.name.into());
                    module.imports.push((names.0, names.1, ty));
                }
                ModuleTypeDeclaration::Export { name, ty } => {
                    let ty = self.core_extern_type(&types, *ty)?;
                    module.exports.push(((*name).into(), ty));
                }
            }
        }
        Ok(module)
    }

    fn core_extern_type(
        &self,
        types: &[CoreTypeItem],
        ty: TypeRef,
    ) -> Result<CoreExternType, PlanError> {
        let func = |index| match self.at(types, index, "a core type")? {
            CoreTypeItem::Func(ty) => Ok((**ty).clone()),
            _ => self.found(None, "a core function type"),
        };
        Ok(match ty {
            TypeRef::Func(index) | TypeRef::FuncExact(index) => CoreExternType::Func(func(index)?),
            TypeRef::Tag(tag) => CoreExternType::Tag(func(tag.func_type_idx)?),
            TypeRef::Memory(ty) => CoreExternType::Memory(ty),
            TypeRef::Table(ty) => CoreExternType::Table(ty),
            TypeRef::Global(ty) => CoreExternType::Global(ty),
        })
    }
}

/// The types of a recursion group, as far as they are function types.
fn func_types(group: &RecGroup) -> Vec<CoreTypeItem> {
    let types = group.types();
    types
        .map(|ty| match &ty.composite_type.inner {
            wasmparser::CompositeInnerType::Func(ty) => CoreTypeItem::Func(Rc::new(CoreFuncType {
                params: ty.params().into(),
                results: ty.results().into(),
            })),
            _ => CoreTypeItem::Other,
        })
        .collect()
}

/// What a core type counts for in the limits.
fn core_weight(ty: &CoreTypeItem) -> usize {
    match ty {
        CoreTypeItem::Func(ty) => func_weight(ty),
        CoreTypeItem::Module(ty) => module_weight(ty),
        CoreTypeItem::Other => 1,
    }
}

fn func_weight(ty: &CoreFuncType) -> usize {
    1 + (ty.params.len() + ty.results.len()) / 8
}

/// What a module type counts for in the limits.
pub(super) fn module_weight(ty: &CoreModuleType) -> usize {
    let extern_weight = |ty: &CoreExternType| match ty {
        CoreExternType::Func(ty) | CoreExternType::Tag(ty) => func_weight(ty),
        _ => 1,
    };
    let imports = ty.imports.iter();
    let imports: usize = imports
        .map(|(module, name, ty)| weight(module) + weight(name) + extern_weight(ty))
        .sum();
    let exports = ty.exports.iter();
    let exports: usize = exports
        .map(|(name, ty)| weight(name) + extern_weight(ty))
        .sum();
    imports + exports
}
