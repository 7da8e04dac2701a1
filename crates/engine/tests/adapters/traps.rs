//! Traps and errors of host functions on their way out.

use tidegate_engine::{
    Backtrace, EngineKind, Extern, FuncType, Isolate, Module, Trap, TrapCode, ValType,
};

use crate::support::*;

const TRAPS: &str = r#"(module $traps
    (memory 1)
    (table 2 funcref)
    (elem (i32.const 1) $void)
    (type $void (func))
    (type $other (func (param i64)))
    (func $void)
    (func (export "unreachable") (unreachable))
    (func (export "memory") (drop (i32.load (i32.const 65536))))
    (func (export "table") (drop (table.get 0 (i32.const 2))))
    (func (export "element") (call_indirect (type $void) (i32.const 2)))
    (func (export "null") (call_indirect (type $void) (i32.const 0)))
    (func (export "type") (call_indirect (type $other) (i64.const 0) (i32.const 1)))
    (func (export "zero") (drop (i32.div_u (i32.const 1) (i32.const 0))))
    (func (export "overflow") (drop (i32.div_s (i32.const 0x80000000) (i32.const -1))))
    (func (export "convert") (drop (i32.trunc_f32_s (f32.const nan))))
    (func $recurse (export "stack") (call $recurse) (call $recurse)))"#;

/// Three guest frames deep, then the host.
const DEEP: &str = r#"(module $deep
    (import "h" "f" (func $f (param i32)))
    (func $inner (param i32) (call $f (local.get 0)))
    (func $middle (param i32) (call $inner (local.get 0)))
    (func $outer (export "outer") (param i32) (call $middle (local.get 0))))"#;

fn exiting(isolate: &mut Isolate<Log>) -> Extern {
    isolate
        .cx()
        .host_func(
            FuncType::new([ValType::I32], []),
            Box::new(|_, slots| Err(Exit(slots[0] as i32).into())),
        )
        .unwrap()
        .into()
}

fn check(kind: EngineKind, isolate: &mut Isolate<Log>, module: &Module) {
    let instance = instantiate(isolate, module, &[]);
    let texts = [
        ("unreachable", TrapCode::Unreachable, "unreachable"),
        (
            "memory",
            TrapCode::MemoryOutOfBounds,
            "out of bounds memory access",
        ),
        (
            "table",
            TrapCode::TableOutOfBounds,
            "out of bounds table access",
        ),
        ("element", TrapCode::TableOutOfBounds, "undefined element"),
        (
            "null",
            TrapCode::UninitializedElement,
            "uninitialized element",
        ),
        (
            "type",
            TrapCode::IndirectCallTypeMismatch,
            "indirect call type mismatch",
        ),
        (
            "zero",
            TrapCode::IntegerDivideByZero,
            "integer divide by zero",
        ),
        ("overflow", TrapCode::IntegerOverflow, "integer overflow"),
        (
            "convert",
            TrapCode::InvalidConversionToInteger,
            "invalid conversion to integer",
        ),
        ("stack", TrapCode::StackExhausted, "call stack exhausted"),
    ];
    for (name, code, text) in texts {
        let error = call(isolate, instance, name, &[]).unwrap_err();
        let trap = error
            .downcast_ref::<Trap>()
            .unwrap_or_else(|| panic!("{name}: {error:#}"));
        assert_eq!(trap.code, code, "{name}");
        assert!(trap.to_string().contains(text), "{name}: {trap}");
        if kind == EngineKind::Wasmtime {
            assert_eq!(trap.frames[0].module.as_deref(), Some("traps"), "{name}");
        }
    }
}

