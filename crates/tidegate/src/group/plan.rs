//! The adapters of a component: which there are, and which module each stands in.

use crate::call::guest::Programs;
use crate::isolation::Isolation;
use crate::{EngineKind, Result};
use std::sync::{Arc, OnceLock};
use tidegate_core::abi::fuse::{Adapter, AdapterModule, Modules};
use tidegate_core::plan::{
    Canon, CoreDef, FuncDef, InstanceIdx, LiftIdx, OptionsIdx, Plan, Step, TrampolineIdx,
};
use tidegate_core::types::FuncTypeIdx;
use tidegate_engine::Limits;

/// The groups of a component.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// For each of the isolates, its group.
    pub(crate) of_isolate: Box<[Option<Group>]>,
    /// The adapter modules of all groups.
    pub(crate) modules: Box<[Batch]>,
    /// Which of them stands for a trampoline.
    of_trampoline: Box<[Option<usize>]>,
}

/// The adapters of one module, which is laid out when it is first asked for: one that was compiled before need not be when it is loaded.
#[derive(Debug)]
pub(crate) struct Batch {
    trampolines: Box<[TrampolineIdx]>,
    module: OnceLock<AdapterModule>,
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    /// Its members.
    pub(crate) members: Box<[Member]>,
    /// How many adapter modules it has.
    pub(crate) modules: u32,
}

/// A member of a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) instance: InstanceIdx,
    /// Whether its code may run while it may not leave, and could then try to.
    pub(crate) closes: bool,
}

impl Group {
    /// What its isolate may take, given what one of a single instance may: as much as its members could apart, and its own modules.
    pub(crate) fn limits(&self, single: Limits) -> Limits {
        let members = self.members.len() as u32;
        Limits {
            memory_bytes: single.memory_bytes.saturating_mul(members.into()),
            table_elements: single.table_elements.saturating_mul(members.into()),
            instances: single
                .instances
                .saturating_mul(members)
                .saturating_add(self.modules),
            memories: single.memories.saturating_mul(members),
            tables: single.tables.saturating_mul(members),
        }
    }
}

impl Groups {
    /// The adapter module that stands for a trampoline.
    pub(crate) fn of_trampoline(&self, trampoline: TrampolineIdx) -> Option<usize> {
        self.of_trampoline.get(trampoline.index()).copied()?
    }

    /// An adapter module. `programs` gives how the values of a lowered function pass; the rest is what [`new`](Self::new) was given.
    ///
    /// # Errors
    /// What `programs` gives.
    pub(crate) fn module(
        &self,
        index: usize,
        plan: &Plan,
        isolation: &Isolation,
        kind: EngineKind,
        programs: impl Fn(TrampolineIdx, (FuncTypeIdx, OptionsIdx), LiftIdx) -> Result<Arc<Programs>>,
    ) -> Result<&AdapterModule> {
        let batch = &self.modules[index];
        if let Some(module) = batch.module.get() {
            return Ok(module);
        }
        let facts = Facts::new(plan);
        let fused = batch.trampolines.iter();
        let fused: Vec<Fused> = fused
            .filter_map(|index| Fused::new(plan, isolation, *index))
            .collect();
        let programs: Vec<Arc<Programs>> = fused
            .iter()
            .map(|fused| programs(fused.trampoline, fused.lowered, fused.lift))
            .collect::<Result<_>>()?;
        let adapters: Vec<Adapter<'_>> = fused
            .iter()
            .zip(&programs)
            .map(|(fused, programs)| fused.adapter(plan, isolation, &facts, programs))
            .collect();
        let modules = Modules {
            plan,
            vectors: kind == EngineKind::Wasmtime,
        };
        let module = modules.adapters(&adapters);
        Ok(batch.module.get_or_init(|| module))
    }

    /// Works out the groups.
    pub(crate) fn new(plan: &Plan, isolation: &Isolation) -> Self {
        if !isolation.isolates.iter().any(|isolate| isolate.group) {
            return Self::default();
        }
        let facts = Facts::new(plan);
        let mut of_isolate: Vec<Option<Group>> = isolation
            .isolates
            .iter()
            .map(|isolate| {
                isolate.group.then(|| {
                    let member = |&instance: &InstanceIdx| Member {
                        instance,
                        closes: facts.closes[instance.index()],
                    };
                    Group {
                        members: isolate.instances.iter().map(member).collect(),
                        modules: 0,
                    }
                })
            })
            .collect();
        let fused: Vec<Option<Fused>> = (0..)
            .zip(&plan.trampolines)
            .map(|(index, _)| Fused::new(plan, isolation, TrampolineIdx(index)))
            .collect();
        let mut made = Vec::new();
        let mut of_trampoline = vec![None; plan.trampolines.len()];
        let mut core_instances = 0;
        for step in &plan.steps {
            for used in trampolines_of(step) {
                let Some(Some(first)) = fused.get(used.index()) else {
                    continue;
                };
                if of_trampoline[used.index()].is_some() {
                    continue;
                }
                // With it come all others of its group that can be made by now.
                let batch: Vec<&Fused> = fused
                    .iter()
                    .flatten()
                    .filter(|other| {
                        other.isolate == first.isolate
                            && of_trampoline[other.trampoline.index()].is_none()
                            && other.ready <= core_instances
                    })
                    .collect();
                for fused in &batch {
                    of_trampoline[fused.trampoline.index()] = Some(made.len());
                }
                made.push(Batch {
                    trampolines: batch.iter().map(|fused| fused.trampoline).collect(),
                    module: OnceLock::new(),
                });
                if let Some(group) = &mut of_isolate[first.isolate] {
                    group.modules += 1;
                }
            }
            if matches!(step, Step::Instantiate { .. }) {
                core_instances += 1;
            }
        }
        Self {
            of_isolate: of_isolate.into(),
            modules: made.into(),
            of_trampoline: of_trampoline.into(),
        }
    }
}

