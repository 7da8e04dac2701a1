//! The bodies of the fuzz targets, as plain functions: `tests/bounded.rs` runs them for a while without a fuzzer.
//!
//! Each takes any bytes, and panics when something happens that must not.

// Guests, random types and values as the tests of the core have them.
#[allow(dead_code)]
#[path = "../../crates/core/tests/abi/guest.rs"]
mod guest;
#[allow(dead_code)]
#[path = "../../crates/core/tests/abi/random.rs"]
mod random;
#[allow(dead_code)]
#[path = "../../crates/core/tests/async_core/stress.rs"]
mod stress;
#[allow(dead_code)]
#[path = "../../crates/core/tests/abi/text.rs"]
mod text;
#[allow(dead_code)]
#[path = "../../crates/core/tests/abi/world.rs"]
mod world;

pub use random::Random;

use tidegate_core::abi::{LiftBudget, TypeMismatch};
use tidegate_core::plan::{Plan, PlanLimits, StringEncoding};
use tidegate_core::trap::Trap;
use tidegate_core::types::{FuncTypeIdx, Types};
use world::World;

const MEMORY: usize = 4096;

/// Decodes a binary as a component: a plan or an error. What was accepted once is accepted again.
pub fn decode(data: &[u8]) {
    if let Ok(plan) = Plan::new(data) {
        let again = Plan::of_validated(data, &PlanLimits::default())
            .expect("what is valid can be planned without validation");
        assert_eq!(plan.steps.len(), again.steps.len());
        if let Some(bytes) = plan.to_bytes() {
            let read = Plan::from_bytes(&bytes, data.len());
            let read = read.expect("what was stored can be read");
            assert_eq!(read.to_bytes(), Some(bytes));
        }
        for func in plan.types.funcs() {
            for param in &func.params {
                assert!(plan.types.display(param.ty).to_string().len() < 1 << 20);
            }
        }
    }
}

/// Reads a plan that was stored: a plan, which can be stored and read again, or an error.
pub fn stored(data: &[u8]) {
    let Ok(plan) = Plan::from_bytes(data, MEMORY) else {
        return;
    };
    let bytes = plan.to_bytes().expect("what was read can be stored");
    let again = Plan::from_bytes(&bytes, MEMORY).expect("what was stored can be read");
    assert_eq!(again.to_bytes(), Some(bytes));
    for func in plan.types.funcs() {
        for param in &func.params {
            plan.types.flat_count(param.ty);
            plan.types.layout(param.ty, true);
        }
    }
}

/// Guests that call built-ins, right or wrong, with traps in between: nothing is left behind, and every thread that is ready is known to be.
pub fn sequences(data: &[u8]) {
    let mut random = Random::from_bytes(data);
    stress::run(move |bound| random.below(bound));
}

/// A guest with random memory, whose function has random parameters, and the flat values of a call.
fn guest(data: &[u8]) -> (Random, World, FuncTypeIdx, Vec<u64>) {
    // The first half chooses types and flat values, the second is memory.
    let (choices, memory) = data.split_at(data.len() / 2);
    let mut random = Random::from_bytes(choices);
    let mut types = Types::default();
    let func = random.func(&mut types);
    let count = types.func_info(func).params_flat_count.min(17) as usize;
    let mut world = World::new(types, MEMORY);
    world.memory64 = random.below(4) == 0;
    world.encoding = random.encoding();
    world.budget = LiftBudget::new(1 << 20);
    let length = memory.len().min(MEMORY);
    world.guest.memory[..length].copy_from_slice(&memory[..length]);
    let words = (0..count)
        .map(|_| match random.below(4) {
            0 => random.word(),
            1 => random.below(8) as u64,
            _ => 8 * random.below(32) as u64,
        })
        .collect();
    (random, world, func, words)
}

/// Lifts parameters out of a random memory: values or a trap. Values that were lifted can be lowered, and lifted again as the same.
pub fn lift(data: &[u8]) {
    let (mut random, mut world, func, words) = guest(data);
    let vals = match world.lift_params(func, &words) {
        Ok(vals) => vals,
        Err(error) => {
            assert!(error.is::<Trap>(), "{error:#}");
            return;
        }
    };
    let mut other = World::new(world.types.clone(), 1 << 20);
    other.memory64 = random.below(2) == 0;
    other.encoding = random.encoding();
    let lowered = match other.lower_params(func, &vals) {
        Ok(words) => words,
        Err(error) => {
            assert!(
                error.is::<Trap>() && !error.is::<TypeMismatch>(),
                "{error:#}"
            );
            return;
        }
    };
    let again = other
        .lift_params(func, &lowered)
        .expect("what was lowered can be lifted");
    assert_eq!(format!("{vals:?}"), format!("{again:?}"));
}

/// Passes parameters from a random memory to another guest, whose allocator may lie: it is the same as lifting and lowering, and traps in lifting leave no trace.
pub fn transfer(data: &[u8]) {
    let (mut random, mut world, func, words) = guest(data);
    let mut target = World::new(world.types.clone(), 1 << 16);
    target.instance = world.state.add_instance(None);
    target.memory64 = random.below(2) == 0;
    target.encoding = random.encoding();
    if random.below(4) == 0 {
        let call = random.below(4);
        let address = random.word() >> random.below(64);
        target.guest.lie = Some((call, address));
    }
    let mut reference = World::new(world.types.clone(), 1 << 16);
    reference.memory64 = target.memory64;
    reference.encoding = target.encoding;
    reference.guest = target.guest.clone();
    world.budget = LiftBudget::new(usize::MAX);

    let lifted = world.lift_params(func, &words);
    let passed = world.transfer_params(func, &words, &mut target);
    let vals = match lifted {
        Ok(vals) => vals,
        Err(error) => {
            assert_eq!(
                error.to_string(),
                passed.expect_err("it cannot be lifted").to_string()
            );
            assert!(target.guest.calls.is_empty());
            return;
        }
    };
    if world.encoding != StringEncoding::Utf8 {
        // The host's strings are UTF-8; from other encodings `realloc` is called differently.
        return;
    }
    match (reference.lower_params(func, &vals), passed) {
        (Ok(expected), Ok(found)) => assert_eq!(expected, found),
        (Err(expected), Err(found)) => assert_eq!(expected.to_string(), found.to_string()),
        (expected, found) => panic!("{expected:?} but {found:?}"),
    }
    assert_eq!(reference.guest.calls, target.guest.calls);
    assert!(reference.guest.memory == target.guest.memory);
}
