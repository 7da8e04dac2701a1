//! `canon` definitions: lifts, and the core functions that the runtime provides.

use super::Planner;
use super::scope::{CoreTypeItem, FuncItem, ScopeId, TypeItem};
use super::signature::{self, Direction};
use crate::plan::{
    Canon, CoreDef, CoreFuncType, FuncDef, Lift, LiftIdx, Options, OptionsIdx, PlanError,
    StringEncoding, Trampoline, TrampolineIdx,
};
use crate::types::ValType;
use wasmparser::{CanonicalFunction, CanonicalOption};

impl<'a> Planner<'a> {
    /// Executes a `canon` definition, which makes a component function or a core function.
    pub(super) fn canon(
        &mut self,
        scope: ScopeId,
        canon: &CanonicalFunction,
    ) -> Result<(), PlanError> {
        let trampoline = match canon {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => return self.lift(scope, *core_func_index, *type_index, options),
            CanonicalFunction::Lower {
                func_index,
                options,
            } => {
                let func = *self.at(&self.scope(scope).funcs, *func_index, "a function")?;
                Canon::Lower {
                    func: func.def,
                    ty: func.ty,
                    options: self.options(scope, options)?,
                }
            }
            CanonicalFunction::ResourceNew { resource } => {
                Canon::ResourceNew(self.resource(scope, *resource)?)
            }
            CanonicalFunction::ResourceDrop { resource } => {
                Canon::ResourceDrop(self.resource(scope, *resource)?)
            }
            CanonicalFunction::ResourceRep { resource } => {
                Canon::ResourceRep(self.resource(scope, *resource)?)
            }
            CanonicalFunction::BackpressureInc => Canon::BackpressureInc,
            CanonicalFunction::BackpressureDec => Canon::BackpressureDec,
            CanonicalFunction::TaskReturn { result, options } => Canon::TaskReturn {
                result: self.optional(scope, *result)?,
                options: self.options(scope, options)?,
            },
            CanonicalFunction::TaskCancel => Canon::TaskCancel,
            CanonicalFunction::ContextGet { ty, slot } => Canon::ContextGet {
                ty64: is_i64(*ty),
                slot: *slot,
            },
            CanonicalFunction::ContextSet { ty, slot } => Canon::ContextSet {
                ty64: is_i64(*ty),
                slot: *slot,
            },
            CanonicalFunction::SubtaskCancel { async_ } => Canon::SubtaskCancel { async_: *async_ },
            CanonicalFunction::SubtaskDrop => Canon::SubtaskDrop,
            CanonicalFunction::StreamNew { ty } => Canon::StreamNew(self.channel(scope, *ty)?),
            CanonicalFunction::StreamRead { ty, options } => Canon::StreamRead {
                ty: self.channel(scope, *ty)?,
                options: self.options(scope, options)?,
            },
            CanonicalFunction::StreamWrite { ty, options } => Canon::StreamWrite {
                ty: self.channel(scope, *ty)?,
                options: self.options(scope, options)?,
            },
            CanonicalFunction::StreamCancelRead { ty, async_ } => Canon::StreamCancelRead {
                ty: self.channel(scope, *ty)?,
                async_: *async_,
            },
            CanonicalFunction::StreamCancelWrite { ty, async_ } => Canon::StreamCancelWrite {
                ty: self.channel(scope, *ty)?,
                async_: *async_,
            },
            CanonicalFunction::StreamDropReadable { ty } => {
                Canon::StreamDropReadable(self.channel(scope, *ty)?)
            }
            CanonicalFunction::StreamDropWritable { ty } => {
                Canon::StreamDropWritable(self.channel(scope, *ty)?)
            }
            CanonicalFunction::FutureNew { ty } => Canon::FutureNew(self.channel(scope, *ty)?),
            CanonicalFunction::FutureRead { ty, options } => Canon::FutureRead {
                ty: self.channel(scope, *ty)?,
                options: self.options(scope, options)?,
            },
            CanonicalFunction::FutureWrite { ty, options } => Canon::FutureWrite {
                ty: self.channel(scope, *ty)?,
                options: self.options(scope, options)?,
            },
            CanonicalFunction::FutureCancelRead { ty, async_ } => Canon::FutureCancelRead {
                ty: self.channel(scope, *ty)?,
                async_: *async_,
            },
            CanonicalFunction::FutureCancelWrite { ty, async_ } => Canon::FutureCancelWrite {
                ty: self.channel(scope, *ty)?,
                async_: *async_,
            },
            CanonicalFunction::FutureDropReadable { ty } => {
                Canon::FutureDropReadable(self.channel(scope, *ty)?)
            }
            CanonicalFunction::FutureDropWritable { ty } => {
                Canon::FutureDropWritable(self.channel(scope, *ty)?)
            }
            CanonicalFunction::ErrorContextNew { options } => Canon::ErrorContextNew {
                options: self.options(scope, options)?,
            },
            CanonicalFunction::ErrorContextDebugMessage { options } => {
                Canon::ErrorContextDebugMessage {
                    options: self.options(scope, options)?,
                }
            }
            CanonicalFunction::ErrorContextDrop => Canon::ErrorContextDrop,
            CanonicalFunction::WaitableSetNew => Canon::WaitableSetNew,
            CanonicalFunction::WaitableSetWait {
                cancellable,
                memory,
            } => {
                let (memory, memory64) = self.memory(scope, *memory)?;
                Canon::WaitableSetWait {
                    cancellable: *cancellable,
                    memory,
                    memory64,
                }
            }
            CanonicalFunction::WaitableSetPoll {
                cancellable,
                memory,
            } => {
                let (memory, memory64) = self.memory(scope, *memory)?;
                Canon::WaitableSetPoll {
                    cancellable: *cancellable,
                    memory,
                    memory64,
                }
            }
            CanonicalFunction::WaitableSetDrop => Canon::WaitableSetDrop,
            CanonicalFunction::WaitableJoin => Canon::WaitableJoin,
            CanonicalFunction::ThreadIndex => Canon::ThreadIndex,
            CanonicalFunction::ThreadNewIndirect {
                func_ty_index,
                table_index,
            } => self.thread_new_indirect(scope, *func_ty_index, *table_index)?,
            CanonicalFunction::ThreadResumeLater => Canon::ThreadResumeLater,
            CanonicalFunction::ThreadSuspend { cancellable } => Canon::ThreadSuspend {
                cancellable: *cancellable,
            },
            CanonicalFunction::ThreadYield { cancellable } => Canon::ThreadYield {
                cancellable: *cancellable,
            },
            CanonicalFunction::ThreadSuspendThenResume { cancellable } => {
                Canon::ThreadSuspendThenResume {
                    cancellable: *cancellable,
                }
            }
            CanonicalFunction::ThreadYieldThenResume { cancellable } => {
                Canon::ThreadYieldThenResume {
                    cancellable: *cancellable,
                }
            }
            CanonicalFunction::ThreadSuspendThenPromote { cancellable } => {
                Canon::ThreadSuspendThenPromote {
                    cancellable: *cancellable,
                }
            }
            CanonicalFunction::ThreadYieldThenPromote { cancellable } => {
                Canon::ThreadYieldThenPromote {
                    cancellable: *cancellable,
                }
            }
            CanonicalFunction::ThreadSpawnRef { .. }
            | CanonicalFunction::ThreadSpawnIndirect { .. }
            | CanonicalFunction::ThreadAvailableParallelism => {
                return Err(self.unsupported("built-ins of shared-everything threads"));
            }
        };
        let core_type = signature::of_canon(&self.plan, &trampoline);
        let index = TrampolineIdx(self.plan.trampolines.len() as u32);
        self.plan.trampolines.push(Trampoline {
            instance: self.scope(scope).instance,
            canon: trampoline,
            core_type,
        });
        let def = CoreDef::Trampoline(index);
        self.scope_mut(scope).core_funcs.push(def);
        Ok(())
    }

