//! Each trap of lifting and lowering, alone and in the specification's order.

use crate::world::World;
use tidegate_core::abi::*;
use tidegate_core::plan::StringEncoding;
use tidegate_core::runtime::{HOST, ResourceType};
use tidegate_core::trap::Trap;
use tidegate_core::types::{Case, Field, FuncType, ResourceIdx, TypeDef, Types, ValType};

const MEMORY: usize = 1024;

fn world() -> World {
    World::new(Types::default(), MEMORY)
}

fn trap<T: std::fmt::Debug>(result: anyhow::Result<T>) -> Trap {
    let error = result.expect_err("this must trap");
    match error.downcast::<Trap>() {
        Ok(trap) => trap,
        Err(error) => panic!("not a trap: {error:#}"),
    }
}

fn lift<T: Lift + std::fmt::Debug>(world: &mut World, ty: ValType, words: &[u64]) -> Trap {
    trap(world.lift(words, |cx, src| T::lift_flat(cx, ty, src)))
}

fn lift_string(world: &mut World, pointer: u64, length: u64) -> Trap {
    lift::<String>(world, ValType::String, &[pointer, length])
}

#[test]
fn a_string_is_checked_for_length_then_alignment_then_bounds_then_content() {
    let mut world = world();
    world.encoding = StringEncoding::Utf16;
    let bad = world.guest.memory.len() as u64 + 1;
    assert!(matches!(
        lift_string(&mut world, bad, 1 << 27),
        Trap::TooLong { .. }
    ));
    assert!(matches!(
        lift_string(&mut world, bad, u64::from(u32::MAX)),
        Trap::TooLong { .. }
    ));
    assert!(matches!(
        lift_string(&mut world, bad, 1),
        Trap::Unaligned { .. }
    ));
    assert!(matches!(
        lift_string(&mut world, 1022, 2),
        Trap::OutOfBounds { .. }
    ));
    world.guest.memory[1022..].copy_from_slice(&0xd800_u16.to_le_bytes());
    let trap = lift_string(&mut world, 1020, 2);
    assert_eq!(
        trap.to_string(),
        "invalid utf-16: unpaired surrogate in string at byte 2"
    );
}

#[test]
fn the_longest_string_is_only_out_of_bounds() {
    let mut world = world();
    let trap = lift_string(&mut world, 0, MAX_STRING_BYTE_LENGTH);
    assert!(matches!(trap, Trap::OutOfBounds { .. }));
    let trap = lift_string(&mut world, 0, MAX_STRING_BYTE_LENGTH + 1);
    assert_eq!(
        trap.to_string(),
        "string too long: 268435456 bytes, at most 268435455 are allowed"
    );
}

#[test]
fn an_empty_string_must_still_lie_in_memory() {
    let mut world = world();
    let trap = lift_string(&mut world, 0xdead_beef, 0);
    let message = trap.to_string();
    assert!(
        message.contains("string pointer/length out of bounds of memory"),
        "{message}"
    );
    assert!(
        message.contains("string content out-of-bounds"),
        "{message}"
    );
    world
        .lift(&[MEMORY as u64, 0], |cx, src| {
            String::lift_flat(cx, ValType::String, src)
        })
        .unwrap();
}

#[test]
fn broken_utf8_says_how_and_where() {
    let mut world = world();
    world.guest.memory[..4].copy_from_slice(&[b'a', 0xff, b'a', 0xc3]);
    assert_eq!(
        lift_string(&mut world, 0, 2).to_string(),
        "invalid utf-8 in string at byte 1"
    );
    assert_eq!(
        lift_string(&mut world, 2, 2).to_string(),
        "incomplete utf-8 byte sequence in string at byte 1"
    );
}

#[test]
fn the_tag_of_a_length_means_utf16_only_where_it_can() {
    let mut world = world();
    world.encoding = StringEncoding::Latin1OrUtf16;
    let trap = lift_string(&mut world, 1, 1 << 31);
    assert!(
        matches!(trap, Trap::Unaligned { .. }),
        "even if it is empty"
    );
    let trap = lift_string(&mut world, 1, 0);
    assert!(
        matches!(trap, Trap::Unaligned { .. }),
        "even if it is Latin-1"
    );
    world.encoding = StringEncoding::Utf8;
    assert!(matches!(
        lift_string(&mut world, 1, 1 << 31),
        Trap::TooLong { .. }
    ));
}

