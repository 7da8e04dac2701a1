//! Components that are small but describe something huge, and components that are broken.

use super::try_plan;
use crate::plan::{Plan, PlanError, PlanLimits};
use std::fmt::Write;

fn limit(text: &str) -> &'static str {
    match try_plan(text) {
        Err(PlanError::Limit { option, .. }) => option,
        other => panic!("expected a limit, got {other:?}"),
    }
}

/// A component of `count` definitions, each made from the number of the one before.
fn chain(first: &str, count: usize, next: impl Fn(usize) -> String) -> String {
    let mut text = format!("(component {first}");
    for index in 0..count {
        text.push_str(&next(index));
    }
    text + ")"
}

#[test]
fn components_that_double_at_every_level_are_refused() {
    let text = chain("(component $c0)", 40, |at| {
        format!(
            "(component $c{} (alias outer 1 $c{at} (component $c))
                (instance (instantiate $c)) (instance (instantiate $c)))",
            at + 1
        )
    });
    let text = text.strip_suffix(')').unwrap().to_owned() + "(instance (instantiate $c40)))";
    assert_eq!(limit(&text), "max_instances");
}

#[test]
fn a_long_chain_of_instantiations_is_refused_before_the_stack_runs_out() {
    let text = chain("(component $c0)", 900, |at| {
        format!(
            "(component $c{} (alias outer 1 $c{at} (component $c)) (instance (instantiate $c)))",
            at + 1
        )
    });
    let text = text.strip_suffix(')').unwrap().to_owned() + "(instance (instantiate $c900)))";
    assert_eq!(limit(&text), "max_depth");
}

