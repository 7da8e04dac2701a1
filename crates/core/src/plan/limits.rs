//! How large a component may be.

/// Limits on what one component can make the planner, and later the instantiation, do.
///
/// A small binary can describe a huge component, because nested components are inlined wherever they are instantiated. What the binary's own
/// size bounds needs no limit here; [`types`](crate::types) has those of single types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanLimits {
    /// How deep component definitions, instantiations and interface types may nest, each for itself. Default 100.
    pub max_depth: u32,
    /// How many component instances one instantiation may create. Default 10,000.
    pub max_instances: u32,
    /// How many core instances one instantiation may create. Default 20,000.
    pub max_core_instances: u32,
    /// How much the planner evaluates: definitions and their parts, counted anew for each instantiation of their component, where a long
    /// name counts as one more for each 16 bytes. Default 2 million.
    pub max_definitions: u64,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self {
            max_depth: 100,
            max_instances: 10_000,
            max_core_instances: 20_000,
            max_definitions: 2_000_000,
        }
    }
}