#[test]
fn a_list_is_checked_for_length_then_alignment_then_bounds() {
    let mut types = Types::default();
    let ty = types.intern(TypeDef::List(ValType::U32)).unwrap();
    let mut world = World::new(types, MEMORY);
    let mut lift = |pointer, length| lift::<Vec<u32>>(&mut world, ty, &[pointer, length]);
    assert!(matches!(lift(1, 1 << 26), Trap::TooLong { .. }));
    assert!(matches!(lift(1, (1 << 26) - 1), Trap::Unaligned { .. }));
    assert!(matches!(lift(4, (1 << 26) - 1), Trap::OutOfBounds { .. }));
    let trap = lift(1024, 1);
    assert!(
        trap.to_string().contains("list content out-of-bounds"),
        "{trap}"
    );
}

#[test]
fn a_list_in_a_64_bit_memory_does_not_overflow() {
    let mut types = Types::default();
    let ty = types.intern(TypeDef::List(ValType::U64)).unwrap();
    let mut world = World::new(types, MEMORY);
    world.memory64 = true;
    let mut lift = |pointer, length| lift::<Vec<u64>>(&mut world, ty, &[pointer, length]);
    assert!(matches!(lift(0, u64::MAX), Trap::TooLong { .. }));
    assert!(matches!(lift(0, 1 << 61), Trap::TooLong { .. }));
    assert!(matches!(lift(u64::MAX - 7, 1), Trap::OutOfBounds { .. }));
}

#[test]
fn characters_are_unicode_scalar_values() {
    let mut world = world();
    for bad in [0xd800, 0xdfff, 0x11_0000, u64::from(u32::MAX)] {
        let trap = lift::<char>(&mut world, ValType::Char, &[bad]);
        assert!(
            trap.to_string().contains("invalid `char` bit pattern"),
            "{trap}"
        );
    }
    for good in [0, 0xd7ff, 0xe000, 0x10_ffff] {
        world
            .lift(&[good], |cx, src| char::lift_flat(cx, ValType::Char, src))
            .unwrap();
    }
}

#[test]
fn a_discriminant_names_a_case() {
    let mut types = Types::default();
    let option = types.intern(TypeDef::Option(ValType::U8)).unwrap();
    let case = |name: &str| Case {
        name: name.into(),
        ty: None,
    };
    let variant = types
        .intern(TypeDef::Variant([case("a"), case("b"), case("c")].into()))
        .unwrap();
    let mut world = World::new(types, MEMORY);
    let found = lift::<Option<u8>>(&mut world, option, &[2, 0]);
    assert_eq!(
        found.to_string(),
        "invalid variant discriminant 2: the type has 2 cases"
    );
    let found = trap(world.lift(&[3], |cx, src| lift_val_flat(cx, variant, src)));
    assert!(matches!(
        found,
        Trap::InvalidDiscriminant {
            discriminant: 3,
            cases: 3
        }
    ));
    world.guest.memory[0] = 255;
    let found = trap(world.lift(&[], |cx, _| lift_val_mem(cx, variant, 0)));
    assert!(matches!(
        found,
        Trap::InvalidDiscriminant {
            discriminant: 255,
            ..
        }
    ));
}

#[test]
fn spilled_values_are_checked_for_alignment_then_bounds() {
    let mut types = Types::default();
    let params = (0..17).map(|_| Field {
        name: "p".into(),
        ty: ValType::U32,
    });
    let func = FuncType {
        params: params.collect(),
        result: None,
        async_: false,
    };
    let func = types.intern_func(func).unwrap();
    let mut world = World::new(types, MEMORY);
    let found = trap(world.lift_params(func, &[MEMORY as u64 + 1]));
    assert!(matches!(found, Trap::Unaligned { .. }));
    let found = trap(world.lift_params(func, &[MEMORY as u64 - 64]));
    assert!(matches!(found, Trap::OutOfBounds { .. }));
    world.lift_params(func, &[MEMORY as u64 - 68]).unwrap();
}

