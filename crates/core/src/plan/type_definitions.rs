//! Evaluating type definitions: their parts are looked up, and what comes out is interned.

use super::planner::Planner;
use super::scope::{CoreTypeItem, InterfaceType, ScopeId, TypeItem};
use super::{CoreExternType, CoreFuncType, CoreModuleType, PlanError, Resource, Step};
use crate::types::{Case, Field, FuncType, ResourceIdx, TypeDef, ValType};
use std::rc::Rc;
use wasmparser::{
    ComponentDefinedType, ComponentType, ComponentValType, CoreType, ModuleTypeDeclaration,
    PrimitiveValType, RecGroup, TypeRef,
};

impl<'a> Planner<'a> {
    /// Evaluates a type. A resource type is fresh each time.
    pub fn type_definition(
        &mut self,
        scope: ScopeId,
        ty: &'a ComponentType<'a>,
    ) -> Result<TypeItem<'a>, PlanError> {
        Ok(match ty {
            ComponentType::Defined(ty) => TypeItem::Value(self.defined_type(scope, ty)?),
            ComponentType::Func(ty) => {
                self.spend(ty.params.len())?;
                let func = FuncType {
                    params: self.fields(scope, &ty.params)?,
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
                if *rep != wasmparser::ValType::I32 {
                    return Err(
                        self.unsupported("a resource type whose representation is not `i32`")
                    );
                }
                let dtor = match dtor {
                    Some(index) => {
                        let funcs = &self.scope(scope).core_funcs;
                        Some(self.at(funcs, *index, "a core function")?.clone())
                    }
                    None => None,
                };
                let resource = ResourceIdx(self.plan.resources.len() as u32);
                let instance = self.scope(scope).instance;
                self.plan.resources.push(Resource::Defined { instance });
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
        let def = match ty {
            ComponentDefinedType::Primitive(ty) => return Ok(primitive(*ty)),
            ComponentDefinedType::Own(index) => {
                return Ok(ValType::Own(self.resource(scope, *index)?));
            }
            ComponentDefinedType::Borrow(index) => {
                return Ok(ValType::Borrow(self.resource(scope, *index)?));
            }
            ComponentDefinedType::Record(fields) => {
                self.spend(fields.len())?;
                TypeDef::Record(self.fields(scope, fields)?)
            }
            ComponentDefinedType::Variant(cases) => {
                self.spend(cases.len())?;
                let cases = cases.iter().map(|case| {
                    Ok(Case {
                        name: case.name.into(),
                        ty: self.optional(scope, case.ty)?,
                    })
                });
                TypeDef::Variant(cases.collect::<Result<_, PlanError>>()?)
            }
            ComponentDefinedType::List(ty) => TypeDef::List(self.value_type(scope, *ty)?),
            ComponentDefinedType::Map(key, value) => TypeDef::Map {
                key: self.value_type(scope, *key)?,
                value: self.value_type(scope, *value)?,
            },
            ComponentDefinedType::FixedLengthList(ty, length) => TypeDef::FixedList {
                element: self.value_type(scope, *ty)?,
                length: *length,
            },
            ComponentDefinedType::Tuple(fields) => {
                self.spend(fields.len())?;
                let fields = fields.iter().map(|ty| self.value_type(scope, *ty));
                TypeDef::Tuple(fields.collect::<Result<_, PlanError>>()?)
            }
            ComponentDefinedType::Flags(labels) => {
                self.spend(labels.len())?;
                TypeDef::Flags(labels.iter().map(|label| Box::from(*label)).collect())
            }
            ComponentDefinedType::Enum(labels) => {
                self.spend(labels.len())?;
                TypeDef::Enum(labels.iter().map(|label| Box::from(*label)).collect())
            }
            ComponentDefinedType::Option(ty) => TypeDef::Option(self.value_type(scope, *ty)?),
            ComponentDefinedType::Result { ok, err } => TypeDef::Result {
                ok: self.optional(scope, *ok)?,
                err: self.optional(scope, *err)?,
            },
            ComponentDefinedType::Future(ty) => TypeDef::Future(self.optional(scope, *ty)?),
            ComponentDefinedType::Stream(ty) => TypeDef::Stream(self.optional(scope, *ty)?),
        };
        let ty = self.plan.types.intern(def);
        ty.map_err(|error| self.refused(error))
    }

    fn fields(
        &self,
        scope: ScopeId,
        fields: &[(&str, ComponentValType)],
    ) -> Result<Box<[Field]>, PlanError> {
        let fields = fields.iter().map(|(name, ty)| {
            Ok(Field {
                name: Box::from(*name),
                ty: self.value_type(scope, *ty)?,
            })
        });
        fields.collect()
    }

    pub fn value_type(&self, scope: ScopeId, ty: ComponentValType) -> Result<ValType, PlanError> {
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

    pub fn optional(
        &self,
        scope: ScopeId,
        ty: Option<ComponentValType>,
    ) -> Result<Option<ValType>, PlanError> {
        ty.map(|ty| self.value_type(scope, ty)).transpose()
    }

    pub fn resource(&self, scope: ScopeId, index: u32) -> Result<ResourceIdx, PlanError> {
        match self.at(&self.scope(scope).types, index, "a type")? {
            TypeItem::Resource(resource) => Ok(*resource),
            _ => self.found(None, "a resource type"),
        }
    }

    /// Evaluates a core type, which may be a group of several.
    pub fn core_type(&mut self, scope: ScopeId, ty: &CoreType<'a>) -> Result<(), PlanError> {
        match ty {
            CoreType::Rec(group) => {
                let types = func_types(group);
                self.spend(types.len())?;
                self.scope_mut(scope).core_types.extend(types);
            }
            CoreType::Module(declarations) => {
                self.spend(declarations.len())?;
                let ty = self.module_type(scope, declarations)?;
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

fn primitive(ty: PrimitiveValType) -> ValType {
    match ty {
        PrimitiveValType::Bool => ValType::Bool,
        PrimitiveValType::S8 => ValType::S8,
        PrimitiveValType::U8 => ValType::U8,
        PrimitiveValType::S16 => ValType::S16,
        PrimitiveValType::U16 => ValType::U16,
        PrimitiveValType::S32 => ValType::S32,
        PrimitiveValType::U32 => ValType::U32,
        PrimitiveValType::S64 => ValType::S64,
        PrimitiveValType::U64 => ValType::U64,
        PrimitiveValType::F32 => ValType::F32,
        PrimitiveValType::F64 => ValType::F64,
        PrimitiveValType::Char => ValType::Char,
        PrimitiveValType::String => ValType::String,
        PrimitiveValType::ErrorContext => ValType::ErrorContext,
    }
}
