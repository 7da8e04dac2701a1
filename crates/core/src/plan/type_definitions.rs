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
        self.spend(part_count(ty))?;
        let value = |ty| self.value_type(scope, ty);
        let def = match resolve(ty, value, |index| self.resource(scope, index))? {
            Resolved::Scalar(ty) => return Ok(ty),
            Resolved::Composite(def) => def,
        };
        let ty = self.plan.types.intern(def);
        ty.map_err(|error| self.refused(error))
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

/// A value type whose parts have been looked up.
pub(super) enum Resolved {
    Scalar(ValType),
    /// To be interned.
    Composite(TypeDef),
}

/// Looks up the parts of a value type.
pub(super) fn resolve<E>(
    ty: &ComponentDefinedType<'_>,
    mut value: impl FnMut(ComponentValType) -> Result<ValType, E>,
    resource: impl FnOnce(u32) -> Result<ResourceIdx, E>,
) -> Result<Resolved, E> {
    let labels = |labels: &[&str]| labels.iter().map(|label| Box::from(*label)).collect();
    Ok(Resolved::Composite(match ty {
        ComponentDefinedType::Primitive(ty) => return Ok(Resolved::Scalar(primitive(*ty))),
        ComponentDefinedType::Own(index) => {
            return Ok(Resolved::Scalar(ValType::Own(resource(*index)?)));
        }
        ComponentDefinedType::Borrow(index) => {
            return Ok(Resolved::Scalar(ValType::Borrow(resource(*index)?)));
        }
        ComponentDefinedType::Record(parts) => TypeDef::Record(fields(parts, &mut value)?),
        ComponentDefinedType::Variant(cases) => {
            let cases = cases.iter().map(|case| {
                Ok(Case {
                    name: case.name.into(),
                    ty: case.ty.map(&mut value).transpose()?,
                })
            });
            TypeDef::Variant(cases.collect::<Result<_, E>>()?)
        }
        ComponentDefinedType::List(ty) => TypeDef::List(value(*ty)?),
        ComponentDefinedType::Map(key, entry) => TypeDef::Map {
            key: value(*key)?,
            value: value(*entry)?,
        },
        ComponentDefinedType::FixedLengthList(ty, length) => TypeDef::FixedList {
            element: value(*ty)?,
            length: *length,
        },
        ComponentDefinedType::Tuple(parts) => {
            let parts = parts.iter().copied().map(value);
            TypeDef::Tuple(parts.collect::<Result<_, E>>()?)
        }
        ComponentDefinedType::Flags(names) => TypeDef::Flags(labels(names)),
        ComponentDefinedType::Enum(names) => TypeDef::Enum(labels(names)),
        ComponentDefinedType::Option(ty) => TypeDef::Option(value(*ty)?),
        ComponentDefinedType::Result { ok, err } => TypeDef::Result {
            ok: ok.map(&mut value).transpose()?,
            err: err.map(&mut value).transpose()?,
        },
        ComponentDefinedType::Future(ty) => TypeDef::Future(ty.map(value).transpose()?),
        ComponentDefinedType::Stream(ty) => TypeDef::Stream(ty.map(value).transpose()?),
    }))
}

/// Named parts with their types looked up by `value`.
pub(super) fn fields<E>(
    parts: &[(&str, ComponentValType)],
    value: &mut impl FnMut(ComponentValType) -> Result<ValType, E>,
) -> Result<Box<[Field]>, E> {
    let fields = parts.iter().map(|(name, ty)| {
        Ok(Field {
            name: Box::from(*name),
            ty: value(*ty)?,
        })
    });
    fields.collect()
}

/// How many parts a type lists.
fn part_count(ty: &ComponentDefinedType<'_>) -> usize {
    match ty {
        ComponentDefinedType::Record(parts) => parts.len(),
        ComponentDefinedType::Variant(cases) => cases.len(),
        ComponentDefinedType::Tuple(parts) => parts.len(),
        ComponentDefinedType::Flags(labels) | ComponentDefinedType::Enum(labels) => labels.len(),
        _ => 0,
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

pub(super) fn primitive(ty: PrimitiveValType) -> ValType {
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
