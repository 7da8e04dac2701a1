//! Runs the fuzz targets on random bytes for a number of rounds, or for as long as `FUZZ_SECONDS` says.

use std::time::{Duration, Instant};
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
            (type $t (record (field "x" u8) (field "y" (variant (case "a" string) (case "b")))))
            (export "t" (type $u (eq $t)))
            (export "r" (type (sub resource)))
            (export "f" (func (param "p" $u) (result (result u8 (error (flags "a" "b"))))))))
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
    for (i, seed) in seeds.iter().enumerate() {
        tidegate_fuzz::decode(seed);
        // For a fuzzer to begin with.
        if let Some(corpus) = std::env::var_os("FUZZ_CORPUS") {
            std::fs::write(
                std::path::Path::new(&corpus).join(format!("seed-{i}")),
                seed,
            )
            .unwrap();
        }
    }
    rounds(4_000, |round| {
        let mut random = Random::new(round);
        let mut binary = seeds[random.below(seeds.len())].clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(binary.len());
            match random.below(4) {
                0 => binary.truncate(at.max(1)),
                1 => binary[at] = random.word() as u8,
                2 => binary[at] = binary[at].wrapping_add(1),
                _ => binary.insert(at, random.word() as u8),
            }
        }
        tidegate_fuzz::decode(&binary);
    });
}
