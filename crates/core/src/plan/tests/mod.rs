//! Plans of small components.

mod hostile;
mod stored;

use super::*;
use crate::types::{ResourceIdx, TypeDef, ValType};
use std::sync::Arc;

fn plan(text: &str) -> Plan {
    match try_plan(text) {
        Ok(plan) => {
            stored::check(&plan, text);
            plan
        }
        Err(error) => panic!("{error}\n{text}"),
    }
}

fn try_plan(text: &str) -> Result<Plan, PlanError> {
    Plan::new(&wat::parse_str(text).expect("the test's text is well-formed"))
}

/// The steps in short: `module(instance)` and `resource(index)`.
fn steps(plan: &Plan) -> Vec<String> {
    let step = |step: &Step| match step {
        Step::Instantiate {
            instance,
            module: ModuleDef::Static(module),
            ..
        } => format!("module {} in {}", module.0, instance.0),
        Step::Instantiate {
            instance,
            module: ModuleDef::Import(import),
            ..
        } => format!("import {} in {}", import.0, instance.0),
        Step::Resource { resource, .. } => format!("resource {}", resource.0),
    };
    plan.steps.iter().map(step).collect()
}

fn args(plan: &Plan, step: usize) -> &[(Arc<str>, Arc<str>, CoreDef)] {
    match &plan.steps[step] {
        Step::Instantiate { args, .. } => args,
        Step::Resource { .. } => &[],
    }
}

fn export(instance: u32, name: &str) -> CoreDef {
    CoreDef::Export {
        instance: CoreInstanceIdx(instance),
        name: name.into(),
    }
}

fn paths(plan: &Plan) -> Vec<String> {
    plan.imports
        .iter()
        .map(|import| import.path.join(" "))
        .collect()
}

#[test]
fn nested_components_are_inlined_once_for_each_instantiation_in_order() {
    let plan = plan(
        r#"(component
            (component $leaf (core module $m) (core instance (instantiate $m)))
            (component $middle
                (alias outer 1 $leaf (component $c))
                (core module $own)
                (instance (instantiate $c))
                (core instance (instantiate $own))
                (instance (instantiate $c)))
            (instance $a (instantiate $leaf))
            (instance $b (instantiate $middle)))"#,
    );
    let expected = [
        "module 0 in 1",
        "module 0 in 3",
        "module 1 in 2",
        "module 0 in 4",
    ];
    assert_eq!(steps(&plan), expected);
    let parents: Vec<_> = plan
        .instances
        .iter()
        .map(|i| i.parent.map(|p| p.0))
        .collect();
    assert_eq!(parents, [None, Some(0), Some(0), Some(2), Some(2)]);
    let names: Vec<_> = plan.instances.iter().map(|i| &*i.name).collect();
    assert_eq!(names[1..3], ["a", "b"]);
    assert!(names[3].starts_with("b/"), "{}", names[3]);
}

#[test]
fn components_that_are_not_instantiated_make_no_steps() {
    let plan = plan(
        r#"(component
            (component (core module $m) (core instance (instantiate $m)))
            (core module $unused))"#,
    );
    assert!(plan.steps.is_empty());
    assert_eq!((plan.modules.len(), plan.instances.len()), (2, 1));
}

#[test]
fn outer_aliases_reach_modules_types_and_components() {
    let plan = plan(
        r#"(component
            (core module $m)
            (type $t (record (field "x" u8)))
            (component $c
                (alias outer 1 $m (core module $m))
                (alias outer 1 $t (type $t))
                (core instance (instantiate $m))
                (export $e "t" (type $t))
                (type $f (func (result $e)))
                (component $inner
                    (alias outer 2 $m (core module $m))
                    (core instance (instantiate $m)))
                (instance (instantiate $inner)))
            (instance (instantiate $c)))"#,
    );
    assert_eq!(steps(&plan), ["module 0 in 1", "module 0 in 2"]);
}

