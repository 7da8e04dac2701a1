//! Replays what the specification's reference definitions answered, as `tests/oracle/record.py` recorded it.

use crate::guest::{Call, Guest, Pair, Target};
use crate::text::{self, Reader, unhex};
use tidegate_core::abi::*;
use tidegate_core::plan::StringEncoding;
use tidegate_core::runtime::{Handle, InstanceId, Lends, ResourceType, State, TaskId};
use tidegate_core::trap::Trap;
use tidegate_core::types::{Field, FuncType, FuncTypeIdx, TypeDef, Types, ValType};

const RECORDING: &str = include_str!("../oracle/recording.txt");
const MEMORY: usize = 512;

#[test]
fn values_are_lifted_as_the_specification_does() {
    replay("lift", lift);
}

#[test]
fn values_are_lowered_as_the_specification_does() {
    replay("lower", lower);
}

#[test]
fn values_are_passed_between_guests_as_the_specification_does() {
    replay("transfer", transfer);
}

/// Compares what the specification answered with what a case gives, for every case of a kind.
fn replay(kind: &str, case: impl Fn(&[&str]) -> (String, String)) {
    let mut count = 0;
    for line in RECORDING.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields[0] != kind {
            continue;
        }
        let (expected, found) = case(&fields[1..]);
        assert_eq!(expected, found, "\n{line}");
        count += 1;
    }
    assert!(
        count > 100,
        "the recording has only {count} cases of {kind}"
    );
}

fn lift(fields: &[&str]) -> (String, String) {
    let &[kind, side, max_flat, types, words, memory, outcome] = fields else {
        panic!("a case of `lift` has seven fields");
    };
    let (memory64, encoding) = parse_side(side);
    let (types, func) = parse_types(kind, types);
    let words = parse_words(words);
    let memory = padded(memory);
    let mut state = State::new();
    let instance = state.add_instance(None);
    let mut lends = Lends::default();
    let mut cx = LiftContext {
        types: &types,
        resources: &[],
        memory: &memory,
        memory64,
        encoding,
        state: &mut state,
        instance,
        lends: &mut lends,
        task: None,
        budget: LiftBudget::default(),
    };
    let max_flat = max_flat.parse().unwrap();
    let mut src = FlatReader::new(&words);
    let lifted = if kind == "params" {
        lift_param_vals(&mut cx, func, max_flat, &mut src)
    } else {
        lift_result_val(&mut cx, func, max_flat, &mut src).map(|val| vec![val.unwrap()])
    };
    let found = match lifted {
        Ok(vals) => {
            assert!(src.rest().is_empty(), "every word is read");
            let mut text = String::new();
            text::write(&mut text, &Val::Tuple(vals));
            text
        }
        Err(error) => trapped(&error),
    };
    (outcome.to_owned(), found)
}

fn lower(fields: &[&str]) -> (String, String) {
    let &[
        kind,
        side,
        max_flat,
        types,
        out,
        value,
        allocator,
        outcome,
        calls,
        memory,
    ] = fields
    else {
        panic!("a case of `lower` has ten fields");
    };
    let (memory64, encoding) = parse_side(side);
    let (types, func) = parse_types(kind, types);
    let tuple = types.func_info(func).params;
    let Val::Tuple(vals) = Reader::new(value).value(&types, tuple) else {
        panic!("a parameter list is a tuple");
    };
    let mut guest = parse_allocator(allocator);
    let mut state = State::new();
    let instance = state.add_instance(None);
    let task = state.add_task();
    let mut lends = Lends::default();
    let mut words = [0; MAX_FLAT_PARAMS];
    let mut dst = FlatWriter::new(&mut words);
    let mut target = Target {
        guest: &mut guest,
        state: &mut state,
    };
    let mut cx = LowerContext {
        types: &types,
        resources: &[],
        target: &mut target,
        memory64,
        encoding,
        instance,
        task: Some(task),
        lends: &mut lends,
    };
    let max_flat = max_flat.parse().unwrap();
    let lowered = if kind == "params" {
        lower_param_vals(&vals, &mut cx, func, max_flat, &mut dst)
    } else {
        let out = [out.parse().unwrap()];
        let mut out = FlatReader::new(&out);
        lower_result_val(Some(&vals[0]), &mut cx, func, max_flat, &mut out, &mut dst)
    };
    let length = dst.position();
    let expected = format!("{outcome}\t{calls}\t{memory}");
    (expected, effects(lowered, &words[..length], &guest))
}

