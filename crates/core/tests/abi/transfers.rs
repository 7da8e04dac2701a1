//! Handles, streams and items on their way between guests.

use crate::guest::Pair;
use crate::world::World;
use tidegate_core::abi::*;
use tidegate_core::plan::StringEncoding;
use tidegate_core::runtime::{HOST, InstanceId, ResourceType};
use tidegate_core::trap::Trap;
use tidegate_core::types::{Field, FuncType, FuncTypeIdx, ResourceIdx, TypeDef, Types, ValType};

const MEMORY: usize = 4096;
const OWN: ValType = ValType::Own(ResourceIdx(0));
const BORROW: ValType = ValType::Borrow(ResourceIdx(0));

fn func(types: &mut Types, params: &[ValType]) -> FuncTypeIdx {
    let params = params.iter().map(|&ty| Field {
        name: "p".into(),
        ty,
    });
    let func = FuncType {
        params: params.collect(),
        result: None,
        async_: false,
    };
    types.intern_func(func).unwrap()
}

/// Two guests and a resource type of a third.
fn guests(types: Types) -> (World, World, ResourceType) {
    let mut source = World::new(types.clone(), MEMORY);
    let mut target = World::new(types, MEMORY);
    target.instance = source.state.add_instance(None);
    let third = source.state.add_instance(None);
    let resource = source.state.add_resource_type(Some(third));
    source.resources = vec![resource];
    (source, target, resource)
}

fn handles(world: &World, instance: InstanceId) -> usize {
    let table = &world.state.instance(instance).handles;
    (1..100).filter(|&index| table.get(index).is_ok()).count()
}

#[test]
fn a_trap_in_lifting_leaves_all_handles_with_the_source() {
    let mut types = Types::default();
    let stream = types.intern(TypeDef::Stream(Some(ValType::U8))).unwrap();
    let func = func(&mut types, &[OWN, stream, ValType::Char]);
    let (mut source, mut target, resource) = guests(types);
    let payload = source.state.payload(&source.types, &[], Some(ValType::U8));
    let ends = source.state.stream_new(source.instance, payload).unwrap();
    let own = source
        .state
        .lower_own(source.instance, resource, 7)
        .unwrap();
    let before = handles(&source, source.instance);
    let words = [own.into(), ends & 0xffff_ffff, 0x11_0000];
    let error = source
        .transfer_params(func, &words, &mut target)
        .unwrap_err();
    assert!(matches!(
        error.downcast_ref(),
        Some(Trap::InvalidChar(0x11_0000))
    ));
    assert_eq!(handles(&source, source.instance), before, "nothing is lost");
    assert_eq!(handles(&source, target.instance), 0, "nothing has arrived");
}

#[test]
fn readable_ends_and_error_contexts_change_tables() {
    let mut types = Types::default();
    let stream = types.intern(TypeDef::Stream(Some(ValType::U8))).unwrap();
    let other = types.intern(TypeDef::Stream(None)).unwrap();
    let func = func(&mut types, &[stream, ValType::ErrorContext]);
    let wrong = func_of(&mut types, other);
    let (mut source, mut target, _) = guests(types);
    let payload = source.state.payload(&source.types, &[], Some(ValType::U8));
    let ends = source.state.stream_new(source.instance, payload).unwrap();
    let (readable, writable) = (ends & 0xffff_ffff, ends >> 32);
    let context = source
        .state
        .error_context_new(source.instance, "sunk")
        .unwrap();

    let context = u64::from(context);
    for (func, handle) in [(func, writable), (func, context), (wrong, readable)] {
        let error = source
            .transfer_params(func, &[handle, context], &mut target)
            .unwrap_err();
        assert!(error.is::<Trap>(), "{error:#}");
    }
    let words = source
        .transfer_params(func, &[readable, context], &mut target)
        .unwrap();
    let state = &mut source.state;
    let arrived = state.lift_error_context(target.instance, words[1] as u32);
    assert_eq!(arrived.unwrap().debug_message(), "sunk");
    state
        .stream_drop_readable(target.instance, payload, words[0] as u32)
        .unwrap();
    let again = source.transfer_params(func, &[readable, context], &mut target);
    assert!(again.is_err(), "it was given away");
}

fn func_of(types: &mut Types, ty: ValType) -> FuncTypeIdx {
    func(types, &[ty, ValType::ErrorContext])
}

#[test]
fn readable_ends_pass_through_the_host_as_values() {
    let mut types = Types::default();
    let future = types.intern(TypeDef::Future(Some(ValType::U8))).unwrap();
    let func = func(&mut types, &[future]);
    let (mut source, ..) = guests(types);
    let payload = source.state.payload(&source.types, &[], Some(ValType::U8));
    let ends = source.state.future_new(source.instance, payload).unwrap();
    let vals = source.lift_params(func, &[ends & 0xffff_ffff]).unwrap();
    assert!(matches!(vals[..], [Val::Future(_)]));
    let words = source.lower_params(func, &vals).unwrap();
    assert!(source.lift_params(func, &words).is_ok());
}