#[test]
fn a_resource_is_fresh_for_each_instantiation_of_its_component() {
    let plan = plan(
        r#"(component
            (component $c
                (core module $m (func (export "drop") (param i32)))
                (core instance $i (instantiate $m))
                (type $r (resource (rep i32) (dtor (core func $i "drop"))))
                (export "r" (type $r))
                (core func $new (canon resource.new $r)))
            (instance $a (instantiate $c))
            (instance $b (instantiate $c))
            (export "a" (instance $a))
            (export "b" (instance $b)))"#,
    );
    assert_eq!(
        steps(&plan),
        ["module 0 in 1", "resource 0", "module 0 in 2", "resource 1"]
    );
    let Step::Resource { dtor, .. } = &plan.steps[3] else {
        panic!("not a resource");
    };
    assert_eq!(*dtor, Some(export(1, "drop")));
    let resource = |index: usize| match &plan.exports[index].1 {
        Export::Instance(exports) => match exports[0].1 {
            Export::Resource(resource) => resource,
            _ => panic!("not a resource"),
        },
        _ => panic!("not an instance"),
    };
    assert_ne!(resource(0), resource(1));
    let implementer = |index: usize| match plan.resources[index] {
        Resource::Defined { instance, .. } => instance,
        Resource::Imported(_) => panic!("not defined"),
    };
    assert_eq!(
        (implementer(0), implementer(1)),
        (InstanceIdx(1), InstanceIdx(2))
    );
    let canons: Vec<_> = plan.trampolines.iter().map(|t| &t.canon).collect();
    assert_eq!(*canons[0], Canon::ResourceNew(resource(0)));
    assert_eq!(*canons[1], Canon::ResourceNew(resource(1)));
}

const STREAMS: &str = r#"(import "wasi:io/streams@0.2.0" (instance $streams
    (export "pollable" (type $p (sub resource)))
    (export "output-stream" (type $o (sub resource)))
    (export "stream-alias" (type $o2 (eq $o)))
    (export "[method]output-stream.write" (func (param "self" (borrow $o)) (param "contents" (list u8))))
    (export "subscribe" (func (param "to" (borrow $o2)) (result (own $p))))))"#;

#[test]
fn instance_imports_flatten_to_leaves_with_their_resources() {
    let plan = plan(&format!("(component {STREAMS})"));
    let at = |name: &str| format!("wasi:io/streams@0.2.0 {name}");
    let expected = [
        at("pollable"),
        at("output-stream"),
        at("[method]output-stream.write"),
        at("subscribe"),
    ];
    assert_eq!(paths(&plan), expected);
    let ImportKind::Func(ty) = plan.imports[3].kind else {
        panic!("not a function");
    };
    let func = plan.types.func(ty);
    assert_eq!(func.params[0].ty, ValType::Borrow(ResourceIdx(1)));
    assert_eq!(func.result, Some(ValType::Own(ResourceIdx(0))));
    assert_eq!(
        plan.types.display_func(ty).to_string(),
        "func(to: borrow<output-stream>) -> pollable"
    );
}

#[test]
fn imported_resources_flow_into_nested_components() {
    let plan = plan(&format!(
        r#"(component {STREAMS}
            (alias export $streams "output-stream" (type $o))
            (component $c
                (import "o" (type $r (sub resource)))
                (core func (canon resource.drop $r)))
            (instance (instantiate $c (with "o" (type $o)))))"#
    ));
    let expected = Canon::ResourceDrop(ResourceIdx(1));
    assert_eq!(plan.trampolines[0].canon, expected);
    assert_eq!(plan.trampolines[0].instance, InstanceIdx(1));
}

#[test]
fn an_instance_type_imported_twice_has_other_resources_each_time() {
    let plan = plan(
        r#"(component
            (type $t (instance (export "r" (type (sub resource)))))
            (import "a" (instance (type $t)))
            (import "b" (instance (type $t))))"#,
    );
    assert_eq!(paths(&plan), ["a r", "b r"]);
    assert_eq!(plan.resources.len(), 2);
}

#[test]
fn nested_instance_imports_have_longer_paths_and_empty_ones_a_leaf_of_their_own() {
    let plan = plan(
        r#"(component
            (import "a" (instance
                (export "b" (instance (export "f" (func))))
                (export "types" (instance
                    (type (record (field "x" u8)))
                    (export "t" (type (eq 0))))))))"#,
    );
    assert_eq!(paths(&plan), ["a b f", "a types"]);
    assert!(matches!(plan.imports[1].kind, ImportKind::EmptyInstance));
}

