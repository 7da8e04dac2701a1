//! `task.return` and `thread.new-indirect`, which need to know the task's function or find the thread's.

use super::super::canon::CanonOptions;
use super::Definitions;
use crate::baton::Baton;
use crate::concurrent::CallData;
use crate::error::bug;
use anyhow::{Context, Result, bail};
use tidegate_core::plan::Canon;
use tidegate_core::runtime::TaskId;
use tidegate_core::types::ValType;
use tidegate_engine::{Cx, FuncType, HostFn, Table, ValType as CoreType};

/// Makes the built-in, if it is one of them.
pub(super) fn define(
    canon: &Canon,
    options: &CanonOptions,
    definitions: &Definitions,
) -> Option<HostFn<Baton>> {
    let options = options.clone();
    Some(match *canon {
        Canon::TaskReturn { result, .. } => {
            Box::new(move |mut cx, slots| task_return(&mut cx, &options, result, slots))
        }
        Canon::ThreadNewIndirect { ty64, .. } => {
            let table = definitions.table?;
            Box::new(move |mut cx, slots| {
                slots[0] = new_thread(&mut cx, &options, table, ty64, slots[0], slots[1])?;
                Ok(())
            })
        }
        _ => return None,
    })
}

fn task_return(
    cx: &mut Cx<'_, Baton>,
    options: &CanonOptions,
    result: Option<ValType>,
    slots: &[u64],
) -> Result<()> {
    let runtime = &mut **cx.data_mut();
    runtime.state.check_may_leave(options.instance)?;
    let current = runtime.state.current_task()?;
    let (same_type, same_options) = match runtime.concurrent.tasks.get(current) {
        Some(data) => compare(data, options, result)?,
        // A task without a call is not one of an `async` lift, which the state finds out first.
        None => (true, true),
    };
    let task: TaskId = runtime
        .state
        .task_return(options.instance, same_type, same_options)?;
    runtime.state.begin_return(task)?;
    if runtime.concurrent.keep_word(task, slots) {
        runtime.state.finish_return(task);
        return Ok(());
    }
    let mut data = runtime
        .concurrent
        .tasks
        .remove(task)
        .context(bug("a task has no call"))?;
    let passed = data.result(cx, options, task, slots);
    let concurrent = &mut cx.data_mut().concurrent;
    if passed.is_ok() {
        concurrent.keep_result(task, &mut data);
    }
    concurrent.tasks.insert(task, data);
    passed?;
    cx.data_mut().state.finish_return(task);
    Ok(())
}

/// Whether the type, and the memory and encoding, are those of the lifted function.
fn compare(
    data: &CallData,
    options: &CanonOptions,
    result: Option<ValType>,
) -> Result<(bool, bool)> {
    let lifted = data.callee.func_type()?.result;
    let plan = options.shared.component.plan();
    let of = |options: &CanonOptions| options.index.map(|index| &plan.options[index.index()]);
    let same_options = match (of(options), of(&data.callee.options)) {
        // Without a memory there is nothing to lift from it, as the conformance tests have it.
        (Some(a), Some(b)) => {
            (a.memory.is_none() || a.memory == b.memory) && a.encoding == b.encoding
        }
        _ => false,
    };
    Ok((lifted == result, same_options))
}

fn new_thread(
    cx: &mut Cx<'_, Baton>,
    options: &CanonOptions,
    table: Table,
    ty64: bool,
    index: u64,
    arg: u64,
) -> Result<u64> {
    cx.data_mut().state.check_may_leave(options.instance)?;
    let Some(func) = cx.table_func(table, index)? else {
        bail!("undefined element: `thread.new-indirect` found no function at index {index}");
    };
    let param = if ty64 { CoreType::I64 } else { CoreType::I32 };
    if cx.func_type(func) != FuncType::new([param], []) {
        bail!(
            "indirect call type mismatch: `thread.new-indirect` takes a function of one parameter and no result"
        );
    }
    let runtime = &mut **cx.data_mut();
    let (thread, index) = runtime.state.thread_new_indirect(options.instance)?;
    runtime
        .concurrent
        .new_threads
        .insert(thread, (options.isolate, func, arg));
    Ok(index.into())
}
