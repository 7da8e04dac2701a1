//! Limits of an isolate: what a guest is told, and what the embedder is told.

use tidegate_engine::{
    Engine, EngineConfig, EngineError, EngineKind, Isolate, LimitExceeded, Limits, Module, Stack,
};

use crate::support::*;

fn limited(engine: &Engine, limits: Limits) -> Isolate<Log> {
    Isolate::new(engine, Log::default(), limits).unwrap()
}

fn refusal(isolate: &mut Isolate<Log>, module: &Module) -> LimitExceeded {
    let error = isolate.cx().instantiate(module, &[]).unwrap_err();
    match error.downcast_ref() {
        Some(EngineError::Limit(limit)) => *limit,
        _ => panic!("another error: {error:#}"),
    }
}

const GROW: &str = r#"(module
    (memory 1)
    (memory 1)
    (memory 1 1)
    (table 10 funcref)
    (func (export "grow-a") (param i32) (result i32) (memory.grow 0 (local.get 0)))
    (func (export "grow-b") (param i32) (result i32) (memory.grow 1 (local.get 0)))
    (func (export "grow-c") (param i32) (result i32) (memory.grow 2 (local.get 0)))
    (func (export "grow-table") (param i32) (result i32) (table.grow 0 (ref.null func) (local.get 0))))"#;

const MINUS_ONE: u64 = u32::MAX as u64;

both! {
    fn memory_grow_beyond_the_limit_gives_minus_one(kind) {
        let engine = engine(kind);
        let module = module(&engine, GROW);
        let mut isolate = limited(&engine, Limits { memory_bytes: 6 << 16, ..Limits::default() });
        let instance = instantiate(&mut isolate, &module, &[]);
        assert_eq!(call(&mut isolate, instance, "grow-a", &[2]).unwrap(), 1);
        // Five of six pages are taken, by all memories together.
        assert_eq!(call(&mut isolate, instance, "grow-b", &[2]).unwrap(), MINUS_ONE);
        assert_eq!(call(&mut isolate, instance, "grow-b", &[1]).unwrap(), 1);
        assert_eq!(call(&mut isolate, instance, "grow-a", &[1]).unwrap(), MINUS_ONE);
    }

    fn growth_that_a_maximum_forbids_takes_nothing_of_the_limit(kind) {
        let engine = engine(kind);
        let module = module(&engine, GROW);
        let mut isolate = limited(&engine, Limits { memory_bytes: 4 << 16, ..Limits::default() });
        let instance = instantiate(&mut isolate, &module, &[]);
        for _ in 0..3 {
            assert_eq!(call(&mut isolate, instance, "grow-c", &[1]).unwrap(), MINUS_ONE);
        }
        assert_eq!(call(&mut isolate, instance, "grow-a", &[1]).unwrap(), 1);
    }

    fn absurd_growth_gives_nothing_back_to_the_limit(kind) {
        let engine = engine(kind);
        let module = module(&engine, r#"(module
            (memory i64 1)
            (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))"#);
        let mut isolate = limited(&engine, Limits { memory_bytes: 3 << 16, ..Limits::default() });
        let instance = instantiate(&mut isolate, &module, &[]);
        for _ in 0..2 {
            assert_eq!(call(&mut isolate, instance, "grow", &[1 << 60]).unwrap(), u64::MAX);
            call(&mut isolate, instance, "grow", &[1]).unwrap();
        }
        assert_eq!(call(&mut isolate, instance, "grow", &[1 << 60]).unwrap(), u64::MAX);
        assert_eq!(call(&mut isolate, instance, "grow", &[1]).unwrap(), u64::MAX);
    }

    fn table_grow_beyond_the_limit_gives_minus_one(kind) {
        let engine = engine(kind);
        let module = module(&engine, GROW);
        let mut isolate = limited(&engine, Limits { table_elements: 12, ..Limits::default() });
        let instance = instantiate(&mut isolate, &module, &[]);
        assert_eq!(call(&mut isolate, instance, "grow-table", &[3]).unwrap(), MINUS_ONE);
        assert_eq!(call(&mut isolate, instance, "grow-table", &[2]).unwrap(), 10);
    }

    fn growth_that_has_to_wait_for_fuel_is_counted_once(kind) {
        let engine = Engine::new(&EngineConfig {
            interruptible: true,
            ..EngineConfig::new(kind)
        })
        .unwrap();
        let module = module(&engine, GROW);
        let limits = Limits { memory_bytes: 103 << 16, table_elements: 300_010, ..Limits::default() };
        let mut isolate = limited(&engine, limits);
        let instance = instantiate(&mut isolate, &module, &[]);
        let mut isolate = Some(isolate);
        for (name, by, before) in [("grow-a", 100, 1), ("grow-a", 1, MINUS_ONE), ("grow-table", 300_000, 10)] {
            let grow = func(&mut isolate.as_mut().unwrap().cx(), instance, name);
            let mut stack = Stack::call(grow, &[by]).unwrap();
            done(start(&mut stack, &mut isolate));
            assert_eq!(stack.results(), [before], "{name} by {by}");
        }
    }

    fn an_instantiation_beyond_a_limit_names_it(kind) {
        let engine = engine(kind);
        let module = module(&engine, GROW);
        let cases = [
            (Limits { memory_bytes: 100_000, ..Limits::default() }, "memory bytes", 131_072, 100_000),
            (Limits { table_elements: 9, ..Limits::default() }, "table elements", 10, 9),
            (Limits { memories: 2, ..Limits::default() }, "memories", 3, 2),
            (Limits { tables: 0, ..Limits::default() }, "tables", 1, 0),
            (Limits { instances: 0, ..Limits::default() }, "instances", 1, 0),
        ];
        for (limits, limit, asked, allowed) in cases {
            let mut isolate = limited(&engine, limits);
            assert_eq!(refusal(&mut isolate, &module), LimitExceeded { limit, asked, allowed });
        }
    }

    fn instances_are_counted_over_the_isolates_life(kind) {
        let engine = engine(kind);
        let module = module(&engine, "(module)");
        let mut isolate = limited(&engine, Limits { instances: 2, ..Limits::default() });
        for _ in 0..2 {
            instantiate(&mut isolate, &module, &[]);
        }
        let message = refusal(&mut isolate, &module).to_string();
        assert_eq!(message, "limit of instances exceeded: 3 asked for, 2 allowed");
    }
}
