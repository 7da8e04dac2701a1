//! Random signatures and values: together and apart, callers and callees see the same, or the same trap.

use super::signature::{Core, Dice, NAMED, Type};
use super::{KINDS, engine};
use std::fmt::Write as _;
use tidegate::{Component, EngineKind, Instance, Limits, Linker, Store};

/// Where each side keeps what it passes: eight bytes a core value.
const ARGS: u32 = 0;
const RESULT: u32 = 512;
/// What the allocator does: 0 as it should, 1 trap, 2 give an odd address, 3 give one at the end of all memory.
const MODE: u32 = 1016;

/// The memory of a side, its allocator, and what looks at and changes both.
const COMMON: &str = r#"
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 32768))
  (global $seen (mut i64) (i64.const 0))
  (func $note (param i32)
    (global.set $seen (i64.add (i64.mul (global.get $seen) (i64.const 31)) (i64.extend_i32_u (local.get 0)))))
  (func (export "realloc") (param i32 i32 i32 i32) (result i32)
    (local $mode i32) (local $at i32)
    (call $note (local.get 0)) (call $note (local.get 1)) (call $note (local.get 2)) (call $note (local.get 3))
    (local.set $mode (i32.load (i32.const 1016)))
    (if (i32.eq (local.get $mode) (i32.const 1)) (then unreachable))
    (if (i32.eq (local.get $mode) (i32.const 3)) (then (return (i32.const -8))))
    (local.set $at (i32.and
      (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get 2))))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (i32.add (local.get $at) (i32.eq (local.get $mode) (i32.const 2))))
  (func (export "poke") (param i32 i64) (i64.store (local.get 0) (local.get 1)))
  (func (export "hash") (result i64)
    (local $at i32) (local $hash i64)
    (local.set $hash (global.get $seen))
    (loop $l
      (local.set $hash (i64.mul (i64.xor (local.get $hash) (i64.load (local.get $at))) (i64.const 0x100000001b3)))
      (br_if $l (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 65536))))
    (local.get $hash))"#;

struct Subject {
    wat: String,
    args: Vec<Core>,
}

fn core_list(kind: &str, types: &[Core]) -> String {
    let names: Vec<&str> = types.iter().map(|core| core.name()).collect();
    if names.is_empty() {
        String::new()
    } else {
        format!("({kind} {})", names.join(" "))
    }
}

impl Subject {
    fn random(dice: &mut Dice) -> Self {
        let params: Vec<Type> = (0..dice.roll(4)).map(|_| Type::random(dice, 3)).collect();
        let result = (dice.roll(4) != 0).then(|| Type::random(dice, 3));
        let mut flat: Vec<Core> = params.iter().flat_map(Type::flat).collect();
        if flat.len() > 16 {
            flat = vec![Core::I32];
        }
        let flat_result = result.as_ref().map_or(Vec::new(), Type::flat);
        let spilled = flat_result.len() > 1;
        let lifted_result = if spilled {
            vec![Core::I32]
        } else {
            flat_result.clone()
        };
        let lowered_result = if spilled { vec![] } else { flat_result };
        let mut args = flat.clone();
        if spilled {
            args.push(Core::I32);
        }
        let ty: String = params
            .iter()
            .enumerate()
            .map(|(i, ty)| format!("(param \"p{i}\" {})", ty.wat()))
            .chain(result.iter().map(|ty| format!("(result {})", ty.wat())))
            .collect();
        let post_return = dice.roll(2) == 0;
        let wat = component(
            &ty,
            (&flat, &lifted_result),
            (&args, &lowered_result),
            post_return,
        );
        Self { wat, args }
    }
}