#[test]
fn core_instances_from_exports_resolve_to_what_they_hold() {
    let plan = plan(
        r#"(component
            (import "f" (func $f))
            (core module $libc (memory (export "mem") 1) (func (export "g")))
            (core module $main
                (import "env" "mem" (memory 1))
                (import "env" "f" (func))
                (import "libc" "g" (func))
                (import "env" "renamed" (func)))
            (core instance $libc (instantiate $libc))
            (core func $f (canon lower (func $f)))
            (alias core export $libc "g" (core func $g))
            (alias core export $libc "mem" (core memory $mem))
            (core instance $bag
                (export "renamed" (func $g)) (export "f" (func $f)) (export "mem" (memory $mem)))
            (core instance (instantiate $main
                (with "env" (instance $bag)) (with "libc" (instance $libc)))))"#,
    );
    let found: Vec<_> = args(&plan, 1)
        .iter()
        .map(|(_, field, def)| (&**field, def.clone()))
        .collect();
    let expected = [
        ("mem", export(0, "mem")),
        ("f", CoreDef::Trampoline(TrampolineIdx(0))),
        ("g", export(0, "g")),
        ("renamed", export(0, "g")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_sibling_can_lower_what_another_lifted() {
    let plan = plan(
        r#"(component
            (component $callee
                (core module $m (func (export "f") (param i32) (result i32) unreachable))
                (core instance $i (instantiate $m))
                (func (export "f") (param "x" u8) (result u8) (canon lift (core func $i "f"))))
            (component $caller
                (import "f" (func $f (param "x" u8) (result u8)))
                (core func $lowered (canon lower (func $f)))
                (core module $m (import "" "f" (func (param i32) (result i32))))
                (core instance (instantiate $m
                    (with "" (instance (export "f" (func $lowered)))))))
            (instance $callee (instantiate $callee))
            (instance (instantiate $caller (with "f" (func $callee "f")))))"#,
    );
    assert_eq!(steps(&plan), ["module 0 in 1", "module 1 in 2"]);
    assert_eq!(plan.lifts[0].core, export(0, "f"));
    assert_eq!(plan.lifts[0].instance, InstanceIdx(1));
    let Canon::Lower { func, .. } = plan.trampolines[0].canon else {
        panic!("not a lower");
    };
    assert_eq!(func, FuncDef::Lift(LiftIdx(0)));
    assert_eq!(plan.trampolines[0].core_type, plan.lifts[0].core_type);
}

#[test]
fn imported_modules_keep_their_type_and_are_instantiated_by_their_imports() {
    let plan = plan(
        r#"(component
            (import "m" (core module $m
                (import "env" "f" (func (param i64)))
                (export "mem" (memory i64 1))))
            (core module $env (func (export "f") (param i64)))
            (core instance $env (instantiate $env))
            (core instance $i (instantiate $m (with "env" (instance $env))))
            (alias core export $i "mem" (core memory $mem))
            (core func (canon error-context.drop))
            (core func (canon waitable-set.wait (memory $mem))))"#,
    );
    assert_eq!(steps(&plan), ["module 0 in 0", "import 0 in 0"]);
    assert_eq!(args(&plan, 1)[0].2, export(0, "f"));
    let ImportKind::Module(ty) = &plan.imports[0].kind else {
        panic!("not a module");
    };
    assert_eq!((ty.imports.len(), ty.exports.len()), (1, 1));
    assert!(matches!(
        plan.trampolines[1].canon,
        Canon::WaitableSetWait { memory64: true, .. }
    ));
}

