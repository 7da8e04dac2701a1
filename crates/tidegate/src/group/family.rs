//! Which instances make a group.

use tidegate_core::plan::{Canon, CoreDef, FuncDef, InstanceIdx, ModuleDef, Plan, Resource, Step};

/// For each instance, a number that the instances of its family share: those that calls connect, in whichever direction and over however many steps,
/// if all that passes between them can pass in one isolate; `None` where it cannot.
///
/// Families are all or nothing. Were one instance between two others left out, a call could come back into the isolate that it came from.
pub(crate) fn families(plan: &Plan, edges: &[Vec<usize>]) -> Vec<Option<usize>> {
    let mut sets = Sets::new(edges.len());
    for (caller, callees) in edges.iter().enumerate() {
        for &callee in callees {
            sets.join(caller, callee);
        }
    }
    let mut fit = vec![!crosses_as_exceptions(plan); edges.len()];
    for instance in misfits(plan) {
        fit[sets.find(instance.index())] = false;
    }
    (0..edges.len())
        .map(|instance| {
            let family = sets.find(instance);
            fit[family].then_some(family)
        })
        .collect()
}

/// Whether an exception could get from one instance to another, where it has to be a trap.
fn crosses_as_exceptions(plan: &Plan) -> bool {
    plan.defines_tags
        || plan.steps.iter().any(|step| {
            let module = |step: &Step| match step {
                Step::Instantiate { module, .. } => Some(*module),
                Step::Resource { .. } => None,
            };
            matches!(module(step), Some(ModuleDef::Import(_)))
        })
}

/// The instances that cannot be in a group.
fn misfits(plan: &Plan) -> Vec<InstanceIdx> {
    let is_made = |def: &CoreDef| matches!(def, CoreDef::Trampoline(_));
    let mut misfits = Vec::new();
    for lift in &plan.lifts {
        let options = &plan.options[lift.options.index()];
        let others = [&options.realloc, &options.post_return];
        if is_made(&lift.core) || others.into_iter().flatten().any(is_made) {
            misfits.push(lift.instance);
        }
    }
    let mut has_dtor = vec![false; plan.resources.len()];
    for step in &plan.steps {
        if let Step::Resource {
            resource,
            dtor: Some(_),
        } = step
        {
            has_dtor[resource.index()] = true;
        }
    }
    for trampoline in &plan.trampolines {
        let misfit = match &trampoline.canon {
            Canon::Lower {
                func: FuncDef::Lift(_),
                options,
                ..
            } => {
                let options = &plan.options[options.index()];
                options.realloc.as_ref().is_some_and(is_made)
            }
            // The destructor would run in the middle of the host's function, and could not wait there.
            Canon::ResourceDrop(resource) => match plan.resources[resource.index()] {
                Resource::Defined { instance, .. } => {
                    instance != trampoline.instance && has_dtor[resource.index()]
                }
                Resource::Imported(_) => false,
            },
            _ => false,
        };
        if misfit {
            misfits.push(trampoline.instance);
        }
    }
    misfits
}

/// Disjoint sets.
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn find(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        // The smaller number stands for both.
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_connect_in_both_directions() {
        let mut plan = Plan::default();
        let edges = [vec![1], vec![], vec![1], vec![4], vec![]];
        assert_eq!(
            families(&plan, &edges),
            [Some(0), Some(0), Some(0), Some(3), Some(3)]
        );
        plan.defines_tags = true;
        assert_eq!(families(&plan, &edges), [None; 5]);
    }
}