    fn lift(
        &mut self,
        scope: ScopeId,
        core_func: u32,
        ty: u32,
        options: &[CanonicalOption],
    ) -> Result<(), PlanError> {
        let options = self.options(scope, options)?;
        let here = self.scope(scope);
        let core = self.at(&here.core_funcs, core_func, "a core function")?;
        let TypeItem::Func(ty) = *self.at(&here.types, ty, "a type")? else {
            return self.found(None, "a function type");
        };
        let (core, instance) = (core.clone(), here.instance);
        let index = LiftIdx(self.plan.lifts.len() as u32);
        let core_type = signature::of_func(&self.plan, ty, options, Direction::Lift);
        self.plan.lifts.push(Lift {
            instance,
            core,
            ty,
            options,
            core_type,
        });
        let def = FuncDef::Lift(index);
        self.scope_mut(scope).funcs.push(FuncItem { def, ty });
        Ok(())
    }

    fn thread_new_indirect(
        &mut self,
        scope: ScopeId,
        ty: u32,
        table: u32,
    ) -> Result<Canon, PlanError> {
        let here = self.scope(scope);
        let CoreTypeItem::Func(ty) = self.at(&here.core_types, ty, "a core type")? else {
            return self.found(None, "a core function type");
        };
        let ty64 = ty.params.first().copied().is_some_and(is_i64);
        let table = self.at(&here.core_tables, table, "a table")?.clone();
        Ok(Canon::ThreadNewIndirect {
            table64: self.is_wide(&table)?,
            table,
            ty64,
        })
    }

