//! One way of passing values against the others, for random values and memories, honest and spoilt.

use crate::random::Random;
use crate::text;
use crate::world::World;
use tidegate_core::abi::Val;
use tidegate_core::plan::StringEncoding;
use tidegate_core::types::{Field, FuncType, FuncTypeIdx, TypeDef, Types, ValType};

const MEMORY: usize = 1 << 20;
const ROUNDS: u64 = 400;

struct Round {
    random: Random,
    func: FuncTypeIdx,
    vals: Vec<Val>,
    world: World,
}

fn round(seed: u64) -> Round {
    let mut random = Random::new(seed);
    let mut types = Types::default();
    let func = random.func(&mut types);
    let params = types.func(func).params.clone();
    let vals = params.iter().map(|param| random.val(&types, param.ty));
    let vals = vals.collect();
    let mut world = World::new(types, MEMORY);
    world.memory64 = random.below(3) == 0;
    world.encoding = random.encoding();
    Round {
        random,
        func,
        vals,
        world,
    }
}

/// Another guest that values of the first can go to.
fn other(round: &mut Round) -> World {
    let mut other = World::new(round.world.types.clone(), MEMORY);
    other.instance = round.world.state.add_instance(None);
    other.memory64 = round.random.below(3) == 0;
    other.encoding = round.random.encoding();
    other
}

fn written(vals: &[Val]) -> String {
    let mut out = String::new();
    text::write(&mut out, &Val::Tuple(vals.to_vec()));
    out
}

/// Changes a few words or bytes.
fn spoil(random: &mut Random, words: &mut [u64], memory: &mut [u8]) {
    for _ in 0..1 + random.below(4) {
        if random.below(2) == 0 && !words.is_empty() {
            let i = random.below(words.len());
            words[i] = match random.below(4) {
                0 => random.word(),
                1 => words[i].wrapping_add(1),
                2 => words[i] ^ 1 << random.below(64),
                _ => MEMORY as u64,
            };
        } else {
            // Near the beginning, where the values are.
            let i = 64 + random.below(400);
            memory[i] = random.word() as u8;
        }
    }
}

#[test]
fn what_is_lowered_is_lifted_again() {
    for seed in 0..ROUNDS {
        let mut round = round(seed);
        let words = round.world.lower_params(round.func, &round.vals).unwrap();
        let lifted = round.world.lift_params(round.func, &words).unwrap();
        assert_eq!(written(&round.vals), written(&lifted), "seed {seed}");
    }
}

#[test]
fn what_is_passed_to_another_guest_is_lifted_there() {
    for seed in 0..ROUNDS {
        let mut round = round(seed);
        let mut target = other(&mut round);
        let words = round.world.lower_params(round.func, &round.vals).unwrap();
        let passed = round
            .world
            .transfer_params(round.func, &words, &mut target)
            .unwrap();
        let lifted = target.lift_params(round.func, &passed).unwrap();
        assert_eq!(written(&round.vals), written(&lifted), "seed {seed}");
    }
}

#[test]
fn passing_to_another_guest_is_lifting_and_lowering() {
    for seed in 0..ROUNDS {
        let mut round = round(seed);
        // The host's strings are UTF-8; from other encodings `realloc` is called differently.
        round.world.encoding = StringEncoding::Utf8;
        let mut words = round.world.lower_params(round.func, &round.vals).unwrap();
        if seed % 2 == 1 {
            spoil(&mut round.random, &mut words, &mut round.world.guest.memory);
        }
        let mut target = other(&mut round);
        let mut reference = World::new(round.world.types.clone(), MEMORY);
        reference.memory64 = target.memory64;
        reference.encoding = target.encoding;

        let expected = round
            .world
            .lift_params(round.func, &words)
            .and_then(|vals| reference.lower_params(round.func, &vals));
        let found = round.world.transfer_params(round.func, &words, &mut target);
        match (expected, found) {
            (Ok(expected), Ok(found)) => assert_eq!(expected, found, "seed {seed}"),
            (Err(expected), Err(found)) => {
                assert_eq!(expected.to_string(), found.to_string(), "seed {seed}");
            }
            (expected, found) => panic!("seed {seed}: {expected:?} but {found:?}"),
        }
        assert_eq!(reference.guest.calls, target.guest.calls, "seed {seed}");
        assert!(
            reference.guest.memory == target.guest.memory,
            "seed {seed}: the memories differ"
        );
    }
}

