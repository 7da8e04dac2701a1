//! Guests that take as much of everything as they can, on both engines: each limit is met by its name.

use tidegate::{
    Component, ConcurrencyLimits, Config, Engine, EngineKind, Limits, Linker, Store, Strategy,
};

const GREEDY: &str = include_str!("greedy.wat");

fn engines() -> [Engine; 2] {
    [EngineKind::Wasmtime, EngineKind::Wasmi].map(|kind| {
        let mut config = Config::new();
        config.strategy(Strategy::Always(kind));
        Engine::new(&config).unwrap()
    })
}

/// Has a fresh guest do something so many times.
fn take(engine: &Engine, what: &str, count: u32, limits: ConcurrencyLimits) -> Result<(), String> {
    let component = Component::new(engine, GREEDY).unwrap();
    let mut all = Limits::default();
    all.concurrency = limits;
    let mut store = Store::with_limits(engine, (), all);
    let instance = Linker::new(engine)
        .instantiate(&mut store, &component)
        .unwrap();
    let take = instance
        .get_typed_func::<(u32,), ()>(&mut store, what)
        .unwrap();
    take.call(&mut store, (count,))
        .map_err(|error| format!("{error:#}"))
}

#[track_caller]
fn refused(answer: Result<(), String>, limit: &str) {
    let error = answer.unwrap_err();
    assert!(error.contains(limit), "{error}");
}

#[test]
fn hundred_thousand_of_each_are_within_the_default_limits() {
    for engine in engines() {
        for what in ["streams", "futures", "sets", "handles", "tasks"] {
            let answer = take(&engine, what, 100_000, ConcurrencyLimits::default());
            assert_eq!(answer, Ok(()), "{what}");
        }
    }
}

#[test]
fn default_limits_end_a_guest_by_name() {
    for engine in engines() {
        for (what, limit) in [
            ("streams", "500000 waitables (option `max-waitables`)"),
            ("futures", "500000 waitables (option `max-waitables`)"),
            ("sets", "200000 waitable sets (option `max-waitable-sets`)"),
            ("handles", "1000000 handles (option `max-handles`)"),
            ("tasks", "200000 tasks (option `max-tasks`)"),
        ] {
            let answer = take(&engine, what, 2_000_000, ConcurrencyLimits::default());
            refused(answer, limit);
        }
    }
}

#[test]
fn embedder_sets_the_limits() {
    let mut limits = ConcurrencyLimits::default();
    limits.waitables = 20;
    limits.waitable_sets = 10;
    limits.handles = 30;
    limits.tasks = 12;
    for engine in engines() {
        assert_eq!(take(&engine, "streams", 10, limits), Ok(()));
        refused(take(&engine, "streams", 11, limits), "20 waitables");
        assert_eq!(take(&engine, "sets", 10, limits), Ok(()));
        refused(take(&engine, "sets", 11, limits), "10 waitable sets");
        assert_eq!(take(&engine, "handles", 30, limits), Ok(()));
        refused(take(&engine, "handles", 31, limits), "30 handles");
        assert_eq!(take(&engine, "tasks", 10, limits), Ok(()));
        refused(take(&engine, "tasks", 20, limits), "12 tasks");
    }
}

#[test]
fn what_is_dropped_counts_no_more() {
    let mut limits = ConcurrencyLimits::default();
    limits.waitables = 8;
    limits.waitable_sets = 2;
    limits.handles = 8;
    for engine in engines() {
        assert_eq!(take(&engine, "churn", 200_000, limits), Ok(()));
    }
}

#[test]
fn buffers_have_the_specified_length_at_most_and_lie_in_memory() {
    let limits = ConcurrencyLimits::default();
    for engine in engines() {
        assert_eq!(take(&engine, "buffer", 65_536, limits), Ok(()));
        refused(take(&engine, "buffer", 65_537, limits), "65536");
        refused(take(&engine, "buffer", (1 << 28) - 1, limits), "65536");
        refused(take(&engine, "buffer", 1 << 28, limits), "268435456");
    }
}
