//! What is checked before the validator sees a component.
//!
//! Two things: that no value type is larger than the specification allows, in any definition whether it is ever instantiated or not;
//! and that types nest no deeper than the limit, because the validator counts on a small depth without refusing a large one.
//!
//! Every definition is evaluated once, with imports standing for themselves. The component has not been validated yet, so what an
//! index should refer to may be missing: that is passed over here, for the validator to refuse.

use crate::plan::decode::{Definition, Item};
use crate::plan::value_types::{Resolved, fields, primitive, resolve};
use crate::plan::{PlanError, PlanLimits};
use crate::types::{FuncType, ResourceIdx, TypeError, Types, ValType};
use std::collections::HashMap;
use std::rc::Rc;
use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentOuterAliasKind, ComponentType,
    ComponentTypeDeclaration, ComponentTypeRef, ComponentValType, InstanceTypeDeclaration,
    TypeBounds,
};

/// Checks a whole component.
///
/// # Errors
/// A type is too large or nests too deep.
pub(in crate::plan) fn check(root: &Definition<'_>, limits: &PlanLimits) -> Result<(), PlanError> {
    let mut checker = Checker {
        types: Types::default(),
        scopes: Vec::new(),
        limits,
        offset: 0,
    };
    checker.definition(root).map(|_| ())
}

/// Stands for every resource type: they are all alike in size and depth.
const RESOURCE: ResourceIdx = ResourceIdx(0);

struct Checker<'l, 'a> {
    types: Types,
    /// The scopes around what is checked, outermost first.
    scopes: Vec<Scope<'a>>,
    limits: &'l PlanLimits,
    offset: usize,
}

/// The index spaces that types can come from.
#[derive(Default)]
struct Scope<'a> {
    types: Vec<Shape<'a>>,
    funcs: Vec<u32>,
    instances: Vec<Rc<Exports<'a>>>,
    components: Vec<Rc<Exports<'a>>>,
}

/// What is checked of a type.
#[derive(Clone)]
enum Shape<'a> {
    Value(ValType),
    Resource,
    /// A function type of this depth.
    Func(u32),
    /// The type of an instance or a component.
    Interface(Rc<Exports<'a>>),
    /// A type that is not valid.
    Unknown,
}

/// What is checked of an instance, a component or the type of one.
#[derive(Default)]
struct Exports<'a> {
    exports: HashMap<&'a str, Entity<'a>>,
    depth: u32,
}