#[test]
fn a_lying_realloc_is_found_out() {
    let mut types = Types::default();
    let ty = types.intern(TypeDef::List(ValType::U32)).unwrap();
    let mut world = World::new(types, MEMORY);
    let mut lower = |list: &[u32], lie: u64| {
        world.guest.calls.clear();
        world.guest.lie = Some((0, lie));
        trap(world.lower(|cx, dst| list.lower_flat(cx, ty, dst))).to_string()
    };
    let message = lower(&[1, 2], u64::from(u32::MAX));
    assert!(
        message.contains("realloc return: result not aligned"),
        "{message}"
    );
    assert!(message.contains("unaligned pointer"), "{message}");
    let message = lower(&[1, 2], u64::from(u32::MAX - 3));
    assert!(
        message.contains("realloc return: beyond end of memory"),
        "{message}"
    );
    let message = lower(&[], u64::from(u32::MAX - 3));
    assert!(
        message.contains("list content out-of-bounds"),
        "even an empty list: {message}"
    );
}

#[test]
fn host_memory_for_the_values_of_a_call_is_limited() {
    let mut types = Types::default();
    let bytes = types.intern(TypeDef::List(ValType::U8)).unwrap();
    let units = types.intern(TypeDef::Option(ValType::U8)).unwrap();
    let list = types.intern(TypeDef::List(units)).unwrap();
    let mut world = World::new(types, MEMORY);
    world.budget = LiftBudget::new(1000);
    world
        .lift(&[0, 1000], |cx, src| Vec::<u8>::lift_flat(cx, bytes, src))
        .unwrap();
    let found = lift::<Vec<u8>>(&mut world, bytes, &[0, 1001]);
    assert!(found.to_string().contains("max-lifted-bytes"), "{found}");
    // A dynamic value is many times larger than the byte it stands for.
    let found = trap(world.lift(&[0, 100], |cx, src| lift_val_flat(cx, bytes, src)));
    assert!(matches!(found, Trap::Limit { limit: 1000, .. }));
    let found = trap(world.lift(&[0, 500], |cx, src| lift_val_flat(cx, list, src)));
    assert!(matches!(found, Trap::Limit { .. }));
}

struct Thing;

/// A world whose guest uses one resource type of the host's and one of another guest's.
fn with_resources() -> (World, ResourceType, ResourceType) {
    let mut world = world();
    let other = world.state.add_instance(None);
    let host = world.state.add_resource_type(None);
    let guest = world.state.add_resource_type(Some(other));
    world.resources = vec![host, guest];
    (world, host, guest)
}

const HOST_OWN: ValType = ValType::Own(ResourceIdx(0));
const HOST_BORROW: ValType = ValType::Borrow(ResourceIdx(0));
const GUEST_OWN: ValType = ValType::Own(ResourceIdx(1));
const GUEST_BORROW: ValType = ValType::Borrow(ResourceIdx(1));

