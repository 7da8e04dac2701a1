//! The index spaces of a component under evaluation, and what their entries stand for.

use crate::plan::decode::Definition;
use crate::plan::{
    CoreDef, CoreFuncType, CoreModuleType, FuncDef, InstanceIdx, ModuleDef, PlanError, PlanLimits,
};
use crate::types::{FuncTypeIdx, ResourceIdx, ValType};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use wasmparser::InstanceTypeDeclaration;

/// A scope: an index into the planner's list. Scopes outlive what is evaluated in them, because closures refer to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScopeId(pub u32);

/// One execution of a component definition, or one evaluation of an interface type: a full set of index spaces.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    /// The scope around the definition, for outer aliases.
    pub parent: Option<ScopeId>,
    /// The component instance that the definitions belong to.
    pub instance: InstanceIdx,
    pub core_funcs: Vec<CoreDef>,
    pub core_tables: Vec<CoreDef>,
    pub core_memories: Vec<CoreDef>,
    pub core_globals: Vec<CoreDef>,
    pub core_tags: Vec<CoreDef>,
    pub core_types: Vec<CoreTypeItem>,
    pub core_instances: Vec<CoreInstanceItem<'a>>,
    pub modules: Vec<ModuleDef>,
    pub funcs: Vec<FuncItem>,
    pub types: Vec<TypeItem<'a>>,
    pub instances: Vec<Rc<Exports<'a>>>,
    pub components: Vec<Component<'a>>,
}

impl Scope<'_> {
    pub fn new(parent: Option<ScopeId>, instance: InstanceIdx) -> Self {
        Self {
            parent,
            instance,
            core_funcs: Vec::new(),
            core_tables: Vec::new(),
            core_memories: Vec::new(),
            core_globals: Vec::new(),
            core_tags: Vec::new(),
            core_types: Vec::new(),
            core_instances: Vec::new(),
            modules: Vec::new(),
            funcs: Vec::new(),
            types: Vec::new(),
            instances: Vec::new(),
            components: Vec::new(),
        }
    }
}

/// An entry of the core type index space.
#[derive(Clone, Debug)]
pub(super) enum CoreTypeItem {
    Func(Rc<CoreFuncType>),
    Module(Rc<CoreModuleType>),
    /// A type that only core modules use.
    Other,
}

/// An entry of the core instance index space.
#[derive(Clone, Debug)]
pub(super) enum CoreInstanceItem<'a> {
    /// An instantiated module: the number of its step.
    Instantiated(crate::plan::CoreInstanceIdx),
    /// Named definitions.
    Bag(Rc<HashMap<&'a str, CoreDef>>),
}

/// A component function.
#[derive(Clone, Copy, Debug)]
pub(super) struct FuncItem {
    pub def: FuncDef,
    pub ty: FuncTypeIdx,
}

/// An entry of the type index space. Value and function types are resolved; types of instances remain closures, because each
/// evaluation of one may stand for other resources.
#[derive(Clone, Copy, Debug)]
pub(super) enum TypeItem<'a> {
    Value(ValType),
    Func(FuncTypeIdx),
    Resource(ResourceIdx),
    Instance(InterfaceType<'a>),
    /// The type of a component, of which nothing more is needed.
    Component,
}

/// An instance type: its declarations and where they are to be evaluated.
#[derive(Clone, Copy, Debug)]
pub(super) struct InterfaceType<'a> {
    pub declarations: &'a [InstanceTypeDeclaration<'a>],
    pub scope: ScopeId,
}

/// A component: its definition and where outer aliases lead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Component<'a> {
    pub definition: &'a Definition<'a>,
    pub scope: ScopeId,
}

/// Anything that has a name in an instance.
#[derive(Clone, Debug)]
pub(super) enum Entity<'a> {
    Module(ModuleDef),
    Func(FuncItem),
    Type(TypeItem<'a>),
    Instance(Rc<Exports<'a>>),
    Component(Component<'a>),
}

/// What a component instance exports, or what an instantiation is given.
#[derive(Debug, Default)]
pub(super) struct Exports<'a> {
    list: Vec<(Arc<str>, Entity<'a>)>,
    index: HashMap<Arc<str>, usize>,
    /// How deep instances nest in here.
    depth: u32,
}

impl<'a> Exports<'a> {
    /// Adds an export. The validator has seen to it that names differ.
    pub fn add(
        &mut self,
        name: &str,
        entity: Entity<'a>,
        offset: usize,
        limits: &PlanLimits,
    ) -> Result<(), PlanError> {
        if let Entity::Instance(nested) = &entity {
            self.depth = self.depth.max(nested.depth + 1);
            if self.depth > limits.max_depth {
                return Err(PlanError::Limit {
                    what: "levels of nested instances",
                    limit: limits.max_depth.into(),
                    option: "max_depth",
                    offset,
                });
            }
        }
        let name: Arc<str> = name.into();
        self.index.insert(name.clone(), self.list.len());
        self.list.push((name, entity));
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&Entity<'a>> {
        Some(&self.list[*self.index.get(name)?].1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entity<'a>)> {
        self.list.iter().map(|(name, entity)| (&**name, entity))
    }
}
