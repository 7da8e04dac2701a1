//! Adapters of groups in an instance: what they are instantiated with, and the trampolines that they stand for.

use super::functions::At;
use super::instantiate::{InstanceData, isolate_cx, nth};
use super::prepared::func_type;
use crate::Result;
use crate::baton::Baton;
use crate::error::bug;
use crate::group::{self, Door};
use anyhow::{Context, bail};
use std::sync::Arc;
use tidegate_core::abi::fuse::Import;
use tidegate_core::plan::{Canon, FuncDef, InstanceIdx, TrampolineIdx};
use tidegate_engine::{self as engine, Extern, Func};

impl InstanceData {
    /// What adapters know of whether an instance may leave.
    pub(super) fn door(&self, instance: InstanceIdx) -> Option<Door> {
        self.groups.may_leave(instance).map(|may_leave| Door {
            instance: nth(self.first_instance, instance.index()),
            may_leave,
        })
    }

    /// The adapter that stands for a trampoline.
    pub(super) fn adapter(
        &self,
        baton: &mut Baton,
        module: usize,
        index: TrampolineIdx,
    ) -> Result<Func> {
        let instance = self.plan().trampolines[index.index()].instance;
        let isolate = self.isolate(instance)?;
        let compiled = self
            .linked
            .component
            .adapters(module, self.kind(instance)?)?;
        let made = match self.groups.adapters[module].get() {
            Some(made) => *made,
            None => {
                let linked = self.linked.clone();
                let plan = linked.component.adapter_module(module)?;
                let args = linked.prepared()?.adapter_args(module, &plan.imports);
                let mut imports = Vec::with_capacity(plan.imports.len());
                for (import, arg) in plan.imports.iter().zip(args) {
                    imports.push(match arg {
                        Some(arg) => self.arg(baton, arg)?,
                        None => self.adapter_import(baton, instance, import)?,
                    });
                }
                let made = isolate_cx(baton, isolate)?.instantiate(compiled, &imports)?;
                *self.groups.adapters[module].get_or_init(|| made)
            }
        };
        let export = self.linked.prepared()?.adapter_export(index, compiled);
        let export = export.context(bug("an adapter is missing"))?;
        match isolate_cx(baton, isolate)?.export_of(made, export) {
            Some(Extern::Func(func)) => Ok(func),
            _ => bail!(bug("an adapter is missing")),
        }
    }

    /// What an adapter module is instantiated with. `member` is an instance of its group.
    fn adapter_import(
        &self,
        baton: &mut Baton,
        member: InstanceIdx,
        import: &Import,
    ) -> Result<Extern> {
        let isolate = self.isolate(member)?;
        let func = match import {
            Import::Core(def) => return self.core_def(&mut At::Store(baton), def),
            Import::MayLeave(instance) => {
                let global = self.groups.may_leave(*instance);
                return Ok(global.context(bug("an instance always may leave"))?.into());
            }
            Import::Entered(instance) => return self.groups.entered(*instance),
            Import::Budget => return self.groups.budget(member),
            Import::Fail => {
                let linked = self.linked.clone();
                let first = self.first_instance;
                let ends = move |trampoline: u64| {
                    let plan = linked.component.plan();
                    let index = usize::try_from(trampoline).ok()?;
                    let trampoline = plan.trampolines.get(index)?;
                    let Canon::Lower {
                        func: FuncDef::Lift(lift),
                        ..
                    } = trampoline.canon
                    else {
                        return None;
                    };
                    let callee = plan.lifts[lift.index()].instance;
                    let id = |instance: InstanceIdx| nth(first, instance.index());
                    Some((id(trampoline.instance), id(callee)))
                };
                let ty = &self.linked.prepared()?.fail;
                let mut cx = isolate_cx(baton, isolate)?;
                let index = isolate - self.first_isolate;
                self.groups.fail(&mut cx, index, ty, ends)?
            }
            Import::Validate(memory) => {
                let memory = self.core_memory(&mut At::Store(baton), memory)?;
                let ty = &self.linked.prepared()?.validate;
                group::validate(&mut isolate_cx(baton, isolate)?, ty, memory)?
            }
            Import::Begin(index) | Import::End(index) => {
                let trampoline = &self.plan().trampolines[index.index()];
                let Canon::Lower {
                    func: FuncDef::Lift(lift),
                    ty,
                    options,
                } = trampoline.canon
                else {
                    bail!(bug("an adapter stands for no guest's function"));
                };
                let call = Arc::new(self.guest_call(baton, *index, (ty, options), lift)?);
                let door = self.door(trampoline.instance);
                let lowered = func_type(&trampoline.core_type)?;
                let lifted = func_type(&self.plan().lifts[lift.index()].core_type)?;
                let mut cx = isolate_cx(baton, isolate)?;
                if matches!(import, Import::Begin(_)) {
                    let ty = engine::FuncType::new(lowered.params, lifted.params);
                    group::begin_func(&mut cx, ty, &call, door)?
                } else {
                    let ty = engine::FuncType::new(lifted.results, lowered.results);
                    group::end_func(&mut cx, ty, &call)?
                }
            }
        };
        Ok(func.into())
    }
}