    /// Resolves canonical options; equal ones get equal indices.
    fn options(
        &mut self,
        scope: ScopeId,
        options: &[CanonicalOption],
    ) -> Result<OptionsIdx, PlanError> {
        let mut resolved = Options {
            encoding: StringEncoding::Utf8,
            memory: None,
            memory64: false,
            realloc: None,
            post_return: None,
            async_: false,
            callback: None,
        };
        for option in options {
            match option {
                CanonicalOption::UTF8 => resolved.encoding = StringEncoding::Utf8,
                CanonicalOption::UTF16 => resolved.encoding = StringEncoding::Utf16,
                CanonicalOption::CompactUTF16 => {
                    resolved.encoding = StringEncoding::Latin1OrUtf16;
                }
                CanonicalOption::Memory(index) => {
                    let (memory, memory64) = self.memory(scope, *index)?;
                    resolved.memory = Some(memory);
                    resolved.memory64 = memory64;
                }
                CanonicalOption::Realloc(index) => {
                    resolved.realloc = Some(self.core_func(scope, *index)?);
                }
                CanonicalOption::PostReturn(index) => {
                    resolved.post_return = Some(self.core_func(scope, *index)?);
                }
                CanonicalOption::Callback(index) => {
                    resolved.callback = Some(self.core_func(scope, *index)?);
                }
                CanonicalOption::Async => resolved.async_ = true,
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => {
                    return Err(self.unsupported("lifting and lowering to garbage-collected types"));
                }
            }
        }
        if let Some(&index) = self.options.get(&resolved) {
            return Ok(index);
        }
        let index = OptionsIdx(self.plan.options.len() as u32);
        self.plan.options.push(resolved.clone());
        self.options.insert(resolved, index);
        Ok(index)
    }

    /// A `stream` or `future` type.
    fn channel(&self, scope: ScopeId, index: u32) -> Result<ValType, PlanError> {
        match self.at(&self.scope(scope).types, index, "a type")? {
            TypeItem::Value(ty @ (ValType::Stream(_) | ValType::Future(_))) => Ok(*ty),
            _ => self.found(None, "a stream or future type"),
        }
    }

    fn core_func(&self, scope: ScopeId, index: u32) -> Result<CoreDef, PlanError> {
        let funcs = &self.scope(scope).core_funcs;
        self.at(funcs, index, "a core function").cloned()
    }

    fn memory(&mut self, scope: ScopeId, index: u32) -> Result<(CoreDef, bool), PlanError> {
        let memories = &self.scope(scope).core_memories;
        let memory = self.at(memories, index, "a memory")?.clone();
        let memory64 = self.is_wide(&memory)?;
        Ok((memory, memory64))
    }
}

fn is_i64(ty: wasmparser::ValType) -> bool {
    ty == wasmparser::ValType::I64
}

/// A core function type from its parameters and results.
pub(super) fn core_type(
    params: &[wasmparser::ValType],
    results: &[wasmparser::ValType],
) -> CoreFuncType {
    CoreFuncType {
        params: params.into(),
        results: results.into(),
    }
}
