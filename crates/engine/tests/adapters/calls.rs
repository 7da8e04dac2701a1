//! Values through calls and host functions, globals and tables.

use tidegate_engine::{EngineError, EngineKind, Extern, FuncType, ValType};

use crate::support::*;

/// All four types, passed to the host in another order and back.
const TYPES: &str = r#"(module
    (import "h" "swap" (func $swap (param i32 i64 f32 f64) (result f64 f32 i64 i32)))
    (func (export "run") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
        (call $swap (local.get 0) (local.get 1) (local.get 2) (local.get 3))))"#;

both! {
    fn all_number_types_pass_through_guest_and_host(kind) {
        let engine = engine(kind);
        let module = module(&engine, TYPES);
        let mut isolate = isolate(&engine);
        let mut cx = isolate.cx();
        let ty = FuncType::new(
            [ValType::I32, ValType::I64, ValType::F32, ValType::F64],
            [ValType::F64, ValType::F32, ValType::I64, ValType::I32],
        );
        let swap = cx
            .host_func(ty.clone(), Box::new(|mut cx, slots| {
                cx.data_mut().0.push(format!("{slots:x?}"));
                slots.reverse();
                Ok(())
            }))
            .unwrap();
        assert_eq!(cx.func_type(swap), ty);
        let instance = cx.instantiate(&module, &[swap.into()]).unwrap();
        let run = func(&mut cx, instance, "run");
        assert_eq!((run.params(), run.results(), run.slots()), (4, 4, 4));
        // Negative narrow values: their words have a zero high half wherever they come out.
        let mut slots = [
            u64::from(u32::MAX),
            u64::MAX - 1,
            u64::from((-1.5f32).to_bits()),
            (-2.5f64).to_bits(),
        ];
        let mut expected = slots;
        expected.reverse();
        cx.call(run, &mut slots).unwrap();
        assert_eq!(slots, expected);
        assert_eq!(isolate.data().0, ["[ffffffff, fffffffffffffffe, bfc00000, c004000000000000]"]);
    }

    fn high_halves_of_narrow_arguments_are_ignored(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (func (export "id") (param i32) (result i32) (local.get 0))
            (func (export "widen") (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
            (func (export "narrow") (param i64) (result i32) (i32.wrap_i64 (local.get 0))))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let word = 0xdead_beef_0000_0007;
        assert_eq!(call(&mut isolate, instance, "id", &[word]).unwrap(), 7);
        assert_eq!(call(&mut isolate, instance, "widen", &[word]).unwrap(), 7);
        assert_eq!(call(&mut isolate, instance, "narrow", &[word]).unwrap(), 7);
    }

    fn sixteen_parameters_pass(kind) {
        let engine = engine(kind);
        let params = "i32 ".repeat(16);
        let sum = (1..16).fold("(local.get 0)".to_owned(), |sum, index| {
            format!("(i32.add {sum} (local.get {index}))")
        });
        let module = module(&engine, &format!(
            r#"(module (func (export "sum") (param {params}) (result i32) {sum}))"#
        ));
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let args: Vec<u64> = (1..=16).collect();
        assert_eq!(call(&mut isolate, instance, "sum", &args).unwrap(), 136);
    }

    fn host_functions_can_be_called_by_the_host(kind) {
        let engine = engine(kind);
        let mut isolate = isolate(&engine);
        let mut cx = isolate.cx();
        let double = cx
            .host_func(i32_to_i32(), Box::new(|_, slots| {
                slots[0] *= 2;
                Ok(())
            }))
            .unwrap();
        let mut slots = [21];
        cx.call(double, &mut slots).unwrap();
        assert_eq!(slots, [42]);
    }

    fn functions_with_references_are_refused_not_misread(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (func (export "f") (param externref))
            (func (export "v") (result v128) (v128.const i64x2 1 2)))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        for name in ["f", "v"] {
            let mut cx = isolate.cx();
            let func = func(&mut cx, instance, name);
            let error = cx.call(func, &mut [0; 4]).unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(EngineError::Unsupported(_))), "{error}");
        }
        let ty = FuncType::new([ValType::ExternRef], []);
        let error = isolate.cx().host_func(ty, Box::new(|_, _| Ok(()))).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(EngineError::Unsupported(_))), "{error}");
    }

    fn too_few_slots_are_refused(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module (func (export "f") (param i32 i32) (result i32) (local.get 0)))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut cx = isolate.cx();
        let func = func(&mut cx, instance, "f");
        let error = cx.call(func, &mut [0]).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(EngineError::Misuse(_))), "{error}");
    }

    fn globals_are_read_and_set(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (global (export "i32") (mut i32) (i32.const -1))
            (global (export "i64") (mut i64) (i64.const -1))
            (global (export "f32") (mut f32) (f32.const 1.5))
            (global (export "f64") (mut f64) (f64.const 2.5))
            (global (export "const") i32 (i32.const 3))
            (global (export "ref") externref (ref.null extern)))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut cx = isolate.cx();
        let mut global = |name| match cx.export(instance, name) {
            Some(Extern::Global(global)) => global,
            other => panic!("{other:?}"),
        };
        let (i32, i64, f32, f64) = (global("i32"), global("i64"), global("f32"), global("f64"));
        let (constant, reference) = (global("const"), global("ref"));
        assert_eq!(cx.global_get(i32).unwrap(), u64::from(u32::MAX));
        assert_eq!(cx.global_get(i64).unwrap(), u64::MAX);
        assert_eq!(cx.global_get(f32).unwrap(), u64::from(1.5f32.to_bits()));
        assert_eq!(cx.global_get(f64).unwrap(), 2.5f64.to_bits());
        for (global, value) in [(i32, 7), (i64, 1 << 40), (f32, 0x7fc0_0001), (f64, 1)] {
            cx.global_set(global, value).unwrap();
            assert_eq!(cx.global_get(global).unwrap(), value);
        }
        assert!(cx.global_type(i32).mutable && !cx.global_type(constant).mutable);
        cx.global_set(constant, 4).unwrap_err();
        cx.global_get(reference).unwrap_err();
    }

    fn functions_are_found_in_tables(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (table (export "t") 3 funcref)
            (elem (i32.const 1) $seven)
            (func $seven (result i32) (i32.const 7)))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut cx = isolate.cx();
        let Some(Extern::Table(table)) = cx.export(instance, "t") else { panic!() };
        assert_eq!(cx.table_type(table).minimum, 3);
        assert!(cx.table_func(table, 0).unwrap().is_none());
        let seven = cx.table_func(table, 1).unwrap().unwrap();
        let mut slots = [0];
        cx.call(seven, &mut slots).unwrap();
        assert_eq!(slots, [7]);
        cx.table_func(table, 3).unwrap_err();
    }

    fn data_goes_in_and_comes_back(kind) {
        let engine = engine(kind);
        let mut isolate = isolate(&engine);
        assert_eq!(isolate.kind(), kind);
        isolate.data_mut().0.push("a".into());
        isolate.cx().data_mut().0.push("b".into());
        assert_eq!(isolate.cx().reborrow().data().0, ["a", "b"]);
        assert_eq!(isolate.into_data().0, ["a", "b"]);
    }
}