#[test]
fn handles_are_checked_when_they_are_lifted() {
    let (mut world, host, guest) = with_resources();
    let own = world.state.lower_own(world.instance, host, 7).unwrap();
    let other = world.state.lower_own(world.instance, guest, 8).unwrap();
    let borrowed = world
        .state
        .lower_borrow(world.instance, host, 9, world.task)
        .unwrap();
    let mut lift =
        |ty, handle: u32| lift::<Resource<Thing>>(&mut world, ty, &[handle.into()]).to_string();
    assert_eq!(lift(HOST_OWN, 0), "unknown handle index 0");
    assert_eq!(lift(HOST_OWN, 99), "unknown handle index 99");
    assert_eq!(
        lift(HOST_BORROW, u32::MAX),
        "unknown handle index 4294967295"
    );
    assert_eq!(
        lift(HOST_OWN, other),
        format!(
            "handle index {other} used with the wrong type, expected guest-defined resource but found a different guest-defined resource"
        )
    );
    assert_eq!(
        lift(HOST_OWN, borrowed),
        format!("cannot lift own resource from a borrow (handle index {borrowed})")
    );
    let lent = world.lift(&[own.into()], |cx, src| {
        Resource::<Thing>::lift_flat(cx, HOST_BORROW, src)
    });
    assert!(!lent.unwrap().owned());
    let found = lift_own(&mut world, own);
    assert!(
        found.contains("cannot remove owned resource while borrowed"),
        "{found}"
    );
    let World {
        state,
        instance,
        lends,
        ..
    } = &mut world;
    state.give_back(*instance, lends);
    let given = world.lift(&[own.into()], |cx, src| {
        Resource::<Thing>::lift_flat(cx, HOST_OWN, src)
    });
    assert_eq!(given.unwrap().rep(), 7);
    assert_eq!(
        lift_own(&mut world, own),
        format!("unknown handle index {own}")
    );
}

fn lift_own(world: &mut World, handle: u32) -> String {
    lift::<Resource<Thing>>(world, HOST_OWN, &[handle.into()]).to_string()
}

#[test]
fn a_guests_resource_passes_through_the_hosts_table() {
    let (mut world, _, guest) = with_resources();
    let handle = world.state.lower_own(world.instance, guest, 8).unwrap();
    let any = world
        .lift(&[handle.into()], |cx, src| {
            ResourceAny::lift_flat(cx, GUEST_OWN, src)
        })
        .unwrap();
    assert!(any.owned());
    assert_eq!(
        world.state.resource_rep(HOST, guest, any.handle()).unwrap(),
        8
    );

    // Lent to the guest: the host cannot give it away meanwhile.
    let lent = world
        .lower(|cx, dst| any.lower_flat(cx, GUEST_BORROW, dst))
        .unwrap();
    assert_eq!(
        world.state.check_borrows(world.task).unwrap_err(),
        Trap::BorrowsRemain { count: 1 }
    );
    let found = trap(world.lower(|cx, dst| any.lower_flat(cx, GUEST_OWN, dst)));
    assert!(matches!(found, Trap::ResourceLent { .. }));
    world
        .state
        .resource_drop(world.instance, guest, lent[0] as u32)
        .unwrap();
    let World { state, lends, .. } = &mut world;
    state.give_back(HOST, lends);

    let words = world
        .lower(|cx, dst| any.lower_flat(cx, GUEST_OWN, dst))
        .unwrap();
    assert_eq!(
        world
            .state
            .resource_rep(world.instance, guest, words[0] as u32)
            .unwrap(),
        8
    );
    let found = trap(world.lower(|cx, dst| any.lower_flat(cx, GUEST_OWN, dst)));
    assert!(
        matches!(found, Trap::UnknownHandle { .. }),
        "it was given away"
    );
}

#[test]
fn a_borrowed_resource_must_be_dropped_before_the_host_returns() {
    let (mut world, _, guest) = with_resources();
    let handle = world.state.lower_own(world.instance, guest, 8).unwrap();
    let any = world
        .lift(&[handle.into()], |cx, src| {
            ResourceAny::lift_flat(cx, GUEST_BORROW, src)
        })
        .unwrap();
    assert!(!any.owned());
    assert!(
        world
            .lower(|cx, dst| any.lower_flat(cx, GUEST_OWN, dst))
            .is_err()
    );
    assert!(world.state.check_borrows(world.task).is_err());
    world
        .state
        .resource_drop(HOST, guest, any.handle())
        .unwrap();
    world.state.check_borrows(world.task).unwrap();
}

#[test]
fn a_borrow_given_as_own_is_refused() {
    let (mut world, ..) = with_resources();
    let borrowed = Resource::<Thing>::new_borrow(1);
    assert!(
        world
            .lower(|cx, dst| borrowed.lower_flat(cx, HOST_OWN, dst))
            .is_err()
    );
    assert!(
        world
            .lower(|cx, dst| borrowed.lower_flat(cx, HOST_BORROW, dst))
            .is_ok()
    );
}