both! {
    fn traps_have_the_specifications_texts(kind) {
        let engine = engine(kind);
        let module = module(&engine, TRAPS);
        check(kind, &mut isolate(&engine), &module);
    }

    fn traps_name_the_guests_frames_where_the_engine_knows_them(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module $m
            (func $inner (unreachable))
            (func $outer (export "run") (call $inner)))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let error = call(&mut isolate, instance, "run", &[]).unwrap_err();
        let frames = &error.downcast_ref::<Trap>().unwrap().frames;
        let names: Vec<_> = frames.iter().map(|frame| frame.func_name.as_deref().unwrap()).collect();
        match kind {
            EngineKind::Wasmtime => {
                assert_eq!(names, ["inner", "outer"]);
                assert!(frames[0].offset.is_some() && frames[0].func_index == 0);
                assert!(frames[0].to_string().ends_with("m!inner"), "{}", frames[0]);
            }
            EngineKind::Wasmi => assert!(names.is_empty()),
        }
    }

    fn errors_of_host_functions_come_out_as_they_were(kind) {
        let engine = engine(kind);
        let module = module(&engine, DEEP);
        let mut isolate = isolate(&engine);
        let exit = exiting(&mut isolate);
        let instance = instantiate(&mut isolate, &module, &[exit]);
        let error = call(&mut isolate, instance, "outer", &[7]).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Exit(7)));
        assert_eq!(error.root_cause().to_string(), "exit with 7");
        if kind == EngineKind::Wasmtime {
            let backtrace = error.downcast_ref::<Backtrace>().unwrap();
            let names: Vec<_> = backtrace.frames.iter().map(|frame| frame.func_name.as_deref()).collect();
            assert_eq!(names, [Some("inner"), Some("middle"), Some("outer")]);
            assert!(format!("{error:#}").contains("deep!middle"), "{error:#}");
        }
        // The instance is still usable: what a failure means is for the user to say.
        assert_eq!(
            call(&mut isolate, instance, "outer", &[8]).unwrap_err().downcast::<Exit>().unwrap(),
            Exit(8)
        );
    }

    fn errors_pass_through_nested_calls_of_host_and_guest(kind) {
        let engine = engine(kind);
        let deep = module(&engine, DEEP);
        let mut isolate = isolate(&engine);
        let exit = exiting(&mut isolate);
        let inner = instantiate(&mut isolate, &deep, &[exit]);
        let outer_of_inner = func(&mut isolate.cx(), inner, "outer");
        let relay = isolate
            .cx()
            .host_func(FuncType::new([ValType::I32], []), Box::new(move |mut cx, slots| {
                cx.call(outer_of_inner, slots)
            }))
            .unwrap();
        let outer = instantiate(&mut isolate, &deep, &[relay.into()]);
        let error = call(&mut isolate, outer, "outer", &[3]).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Exit(3)));
        assert_eq!(error.chain().filter(|cause| cause.downcast_ref::<Exit>().is_some()).count(), 1);
    }

    fn a_trap_of_a_nested_guest_is_that_trap(kind) {
        let engine = engine(kind);
        let traps = module(&engine, TRAPS);
        let deep = module(&engine, DEEP);
        let mut isolate = isolate(&engine);
        let inner = instantiate(&mut isolate, &traps, &[]);
        let zero = func(&mut isolate.cx(), inner, "zero");
        let relay = isolate
            .cx()
            .host_func(FuncType::new([ValType::I32], []), Box::new(move |mut cx, _| cx.call(zero, &mut [])))
            .unwrap();
        let outer = instantiate(&mut isolate, &deep, &[relay.into()]);
        let error = call(&mut isolate, outer, "outer", &[3]).unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::IntegerDivideByZero);
    }

    fn a_host_function_may_handle_a_trap_and_go_on(kind) {
        let engine = engine(kind);
        let traps = module(&engine, TRAPS);
        let deep = module(&engine, DEEP);
        let mut isolate = isolate(&engine);
        let inner = instantiate(&mut isolate, &traps, &[]);
        let zero = func(&mut isolate.cx(), inner, "zero");
        let relay = isolate
            .cx()
            .host_func(FuncType::new([ValType::I32], []), Box::new(move |mut cx, _| {
                let error = cx.call(zero, &mut []).unwrap_err();
                cx.data_mut().0.push(error.to_string());
                Ok(())
            }))
            .unwrap();
        let outer = instantiate(&mut isolate, &deep, &[relay.into()]);
        call(&mut isolate, outer, "outer", &[3]).unwrap();
        assert_eq!(isolate.data().0, ["integer divide by zero"]);
    }

    fn segments_out_of_bounds_trap_the_instantiation(kind) {
        let engine = engine(kind);
        let mut isolate = isolate(&engine);
        for (wat, code) in [
            (r#"(module (memory 1) (data (i32.const 65536) "x"))"#, TrapCode::MemoryOutOfBounds),
            (r#"(module (table 1 funcref) (elem (i32.const 1) $f) (func $f))"#, TrapCode::TableOutOfBounds),
            (r#"(module (func $f (unreachable)) (start $f))"#, TrapCode::Unreachable),
        ] {
            let module = module(&engine, wat);
            let error = isolate.cx().instantiate(&module, &[]).unwrap_err();
            let trap = error.downcast_ref::<Trap>().unwrap_or_else(|| panic!("{wat}: {error:#}"));
            assert_eq!(trap.code, code, "{wat}");
        }
    }

    fn an_error_in_a_start_function_comes_out_as_it_was(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (import "h" "f" (func $f (param i32)))
            (func $main (call $f (i32.const 9)))
            (start $main))"#);
        let mut isolate = isolate(&engine);
        let exit = exiting(&mut isolate);
        let error = isolate.cx().instantiate(&module, &[exit]).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Exit(9)));
    }
}
