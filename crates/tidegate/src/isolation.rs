//! Which component instances share an isolate.
//!
//! Every instance with core code gets an isolate of its own, unless it is in a [group](crate::group), and except where calls could come back into an isolate that is still
//! running further down the native stack: a child that calls up into an ancestor. Such instances, the strongly connected components of the
//! static call graph, share one. Between isolates calls then only ever go one way.

use crate::group::families;
use crate::{Component, EngineKind};
use std::collections::HashMap;
use tidegate_core::plan::{Canon, CoreDef, FuncDef, InstanceIdx, Plan, Resource, Step};

/// The isolates that an instantiation of a plan needs.
#[derive(Debug)]
pub(crate) struct Isolation {
    /// The isolate of each instance of the plan; `None` for those without core code.
    pub(crate) of_instance: Box<[Option<usize>]>,
    /// The isolates; those that are called come before those that call them.
    pub(crate) isolates: Box<[IsolatePlan]>,
}

/// An isolate of an instantiation.
#[derive(Debug, Default)]
pub(crate) struct IsolatePlan {
    /// The instances that it holds.
    pub(crate) instances: Vec<InstanceIdx>,
    /// The isolates that its instances may call into, itself excluded.
    pub(crate) calls: Vec<usize>,
    /// Whether its instances are a group: see [`group`](crate::group).
    pub(crate) group: bool,
}

impl Isolation {
    /// Divides the instances of a plan; `groups` says whether they may be grouped.
    pub(crate) fn new(plan: &Plan, groups: bool) -> Self {
        let edges = call_edges(plan);
        let mut search = Search::new(&edges);
        for instance in 0..plan.instances.len() {
            search.visit(instance);
        }
        let has_code = instances_with_code(plan);
        let families = match groups {
            true => families(plan, &edges),
            false => vec![None; plan.instances.len()],
        };
        let mut of_instance = vec![None; plan.instances.len()].into_boxed_slice();
        let mut isolates: Vec<IsolatePlan> = Vec::new();
        let mut of_family = HashMap::new();
        for component in search.components {
            if !component.iter().any(|&instance| has_code[instance]) {
                continue;
            }
            // Between families there are no calls, so that they may stand in any order.
            let family = component.first().and_then(|&instance| families[instance]);
            let index = match family {
                Some(family) => *of_family.entry(family).or_insert(isolates.len()),
                None => isolates.len(),
            };
            if index == isolates.len() {
                isolates.push(IsolatePlan::default());
            } else {
                isolates[index].group = true;
            }
            for instance in component {
                of_instance[instance] = Some(index);
                let instances = &mut isolates[index].instances;
                instances.push(InstanceIdx(instance as u32));
            }
        }
        for isolate in &mut isolates {
            isolate.instances.sort();
        }
        for (caller, callees) in edges.iter().enumerate() {
            let Some(from) = of_instance[caller] else {
                continue;
            };
            for to in callees.iter().filter_map(|&callee| of_instance[callee]) {
                if to != from && !isolates[from].calls.contains(&to) {
                    isolates[from].calls.push(to);
                }
            }
        }
        Self {
            of_instance,
            isolates: isolates.into(),
        }
    }
}

/// An isolate that each instantiation of a component makes: what shares an engine store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsolateInfo {
    /// The names of the component instances in it.
    pub instances: Vec<String>,
    /// Which core engine runs it.
    pub engine: EngineKind,
    /// Why that one.
    pub reason: &'static str,
    /// Why its code runs on a stack of its own, which can be parked; `None` if it is entered by plain calls. Then it still gets one if a host function
    /// that it calls in the middle of its code turns out to wait.
    pub stack: Option<&'static str>,
}

impl Component {
    /// The isolates that each instantiation makes; those that are called come before those that call them.
    pub fn isolates(&self) -> Vec<IsolateInfo> {
        let info = |(number, isolate): (usize, &IsolatePlan)| {
            let (engine, reason) = self.engine_of(isolate);
            let name = |index: &InstanceIdx| self.plan().instances[index.index()].name.to_string();
            IsolateInfo {
                instances: isolate.instances.iter().map(name).collect(),
                engine,
                reason,
                stack: self.needs(number).stack,
            }
        };
        self.isolation()
            .isolates
            .iter()
            .enumerate()
            .map(info)
            .collect()
    }
}

