//! The code of one adapter.

use super::code::{Code, Length, Place, Range, Result, Unfit};
use super::fault::{Fault, Part};
use super::module::{Modules, values};
use super::values::{Allocator, At, Flat, Transfer};
use super::{Adapter, Import};
use crate::abi::Program;
use crate::plan::{Canon, FuncDef, Lift, Options, Plan, Trampoline};
use wasm_encoder::{BlockType, Instruction, ValType};

/// The two ends of an adapter.
struct Ends<'a> {
    lowered: &'a Trampoline,
    lifted: &'a Lift,
    caller: &'a Options,
    callee: &'a Options,
}

fn ends<'a>(plan: &'a Plan, adapter: &Adapter<'_>) -> Result<Ends<'a>> {
    let lowered = &plan.trampolines[adapter.trampoline.index()];
    let Canon::Lower {
        func: FuncDef::Lift(lift),
        options,
        ..
    } = &lowered.canon
    else {
        return Err(Unfit);
    };
    let lifted = &plan.lifts[lift.index()];
    Ok(Ends {
        lowered,
        lifted,
        caller: &plan.options[options.index()],
        callee: &plan.options[lifted.options.index()],
    })
}

/// Writes an adapter that needs the host only to trap.
pub(super) fn direct(modules: Modules<'_>, adapter: &Adapter<'_>, code: &mut Code<'_>) -> Result {
    let ends = ends(modules.plan, adapter)?;
    let sides = [adapter.params.source_side(), adapter.params.target_side()];
    if sides.iter().any(|side| side.memory64 || side.async_) {
        return Err(Unfit);
    }
    let entered = adapter.path.first().ok_or(Unfit)?;
    let entered = code.imports.global(Import::Entered(*entered));
    let caller_leaves = adapter
        .caller_closes
        .then(|| code.imports.global(Import::MayLeave(ends.lowered.instance)));
    let callee_leaves = adapter
        .callee_closes
        .then(|| code.imports.global(Import::MayLeave(ends.lifted.instance)));

    enter(adapter, code, caller_leaves);
    let lowered = &ends.lowered.core_type;
    let mut given = Flat {
        slots: (0..).zip(values(&lowered.params)).collect(),
        next: 0,
    };
    let mut taken = locals(code, &ends.lifted.core_type.params);
    let mut params = Transfer {
        budget: budget(code, adapter.params),
        code,
        program: adapter.params,
        source: ends.caller.memory.clone(),
        target: ends.callee.memory.clone(),
        allocator: Allocator {
            realloc: ends.callee.realloc.clone(),
            may_leave: callee_leaves,
            entered: Some(entered),
        },
        vectors: modules.vectors,
    };
    pass_params(&mut params, &mut given, &mut taken)?;

    code.set_global(entered, 1);
    for (local, _) in &taken.slots {
        code.get(*local);
    }
    let core = Import::Core(ends.lifted.core.clone());
    let core = code.imports.func(core, &ends.lifted.core_type);
    code.emit([Instruction::Call(core)]);
    let mut returned = locals(code, &ends.lifted.core_type.results);
    for (local, _) in returned.slots.iter().rev() {
        code.emit([Instruction::LocalSet(*local)]);
    }

    let mut results = locals(code, &lowered.results);
    if let Some(program) = adapter.result {
        let mut result = Transfer {
            budget: budget(code, program),
            code,
            program,
            source: ends.callee.memory.clone(),
            target: ends.caller.memory.clone(),
            allocator: Allocator {
                realloc: ends.caller.realloc.clone(),
                may_leave: caller_leaves,
                entered: None,
            },
            vectors: modules.vectors,
        };
        pass_result(&mut result, &mut returned, &mut given, &mut results)?;
    }
    if let Some(post_return) = &ends.callee.post_return {
        let ty = crate::plan::CoreFuncType {
            params: ends.lifted.core_type.results.clone(),
            results: Box::default(),
        };
        let post_return = code.imports.func(Import::Core(post_return.clone()), &ty);
        if let Some(may_leave) = callee_leaves {
            code.set_global(may_leave, 0);
        }
        for (local, _) in &returned.slots {
            code.get(*local);
        }
        code.emit([Instruction::Call(post_return)]);
        if let Some(may_leave) = callee_leaves {
            code.set_global(may_leave, 1);
        }
    }
    code.set_global(entered, 0);
    for (local, _) in &results.slots {
        code.get(*local);
    }
    Ok(())
}

/// Writes an adapter that has the host do everything but call the callee.
pub(super) fn accompanied(modules: Modules<'_>, adapter: &Adapter<'_>, code: &mut Code<'_>) {
    // Adapters are made for such functions only.
    let Ok(ends) = ends(modules.plan, adapter) else {
        code.emit([Instruction::Unreachable]);
        return;
    };
    let (lowered, lifted) = (&ends.lowered.core_type, &ends.lifted.core_type);
    let ty = |params: &[wasmparser::ValType], results: &[wasmparser::ValType]| {
        crate::plan::CoreFuncType {
            params: params.into(),
            results: results.into(),
        }
    };
    let begin = code.imports.func(
        Import::Begin(adapter.trampoline),
        &ty(&lowered.params, &lifted.params),
    );
    let end = code.imports.func(
        Import::End(adapter.trampoline),
        &ty(&lifted.results, &lowered.results),
    );
    let core = Import::Core(ends.lifted.core.clone());
    let core = code.imports.func(core, lifted);
    for local in 0..lowered.params.len() {
        code.get(local as u32);
    }
    code.emit([
        Instruction::Call(begin),
        Instruction::Call(core),
        Instruction::Call(end),
    ]);
}