fn transfer(fields: &[&str]) -> (String, String) {
    let &[
        kind,
        side,
        other_side,
        max_flat,
        types,
        words,
        memory,
        out,
        allocator,
        outcome,
        calls,
        target_memory,
        source_handles,
        target_handles,
    ] = fields
    else {
        panic!("a case of `transfer` has fourteen fields");
    };
    let (types, func) = parse_types(kind, types);
    let (max_lift, max_lower) = max_flat.split_once(' ').unwrap();
    // The smaller number of flat values is that of the async ABI, except for `task.return`.
    let from = Side {
        memory64: parse_side(side).0,
        encoding: parse_side(side).1,
        async_: max_lift == if kind == "params" { "4" } else { "16" },
    };
    let to = Side {
        memory64: parse_side(other_side).0,
        encoding: parse_side(other_side).1,
        async_: max_lower == "0",
    };
    let words = parse_words(words);
    let source_memory = padded(memory);
    let mut guest = parse_allocator(allocator);

    let mut state = State::new();
    let [source, target, other] = [(); 3].map(|()| state.add_instance(None));
    let resources = [
        state.add_resource_type(Some(target)),
        state.add_resource_type(Some(other)),
    ];
    let task = state.add_task();
    fill_table(&mut state, source, resources, task);

    let mut lends = Lends::default();
    let mut cx = TransferContext {
        source,
        source_types: &types,
        source_resources: &resources,
        lends: &mut lends,
        target,
        target_resources: &resources,
        task,
    };
    let mut pair = Pair {
        budget: LiftBudget::default(),
        source: &source_memory,
        target: &mut guest,
        state: &mut state,
    };
    let mut src = FlatReader::new(&words);
    let mut flat = [0; MAX_FLAT_PARAMS];
    let mut dst = FlatWriter::new(&mut flat);
    let (from, to) = ((&types, func, from), (&types, func, to));
    let passed = if kind == "params" {
        let program = Program::params(from, to).unwrap();
        transfer_params(&program, &mut cx, &mut pair, &mut src, &mut dst)
    } else {
        let program = Program::result(from, to).unwrap().unwrap();
        let out = [out.parse().unwrap()];
        let mut out = FlatReader::new(&out);
        transfer_result(&program, &mut cx, &mut pair, &mut src, &mut out, &mut dst)
    };
    let length = dst.position();
    let mut expected = format!("{outcome}\t{calls}\t{target_memory}\t{target_handles}");
    let mut found = String::new();
    if passed.is_ok() {
        assert!(src.rest().is_empty(), "every word is read");
        // After a trap nobody can look at the source's table any more: the definitions take a handle out of it before they check it.
        expected += source_handles;
        found = handles(&state, source, resources);
    }
    if passed.is_err() && kind == "result" {
        // Nor at the caller's memory, where a part of the result may stand already.
        guest.memory = padded(target_memory);
    }
    found = format!(
        "{}\t{}{found}",
        effects(passed, &flat[..length], &guest),
        handles(&state, target, resources)
    );
    (expected, found)
}

/// The handles that `record.py` gives the source.
fn fill_table(
    state: &mut State,
    source: InstanceId,
    [first, second]: [ResourceType; 2],
    task: TaskId,
) {
    let mut lends = Lends::default();
    state.lower_own(source, first, 100).unwrap();
    state.lower_own(source, second, 200).unwrap();
    let lent = state.lower_own(source, first, 300).unwrap();
    state.lift_borrow(source, first, lent, &mut lends).unwrap();
    state.lower_borrow(source, first, 400, task).unwrap();
    state.lower_own(source, second, 500).unwrap();
    state.lower_own(source, first, 600).unwrap();
}

