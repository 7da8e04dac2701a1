//! Shared memories, which wasmtime has.

use tidegate_engine::{
    Engine, EngineConfig, EngineError, EngineKind, Extern, MemoryType, SharedMemory, TrapCode,
};

use crate::support::*;

const TYPE: MemoryType = MemoryType {
    minimum: 1,
    maximum: Some(4),
    memory64: false,
    shared: true,
    page_size_log2: 16,
};

const GUEST: &str = r#"(module
    (import "env" "memory" (memory 1 4 shared))
    (func (export "add") (param i32) (result i32)
        (i32.atomic.rmw.add (i32.const 8) (local.get 0)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (export "memory" (memory 0)))"#;

#[test]
fn isolates_on_threads_share_a_memory() {
    let config = EngineConfig {
        threads: true,
        ..EngineConfig::new(EngineKind::Wasmtime)
    };
    let engine = Engine::new(&config).unwrap();
    let module = module(&engine, GUEST);
    let memory = SharedMemory::new(&engine, &TYPE).unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (engine, module, memory) = (engine.clone(), module.clone(), memory.clone());
            std::thread::spawn(move || {
                let mut isolate = isolate(&engine);
                let import = isolate.cx().add_shared_memory(&memory).unwrap();
                assert_eq!(isolate.cx().extern_type(&import), module.imports()[0].ty);
                let instance = instantiate(&mut isolate, &module, &[import]);
                for _ in 0..100 {
                    call(&mut isolate, instance, "add", &[1]).unwrap();
                }
                let Some(Extern::SharedMemory(exported)) = isolate.cx().export(instance, "memory")
                else {
                    panic!()
                };
                assert!(isolate.cx().shared_memory(exported).same(&memory));
                (isolate, instance)
            })
        })
        .collect();
    let mut workers: Vec<_> = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .collect();
    let (isolate, instance) = &mut workers[0];
    assert_eq!(call(isolate, *instance, "add", &[0]).unwrap(), 400);
    assert_eq!(call(isolate, *instance, "grow", &[]).unwrap(), 1);
    assert_eq!(memory.size(), 2 << 16);
}

#[test]
fn hosts_copy_to_and_from_any_place_within() {
    let config = EngineConfig {
        threads: true,
        ..EngineConfig::new(EngineKind::Wasmtime)
    };
    let memory = SharedMemory::new(&Engine::new(&config).unwrap(), &TYPE).unwrap();
    let end = memory.size() as u64;
    for offset in [0, 1, 7, 8, 1000, end - 40] {
        for len in [0, 1, 7, 8, 9, 17, 40] {
            let bytes: Vec<u8> = (1..=len).collect();
            memory.write(offset, &bytes).unwrap();
            let mut back = vec![0; bytes.len()];
            memory.read(offset, &mut back).unwrap();
            assert_eq!(back, bytes, "{len} bytes at {offset}");
        }
    }
    memory
        .write(16, &0x0807_0605_0403_0201u64.to_le_bytes())
        .unwrap();
    assert_eq!(memory.atomic_load32(20).unwrap(), 0x0807_0605);
    assert_eq!(memory.atomic_load64(16).unwrap(), 0x0807_0605_0403_0201);
}

#[test]
fn hosts_reach_nothing_outside() {
    let config = EngineConfig {
        threads: true,
        ..EngineConfig::new(EngineKind::Wasmtime)
    };
    let memory = SharedMemory::new(&Engine::new(&config).unwrap(), &TYPE).unwrap();
    let end = memory.size() as u64;
    for (offset, len) in [
        (end, 1),
        (end - 1, 2),
        (u64::MAX, 1),
        (u64::MAX - 7, 16),
        (end + 1, 0),
    ] {
        let error = memory.write(offset, &vec![1; len]).unwrap_err();
        assert_eq!(error.code, TrapCode::MemoryOutOfBounds);
        assert!(memory.read(offset, &mut vec![1; len]).is_err());
    }
    memory.write(end, &[]).unwrap();
    assert_eq!(
        memory.atomic_load32(end).unwrap_err().code,
        TrapCode::MemoryOutOfBounds
    );
    assert_eq!(
        memory.atomic_load64(end - 4).unwrap_err().code,
        TrapCode::UnalignedAtomic
    );
    assert_eq!(
        memory.check_atomic(2).unwrap_err().code,
        TrapCode::UnalignedAtomic
    );
    memory.check_atomic(end - 4).unwrap();
}

#[test]
fn shared_memories_are_refused_where_there_are_none() {
    for kind in EngineKind::ALL {
        // Not set up for threads, or an engine without.
        let error = SharedMemory::new(&engine(kind), &TYPE).unwrap_err();
        assert!(matches!(error, EngineError::Unsupported(_)), "{error}");
    }
}
