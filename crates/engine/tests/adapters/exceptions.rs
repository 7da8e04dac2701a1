//! Exceptions, within a module and between modules. wasmi has them by translation.

use tidegate_engine::{EngineKind, Extern, ExternType, FuncType, Stack, Trap, TrapCode, ValType};

use crate::support::*;

/// Catches by tag, by reference and whatever else, in nested tables, across calls, loops and blocks with parameters.
const LOCAL: &str = r#"(module
    (type $pair (func (param i32 i64) (result i32)))
    (tag $a (param i32))
    (tag $b (param i64 f64))
    (tag $c)
    (table 2 funcref)
    (elem (i32.const 0) $throw-a $plain)
    (global $count (mut i32) (i32.const 0))
    (func $plain (param i32) (result i32) (local.get 0))
    (func $throw-a (param i32) (result i32) (throw $a (local.get 0)))
    (func $throw-b (param i64) (result f32) (throw $b (local.get 0) (f64.const 2.5)))
    (func $relay (param i32) (result i32)
        (i32.add (i32.const 1000) (call $throw-a (local.get 0))))

    ;; The payload, from two frames below; what stood on the stack is dropped.
    (func (export "catch") (param i32) (result i32)
        (block $h (result i32)
            (i32.const 1)
            (i32.const 2)
            (try_table (result i32) (catch $a $h) (call $relay (local.get 0)))
            (drop) (drop) (drop)
            (i32.const -1)))

    ;; An indirect call: 0 throws, 1 does not.
    (func (export "indirect") (param i32) (result i32)
        (block $h (result i32)
            (try_table (result i32) (catch $a $h)
                (call_indirect (param i32) (result i32) (i32.const 7) (local.get 0)))
            (i32.const 100)
            (i32.add)
            (return)))

    ;; The inner table does not match, the outer one does, after the loop went round a few times.
    (func (export "nested") (param i32) (result i64)
        (block $h (result i64 f64)
            (try_table (catch $b $h)
                (loop $l
                    (block $other (result i32)
                        (try_table (catch $a $other)
                            (if (i32.eqz (local.get 0))
                                (then (drop (call $throw-b (i64.const 41)))))
                            (drop (call $throw-a (local.get 0)))
                            (unreachable))
                        (unreachable))
                    (local.set 0 (i32.sub (i32.const 1)))
                    (br $l)))
            (unreachable))
        (drop))

    (func (export "catch-all") (param i32) (result i32)
        (block $h
            (try_table (catch $c $h) (catch_all $h)
                (drop (call $throw-a (local.get 0))))
            (return (i32.const 0)))
        (i32.const 1))

    ;; Catches with a reference, and throws it again for another table to catch with its payload.
    (func (export "rethrow") (param i32) (result i32)
        (local $e exnref)
        (block $outer (result i32)
            (try_table (catch $a $outer)
                (block $h (result exnref)
                    (try_table (catch_all_ref $h)
                        (drop (call $relay (local.get 0))))
                    (unreachable))
                (local.set $e)
                (throw_ref (local.get $e)))
            (unreachable)))

    (func (export "ref-with-payload") (param i32) (result i32)
        (block $h (result i32 exnref)
            (try_table (catch_ref $a $h)
                (drop (call $throw-a (local.get 0))))
            (unreachable))
        (drop))

    ;; A table with parameters and several results, left by a branch to itself.
    (func (export "branch-out") (param i32) (result i32)
        (i32.const 5)
        (i64.const 6)
        (try_table $t (type $pair)
            (drop)
            (br_if $t (i32.add (i32.const 10)) (local.get 0))
            (i32.const 20)
            (i32.add)))

    (func (export "uncaught") (result i32) (call $relay (i32.const 3)))
    (func (export "null") (throw_ref (ref.null exn)))

    ;; A tail call leaves the table behind.
    (func $tail (param i32) (result i32)
        (block $h (result i32)
            (try_table (result i32) (catch $a $h) (return_call $throw-a (local.get 0)))
            (drop)
            (i32.const -1))
        (drop)
        (i32.const -2))
    (func (export "tail") (param i32) (result i32)
        (block $h (result i32)
            (try_table (result i32) (catch $a $h) (call $tail (local.get 0)))
            (drop)
            (i32.const -3))))"#;

const TAG: &str = r#"(module $tag (tag (export "t") (param i32)))"#;

const THROWER: &str = r#"(module $thrower
    (import "tag" "t" (tag $t (param i32)))
    (func (export "throw") (param i32) (throw $t (local.get 0))))"#;

/// Knows nothing of exceptions, but stands between thrower and catcher.
const BETWEEN: &str = r#"(module $between
    (import "h" "f" (func $f (param i32)))
    (global $after (export "after") (mut i32) (i32.const 0))
    (func (export "relay") (param i32)
        (call $f (local.get 0))
        (global.set $after (i32.const 1))))"#;