fn handles(state: &State, instance: InstanceId, resources: [ResourceType; 2]) -> String {
    let table = &state.instance(instance).handles;
    let mut entries = Vec::new();
    for index in 1..100 {
        if let Ok(Handle::Resource(handle)) = table.get(index) {
            let kind = match handle.borrow_scope {
                None => "own",
                Some(_) => "borrow",
            };
            let ty = resources.iter().position(|ty| *ty == handle.ty).unwrap();
            entries.push(format!(
                "{index}:{kind}:{ty}:{}:{}",
                handle.rep, handle.num_lends
            ));
        }
    }
    or_dash(entries.join(";"))
}

/// What lowering came to, and what the guest saw of it.
fn effects(lowered: anyhow::Result<()>, words: &[u64], guest: &Guest) -> String {
    let outcome = match lowered {
        Ok(()) => or_dash(
            words
                .iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(","),
        ),
        Err(error) => trapped(&error),
    };
    let call =
        |&(old, old_size, align, new_size): &Call| format!("{old},{old_size},{align},{new_size}");
    let calls = or_dash(guest.calls.iter().map(call).collect::<Vec<_>>().join(";"));
    let used = guest.memory.iter().rposition(|&byte| byte != 0);
    let memory = or_dash(text::hex(&guest.memory[..used.map_or(0, |last| last + 1)]));
    format!("{outcome}\t{calls}\t{memory}")
}

/// The condition that trapped, in the recording's words.
fn trapped(error: &anyhow::Error) -> String {
    let trap = error
        .downcast_ref::<Trap>()
        .unwrap_or_else(|| panic!("not a trap: {error:#}"));
    let trap = match trap {
        Trap::BadRealloc(inner) => inner,
        other => other,
    };
    let reason = match trap {
        Trap::TooLong { .. } => "too-long",
        Trap::Unaligned { .. } => "unaligned",
        Trap::OutOfBounds { .. } => "out-of-bounds",
        Trap::InvalidDiscriminant { .. } => "discriminant",
        Trap::InvalidChar(_) => "char",
        Trap::InvalidString { .. } => "string",
        Trap::UnknownHandle { .. } => "unknown-handle",
        Trap::WrongHandle { .. } => "wrong-handle",
        Trap::ResourceLent { .. } => "lent",
        Trap::NotOwned { .. } => "not-owned",
        other => panic!("the specification has no such trap: {other}"),
    };
    format!("trap {reason}")
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

fn parse_side(text: &str) -> (bool, StringEncoding) {
    let (memory, encoding) = text.split_once(' ').unwrap();
    let encoding = match encoding {
        "utf8" => StringEncoding::Utf8,
        "utf16" => StringEncoding::Utf16,
        _ => StringEncoding::Latin1OrUtf16,
    };
    (memory == "m64", encoding)
}

/// A function with these parameters, and for a result with the one type as its result too.
fn parse_types(kind: &str, text: &str) -> (Types, FuncTypeIdx) {
    let mut types = Types::default();
    let tuple = Reader::new(text).ty(&mut types);
    let TypeDef::Tuple(params) = types.def(tuple.type_idx().unwrap()).clone() else {
        panic!("a parameter list is a tuple");
    };
    let result: Option<ValType> = (kind == "result").then(|| params[0]);
    let params = params.iter().enumerate().map(|(i, &ty)| Field {
        name: text::label(i),
        ty,
    });
    let func = FuncType {
        params: params.collect(),
        result,
        async_: false,
    };
    let func = types.intern_func(func).unwrap();
    (types, func)
}

fn parse_words(text: &str) -> Vec<u64> {
    if text == "-" {
        return Vec::new();
    }
    text.split(',').map(|word| word.parse().unwrap()).collect()
}

fn parse_allocator(text: &str) -> Guest {
    let (next, lie) = text.split_once(' ').unwrap();
    let lie = lie.split_once(':');
    Guest {
        lie: lie.map(|(call, address)| (call.parse().unwrap(), address.parse().unwrap())),
        ..Guest::new(MEMORY, next.parse().unwrap())
    }
}

fn padded(text: &str) -> Vec<u8> {
    let mut memory = unhex(text);
    memory.resize(MEMORY, 0);
    memory
}