#[test]
fn signatures_spill_and_follow_the_memory() {
    let plan = plan(
        r#"(component
            (type $long (list u8 17))
            (import "f" (func $f (param "a" string) (param "b" f32) (result string)))
            (import "g" (func $g (param "a" $long)))
            (import "h" (func $h async (param "a" string) (param "b" f32) (param "c" string) (result u8)))
            (core module $m (memory (export "mem") 1) (memory (export "mem64") i64 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                (func (export "realloc64") (param i64 i64 i64 i64) (result i64) unreachable))
            (core instance $i (instantiate $m))
            (core func (canon lower (func $f) (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
            (core func (canon lower (func $f) (memory (core memory $i "mem64")) (realloc (core func $i "realloc64"))))
            (core func (canon lower (func $g) (memory (core memory $i "mem"))))
            (core func (canon lower (func $h) async (memory (core memory $i "mem")))))"#,
    );
    use wasmparser::ValType::{F32, I32, I64};
    let signature = |index: usize| {
        let ty = &plan.trampolines[index].core_type;
        (ty.params.to_vec(), ty.results.to_vec())
    };
    assert_eq!(signature(0), (vec![I32, I32, F32, I32], vec![]));
    assert_eq!(signature(1), (vec![I64, I64, F32, I64], vec![]));
    assert_eq!(signature(2), (vec![I32], vec![]));
    assert_eq!(signature(3), (vec![I32, I32], vec![I32]));
}

#[test]
fn a_restricted_instance_shows_only_what_its_type_mentions() {
    let plan = plan(
        r#"(component
            (component $c (type (record (field "a" u8)))
                (export "t" (type 0)) (type u8) (export "u" (type 2)))
            (instance $i (instantiate $c))
            (component $show
                (import "i" (instance $i (type (record (field "a" u8))) (export "t" (type (eq 0)))))
                (export "i" (instance $i)))
            (instance $s (instantiate $show (with "i" (instance $i))))
            (export "all" (instance $i))
            (alias export $s "i" (instance $less))
            (export "less" (instance $less)))"#,
    );
    let count = |index: usize| match &plan.exports[index].1 {
        Export::Instance(exports) => exports.len(),
        _ => panic!("not an instance"),
    };
    assert_eq!((count(0), count(1)), (2, 1));
}

#[test]
fn versions_are_completed_by_their_suffix() {
    let plan = plan(
        r#"(component
            (import "a:b/c@0.2" (versionsuffix ".6") (instance (export "f" (func)))))"#,
    );
    assert_eq!(paths(&plan), ["a:b/c@0.2.6 f"]);
}

#[test]
fn an_import_knows_what_it_implements() {
    let plan = plan(
        r#"(component
            (import "primary" (implements "wasi:keyvalue/store") (instance (export "f" (func)))))"#,
    );
    assert_eq!(
        plan.imports[0].implements.as_deref(),
        Some("wasi:keyvalue/store")
    );
}

#[test]
fn imports_and_exports_are_described_for_people() {
    let plan = plan(&format!(
        r#"(component {STREAMS}
            (import "m" (core module (import "env" "f" (func (param i32) (result i64))) (export "mem" (memory 1))))
            (component $c (type $t (record (field "a" u8))) (export "t" (type $t)))
            (instance $i (instantiate $c))
            (export "i" (instance $i)))"#
    ));
    let lines = |described: Vec<Described>| -> Vec<String> {
        let line = |one: &Described| format!("{}: {}", one.path.join(" "), one.what);
        described.iter().map(line).collect()
    };
    assert_eq!(
        lines(plan.describe_imports())[2..],
        [
            "wasi:io/streams@0.2.0 [method]output-stream.write: \
             func(self: borrow<output-stream>, contents: list<u8>)",
            "wasi:io/streams@0.2.0 subscribe: func(to: borrow<output-stream>) -> pollable",
            "m: core module, importing \"env\" \"f\" func(i32) -> (i64), \
             exporting \"mem\" memory of 1 pages or more",
        ]
    );
    assert_eq!(
        lines(plan.describe_exports()),
        ["i t: type record { a: u8 }"]
    );
}

#[test]
fn what_is_not_supported_is_named() {
    for (text, message) in [
        (
            r#"(component (import "outer" (instance (export "c" (component)))))"#,
            "import of the component `outer` `c`",
        ),
        (r#"(module)"#, "not a component"),
    ] {
        let error = try_plan(text).expect_err(text).to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn types_of_functions_are_interned() {
    let plan = plan(
        r#"(component
            (type $l (list u8))
            (type $m (list u8))
            (import "f" (func (param "x" $l)))
            (import "g" (func (param "x" $m))))"#,
    );
    let ty = |index: usize| match plan.imports[index].kind {
        ImportKind::Func(ty) => ty,
        _ => panic!("not a function"),
    };
    assert_eq!(ty(0), ty(1));
    let lists = plan
        .types
        .defs()
        .iter()
        .filter(|def| matches!(def, TypeDef::List(_)));
    assert_eq!(lists.count(), 1);
}