#[test]
fn exports_that_double_at_every_level_are_refused() {
    let mut text = chain("(component $c) (instance (instantiate $c))", 60, |at| {
        format!(r#"(instance (export "a" (instance {at})) (export "b" (instance {at})))"#)
    });
    text.pop();
    text.push_str(r#"(export "all" (instance 60)))"#);
    // Either the validator finds the type too large, or the planner the work.
    assert!(matches!(
        try_plan(&text),
        Err(PlanError::Limit { .. } | PlanError::Invalid { .. })
    ));
}

#[test]
fn imports_that_double_at_every_level_are_refused() {
    let mut text = chain("(type (instance))", 60, |at| {
        format!(
            r#"(type (instance (alias outer 1 {at} (type))
                (export "a" (instance (type 0))) (export "b" (instance (type 0)))))"#
        )
    });
    text.pop();
    text.push_str(r#"(import "all" (instance (type 60))))"#);
    assert!(matches!(
        try_plan(&text),
        Err(PlanError::Limit { .. } | PlanError::Invalid { .. })
    ));
}

#[test]
fn deep_chains_of_every_kind_of_type_are_refused() {
    let option = chain("(type (option u8))", 300, |at| {
        format!("(type (option {at}))")
    });
    assert!(matches!(try_plan(&option), Err(PlanError::Type { .. })));
    let instance = chain("(type (instance))", 300, |at| {
        format!(r#"(type (instance (alias outer 1 {at} (type)) (export "a" (instance (type 0)))))"#)
    });
    assert_eq!(limit(&instance), "max_depth");
    let component = chain("(type (component))", 300, |at| {
        format!(
            r#"(type (component (alias outer 1 {at} (type)) (import "a" (component (type 0)))))"#
        )
    });
    assert_eq!(limit(&component), "max_depth");
    let bags = chain("(component $c) (instance (instantiate $c))", 300, |at| {
        format!(r#"(instance (export "a" (instance {at})))"#)
    });
    assert_eq!(limit(&bags), "max_depth");
}

/// A section of the binary: its number, its length and its contents.
fn section(id: u8, contents: &[u8]) -> Vec<u8> {
    let mut bytes = vec![id];
    let mut length = contents.len();
    loop {
        let more = length >= 0x80;
        bytes.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    bytes.extend(contents);
    bytes
}

const PREAMBLE: &[u8] = b"\0asm\x0d\0\x01\0";

#[test]
fn type_declarations_nested_in_the_binary_are_refused_before_the_stack_runs_out() {
    for nesting in [0x41, 0x42] {
        let mut types = vec![1];
        for _ in 0..100_000 {
            types.extend([nesting, 0x01, 0x01]);
        }
        types.extend([nesting, 0x00]);
        let bytes = [PREAMBLE, &section(7, &types)].concat();
        let error = Plan::new(&bytes).expect_err("too deep");
        assert!(
            matches!(
                error,
                PlanError::Limit {
                    option: "max_depth",
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn components_nested_in_the_binary_are_refused_before_the_stack_runs_out() {
    let mut bytes = PREAMBLE.to_vec();
    for _ in 0..2_000 {
        bytes = [PREAMBLE, &section(4, &bytes)].concat();
    }
    let error = Plan::new(&bytes).expect_err("too deep");
    assert!(
        matches!(
            error,
            PlanError::Limit {
                option: "max_depth",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn values_that_are_too_large_are_refused_wherever_they_are_defined() {
    for text in [
        "(component (type (list u8 268435456)))",
        "(component (component (type (list u64 536870912))))",
        "(component (type (instance (type (list u8 4294967295)))))",
        "(component (type (component (type (instance (type (list string 16777216)))))))",
        "(component (type $t (list u8 268435455)) (component (alias outer 1 $t (type $u)) (type (tuple $u u8))))",
        r#"(component (component $c
            (import "i" (instance $i (type (list u8 268435455)) (export "t" (type (eq 0)))))
            (alias export $i "t" (type $t))
            (type (option $t))))"#,
    ] {
        match try_plan(text) {
            Err(PlanError::Type { source, .. }) => {
                assert!(
                    source.to_string().contains("exceeds maximum byte size"),
                    "{text}"
                );
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let largest = "(component (type (list u8 268435455)) (type (map u8 0)) (type (stream 0)))";
    assert!(try_plan(largest).is_ok());
}

#[test]
fn long_names_count_wherever_they_are_copied() {
    let name = "a".repeat(50_000);
    let mut text = format!(
        r#"(component (component $c (core module $m (func (export "{name}")))
        (core instance $i (instantiate $m)) (alias core export $i "{name}" (core func)))"#
    );
    text.push_str(&"(instance (instantiate $c))".repeat(900));
    text.push(')');
    assert_eq!(limit(&text), "max_definitions");
}

#[test]
fn limits_are_the_callers() {
    let bytes = wat::parse_str("(component (component $c) (instance (instantiate $c)))").unwrap();
    let limits = PlanLimits {
        max_instances: 1,
        ..PlanLimits::default()
    };
    let error = Plan::with_limits(&bytes, &limits).expect_err("two instances");
    assert!(
        error
            .to_string()
            .contains("more than 1 component instances"),
        "{error}"
    );
    let limits = PlanLimits {
        max_definitions: 10,
        ..PlanLimits::default()
    };
    let error = Plan::with_limits(&bytes, &limits).expect_err("more definitions");
    assert!(error.to_string().contains("max_definitions"), "{error}");
}

/// A component with a bit of everything.
fn sample() -> Vec<u8> {
    let mut text = String::from("(component ");
    text.push_str(super::STREAMS);
    write!(
        text,
        r#"
        (core module $libc (memory (export "mem") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            (func (export "f") (param i32 i32) (result i32) unreachable))
        (core instance $libc (instantiate $libc))
        (alias export $streams "output-stream" (type $o))
        (component $c
            (import "o" (type $r (sub resource)))
            (type $own (resource (rep i32)))
            (type $s (stream u8))
            (core func $drop (canon resource.drop $r))
            (core func $new (canon stream.new $s))
            (core module $m (import "" "drop" (func (param i32))))
            (core instance (instantiate $m (with "" (instance (export "drop" (func $drop))))))
            (export "own" (type $own)))
        (instance $i (instantiate $c (with "o" (type $o))))
        (type $v (variant (case "a" u8) (case "b" (list string)) (case "c")))
        (export $w "v" (type $v))
        (func (export "f") (param "x" string) (result u32)
            (canon lift (core func $libc "f") (memory (core memory $libc "mem"))
                (realloc (core func $libc "realloc"))))
        (export "i" (instance $i)))"#
    )
    .expect("writing to a string");
    wat::parse_str(text).expect("the test's text is well-formed")
}

#[test]
fn every_truncation_is_refused() {
    let bytes = sample();
    Plan::new(&bytes).expect("the whole is valid");
    for length in 0..bytes.len() {
        // A cut between sections may leave a valid component.
        if let Err(PlanError::Bug { what, offset }) = Plan::new(&bytes[..length]) {
            panic!("cut at {length}: {what} missing at {offset:#x}");
        }
    }
}

#[test]
fn mutations_are_planned_or_refused_but_never_worse() {
    let bytes = sample();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound as u64) as usize
    };
    for _ in 0..20_000 {
        let mut mutated = bytes.clone();
        for _ in 0..1 + below(3) {
            let at = below(mutated.len());
            match below(4) {
                0 => mutated[at] = below(256) as u8,
                1 => mutated[at] ^= 1 << below(8),
                2 => mutated[at] = mutated[at].wrapping_add(1),
                _ => mutated.insert(at, below(256) as u8),
            }
        }
        if let Err(PlanError::Bug { what, offset }) = Plan::new(&mutated) {
            panic!("{what} missing at {offset:#x} of {mutated:x?}");
        }
        // What was never validated may be refused as a bug, but not crash.
        let _ = Plan::of_validated(&mutated, &PlanLimits::default());
    }
}
