//! The instantiation plan: what a component's binary is decoded into, once.
//!
//! A component is a program that instantiates core modules and nested components and wires their definitions together. All of that wiring is
//! static, so [`Plan::new`] runs it symbolically: nested components are inlined, aliases and instance exports are followed to
//! what they name, and what remains is a flat list of [`Step`]s over flat index spaces.

mod canon;
mod decode;
mod describe;
mod error;
mod func;
mod indices;
mod interface;
mod limits;
pub mod names;
mod planner;
mod step;
mod stored;
#[cfg(test)]
mod tests;
mod valid;
mod value_types;

pub use canon::Canon;
pub use describe::Described;
pub use error::PlanError;
pub use func::{CoreFuncType, FuncDef, Lift, Options, StringEncoding, Trampoline};
pub use indices::{
    CoreInstanceIdx, ImportIdx, InstanceIdx, LiftIdx, ModuleIdx, OptionsIdx, TrampolineIdx,
};
pub use interface::{CoreExternType, CoreModuleType, Export, Import, ImportKind, Resource};
pub use limits::PlanLimits;
pub use step::{CoreDef, ModuleDef, Step};

use crate::types::{ResourceIdx, Types};
use std::ops::Range;
use valid::Bodies;

/// A decoded and validated component, ready to be linked and instantiated any number of times.
#[derive(Debug, Default)]
pub struct Plan {
    /// The types that the plan refers to.
    pub types: Types,
    /// The embedded core modules, as ranges of the component's binary.
    pub modules: Vec<Range<usize>>,
    /// Whether an embedded module that is instantiated defines exception tags.
    pub defines_tags: bool,
    /// The component instances that an instantiation creates, parents before children.
    pub instances: Vec<ComponentInstance>,
    /// What the root needs from outside.
    pub imports: Vec<Import>,
    /// The resource types that occur: imported ones and those defined by an instance of the plan.
    pub resources: Vec<Resource>,
    /// Every `canon` definition that makes a core function.
    pub trampolines: Vec<Trampoline>,
    /// Every `canon lift`.
    pub lifts: Vec<Lift>,
    /// The canonical options in use.
    pub options: Vec<Options>,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What the root exports.
    pub exports: Vec<(Box<str>, Export)>,
}

impl Plan {
    /// Decodes, validates and plans a component, with default limits.
    ///
    /// # Errors
    /// The binary is malformed, invalid or too large, or uses what Tidegate does not support.
    pub fn new(bytes: &[u8]) -> Result<Plan, PlanError> {
        Self::with_limits(bytes, &PlanLimits::default())
    }

    /// The same with limits of your own.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn with_limits(bytes: &[u8], limits: &PlanLimits) -> Result<Plan, PlanError> {
        Self::validated(bytes, limits, Bodies::Validate)
    }

    /// The same without validating the bodies of core functions: for whoever compiles every module at once with an engine that does.
    ///
    /// # Errors
    /// See [`new`](Self::new).
    pub fn without_bodies(bytes: &[u8], limits: &PlanLimits) -> Result<Plan, PlanError> {
        Self::validated(bytes, limits, Bodies::Skip)
    }

    /// Plans a binary that [`new`](Self::new) has accepted before, without validating it again: when its compiled form comes from a
    /// cache, for instance.
    ///
    /// # Errors
    /// The binary was not valid after all, as far as that is noticed.
    pub fn of_validated(bytes: &[u8], limits: &PlanLimits) -> Result<Plan, PlanError> {
        let decoded = decode::decode(bytes, valid::features(), limits)?;
        planner::plan(bytes, decoded, limits)
    }

    /// Whether a resource type is represented by an `i64`; only who defines it knows, so it is false for imported ones.
    pub fn rep64(&self, resource: ResourceIdx) -> bool {
        matches!(
            self.resources.get(resource.index()),
            Some(Resource::Defined { rep64: true, .. })
        )
    }

    fn validated(bytes: &[u8], limits: &PlanLimits, bodies: Bodies) -> Result<Plan, PlanError> {
        let decoded = decode::decode(bytes, valid::features(), limits)?;
        valid::check_types(&decoded.root, limits)?;
        valid::validate(bytes, bodies)?;
        planner::plan(bytes, decoded, limits)
    }
}

/// A component instance.
#[derive(Debug)]
pub struct ComponentInstance {
    /// The instance whose component definition instantiated this one; `None` for the root.
    pub parent: Option<InstanceIdx>,
    /// A name for messages: the names of the instantiation, from the root down.
    pub name: Box<str>,
}