#[test]
fn spoilt_values_trap_or_are_lifted_but_nothing_else() {
    let mut trapped = 0;
    for seed in 0..4 * ROUNDS {
        let mut round = round(seed);
        let mut words = round.world.lower_params(round.func, &round.vals).unwrap();
        spoil(&mut round.random, &mut words, &mut round.world.guest.memory);
        let mut target = other(&mut round);
        target.guest.lie = match round.random.below(4) {
            0 => Some((round.random.below(3), round.random.word())),
            1 => Some((0, MEMORY as u64 - round.random.below(9) as u64)),
            _ => None,
        };
        let lifted = round.world.lift_params(round.func, &words).is_err();
        let passed = round.world.transfer_params(round.func, &words, &mut target);
        trapped += usize::from(lifted);
        assert!(
            !lifted || passed.is_err(),
            "seed {seed}: what cannot be lifted is not passed"
        );
        if lifted {
            assert!(
                target.guest.calls.is_empty(),
                "seed {seed}: lifting comes before lowering"
            );
        }
    }
    assert!(trapped > 100, "only {trapped} were spoilt enough to trap");
}

/// A function that takes a list of such elements.
fn list_func(types: &mut Types, element: TypeDef) -> FuncTypeIdx {
    let element = types.intern(element).unwrap();
    let list = types.intern(TypeDef::List(element)).unwrap();
    let param = Field {
        name: "list".into(),
        ty: list,
    };
    types
        .intern_func(FuncType {
            params: [param].into(),
            result: None,
            async_: false,
        })
        .unwrap()
}

#[test]
fn long_lists_of_structured_elements_are_passed_whole() {
    let mut types = Types::default();
    let option = types.intern(TypeDef::Option(ValType::Char)).unwrap();
    let element = TypeDef::Tuple([ValType::U8, option, ValType::F32, ValType::Bool].into());
    let func = list_func(&mut types, element);
    let list = types.func(func).params[0].ty;
    let mut random = Random::new(1);
    let TypeDef::List(element) = *types.def(list.type_idx().unwrap()) else {
        panic!("this is a list");
    };
    let vals = (0..5000).map(|_| random.val(&types, element)).collect();
    let vals = [Val::List(vals)];

    let mut world = World::new(types, MEMORY);
    let words = world.lower_params(func, &vals).unwrap();
    let mut target = World::new(world.types.clone(), MEMORY);
    // What is there already stays in the padding.
    target.guest.memory.fill(0xaa);
    let mut reference = World::new(world.types.clone(), MEMORY);
    reference.guest.memory.fill(0xaa);
    let passed = world.transfer_params(func, &words, &mut target).unwrap();
    assert_eq!(reference.lower_params(func, &vals).unwrap(), passed);
    assert!(reference.guest.memory == target.guest.memory);

    // A character of the last element.
    let size = world.types.layout(element, false).size as usize;
    let last = words[0] as usize + 4999 * size;
    world.guest.memory[last + 4] = 1;
    world.guest.memory[last + 8..last + 12].copy_from_slice(&0xd800_u32.to_le_bytes());
    target.guest.calls.clear();
    let error = world
        .transfer_params(func, &words, &mut target)
        .unwrap_err();
    assert!(
        error.to_string().contains("invalid `char` bit pattern"),
        "{error}"
    );
    assert!(
        target.guest.calls.is_empty(),
        "nothing was allocated before"
    );
}
