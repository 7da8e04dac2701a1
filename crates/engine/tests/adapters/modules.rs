//! Modules: what they say of themselves, linking, start functions, precompiled form.

use tidegate_engine::{
    Engine, EngineConfig, EngineError, EngineKind, Export, Extern, ExternType, FuncType,
    GlobalType, Import, MemoryType, Module, TableType, ValType,
};

use crate::support::*;

const START: &str = r#"(module
    (import "h" "log" (func $log (param i32)))
    (memory 1)
    (data (i32.const 0) "\2a")
    (func (export "f"))
    (func $main (call $log (i32.load (i32.const 0))))
    (start $main))"#;

fn log_func(isolate: &mut tidegate_engine::Isolate<Log>) -> Extern {
    isolate
        .cx()
        .host_func(
            FuncType::new([ValType::I32], []),
            Box::new(|mut cx, slots| {
                cx.data_mut().0.push(format!("{}", slots[0]));
                Ok(())
            }),
        )
        .unwrap()
        .into()
}

both! {
    fn imports_and_exports_are_told_with_their_types(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module $name
            (import "a" "f" (func (param i32 f64) (result i64)))
            (import "a" "m" (memory i64 1 5))
            (import "b" "t" (table 2 funcref))
            (import "b" "g" (global (mut v128)))
            (func (export "run") (result f32) (f32.const 0))
            (memory (export "memory") 2)
            (table (export "table") 1 9 externref)
            (global (export "global") externref (ref.null extern)))"#);
        assert_eq!(module.name(), Some("name"));
        let memory = MemoryType { minimum: 1, maximum: Some(5), memory64: true, shared: false, page_size_log2: 16 };
        let table = TableType { element: ValType::FuncRef, minimum: 2, maximum: None, table64: false };
        let import = |module: &str, name: &str, ty| Import { module: module.into(), name: name.into(), ty };
        assert_eq!(module.imports(), [
            import("a", "f", ExternType::Func(FuncType::new([ValType::I32, ValType::F64], [ValType::I64]))),
            import("a", "m", ExternType::Memory(memory)),
            import("b", "t", ExternType::Table(table)),
            import("b", "g", ExternType::Global(GlobalType { content: ValType::V128, mutable: true })),
        ]);
        let mut exports = module.exports().to_vec();
        exports.sort_by(|a, b| a.name.cmp(&b.name));
        let export = |name: &str, ty| Export { name: name.into(), ty };
        assert_eq!(exports, [
            export("global", ExternType::Global(GlobalType { content: ValType::ExternRef, mutable: false })),
            export("memory", ExternType::Memory(MemoryType { minimum: 2, maximum: None, memory64: false, shared: false, page_size_log2: 16 })),
            export("run", ExternType::Func(FuncType::new([], [ValType::F32]))),
            export("table", ExternType::Table(TableType { element: ValType::ExternRef, minimum: 1, maximum: Some(9), table64: false })),
        ]);
    }

    fn exports_of_one_instance_are_imports_of_another(kind) {
        let engine = engine(kind);
        let provider = module(&engine, r#"(module
            (memory (export "m") 1)
            (global (export "g") (mut i32) (i32.const 0))
            (table (export "t") 1 funcref)
            (elem (i32.const 0) $bump)
            (func $bump (export "bump") (global.set 0 (i32.add (global.get 0) (i32.const 1)))))"#);
        let consumer = module(&engine, r#"(module
            (import "p" "m" (memory 1))
            (import "p" "g" (global $g (mut i32)))
            (import "p" "t" (table 1 funcref))
            (import "p" "bump" (func $bump))
            (func (export "run") (result i32)
                (call $bump)
                (call_indirect (i32.const 0))
                (i32.store (i32.const 16) (global.get $g))
                (global.get $g)))"#);
        let mut isolate = isolate(&engine);
        let first = instantiate(&mut isolate, &provider, &[]);
        let imports: Vec<Extern> = consumer
            .imports()
            .iter()
            .map(|import| {
                let item = isolate.cx().export(first, &import.name).unwrap();
                assert_eq!(item.kind(), import.ty.kind());
                assert_eq!(isolate.cx().extern_type(&item), import.ty);
                item
            })
            .collect();
        let second = instantiate(&mut isolate, &consumer, &imports);
        assert_eq!(call(&mut isolate, second, "run", &[]).unwrap(), 2);
        let mut cx = isolate.cx();
        let m = memory(&mut cx, first, "m");
        assert_eq!(cx.memory(m)[16], 2);
        assert!(cx.export(first, "nothing").is_none());
    }

    fn imports_that_do_not_fit_are_a_link_error(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module (import "h" "f" (func (param i32))))"#);
        let mut isolate = isolate(&engine);
        let wrong = isolate.cx().host_func(i32_to_i32(), Box::new(|_, _| Ok(()))).unwrap();
        for imports in [&[][..], &[wrong.into()], &[wrong.into(), wrong.into()]] {
            let error = isolate.cx().instantiate(&module, imports).unwrap_err();
            assert!(matches!(error.downcast_ref(), Some(EngineError::Link(_))), "{error:#}");
        }
    }

    fn start_functions_run_after_segments_are_in_place(kind) {
        let engine = engine(kind);
        let module = module(&engine, START);
        assert_eq!(module.exports().len(), 1);
        let mut isolate = isolate(&engine);
        let log = log_func(&mut isolate);
        let instance = instantiate(&mut isolate, &module, &[log]);
        assert_eq!(isolate.data().0, ["42"]);
        call(&mut isolate, instance, "f", &[]).unwrap();
    }

    fn a_start_function_can_be_an_import_and_the_module_without_exports(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module (import "h" "f" (func)) (start 0))"#);
        assert!(module.exports().is_empty());
        let mut isolate = isolate(&engine);
        let started = isolate
            .cx()
            .host_func(FuncType::default(), Box::new(|mut cx, _| {
                cx.data_mut().0.push("started".into());
                Ok(())
            }))
            .unwrap();
        instantiate(&mut isolate, &module, &[started.into()]);
        assert_eq!(isolate.data().0, ["started"]);
    }

    fn malformed_modules_are_refused_with_an_offset(kind) {
        let engine = engine(kind);
        let wasm = wat::parse_str(START).unwrap();
        for cut in [9, 20, wasm.len() - 1] {
            let error = Module::new(&engine, &wasm[..cut]).err().unwrap();
            assert!(matches!(error, EngineError::InvalidModule { .. }), "{error}");
        }
        // Truncated within the body of `f`: the offset is within the module as it was given.
        let error = Module::new(&engine, &wasm[..wasm.len() - 1]).err().unwrap();
        let EngineError::InvalidModule { offset: Some(offset), message } = error else {
            panic!("{error}");
        };
        assert!(offset <= wasm.len(), "{offset}: {message}");
        for garbage in [&b""[..], b"hello", b"\0asm\x02\0\0\0"] {
            assert!(Module::new(&engine, garbage).is_err());
        }
    }

    fn mutated_modules_are_refused_or_compiled_but_nothing_worse(kind) {
        let engine = engine(kind);
        let throwing = r#"(module (tag $t (param i32)) (table 1 funcref) (memory 1)
            (func $f (param i32) (result i32)
                (block $h (result i32)
                    (try_table (catch $t $h) (throw $t (call $f (local.get 0))))
                    (i32.const 1)))
            (func $main (drop (call $f (i32.const 1))))
            (export "f" (func $f)) (start $main) (elem (i32.const 0) $f))"#;
        for text in [START, throwing] {
            let wasm = wat::parse_str(text).unwrap();
            // Every byte, in several ways; fewer where compiling takes longer.
            let changes: &[u8] = match kind {
                EngineKind::Wasmtime => &[0x01],
                EngineKind::Wasmi => &[0x01, 0x02, 0x08, 0x40, 0x80, 0xff],
            };
            for at in 0..wasm.len() {
                for change in changes {
                    let mut mutated = wasm.clone();
                    mutated[at] ^= change;
                    if let Ok(module) = Module::new(&engine, &mutated) {
                        // Whatever it is now, it can be told of and serialised.
                        module.serialize().unwrap();
                        assert!(module.imports().len() < 1000);
                    }
                }
            }
        }
    }

    fn start_functions_with_parameters_are_refused(kind) {
        let engine = engine(kind);
        let wasm = wat::parse_str("(module (func (param i32)) (start 0))").unwrap();
        let error = Module::new(&engine, &wasm).err().unwrap();
        assert!(matches!(error, EngineError::InvalidModule { .. }), "{error}");
    }

    fn serialized_modules_work_again(kind) {
        let engine = engine(kind);
        let original = module(&engine, START);
        let bytes = original.serialize().unwrap();
        let module = Module::deserialize(&engine, &bytes).unwrap();
        assert_eq!(module.imports(), original.imports());
        assert_eq!(module.exports(), original.exports());
        module.prepare().unwrap();
        let mut isolate = isolate(&engine);
        let log = log_func(&mut isolate);
        instantiate(&mut isolate, &module, &[log]);
        assert_eq!(isolate.data().0, ["42"]);
    }

    fn artifacts_are_refused_unless_they_are_to_be_trusted(kind) {
        let bytes = module(&engine(kind), START).serialize().unwrap();
        let untrusting = Engine::new(&EngineConfig::new(kind)).unwrap();
        let error = Module::deserialize(&untrusting, &bytes).err().unwrap();
        assert!(matches!(error, EngineError::Artifact(_)), "{error}");
    }

    fn damaged_artifacts_are_refused(kind) {
        let engine = engine(kind);
        let bytes = module(&engine, START).serialize().unwrap();
        let refused = |bytes: &[u8]| {
            let error = Module::deserialize(&engine, bytes).err().unwrap();
            assert!(matches!(error, EngineError::Artifact(_)), "{error}");
        };
        for len in [0, 7, 39, 40, bytes.len() / 2, bytes.len() - 1] {
            refused(&bytes[..len]);
        }
        for at in (0..bytes.len()).step_by(bytes.len() / 300 + 1).chain(0..40) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            refused(&damaged);
        }
        let mut longer = bytes.clone();
        longer.push(0);
        refused(&longer);
        refused(&wat::parse_str(START).unwrap());
    }

    fn artifacts_of_another_configuration_or_engine_are_refused(kind) {
        let bytes = module(&engine(kind), START).serialize().unwrap();
        let other_kind = EngineKind::ALL.into_iter().find(|other| *other != kind).unwrap();
        let mut others = vec![engine(other_kind)];
        if kind == EngineKind::Wasmtime {
            let config = EngineConfig { interruptible: true,
                trust_artifacts: true,
                ..EngineConfig::new(kind) };
            others.push(Engine::new(&config).unwrap());
        }
        for other in others {
            assert_ne!(other.compatibility(), engine(kind).compatibility());
            let error = Module::deserialize(&other, &bytes).err().unwrap();
            assert!(matches!(error, EngineError::Artifact(_)), "{error}");
        }
    }

    fn features_of_both_engines_are_on(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (memory 1) (memory 1)
            (global i32 (i32.add (i32.const 1) (i32.const 2)))
            (table 1 funcref)
            (func $pair (result i32 i32) (i32.const 3) (i32.const 4))
            (func $count (param i32) (result i32)
                (if (result i32) (i32.eqz (local.get 0))
                    (then (global.get 0))
                    (else (return_call $count (i32.sub (local.get 0) (i32.const 1))))))
            (func (export "run") (result i32)
                (memory.fill 1 (i32.const 0) (i32.const 1) (i32.const 8))
                (memory.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 8))
                (i32x4.extract_lane 0 (i32x4.add (v128.load (i32.const 0)) (i32x4.splat (i32.const 1))))
                (call $pair)
                (i32.add)
                (call $count (i32.const 200000))
                (i32.add)
                (i32.add)))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        assert_eq!(call(&mut isolate, instance, "run", &[]).unwrap(), 0x0101_0102 + 7 + 3);
    }
}
