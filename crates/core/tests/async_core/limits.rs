//! No guest makes the host's tables grow without bound.

use crate::pair::Pair;
use tidegate_core::runtime::*;
use tidegate_core::trap::Trap;

fn limits(set: impl FnOnce(&mut Limits)) -> Pair {
    let mut limits = Limits::default();
    set(&mut limits);
    Pair::with_limits(limits)
}

#[track_caller]
fn hits(option: &str, limit: u64, mut add: impl FnMut() -> Result<(), Trap>) {
    for _ in 0..limit {
        add().unwrap();
    }
    match add() {
        Err(Trap::Limit {
            limit: told,
            option: named,
            ..
        }) => assert_eq!((told, named), (limit, option)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn handles_are_limited() {
    let mut pair = limits(|limits| limits.handles = 10);
    hits("max-handles", 10, || {
        pair.state.waitable_set_new(pair.a).map(drop)
    });
}

#[test]
fn waitable_sets_are_limited() {
    let mut pair = limits(|limits| limits.waitable_sets = 10);
    hits("max-waitable-sets", 10, || {
        pair.state.waitable_set_new(pair.a).map(drop)
    });
}

#[test]
fn streams_are_limited_and_nothing_is_left_of_half_a_stream() {
    let mut pair = limits(|limits| limits.waitables = 9);
    for _ in 0..4 {
        pair.state.stream_new(pair.a, pair.bytes).unwrap();
    }
    let trap = pair.state.stream_new(pair.a, pair.bytes).unwrap_err();
    assert!(matches!(
        trap,
        Trap::Limit {
            limit: 9,
            option: "max-waitables",
            ..
        }
    ));
    let _ = pair.state.poison(pair.a);
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn tasks_that_wait_to_start_are_limited() {
    let mut pair = limits(|limits| limits.tasks = 10);
    pair.state.backpressure_inc(pair.b).unwrap();
    let spec = CallSpec {
        callee: pair.b,
        lift: Lift::Callback,
        from: Err(0),
    };
    hits("max-tasks", 10, || {
        pair.state.call(spec, &mut Fair).map(drop)
    });
    assert_eq!(pair.state.counts().threads, 10);
}

#[test]
fn threads_are_limited() {
    let mut pair = limits(|limits| limits.threads = 10);
    pair.enter(pair.a, Lift::Stackful);
    hits("max-threads", 9, || {
        pair.state
            .thread_new_indirect(pair.a)
            .map(drop)
            .map_err(|trap| match trap {
                // The task's own thread counts, too.
                Trap::Limit { what, option, .. } => Trap::Limit {
                    what,
                    limit: 9,
                    option,
                },
                other => other,
            })
    });
}

#[test]
fn an_error_context_keeps_no_more_than_it_may() {
    let mut pair = limits(|limits| limits.error_context_bytes = 5);
    let index = pair.state.error_context_new(pair.a, "übergroß").unwrap();
    let context = pair
        .state
        .error_context_debug_message(pair.a, index)
        .unwrap();
    assert_eq!(context.debug_message(), "über");
    pair.state.error_context_drop(pair.a, index).unwrap();
    assert!(pair.state.error_context_drop(pair.a, index).is_err());
}