#[derive(Clone)]
enum Entity<'a> {
    Type(Shape<'a>),
    Func(u32),
    Instance(Rc<Exports<'a>>),
    Component(Rc<Exports<'a>>),
    Other,
}

impl<'a> Checker<'_, 'a> {
    fn definition(&mut self, definition: &Definition<'a>) -> Result<Rc<Exports<'a>>, PlanError> {
        self.scopes.push(Scope::default());
        let mut exports = Exports::default();
        for (offset, item) in &definition.items {
            self.offset = *offset;
            match item {
                Item::Component(nested) => {
                    let nested = self.definition(nested)?;
                    self.push(Entity::Component(nested));
                }
                Item::Instance(instance) => {
                    let instance = self.instance(instance)?;
                    self.push(Entity::Instance(instance));
                }
                Item::Alias(alias) => self.alias(alias),
                Item::Type(ty) => {
                    let shape = self.shape(ty)?;
                    self.push(Entity::Type(shape));
                }
                Item::Canon(wasmparser::CanonicalFunction::Lift { type_index, .. }) => {
                    let func = self.referred(ComponentTypeRef::Func(*type_index));
                    self.push(func);
                }
                Item::Import(import) => {
                    let entity = self.referred(import.ty);
                    self.contain(&mut exports, &entity)?;
                    self.push(entity);
                }
                Item::Export(export) => {
                    let entity = match export.ty {
                        Some(ty) => self.referred(ty),
                        None => self.entity(export.kind, export.index),
                    };
                    self.contain(&mut exports, &entity)?;
                    exports.exports.insert(export.name.name, entity.clone());
                    self.push(entity);
                }
                _ => {}
            }
        }
        self.scopes.pop();
        Ok(Rc::new(exports))
    }

    fn instance(
        &mut self,
        instance: &wasmparser::ComponentInstance<'a>,
    ) -> Result<Rc<Exports<'a>>, PlanError> {
        match instance {
            wasmparser::ComponentInstance::Instantiate {
                component_index, ..
            } => {
                let index = *component_index;
                match self.entity(ComponentExternalKind::Component, index) {
                    Entity::Component(exports) => Ok(exports),
                    _ => Ok(Rc::default()),
                }
            }
            wasmparser::ComponentInstance::FromExports(list) => {
                let mut exports = Exports::default();
                for export in list {
                    let entity = self.entity(export.kind, export.index);
                    self.contain(&mut exports, &entity)?;
                    exports.exports.insert(export.name.name, entity);
                }
                Ok(Rc::new(exports))
            }
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'a>) {
        match *alias {
            ComponentAlias::InstanceExport {
                kind,
                instance_index,
                name,
            } => {
                let instance = self.here().instances.get(instance_index as usize);
                let entity = instance.and_then(|instance| instance.exports.get(name).cloned());
                self.push(entity.unwrap_or_else(|| unknown(kind)));
            }
            ComponentAlias::CoreInstanceExport { .. } => {}
            ComponentAlias::Outer { kind, count, index } => {
                let outer = (self.scopes.len().checked_sub(1))
                    .and_then(|here| here.checked_sub(count as usize));
                let scope = outer.and_then(|outer| self.scopes.get(outer));
                let index = index as usize;
                let entity = match kind {
                    ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::CoreType => {
                        return;
                    }
                    ComponentOuterAliasKind::Type => {
                        let shape = scope.and_then(|scope| scope.types.get(index));
                        Entity::Type(shape.cloned().unwrap_or(Shape::Unknown))
                    }
                    ComponentOuterAliasKind::Component => {
                        let exports = scope.and_then(|scope| scope.components.get(index));
                        Entity::Component(exports.cloned().unwrap_or_default())
                    }
                };
                self.push(entity);
            }
        }
    }

    fn shape(&mut self, ty: &ComponentType<'a>) -> Result<Shape<'a>, PlanError> {
        match ty {
            ComponentType::Defined(ty) => {
                let resolved = resolve(ty, |ty| self.value(ty), |_| Ok(RESOURCE));
                match resolved {
                    Ok(Resolved::Scalar(ty)) => Ok(Shape::Value(ty)),
                    Ok(Resolved::Composite(def)) => {
                        let ty = self.types.intern(def);
                        ty.map(Shape::Value).map_err(|error| self.refused(error))
                    }
                    Err(Missing) => Ok(Shape::Unknown),
                }
            }
            ComponentType::Func(ty) => {
                let parts = fields(&ty.params, &mut |ty| self.value(ty));
                let result = ty.result.map(|ty| self.value(ty)).transpose();
                let (Ok(params), Ok(result)) = (parts, result) else {
                    return Ok(Shape::Unknown);
                };
                let parts = params.iter().map(|param| param.ty).chain(result);
                let depth = parts.map(|ty| self.types.depth(ty)).max().unwrap_or(0);
                let func = FuncType {
                    params,
                    result,
                    async_: ty.async_,
                };
                self.types
                    .intern_func(func)
                    .map_err(|error| self.refused(error))?;
                Ok(Shape::Func(depth + 1))
            }
            ComponentType::Instance(declarations) => {
                self.scopes.push(Scope::default());
                let mut exports = Exports::default();
                for declaration in declarations {
                    self.declaration(&mut exports, declaration)?;
                }
                self.scopes.pop();
                Ok(Shape::Interface(Rc::new(exports)))
            }
            ComponentType::Component(declarations) => {
                self.scopes.push(Scope::default());
                let mut exports = Exports::default();
                for declaration in declarations {
                    match declaration {
                        ComponentTypeDeclaration::Import(import) => {
                            let entity = self.referred(import.ty);
                            self.contain(&mut exports, &entity)?;
                            self.push(entity);
                        }
                        ComponentTypeDeclaration::Type(ty) => {
                            let shape = self.shape(ty)?;
                            self.push(Entity::Type(shape));
                        }
                        ComponentTypeDeclaration::Alias(alias) => self.alias(alias),
                        ComponentTypeDeclaration::Export { name, ty } => {
                            self.declared_export(&mut exports, name.name, *ty)?;
                        }
                        ComponentTypeDeclaration::CoreType(_) => {}
                    }
                }
                self.scopes.pop();
                Ok(Shape::Interface(Rc::new(exports)))
            }
            ComponentType::Resource { .. } => Ok(Shape::Resource),
        }
    }

    fn declaration(
        &mut self,
        exports: &mut Exports<'a>,
        declaration: &InstanceTypeDeclaration<'a>,
    ) -> Result<(), PlanError> {
        match declaration {
            InstanceTypeDeclaration::CoreType(_) => {}
            InstanceTypeDeclaration::Type(ty) => {
                let shape = self.shape(ty)?;
                self.push(Entity::Type(shape));
            }
            InstanceTypeDeclaration::Alias(alias) => self.alias(alias),
            InstanceTypeDeclaration::Export { name, ty } => {
                self.declared_export(exports, name.name, *ty)?;
            }
        }
        Ok(())
    }

    fn declared_export(
        &mut self,
        exports: &mut Exports<'a>,
        name: &'a str,
        ty: ComponentTypeRef,
    ) -> Result<(), PlanError> {
        let entity = self.referred(ty);
        self.contain(exports, &entity)?;
        exports.exports.insert(name, entity.clone());
        self.push(entity);
        Ok(())
    }

    /// Notes that `exports` contain an entity, and so are deeper than it.
    fn contain(&self, exports: &mut Exports<'a>, entity: &Entity<'a>) -> Result<(), PlanError> {
        let depth = match entity {
            Entity::Type(Shape::Value(ty)) => self.types.depth(*ty),
            Entity::Type(Shape::Func(depth)) | Entity::Func(depth) => *depth,
            Entity::Type(Shape::Interface(nested))
            | Entity::Instance(nested)
            | Entity::Component(nested) => nested.depth,
            Entity::Type(Shape::Resource | Shape::Unknown) | Entity::Other => 0,
        };
        exports.depth = exports.depth.max(depth + 1);
        if exports.depth > self.limits.max_depth {
            return Err(PlanError::Limit {
                what: "levels of nested types",
                limit: self.limits.max_depth.into(),
                option: "max_depth",
                offset: self.offset,
            });
        }
        Ok(())
    }

    /// What an import or export of type `ty` is.
    fn referred(&self, ty: ComponentTypeRef) -> Entity<'a> {
        let shape = |index: u32| match self.here().types.get(index as usize) {
            Some(shape) => shape.clone(),
            None => Shape::Unknown,
        };
        let interface = |index| match shape(index) {
            Shape::Interface(exports) => exports,
            _ => Rc::default(),
        };
        match ty {
            ComponentTypeRef::Func(index) => match shape(index) {
                Shape::Func(depth) => Entity::Func(depth),
                _ => Entity::Func(0),
            },
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => Entity::Type(shape(index)),
            ComponentTypeRef::Type(TypeBounds::SubResource) => Entity::Type(Shape::Resource),
            ComponentTypeRef::Instance(index) => Entity::Instance(interface(index)),
            ComponentTypeRef::Component(index) => Entity::Component(interface(index)),
            ComponentTypeRef::Module(_) | ComponentTypeRef::Value(_) => Entity::Other,
        }
    }

    fn entity(&self, kind: ComponentExternalKind, index: u32) -> Entity<'a> {
        let (scope, at) = (self.here(), index as usize);
        let entity = match kind {
            ComponentExternalKind::Func => scope.funcs.get(at).copied().map(Entity::Func),
            ComponentExternalKind::Type => scope.types.get(at).cloned().map(Entity::Type),
            ComponentExternalKind::Instance => {
                scope.instances.get(at).cloned().map(Entity::Instance)
            }
            ComponentExternalKind::Component => {
                scope.components.get(at).cloned().map(Entity::Component)
            }
            ComponentExternalKind::Module | ComponentExternalKind::Value => None,
        };
        entity.unwrap_or_else(|| unknown(kind))
    }

    fn push(&mut self, entity: Entity<'a>) {
        let Some(scope) = self.scopes.last_mut() else {
            return;
        };
        match entity {
            Entity::Type(shape) => scope.types.push(shape),
            Entity::Func(depth) => scope.funcs.push(depth),
            Entity::Instance(exports) => scope.instances.push(exports),
            Entity::Component(exports) => scope.components.push(exports),
            Entity::Other => {}
        }
    }

    fn here(&self) -> &Scope<'a> {
        // Whatever is checked is inside a scope.
        self.scopes.last().expect("a scope is open")
    }

    fn value(&self, ty: ComponentValType) -> Result<ValType, Missing> {
        match ty {
            ComponentValType::Primitive(ty) => Ok(primitive(ty)),
            ComponentValType::Type(index) => match self.here().types.get(index as usize) {
                Some(Shape::Value(ty)) => Ok(*ty),
                _ => Err(Missing),
            },
        }
    }

    fn refused(&self, source: TypeError) -> PlanError {
        PlanError::Type {
            source,
            offset: self.offset,
        }
    }
}

/// A part of a type is not there, or is no value type.
struct Missing;

/// Takes the place of something that is not there, in the index space of its kind.
fn unknown<'a>(kind: ComponentExternalKind) -> Entity<'a> {
    match kind {
        ComponentExternalKind::Func => Entity::Func(0),
        ComponentExternalKind::Type => Entity::Type(Shape::Unknown),
        ComponentExternalKind::Instance => Entity::Instance(Rc::default()),
        ComponentExternalKind::Component => Entity::Component(Rc::default()),
        ComponentExternalKind::Module | ComponentExternalKind::Value => Entity::Other,
    }
}
