//! Runs the fuzz targets on random bytes for a number of rounds, or for as long as `FUZZ_SECONDS` says.

use std::time::{Duration, Instant};
use tidegate_core::plan::Plan;
use tidegate_fuzz::Random;

fn rounds(default: u64, mut round: impl FnMut(u64)) {
    let seconds = std::env::var("FUZZ_SECONDS").ok();
    let Some(seconds) = seconds.and_then(|seconds| seconds.parse().ok()) else {
        return (0..default).for_each(round);
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    // Other rounds than the default's.
    for seed in default.. {
        if Instant::now() > end {
            break;
        }
        round(seed);
    }
}

/// Random bytes, many of them small, as pointers and lengths are.
fn bytes(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let length = random.below(600);
    (0..length)
        .map(|_| match random.below(3) {
            0 => 0,
            1 => random.below(64) as u8,
            _ => random.word() as u8,
        })
        .collect()
}

#[test]
fn lift() {
    rounds(20_000, |seed| tidegate_fuzz::lift(&bytes(seed)));
}

#[test]
fn transfer() {
    rounds(20_000, |seed| tidegate_fuzz::transfer(&bytes(seed)));
}

#[test]
fn sequences() {
    rounds(500, |seed| {
        let mut random = Random::new(seed);
        // Long enough that the bytes alone decide, most of the time.
        let data: Vec<u8> = (0..3000).map(|_| random.word() as u8).collect();
        tidegate_fuzz::sequences(&data);
    });
}

const COMPONENTS: [&str; 3] = [
    r#"(component
        (type $r (resource (rep i32)))
        (core func $new (canon resource.new $r))
        (core func $drop (canon resource.drop $r))
        (core module $m
            (import "" "new" (func (param i32) (result i32)))
            (memory (export "mem") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0)
            (func (export "f") (param i32 i32) (result i32) i32.const 0))
        (core instance $i (instantiate $m (with "" (instance (export "new" (func $new))))))
        (func (export "f") (param "x" (list string)) (result (tuple u8 (option char)))
            (canon lift (core func $i "f") (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))"#,
    r#"(component
        (import "a:b/c@1.2.3" (instance $i
            (type $v (variant (case "a" string) (case "b")))
            (export "v" (type $v' (eq $v)))
            (type $w (flags "a" "b"))
            (export "w" (type $w' (eq $w)))
            (type $t (record (field "x" u8) (field "y" $v')))
            (export "t" (type $u (eq $t)))
            (export "r" (type (sub resource)))
            (export "f" (func (param "p" $u) (result (result u8 (error $w')))))))
        (alias export $i "f" (func $f))
        (core module $libc (memory (export "mem") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
        (core instance $l (instantiate $libc))
        (core func $g (canon lower (func $f) (memory (core memory $l "mem")) (realloc (core func $l "realloc"))))
        (export "g" (func $f)))"#,
    r#"(component
        (component $c
            (import "m" (core module $m (export "f" (func))))
            (core instance $i (instantiate $m))
            (func (export "f") (canon lift (core func $i "f"))))
        (core module $m (func (export "f")))
        (instance $a (instantiate $c (with "m" (core module $m))))
        (instance $b (instantiate $c (with "m" (core module $m))))
        (export "a" (instance $a))
        (export "f" (func $b "f")))"#,
];

#[test]
fn decode() {
    let seeds = COMPONENTS.map(|text| wat::parse_str(text).unwrap());
    change(&seeds, 4_000, tidegate_fuzz::decode);
}

#[test]
fn stored() {
    let plans = COMPONENTS.map(|text| {
        let plan = Plan::new(&wat::parse_str(text).unwrap()).unwrap();
        plan.to_bytes().unwrap()
    });
    change(&plans, 20_000, tidegate_fuzz::stored);
}

/// Runs a target on bytes that mean something to it, and on such that are a little different.
fn change(seeds: &[Vec<u8>], default: u64, target: impl Fn(&[u8])) {
    for (i, seed) in seeds.iter().enumerate() {
        target(seed);
        // For a fuzzer to begin with.
        if let Some(corpus) = std::env::var_os("FUZZ_CORPUS") {
            std::fs::write(
                std::path::Path::new(&corpus).join(format!("seed-{i}")),
                seed,
            )
            .unwrap();
        }
    }
    rounds(default, |round| {
        let mut random = Random::new(round);
        let mut changed = seeds[random.below(seeds.len())].clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(changed.len());
            match random.below(4) {
                0 => changed.truncate(at.max(1)),
                1 => changed[at] = random.word() as u8,
                2 => changed[at] = changed[at].wrapping_add(1),
                _ => changed.insert(at, random.word() as u8),
            }
        }
        target(&changed);
    });
}
