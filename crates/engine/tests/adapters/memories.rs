//! Linear memories.

use tidegate_engine::{EngineKind, Trap, TrapCode};

use crate::support::*;

const TWO: &str = r#"(module
    (memory (export "a") 1 3)
    (memory (export "b") 1)
    (data (memory 0) (i32.const 0) "hello"))"#;

both! {
    fn bytes_are_read_and_written(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module (memory (export "m") 1)
            (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut cx = isolate.cx();
        let m = memory(&mut cx, instance, "m");
        cx.memory_mut(m)[8..12].copy_from_slice(&0x1234_5678u32.to_le_bytes());
        let (bytes, data) = cx.memory_and_data_mut(m);
        data.0.push(format!("{}", bytes.len()));
        assert_eq!(cx.data().0, ["65536"]);
        assert_eq!(call(&mut isolate, instance, "load", &[8]).unwrap(), 0x1234_5678);
    }

    fn memories_grow_up_to_their_maximum(kind) {
        let engine = engine(kind);
        let module = module(&engine, TWO);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut cx = isolate.cx();
        let a = memory(&mut cx, instance, "a");
        assert_eq!(cx.memory_grow(a, 2), Some(1));
        assert_eq!((cx.memory_size(a), cx.memory(a).len()), (3, 3 << 16));
        assert_eq!(cx.memory_grow(a, 1), None);
        assert_eq!(cx.memory_grow(a, u64::MAX), None);
        assert_eq!(cx.memory_size(a), 3);
    }

    fn memories_are_found_where_they_are_after_any_has_grown(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (memory (export "a") 0 20) (memory (export "b") 1 20) (memory (export "c") 1 1)
            (func (export "grow") (param i32) (result i32) (memory.grow 0 (local.get 0)))
            (func (export "store") (param i32 i32) (i32.store8 1 (local.get 0) (local.get 1))))"#);
        let mut isolate = isolate(&engine);
        let instances: Vec<_> = (0..3).map(|_| instantiate(&mut isolate, &module, &[])).collect();
        let mut cx = isolate.cx();
        // More handles than are remembered, each memory having several.
        let handles: Vec<_> = (0..4)
            .flat_map(|_| instances.clone())
            .flat_map(|instance| ["a", "b", "c"].map(|name| (instance, name)))
            .map(|(instance, name)| memory(&mut cx, instance, name))
            .collect();
        let lengths = |cx: &mut tidegate_engine::Cx<'_, Log>| -> Vec<(usize, usize)> {
            handles.iter().map(|handle| (cx.memory_mut(*handle).len() >> 16, cx.memory(*handle).len() >> 16)).collect()
        };
        let expected = |pages: [usize; 3]| -> Vec<(usize, usize)> {
            pages.iter().flat_map(|&a| [(a, a), (1, 1), (1, 1)]).collect::<Vec<_>>().repeat(4)
        };
        assert_eq!(lengths(&mut cx), expected([0; 3]));
        for pages in 1..=20 {
            // The guest grows one, and then the host another.
            assert_eq!(call(&mut isolate, instances[1], "grow", &[1]).unwrap(), pages - 1);
            let mut cx = isolate.cx();
            let pages = pages as usize;
            assert_eq!(lengths(&mut cx), expected([pages - 1, pages, 0]));
            assert_eq!(cx.memory_grow(handles[0], 1), Some(pages as u64 - 1));
            assert_eq!(lengths(&mut cx), expected([pages, pages, 0]));
            cx.memory_mut(handles[0])[(pages << 16) - 1] = pages as u8;
            assert_eq!(cx.memory(handles[9])[(pages << 16) - 1], pages as u8);
            call(&mut isolate, instances[2], "store", &[9, pages as u64]).unwrap();
            assert_eq!(isolate.cx().memory(handles[7])[9], pages as u8);
        }
    }

    fn bytes_are_copied_between_memories_and_within_one(kind) {
        let engine = engine(kind);
        let module = module(&engine, TWO);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut cx = isolate.cx();
        let (a, b) = (memory(&mut cx, instance, "a"), memory(&mut cx, instance, "b"));
        cx.copy(b, 100, a, 0, 5).unwrap();
        assert_eq!(&cx.memory(b)[100..105], b"hello");
        cx.copy(a, 2, a, 0, 5).unwrap();
        assert_eq!(&cx.memory(a)[..7], b"hehello");
        cx.copy(b, 65536, a, 65536, 0).unwrap();
    }

    fn copies_out_of_bounds_trap_and_copy_nothing(kind) {
        let engine = engine(kind);
        let module = module(&engine, TWO);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut cx = isolate.cx();
        let (a, b) = (memory(&mut cx, instance, "a"), memory(&mut cx, instance, "b"));
        for (to, from, len) in [
            (65533, 0, 5),
            (0, 65533, 5),
            (u64::MAX, 0, 1),
            (0, u64::MAX, 2),
            (0, 0, u64::MAX),
            (65537, 0, 0),
        ] {
            let error = cx.copy(b, to, a, from, len).unwrap_err();
            assert_eq!(error.downcast_ref::<Trap>().unwrap().code, TrapCode::MemoryOutOfBounds);
        }
        assert!(cx.memory(b).iter().all(|byte| *byte == 0));
    }

    fn memories_are_addressed_with_64_bits_if_they_say_so(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (memory (export "m") i64 1 2)
            (memory (export "n") 1)
            (func (export "store") (param i64 i32) (i32.store (local.get 0) (local.get 1))))"#);
        let mut isolate = isolate(&engine);
        let instance = instantiate(&mut isolate, &module, &[]);
        call(&mut isolate, instance, "store", &[4, 9]).unwrap();
        call(&mut isolate, instance, "store", &[1 << 33, 9]).unwrap_err();
        let mut cx = isolate.cx();
        let (m, n) = (memory(&mut cx, instance, "m"), memory(&mut cx, instance, "n"));
        assert!(cx.memory_is64(m) && !cx.memory_is64(n));
        assert_eq!(cx.memory_type(m).maximum, Some(2));
        assert_eq!(cx.memory(m)[4], 9);
    }
}
