//! Plans that are stored and read again.

use super::*;

/// One with most of what plans have.
const COMPONENT: &str = r#"(component
    (import "a:b/c@1.2.3" (instance $i
        (type $v (variant (case "a" string) (case "b")))
        (export "v" (type $v' (eq $v)))
        (type $w (flags "a" "b"))
        (export "w" (type $w' (eq $w)))
        (type $t (record (field "x" u8) (field "y" $v')))
        (export "t" (type $u (eq $t)))
        (export "r" (type $r (sub resource)))
        (export "f" (func (param "p" $u) (result (result u8 (error $w')))))
        (export "g" (func async (param "p" (map string (list (own $r)))) (result (stream u8))))))
    (alias export $i "f" (func $f))
    (alias export $i "g" (func $g))
    (core module $libc (memory (export "mem") 1)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 0))
    (core instance $l (instantiate $libc))
    (core func $f' (canon lower (func $f) (memory (core memory $l "mem")) (realloc (core func $l "realloc"))))
    (core func $g' (canon lower (func $g) async (memory (core memory $l "mem"))))
    (core func $wait (canon waitable-set.wait (memory (core memory $l "mem"))))
    (component $nested
        (type $own (resource (rep i32)))
        (core func $new (canon resource.new $own))
        (core module $m (import "" "new" (func (param i32) (result i32))) (func (export "h") (result i32) i32.const 0))
        (core instance $m (instantiate $m (with "" (instance (export "new" (func $new))))))
        (export $own' "own" (type $own))
        (func (export "h") (result (own $own')) (canon lift (core func $m "h"))))
    (instance $a (instantiate $nested))
    (instance $b (instantiate $nested))
    (core module $m
        (import "x" "f" (func (param i32 i32 i32 i32 i32)))
        (import "x" "g" (func (param i32 i32 i32) (result i32)))
        (import "x" "wait" (func (param i32 i32) (result i32))))
    (core instance (instantiate $m (with "x" (instance
        (export "f" (func $f')) (export "g" (func $g')) (export "wait" (func $wait))))))
    (export "a" (instance $a))
    (export "b" (instance $b))
    (export "g" (func $g)))"#;

/// Sees that a plan is the same after it was stored.
pub(super) fn check(plan: &Plan, text: &str) {
    let Some(bytes) = plan.to_bytes() else {
        let is_module = |import: &Import| matches!(import.kind, ImportKind::Module(_));
        assert!(plan.imports.iter().any(is_module), "not stored:\n{text}");
        return;
    };
    let again = match Plan::from_bytes(&bytes, usize::MAX) {
        Ok(again) => again,
        Err(error) => panic!("{error}\n{text}"),
    };
    assert_eq!(shown(plan), shown(&again), "{text}");
    assert_eq!(again.to_bytes(), Some(bytes));
}

/// Everything but the types' numbering.
fn shown(plan: &Plan) -> String {
    let Plan {
        types,
        modules,
        defines_tags,
        instances,
        imports,
        resources,
        trampolines,
        lifts,
        options,
        steps,
        exports,
    } = plan;
    let derived = |ty: ValType| {
        let layout = types.layout(ty, false);
        let wide = types.layout(ty, true);
        let resource = (types.contains_borrow(ty), types.contains_resource(ty));
        let entry = ty.type_idx().map(|index| types.map_entry(index));
        (layout, wide, types.flat_count(ty), resource, entry)
    };
    let funcs: Vec<_> = types
        .funcs()
        .iter()
        .zip(0..)
        .map(|(func, index)| {
            let params = func.params.iter().map(|param| derived(param.ty));
            let params: Vec<_> = params.collect();
            let info = types.func_info(crate::types::FuncTypeIdx(index));
            (func, params, func.result.map(derived), info)
        })
        .collect();
    format!(
        "{:?} {funcs:?} {modules:?} {defines_tags} {instances:?} {imports:?} {resources:?} {trampolines:?} {lifts:?} {options:?} {steps:?} {exports:?}",
        types.defs()
    )
}

#[test]
fn a_stored_plan_is_the_same() {
    plan(COMPONENT);
}

#[test]
fn types_can_be_added_to_stored_ones() {
    let mut plan = plan(COMPONENT);
    let bytes = plan.to_bytes().expect("it can be stored");
    let mut again = Plan::from_bytes(&bytes, usize::MAX).expect("it was stored");
    let known = plan.types.funcs()[0].clone();
    let new = TypeDef::List(ValType::F64);
    for types in [&mut plan.types, &mut again.types] {
        let count = types.defs().len();
        for def in types.defs().to_vec() {
            if !matches!(&def, TypeDef::Tuple(parts) if parts.is_empty()) {
                types.intern(def).expect("it is there");
            }
        }
        assert_eq!(types.defs().len(), count);
        assert_eq!(types.intern_func(known.clone()).map(|ty| ty.0), Ok(0));
        types.intern(new.clone()).expect("it fits");
        assert_eq!(types.defs().len(), count + 1);
    }
}

#[test]
fn damaged_bytes_are_refused_or_a_plan() {
    let bytes = plan(COMPONENT).to_bytes().expect("it can be stored");
    for at in 0..bytes.len() {
        assert!(Plan::from_bytes(&bytes[..at], usize::MAX).is_err());
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(plan) = Plan::from_bytes(&damaged, usize::MAX) {
                let stored = plan.to_bytes().expect("it was read");
                assert!(Plan::from_bytes(&stored, usize::MAX).is_ok());
            }
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Plan::from_bytes(&longer, usize::MAX).is_err());
}

#[test]
fn modules_outside_the_binary_are_refused() {
    let plan = plan(COMPONENT);
    let bytes = plan.to_bytes().expect("it can be stored");
    let end = plan.modules.iter().map(|module| module.end).max();
    let end = end.expect("it has modules");
    assert!(Plan::from_bytes(&bytes, end).is_ok());
    assert!(Plan::from_bytes(&bytes, end - 1).is_err());
}

#[test]
fn a_length_allocates_nothing_that_is_not_there() {
    let mut bytes = plan(COMPONENT).to_bytes().expect("it can be stored");
    // The number of names comes after the release and eight lengths of one byte each.
    let names = 2 + env!("CARGO_PKG_VERSION").len() + 8;
    bytes.truncate(names);
    bytes.extend([0xff, 0xff, 0xff, 0xff, 0x0f]);
    let error = Plan::from_bytes(&bytes, usize::MAX).expect_err("no names follow");
    assert_eq!(error.what, "it is longer than what is there");
}