#[test]
fn borrows_are_lent_by_the_source_and_scoped_to_the_call() {
    let mut types = Types::default();
    let func = func(&mut types, &[BORROW, BORROW]);
    let (mut source, mut target, resource) = guests(types);
    let own = source
        .state
        .lower_own(source.instance, resource, 7)
        .unwrap();
    let words = [own.into(), own.into()];
    let words = source.transfer_params(func, &words, &mut target).unwrap();
    assert_eq!(
        source.state.check_borrows(source.task),
        Err(Trap::BorrowsRemain { count: 2 })
    );
    let dropped = source
        .state
        .resource_drop(source.instance, resource, own)
        .unwrap_err();
    assert!(matches!(dropped, Trap::ResourceLent { .. }));
    for word in words {
        source
            .state
            .resource_drop(target.instance, resource, word as u32)
            .unwrap();
    }
    source.state.check_borrows(source.task).unwrap();
    let World {
        state,
        instance,
        lends,
        ..
    } = &mut source;
    state.give_back(*instance, lends);
    state.resource_drop(*instance, resource, own).unwrap();
    assert_eq!(handles(&source, HOST), 0, "the host has seen none of it");
}

/// Passes items between two memories, as a stream does.
fn pass_items(
    element: ValType,
    types: Types,
    count: usize,
    memory: &[u8],
) -> (anyhow::Result<()>, World) {
    let (mut source, mut target, _) = guests(types);
    source.guest.memory[..memory.len()].copy_from_slice(memory);
    target.encoding = StringEncoding::Utf16;
    let program = Program::items(
        (&source.types, element, source.side()),
        (&source.types, element, target.side()),
    )
    .unwrap();
    let mut cx = TransferContext {
        source: source.instance,
        source_types: &source.types,
        source_resources: &source.resources,
        lends: &mut source.lends,
        target: target.instance,
        target_resources: &source.resources,
        task: source.task,
    };
    let mut pair = Pair {
        budget: LiftBudget::default(),
        source: &source.guest.memory,
        target: &mut target.guest,
        state: &mut source.state,
    };
    let passed = transfer_items(&program, &mut cx, &mut pair, 0, 16, count);
    (passed, target)
}

#[test]
fn items_of_a_stream_are_copied() {
    let bytes: Vec<u8> = (1..=200).collect();
    let (passed, target) = pass_items(ValType::U8, Types::default(), 200, &bytes);
    passed.unwrap();
    assert_eq!(target.guest.memory[16..216], bytes);
    assert_eq!(target.guest.memory[..16], [0; 16]);
    assert_eq!(target.guest.memory[216], 0);
}

#[test]
fn items_that_cannot_be_lifted_leave_the_reader_alone() {
    let good = u32::from('é').to_le_bytes();
    let bad = 0xd800_u32.to_le_bytes();
    let chars = [good, good, good].concat();
    let (passed, target) = pass_items(ValType::Char, Types::default(), 3, &chars);
    passed.unwrap();
    assert_eq!(target.guest.memory[16..28], chars);
    let chars = [good, good, bad].concat();
    let (passed, target) = pass_items(ValType::Char, Types::default(), 3, &chars);
    assert!(passed.is_err());
    assert!(target.guest.memory.iter().all(|&byte| byte == 0));
}

#[test]
fn strings_of_a_stream_are_transcoded_one_by_one() {
    let mut memory = vec![0; 64];
    memory[0..16].copy_from_slice(&[32, 0, 0, 0, 2, 0, 0, 0, 34, 0, 0, 0, 1, 0, 0, 0]);
    memory[32..35].copy_from_slice("éa".as_bytes());
    let (passed, target) = pass_items(ValType::String, Types::default(), 2, &memory);
    passed.unwrap();
    assert_eq!(
        target.guest.calls,
        [(0, 0, 2, 4), (64, 4, 2, 2), (0, 0, 2, 2)]
    );
    let words: Vec<u32> = target.guest.memory[16..32]
        .as_chunks()
        .0
        .iter()
        .map(|&chunk| u32::from_le_bytes(chunk))
        .collect();
    assert_eq!([words[1], words[3]], [1, 1]);
}

#[test]
fn programs_are_refused_for_types_that_differ() {
    let mut types = Types::default();
    let mut record = |name: &str| {
        let field = Field {
            name: name.into(),
            ty: ValType::U8,
        };
        types.intern(TypeDef::Record([field].into())).unwrap()
    };
    let (x, y) = (record("x"), record("y"));
    let (one, other) = (func(&mut types, &[x]), func(&mut types, &[y]));
    let side = Side {
        memory64: false,
        encoding: StringEncoding::Utf8,
        async_: false,
    };
    assert!(Program::params((&types, one, side), (&types, one, side)).is_ok());
    let error = Program::params((&types, one, side), (&types, other, side)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot pass `record { x: u8 }` where `record { y: u8 }` is taken"
    );
}

#[test]
fn bytes_that_are_named_again_and_again_are_paid_for() {
    let mut types = Types::default();
    let list = types.intern(TypeDef::List(ValType::String)).unwrap();
    let func = func(&mut types, &[list]);
    let (mut source, mut target, _) = guests(types);
    // A hundred times the same text of a thousand bytes.
    let (pairs, _) = source.guest.memory[..800].as_chunks_mut::<8>();
    for pair in pairs {
        pair[..4].copy_from_slice(&1024_u32.to_le_bytes());
        pair[4..].copy_from_slice(&1000_u32.to_le_bytes());
    }
    source.budget = LiftBudget::new(10_000);
    let error = source
        .transfer_params(func, &[0, 100], &mut target)
        .unwrap_err();
    assert!(error.to_string().contains("max-lifted-bytes"), "{error}");
    assert!(target.guest.calls.is_empty());
    source.budget = LiftBudget::new(3000);
    source.transfer_params(func, &[0, 2], &mut target).unwrap();
}
