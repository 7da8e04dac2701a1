//! Shared memories, which wasmtime has.

use tidegate_engine::{
    Engine, EngineConfig, EngineError, EngineKind, Extern, MemoryType, SharedMemory,
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
fn shared_memories_are_refused_where_there_are_none() {
    for kind in EngineKind::ALL {
        // Not set up for threads, or an engine without.
        let error = SharedMemory::new(&engine(kind), &TYPE).unwrap_err();
        assert!(matches!(error, EngineError::Unsupported(_)), "{error}");
    }
}