/// For each instance, the instances that its core code may call into.
fn call_edges(plan: &Plan) -> Vec<Vec<usize>> {
    let mut edges = vec![Vec::new(); plan.instances.len()];
    for trampoline in &plan.trampolines {
        let callee = match &trampoline.canon {
            Canon::Lower {
                func: FuncDef::Lift(lift),
                ..
            } => plan.lifts[lift.index()].instance,
            Canon::ResourceDrop(resource) => match plan.resources[resource.index()] {
                Resource::Defined { instance, .. } => instance,
                Resource::Imported(_) => continue,
            },
            _ => continue,
        };
        if callee != trampoline.instance {
            edges[trampoline.instance.index()].push(callee.index());
        }
    }
    for callees in &mut edges {
        callees.sort_unstable();
        callees.dedup();
    }
    edges
}

pub(crate) fn instances_with_code(plan: &Plan) -> Vec<bool> {
    let mut has_code = vec![false; plan.instances.len()];
    for step in &plan.steps {
        match step {
            Step::Instantiate { instance, .. } => has_code[instance.index()] = true,
            // A destructor may be a canonical function that no module was given.
            Step::Resource {
                dtor: Some(CoreDef::Trampoline(t)),
                ..
            } => {
                has_code[plan.trampolines[t.index()].instance.index()] = true;
            }
            Step::Resource { .. } => {}
        }
    }
    for lift in &plan.lifts {
        has_code[lift.instance.index()] = true;
    }
    has_code
}

/// Tarjan's search for strongly connected components, without recursion: nesting is the guest's choice.
struct Search<'a> {
    edges: &'a [Vec<usize>],
    index: Vec<Option<usize>>,
    low: Vec<usize>,
    on_stack: Vec<bool>,
    stack: Vec<usize>,
    next_index: usize,
    /// Callees before callers.
    components: Vec<Vec<usize>>,
}

impl<'a> Search<'a> {
    fn new(edges: &'a [Vec<usize>]) -> Self {
        let n = edges.len();
        Self {
            edges,
            index: vec![None; n],
            low: vec![0; n],
            on_stack: vec![false; n],
            stack: Vec::new(),
            next_index: 0,
            components: Vec::new(),
        }
    }

    fn visit(&mut self, root: usize) {
        if self.index[root].is_some() {
            return;
        }
        self.open(root);
        let mut path = vec![(root, 0)];
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            if let Some(&callee) = self.edges[node].get(*next) {
                *next += 1;
                match self.index[callee] {
                    None => {
                        self.open(callee);
                        path.push((callee, 0));
                    }
                    Some(index) if self.on_stack[callee] => {
                        self.low[node] = self.low[node].min(index)
                    }
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            if let Some(&(parent, _)) = path.last() {
                self.low[parent] = self.low[parent].min(self.low[node]);
            }
            if Some(self.low[node]) == self.index[node] {
                self.close(node);
            }
        }
    }

    fn open(&mut self, node: usize) {
        self.index[node] = Some(self.next_index);
        self.low[node] = self.next_index;
        self.next_index += 1;
        self.stack.push(node);
        self.on_stack[node] = true;
    }

    fn close(&mut self, root: usize) {
        let mut component = Vec::new();
        while let Some(node) = self.stack.pop() {
            self.on_stack[node] = false;
            component.push(node);
            if node == root {
                break;
            }
        }
        self.components.push(component);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn components(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let mut search = Search::new(edges);
        for node in 0..edges.len() {
            search.visit(node);
        }
        let mut components = search.components;
        for component in &mut components {
            component.sort_unstable();
        }
        components
    }

    #[test]
    fn callees_come_before_callers() {
        assert_eq!(
            components(&[vec![1, 2], vec![2], vec![]]),
            [vec![2], vec![1], vec![0]]
        );
    }

    #[test]
    fn a_call_back_up_joins_everything_on_the_way() {
        // 0 calls 1, 1 calls 2, 2 calls back into 0; 3 stands beside.
        assert_eq!(
            components(&[vec![1], vec![2], vec![0], vec![0]]),
            [vec![0, 1, 2], vec![3]]
        );
    }
}