/// What is known of each instance.
struct Facts {
    /// Whether it has core code of its own that can trap.
    has_code: Vec<bool>,
    closes: Vec<bool>,
    needs_task: Vec<bool>,
}

impl Facts {
    fn new(plan: &Plan) -> Self {
        let none = vec![false; plan.instances.len()];
        let mut facts = Self {
            has_code: crate::isolation::instances_with_code(plan),
            closes: none.clone(),
            needs_task: none.clone(),
        };
        let (mut allocates, mut calls_out) = (none.clone(), none);
        for lift in &plan.lifts {
            let options = &plan.options[lift.options.index()];
            allocates[lift.instance.index()] |=
                options.realloc.is_some() || options.post_return.is_some();
        }
        for trampoline in &plan.trampolines {
            let at = trampoline.instance.index();
            calls_out[at] = true;
            match &trampoline.canon {
                Canon::Lower { options, .. } => {
                    allocates[at] |= plan.options[options.index()].realloc.is_some();
                }
                Canon::ResourceNew(_) | Canon::ResourceDrop(_) | Canon::ResourceRep(_) => {}
                // The others look at the current task or thread, or may.
                _ => facts.needs_task[at] = true,
            }
        }
        for (closes, both) in facts
            .closes
            .iter_mut()
            .zip(allocates.into_iter().zip(calls_out))
        {
            *closes = both.0 && both.1;
        }
        facts
    }
}

/// A lowered function that an adapter stands for.
struct Fused {
    trampoline: TrampolineIdx,
    lowered: (FuncTypeIdx, OptionsIdx),
    lift: LiftIdx,
    /// Which of the isolates caller and callee are in.
    isolate: usize,
    /// How many core instances must have been made before.
    ready: usize,
}

impl Fused {
    fn new(plan: &Plan, isolation: &Isolation, index: TrampolineIdx) -> Option<Self> {
        let trampoline = &plan.trampolines[index.index()];
        let Canon::Lower {
            func: FuncDef::Lift(lift),
            ty,
            options,
        } = trampoline.canon
        else {
            return None;
        };
        let lifted = &plan.lifts[lift.index()];
        let (caller, callee) = (trampoline.instance, lifted.instance);
        let isolate = isolation.of_instance[caller.index()]?;
        let together = isolation.of_instance[callee.index()] == Some(isolate);
        // Calls between an instance and what contains it trap before they begin.
        let nested =
            is_self_or_ancestor(plan, caller, callee) || is_self_or_ancestor(plan, callee, caller);
        if !together || nested || !isolation.isolates[isolate].group {
            return None;
        }
        let mut needs = vec![&lifted.core];
        for options in [options, lifted.options] {
            let options = &plan.options[options.index()];
            needs.extend(&options.memory);
            needs.extend(&options.realloc);
            needs.extend(&options.post_return);
        }
        let ready = |def: &&CoreDef| match def {
            CoreDef::Export { instance, .. } => instance.index() + 1,
            CoreDef::Trampoline(_) => usize::MAX,
        };
        Some(Self {
            trampoline: index,
            lowered: (ty, options),
            lift,
            isolate,
            ready: needs.iter().map(ready).max().unwrap_or(0),
        })
    }

    fn adapter<'a>(
        &self,
        plan: &Plan,
        isolation: &Isolation,
        facts: &Facts,
        programs: &'a Programs,
    ) -> Adapter<'a> {
        let caller = plan.trampolines[self.trampoline.index()].instance;
        let callee = plan.lifts[self.lift.index()].instance;
        let mut path = vec![callee];
        let mut needs_task = facts.needs_task[callee.index()];
        let mut at = plan.instances[callee.index()].parent;
        while let Some(ancestor) = at.filter(|&at| !is_self_or_ancestor(plan, at, caller)) {
            if isolation.of_instance[ancestor.index()] == Some(self.isolate) {
                path.push(ancestor);
            } else if facts.has_code[ancestor.index()] {
                // Only the runtime knows whether it is usable.
                needs_task = true;
            }
            at = plan.instances[ancestor.index()].parent;
        }
        Adapter {
            trampoline: self.trampoline,
            params: &programs.params,
            result: programs.result.as_ref(),
            path,
            caller_closes: facts.closes[caller.index()],
            callee_closes: facts.closes[callee.index()],
            needs_task,
        }
    }
}

fn is_self_or_ancestor(plan: &Plan, instance: InstanceIdx, of: InstanceIdx) -> bool {
    let mut at = Some(of);
    while let Some(other) = at {
        if other == instance {
            return true;
        }
        at = plan.instances[other.index()].parent;
    }
    false
}

/// The trampolines that a step refers to.
fn trampolines_of(step: &Step) -> impl Iterator<Item = TrampolineIdx> + '_ {
    let (args, dtor) = match step {
        Step::Instantiate { args, .. } => (&args[..], None),
        Step::Resource { dtor, .. } => (&[][..], dtor.as_ref()),
    };
    let defs = args.iter().map(|(_, _, def)| def).chain(dtor);
    defs.filter_map(|def| match def {
        CoreDef::Trampoline(index) => Some(*index),
        CoreDef::Export { .. } => None,
    })
}