fn component(
    ty: &str,
    lifted: (&[Core], &[Core]),
    lowered: (&[Core], &[Core]),
    post_return: bool,
) -> String {
    let mut keep = String::new();
    for (i, core) in lifted.0.iter().enumerate() {
        let at = RESULT + 8 + 8 * i as u32;
        let _ = write!(
            keep,
            "({}.store (i32.const {at}) (local.get {i}))",
            core.name()
        );
    }
    let load = |at: u32, core: &Core| format!("({}.load (i32.const {at}))", core.name());
    let give: String = lifted.1.iter().map(|core| load(RESULT, core)).collect();
    let args: String = lowered
        .0
        .iter()
        .enumerate()
        .map(|(i, core)| load(ARGS + 8 * i as u32, core))
        .collect();
    let call = match lowered.1 {
        [core] => format!(
            "({}.store (i32.const {RESULT}) (call $f {args}))",
            core.name()
        ),
        _ => format!("(call $f {args})"),
    };
    let (after, option) = if post_return {
        (
            format!(
                "(func (export \"post\") {} (call $note (i32.const 77)))",
                core_list("param", lifted.1)
            ),
            "(post-return (func $i \"post\"))",
        )
    } else {
        (String::new(), "")
    };
    let exported: String = NAMED
        .iter()
        .map(|(name, ty)| {
            format!("(type ${name}0 {ty}) (export ${name} \"{name}\" (type ${name}0))\n")
        })
        .collect();
    let imported: String = NAMED
        .iter()
        .map(|(name, ty)| {
            format!("(type ${name}0 {ty}) (import \"{name}\" (type ${name} (eq ${name}0)))\n")
        })
        .collect();
    let with: String = NAMED
        .iter()
        .map(|(name, _)| format!("(with \"{name}\" (type $callee \"{name}\"))"))
        .collect();
    let tools = r#"
    (func (export "poke") (param "at" u32) (param "word" u64) (canon lift (core func $i "poke")))
    (func (export "hash") (result u64) (canon lift (core func $i "hash")))"#;
    format!(
        r#"(component
  (component $callee
    {exported}
    (core module $m {COMMON}
      (func (export "f") {} {} {keep} {give}) {after})
    (core instance $i (instantiate $m))
    (func (export "f") {ty} (canon lift (core func $i "f") (memory $i "memory") (realloc (func $i "realloc")) {option}))
    {tools})
  (component $caller
    {imported}
    (import "f" (func $f {ty}))
    (core module $memory {COMMON})
    (core instance $memory (instantiate $memory))
    (core func $f' (canon lower (func $f) (memory $memory "memory") (realloc (func $memory "realloc"))))
    (core module $m
      (import "memory" "memory" (memory 1))
      (import "memory" "poke" (func $poke (param i32 i64)))
      (import "memory" "hash" (func $hash (result i64)))
      (import "" "f" (func $f {} {}))
      (export "poke" (func $poke)) (export "hash" (func $hash))
      (func (export "run") {call}))
    (core instance $i (instantiate $m (with "memory" (instance $memory)) (with "" (instance (export "f" (func $f'))))))
    (func (export "run") (canon lift (core func $i "run")))
    {tools})
  (instance $callee (instantiate $callee))
  (instance $caller (instantiate $caller {with} (with "f" (func $callee "f"))))
  (export "run" (func $caller "run"))
  (export "poke-caller" (func $caller "poke"))
  (export "hash-caller" (func $caller "hash"))
  (export "poke-callee" (func $callee "poke"))
  (export "hash-callee" (func $callee "hash")))"#,
        core_list("param", lifted.0),
        core_list("result", lifted.1),
        core_list("param", lowered.0),
        core_list("result", lowered.1),
    )
}

/// A word that may be a small number, an address, characters or anything.
fn word(dice: &mut Dice) -> u64 {
    match dice.roll(16) {
        0..5 => dice.roll(4) | dice.roll(5) << 32,
        5..10 => (1024 + 8 * dice.roll(360)) | dice.roll(9) << 32,
        10..13 => 0x6566_6768_6162_6364,
        13 => 0xc3a9_c3a4_e282_ac61_u64.swap_bytes(),
        14 => dice.roll(1 << 20),
        _ => dice.roll(u64::MAX),
    }
}

/// What happens in one round: everything that an embedder can see.
fn round(component: &Component, pokes: &[(bool, u32, u64)]) -> Vec<Result<u64, String>> {
    let engine = component.engine();
    let mut limits = Limits::default();
    limits.max_lifted_bytes = 20_000;
    let mut store = Store::with_limits(engine, (), limits);
    let instance = Linker::new(engine)
        .instantiate(&mut store, component)
        .unwrap();
    for &(callee, at, word) in pokes {
        let name = if callee { "poke-callee" } else { "poke-caller" };
        let poke = instance
            .get_typed_func::<(u32, u64), ()>(&mut store, name)
            .unwrap();
        poke.call(&mut store, (at, word)).unwrap();
    }
    let text = |error: tidegate::Error| error.root_cause().to_string();
    let run = instance
        .get_typed_func::<(), ()>(&mut store, "run")
        .unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(run.call(&mut store, ()).map(|()| 0).map_err(text));
        for name in ["hash-caller", "hash-callee"] {
            seen.push(hash(&instance, &mut store, name).map_err(text));
        }
    }
    seen
}

fn hash(instance: &Instance, store: &mut Store<()>, name: &str) -> tidegate::Result<u64> {
    let hash = instance.get_typed_func::<(), (u64,)>(&mut *store, name)?;
    Ok(hash.call(store, ())?.0)
}

fn compare(kind: EngineKind, seeds: std::ops::Range<u64>, rounds: u32) {
    let (together, apart) = (engine(kind, true), engine(kind, false));
    let (mut returned, mut trapped) = (0, 0);
    for seed in seeds {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (seed + 1));
        let subject = Subject::random(&mut dice);
        let compile = |engine| Component::new(engine, &subject.wat);
        let components = [&together, &apart].map(|engine| {
            compile(engine).unwrap_or_else(|error| panic!("{error:?}\n{}", subject.wat))
        });
        assert_eq!(components[0].isolates().len(), 1);
        assert_eq!(components[1].isolates().len(), 2);
        for _ in 0..rounds {
            let mut pokes = Vec::new();
            for callee in [false, true] {
                for at in (1024..4_000).step_by(8) {
                    if dice.roll(4) == 0 {
                        pokes.push((callee, at, word(&mut dice)));
                    }
                }
                let mode = dice.roll(24);
                pokes.push((callee, MODE, if mode < 4 { mode } else { 0 }));
            }
            for i in 0..subject.args.len() as u32 {
                let arg = word(&mut dice);
                // Each of a pair, and an address, half of the time.
                let arg = if dice.roll(2) == 0 {
                    arg & 0xffff_ffff
                } else {
                    arg >> 32
                };
                pokes.push((false, ARGS + 8 * i, arg));
            }
            pokes.push((false, ARGS + 8 * subject.args.len() as u32, 0));
            if let Some(last) = subject.args.len().checked_sub(1)
                && dice.roll(4) != 0
            {
                pokes.push((false, ARGS + 8 * last as u32, 16_384));
            }
            pokes.push((true, RESULT, word(&mut dice)));
            let [seen, expected] =
                [&components[0], &components[1]].map(|component| round(component, &pokes));
            assert_eq!(seen, expected, "seed {seed}\n{}", subject.wat);
            match &seen[0] {
                Ok(_) => returned += 1,
                Err(_) => trapped += 1,
            }
        }
    }
    // Else this would prove little.
    assert!(
        returned > 50 && trapped > 50,
        "{returned} returned, {trapped} trapped"
    );
}

#[test]
fn compiled_groups_do_what_instances_do_apart() {
    compare(KINDS[0], 0..80, 10);
}

#[test]
fn interpreted_groups_do_what_instances_do_apart() {
    compare(KINDS[1], 1000..1080, 10);
}
