//! The core types of lifted functions, lowered functions and built-ins.

use super::canon::core_type;
use crate::plan::{Canon, CoreFuncType, OptionsIdx, Plan};
use crate::types::{
    FlatType, FuncTypeIdx, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_PARAMS,
    MAX_FLAT_RESULTS, ValType,
};
use wasmparser::ValType::{I32, I64};

/// Which way a function crosses the Canonical ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Lift,
    Lower,
}

/// [`flatten_functype`] of the specification.
///
/// [`flatten_functype`]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#flattening
pub(super) fn of_func(
    plan: &Plan,
    ty: FuncTypeIdx,
    options: OptionsIdx,
    direction: Direction,
) -> CoreFuncType {
    let options = &plan.options[options.index()];
    let info = plan.types.func_info(ty);
    let pointer = FlatType::pointer(options.memory64).into();
    let async_lower = options.async_ && direction == Direction::Lower;
    let (max_params, max_results) = if async_lower {
        (MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_ASYNC_RESULTS)
    } else {
        (MAX_FLAT_PARAMS, MAX_FLAT_RESULTS)
    };
    let mut params = flatten(plan, info.params, options.memory64, max_params);
    let result = plan.types.func(ty).result;
    let flat_result = || match result {
        Some(ty) => flatten(plan, ty, options.memory64, MAX_FLAT_RESULTS),
        None => Vec::new(),
    };
    let spilled = info.result_flat_count as usize > max_results;
    let results = match direction {
        Direction::Lift if !options.async_ => flat_result(),
        Direction::Lift if options.callback.is_some() => vec![I32],
        Direction::Lift => Vec::new(),
        Direction::Lower => {
            if spilled {
                params.push(pointer);
            }
            match (options.async_, spilled) {
                (true, _) => vec![I32],
                (false, true) => Vec::new(),
                (false, false) => flat_result(),
            }
        }
    };
    core_type(&params, &results)
}

/// The core type of a `canon` definition.
pub(super) fn of_canon(plan: &Plan, canon: &Canon) -> CoreFuncType {
    let pointer = |memory64| if memory64 { I64 } else { I32 };
    let pointer_of = |options: &OptionsIdx| pointer(plan.options[options.index()].memory64);
    match canon {
        Canon::Lower { ty, options, .. } => of_func(plan, *ty, *options, Direction::Lower),
        Canon::TaskReturn { result, options } => {
            let memory64 = plan.options[options.index()].memory64;
            let params = result.map(|ty| flatten(plan, ty, memory64, MAX_FLAT_PARAMS));
            core_type(&params.unwrap_or_default(), &[])
        }
        Canon::ContextGet { ty64, .. } => core_type(&[], &[pointer(*ty64)]),
        Canon::ContextSet { ty64, .. } => core_type(&[pointer(*ty64)], &[]),
        Canon::TaskCancel | Canon::BackpressureInc | Canon::BackpressureDec => core_type(&[], &[]),
        Canon::StreamNew(_) | Canon::FutureNew(_) => core_type(&[], &[I64]),
        Canon::StreamRead { options, .. } | Canon::StreamWrite { options, .. } => {
            let pointer = pointer_of(options);
            core_type(&[I32, pointer, pointer], &[pointer])
        }
        Canon::FutureRead { options, .. } | Canon::FutureWrite { options, .. } => {
            core_type(&[I32, pointer_of(options)], &[I32])
        }
        Canon::ErrorContextNew { options } => {
            let pointer = pointer_of(options);
            core_type(&[pointer, pointer], &[I32])
        }
        Canon::ErrorContextDebugMessage { options } => core_type(&[I32, pointer_of(options)], &[]),
        Canon::WaitableSetWait { memory64, .. } | Canon::WaitableSetPoll { memory64, .. } => {
            core_type(&[I32, pointer(*memory64)], &[I32])
        }
        Canon::WaitableJoin => core_type(&[I32, I32], &[]),
        Canon::ThreadNewIndirect { table64, ty64, .. } => {
            core_type(&[pointer(*table64), pointer(*ty64)], &[I32])
        }
        Canon::ResourceDrop(_)
        | Canon::SubtaskDrop
        | Canon::StreamDropReadable(_)
        | Canon::StreamDropWritable(_)
        | Canon::FutureDropReadable(_)
        | Canon::FutureDropWritable(_)
        | Canon::ErrorContextDrop
        | Canon::WaitableSetDrop
        | Canon::ThreadResumeLater => core_type(&[I32], &[]),
        Canon::ResourceNew(resource) => core_type(&[pointer(plan.rep64(*resource))], &[I32]),
        Canon::ResourceRep(resource) => core_type(&[I32], &[pointer(plan.rep64(*resource))]),
        Canon::SubtaskCancel { .. }
        | Canon::StreamCancelRead { .. }
        | Canon::StreamCancelWrite { .. }
        | Canon::FutureCancelRead { .. }
        | Canon::FutureCancelWrite { .. }
        | Canon::ThreadSuspendThenResume { .. }
        | Canon::ThreadYieldThenResume { .. }
        | Canon::ThreadSuspendThenPromote { .. }
        | Canon::ThreadYieldThenPromote { .. } => core_type(&[I32], &[I32]),
        Canon::WaitableSetNew
        | Canon::ThreadIndex
        | Canon::ThreadSuspend { .. }
        | Canon::ThreadYield { .. } => core_type(&[], &[I32]),
    }
}

/// The flat types of a type, or a pointer if they are more than `max`.
fn flatten(plan: &Plan, ty: ValType, memory64: bool, max: usize) -> Vec<wasmparser::ValType> {
    match plan.types.flat_types(ty, memory64) {
        Some(flat) if flat.len() <= max => flat.iter().map(|ty| (*ty).into()).collect(),
        _ => vec![FlatType::pointer(memory64).into()],
    }
}