/// Traps unless the caller may leave and the callee can be entered.
fn enter(adapter: &Adapter<'_>, code: &mut Code<'_>, caller_leaves: Option<u32>) {
    if let Some(may_leave) = caller_leaves {
        code.emit([Instruction::GlobalGet(may_leave), Instruction::I32Eqz]);
        code.fail_if(Fault::Leave, |_| 0);
    }
    for (index, instance) in adapter.path.iter().enumerate() {
        let entered = code.imports.global(Import::Entered(*instance));
        code.emit([Instruction::GlobalGet(entered)]);
        if index > 0 {
            code.emit([Instruction::I32Or]);
        }
    }
    code.fail_if(Fault::Enter, |code| {
        code.emit([Instruction::I64Const(adapter.trampoline.0.into())]);
        1
    });
}

/// As [`transfer_params`](crate::abi::transfer_params).
fn pass_params(params: &mut Transfer<'_, '_>, given: &mut Flat, taken: &mut Flat) -> Result {
    let program = params.program;
    let place = input(params, given)?;
    let mut from = at(place, given);
    if program.target_flat() {
        return params.values(&mut from, &mut At::Flat(taken));
    }
    let two_passes = program.lifts_may_trap();
    if two_passes {
        params.lift(&mut from)?;
    }
    let layout = program.target_layout();
    let start = params.allocate(Part::Tuple, Length::Bytes(layout.size), layout.align)?;
    let (local, _) = *taken.slots.first().ok_or(Unfit)?;
    params
        .code
        .emit([Instruction::LocalGet(start), Instruction::LocalSet(local)]);
    let mut to = At::Memory(Place::new(params.target_memory()?, start));
    let mode = crate::abi::transfer::run::Mode::after_lifting(two_passes);
    params.pass(mode, &mut from, &mut to)
}

/// As [`transfer_result`](crate::abi::transfer_result).
fn pass_result(
    result: &mut Transfer<'_, '_>,
    returned: &mut Flat,
    given: &mut Flat,
    results: &mut Flat,
) -> Result {
    let program = result.program;
    let place = input(result, returned)?;
    if program.target_flat() {
        let mut from = at(place, returned);
        return result.values(&mut from, &mut At::Flat(results));
    }
    // The word that follows the parameters.
    let (pointer, _) = *given.slots.last().ok_or(Unfit)?;
    let layout = program.target_layout();
    let memory = result.target_memory()?;
    let range = Range {
        pointer,
        length: Length::Bytes(layout.size),
        align: layout.align,
        memory,
        what: Part::Tuple,
        realloc: false,
    };
    if program.lifts_may_trap() {
        // A trap of lifting comes before.
        result.code.is_bad(range);
        result.code.emit([Instruction::If(BlockType::Empty)]);
        result.lift(&mut at(place, returned))?;
        result.code.check_range(range);
        result.code.emit([Instruction::End]);
    } else {
        result.code.check_range(range);
    }
    let mut to = At::Memory(Place::new(range.memory, pointer));
    result.values(&mut at(place, returned), &mut to)
}

fn at(place: Option<Place>, flat: &mut Flat) -> At<'_> {
    match place {
        Some(place) => At::Memory(place),
        None => At::Flat(flat),
    }
}

/// Where values are lifted from, if that is a place in memory, which is checked.
fn input(transfer: &mut Transfer<'_, '_>, flat: &Flat) -> Result<Option<Place>> {
    if transfer.program.source_flat() {
        return Ok(None);
    }
    let layout = transfer.program.source_layout();
    let (pointer, _) = *flat.slots.first().ok_or(Unfit)?;
    let memory = transfer.source_memory()?;
    transfer.code.check_range(Range {
        pointer,
        length: Length::Bytes(layout.size),
        align: layout.align,
        memory,
        what: Part::Tuple,
        realloc: false,
    });
    Ok(Some(Place::new(memory, pointer)))
}

fn locals(code: &mut Code<'_>, types: &[wasmparser::ValType]) -> Flat {
    let slots = values(types)
        .into_iter()
        .map(|ty| (code.local(ty), ty))
        .collect();
    Flat { slots, next: 0 }
}

/// A local with what the call may pass, if it passes strings or lists.
fn budget(code: &mut Code<'_>, program: &Program) -> Option<u32> {
    if !program.has_lists() {
        return None;
    }
    let budget = code.imports.global(Import::Budget);
    code.emit([Instruction::GlobalGet(budget)]);
    Some(code.save(ValType::I64))
}