const CATCHER: &str = r#"(module $catcher
    (import "h" "f" (func $f (param i32)))
    (import "tag" "t" (tag $t (param i32)))
    (func (export "run") (param i32) (result i32)
        (block $all
            (block $h (result i32)
                (try_table (catch $t $h) (catch_all $all) (call $f (local.get 0)))
                (return (i32.const 99)))
            (return))
        (i32.const 77)))"#;

both! {
    fn exceptions_are_caught_where_they_should_be(kind) {
        let engine = engine(kind);
        let module = module(&engine, LOCAL);
        let mut isolate = isolate(&engine);
        isolate.enable_exceptions();
        let instance = instantiate(&mut isolate, &module, &[]);
        for (name, arg, expected) in [
            ("catch", 42, 42),
            ("indirect", 0, 7),
            ("indirect", 1, 107),
            ("nested", 3, 41),
            ("nested", 0, 41),
            ("catch-all", 1, 1),
            ("rethrow", 8, 8),
            ("ref-with-payload", 9, 9),
            ("branch-out", 0, 35),
            ("branch-out", 1, 15),
            ("tail", 6, 6),
        ] {
            assert_eq!(call(&mut isolate, instance, name, &[arg]).unwrap(), expected, "{name} {arg}");
        }
    }

    fn an_uncaught_exception_is_a_trap_and_leaves_nothing_behind(kind) {
        let engine = engine(kind);
        let module = module(&engine, LOCAL);
        let mut isolate = isolate(&engine);
        isolate.enable_exceptions();
        let instance = instantiate(&mut isolate, &module, &[]);
        for _ in 0..2 {
            let error = call(&mut isolate, instance, "uncaught", &[]).unwrap_err();
            assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::UncaughtException);
            assert_eq!(call(&mut isolate, instance, "indirect", &[1]).unwrap(), 107);
        }
        let error = call(&mut isolate, instance, "null", &[]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::NullReference);
        let uncaught = func(&mut isolate.cx(), instance, "uncaught");
        let mut isolate = Some(isolate);
        let error = failed(start(&mut Stack::call(uncaught, &[]).unwrap(), &mut isolate));
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::UncaughtException);
    }

    fn tags_are_passed_between_modules(kind) {
        let engine = engine(kind);
        let (tag, thrower) = (module(&engine, TAG), module(&engine, THROWER));
        let (between, catcher) = (module(&engine, BETWEEN), module(&engine, CATCHER));
        let ty = ExternType::Tag(FuncType::new([ValType::I32], []));
        assert_eq!(tag.exports()[0].ty, ty);
        assert_eq!(thrower.imports()[0].ty, ty);
        let imports: Vec<_> = catcher.imports().iter().map(|import| import.name.as_str()).collect();
        assert_eq!(imports, ["f", "t"]);
        assert!(!between.uses_exceptions());

        let mut isolate = isolate(&engine);
        isolate.enable_exceptions();
        // Two instances of one module define two tags.
        let tags: Vec<Extern> = (0..2)
            .map(|_| {
                let instance = instantiate(&mut isolate, &tag, &[]);
                let tag = isolate.cx().export(instance, "t").unwrap();
                assert_eq!(isolate.cx().extern_type(&tag), ty);
                tag
            })
            .collect();
        for (thrown, expected) in [(0, 42), (1, 77)] {
            let thrower = instantiate(&mut isolate, &thrower, &[tags[thrown]]);
            let throw = isolate.cx().export(thrower, "throw").unwrap();
            let between = instantiate(&mut isolate, &between, &[throw]);
            let relay = isolate.cx().export(between, "relay").unwrap();
            let catcher = instantiate(&mut isolate, &catcher, &[relay, tags[0]]);
            assert_eq!(call(&mut isolate, catcher, "run", &[42]).unwrap(), expected);
            // The module between did not run on.
            let mut cx = isolate.cx();
            let Some(Extern::Global(after)) = cx.export(between, "after") else { panic!() };
            assert_eq!(cx.global_get(after).unwrap(), 0);
        }
    }

    fn tags_of_another_type_do_not_link(kind) {
        let engine = engine(kind);
        let tag = module(&engine, r#"(module (tag (export "t") (param i64)))"#);
        let thrower = module(&engine, THROWER);
        let mut isolate = isolate(&engine);
        isolate.enable_exceptions();
        let instance = instantiate(&mut isolate, &tag, &[]);
        let tag = isolate.cx().export(instance, "t").unwrap();
        let error = isolate.cx().instantiate(&thrower, &[tag]).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(tidegate_engine::EngineError::Link(_))), "{error:#}");
    }

    fn an_exception_that_reaches_the_host_does_not_go_past_it(kind) {
        let engine = engine(kind);
        let (tag, thrower, catcher) = (module(&engine, TAG), module(&engine, THROWER), module(&engine, CATCHER));
        let mut isolate = isolate(&engine);
        isolate.enable_exceptions();
        let instance = instantiate(&mut isolate, &tag, &[]);
        let tag = isolate.cx().export(instance, "t").unwrap();
        let thrower = instantiate(&mut isolate, &thrower, &[tag]);
        let throw = func(&mut isolate.cx(), thrower, "throw");
        // This host function swallows it, so the catcher finds nothing to catch.
        let swallow = isolate
            .cx()
            .host_func(FuncType::new([ValType::I32], []), Box::new(move |mut cx, slots| {
                cx.call(throw, slots).unwrap_err();
                Ok(())
            }))
            .unwrap();
        let caught = instantiate(&mut isolate, &catcher, &[swallow.into(), tag]);
        assert_eq!(call(&mut isolate, caught, "run", &[1]).unwrap(), 99);
        // This one passes it on, as the trap that it has become.
        let pass = isolate
            .cx()
            .host_func(FuncType::new([ValType::I32], []), Box::new(move |mut cx, slots| cx.call(throw, slots)))
            .unwrap();
        let trapped = instantiate(&mut isolate, &catcher, &[pass.into(), tag]);
        let error = call(&mut isolate, trapped, "run", &[1]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::UncaughtException);
    }

    fn a_stack_blocks_within_a_try_table_and_catches_afterwards(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (import "h" "block" (func $block (param i32) (result i32)))
            (tag $t (param i32))
            (func (export "run") (param i32) (result i32)
                (block $h (result i32)
                    (try_table (catch $t $h) (throw $t (call $block (local.get 0))))
                    (i32.const -1))))"#);
        let mut isolate = isolate(&engine);
        isolate.enable_exceptions();
        let block = blocking(&mut isolate.cx());
        let instance = instantiate(&mut isolate, &module, &[block]);
        let run = func(&mut isolate.cx(), instance, "run");
        let mut isolate = Some(isolate);
        let mut stack = Stack::call(run, &[3]).unwrap();
        assert_eq!(blocked(start(&mut stack, &mut isolate)), "3");
        done(resume(&mut stack, &mut isolate, give(31)));
        assert_eq!(stack.results(), [31]);
    }

    fn modules_without_exceptions_work_as_ever_in_an_isolate_that_has_them(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (import "h" "f" (func $f (param i32) (result i32)))
            (import "h" "g" (global $g i32))
            (memory (export "m") 1)
            (global $own (export "own") (mut i32) (global.get $g))
            (table 1 funcref)
            (elem (i32.const 0) $fib)
            (data (i32.const 8) "\05")
            (func $fib (param i32) (result i32)
                (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
                    (then (local.get 0))
                    (else (i32.add
                        (call $fib (i32.sub (local.get 0) (i32.const 1)))
                        (call_indirect (param i32) (result i32) (i32.sub (local.get 0) (i32.const 2)) (i32.const 0))))))
            (func $main (global.set $own (i32.add (global.get $own) (call $f (i32.load (i32.const 8))))))
            (func (export "fib") (param i32) (result i32) (return_call $fib (local.get 0)))
            (start $main))"#);
        let global = self::module(&engine, r#"(module (global (export "g") i32 (i32.const 30)))"#);
        let mut isolate = isolate(&engine);
        isolate.enable_exceptions();
        let global = instantiate(&mut isolate, &global, &[]);
        let global = isolate.cx().export(global, "g").unwrap();
        let double = isolate
            .cx()
            .host_func(i32_to_i32(), Box::new(|_, slots| {
                slots[0] *= 2;
                Ok(())
            }))
            .unwrap();
        let instance = instantiate(&mut isolate, &module, &[double.into(), global]);
        assert_eq!(call(&mut isolate, instance, "fib", &[15]).unwrap(), 610);
        let mut cx = isolate.cx();
        let Some(Extern::Global(own)) = cx.export(instance, "own") else { panic!() };
        assert_eq!(cx.global_get(own).unwrap(), 40);
    }
}

#[test]
fn wasmi_bounds_what_catching_by_reference_takes() {
    let engine = engine(EngineKind::Wasmi);
    let module = module(
        &engine,
        r#"(module
            (tag $t)
            (func (export "run")
                (loop $l
                    (block $h (result exnref)
                        (try_table (catch_all_ref $h) (throw $t))
                        (unreachable))
                    (drop)
                    (br $l))))"#,
    );
    let mut isolate = isolate(&engine);
    isolate.enable_exceptions();
    let instance = instantiate(&mut isolate, &module, &[]);
    let error = call(&mut isolate, instance, "run", &[]).unwrap_err();
    let trap = error.downcast_ref::<Trap>().unwrap();
    assert_eq!(trap.code, TrapCode::OutOfResources);
}
