//! A trap takes its instance with it, at whatever point, and nothing else.

use crate::pair::{BLOCKED, Pair, buffer};
use tidegate_core::runtime::*;
use tidegate_core::trap::Trap;

#[test]
fn the_instance_that_trapped_cannot_be_entered_but_others_can() {
    let mut pair = Pair::new();
    let called = pair.host_call(pair.b, Lift::Callback, 9);
    let poisoned = pair.state.trapped(called.thread, pair.b);
    assert_eq!(poisoned.threads, [called.thread]);
    assert_eq!(poisoned.calls, [9], "the host's call will never return");
    let spec = CallSpec {
        callee: pair.b,
        lift: Lift::Callback,
        from: Err(1),
    };
    assert_eq!(
        pair.state.call(spec, &mut Fair).unwrap_err(),
        Trap::Poisoned
    );
    assert_eq!(
        pair.state.begin_sync_call(pair.b, None),
        Err(Trap::Poisoned)
    );
    assert!(pair.state.begin_sync_call(pair.a, None).is_ok());
    assert!(
        Trap::Poisoned
            .to_string()
            .contains("cannot enter component instance")
    );
}

#[test]
fn ancestors_can_be_entered_again_after_a_trap_below_them() {
    let mut state = State::new();
    let parent = state.add_instance(None);
    let child = state.add_instance(Some(parent));
    let task = state.begin_sync_call(child, None).unwrap();
    assert_eq!(state.begin_sync_call(parent, None), Err(Trap::CannotEnter));
    let thread = state.current_thread().unwrap();
    let _ = state.trapped(thread, child);
    assert_eq!(state.end_sync_call(task), Err(Trap::Poisoned));
    assert!(state.begin_sync_call(parent, None).is_ok());
    assert_eq!(state.current_thread().map(|_| ()), Some(()));
}

#[test]
fn a_quiet_call_is_a_call_but_for_its_task() {
    let mut state = State::new();
    let parent = state.add_instance(None);
    let child = state.add_instance(Some(parent));
    for _ in 0..2 {
        state.begin_quiet_call(child).unwrap();
        assert_eq!(state.counts(), Counts::default());
        // Code runs, and neither that instance nor what contains it can be entered.
        assert!(state.current_thread().is_some());
        assert!(state.tick(&mut Fair).is_none());
        assert_eq!(state.begin_quiet_call(child), Err(Trap::CannotEnter));
        assert_eq!(state.begin_sync_call(parent, None), Err(Trap::CannotEnter));
        state.end_quiet_call(child).unwrap();
        assert_eq!(state.current_thread(), None);
    }
    let task = state.begin_sync_call(parent, None).unwrap();
    state.finish_return(task);
    state.end_sync_call(task).unwrap();
}

#[test]
fn a_quiet_call_that_traps_takes_its_instance_with_it() {
    let mut state = State::new();
    let parent = state.add_instance(None);
    let [child, sibling] = [(); 2].map(|()| state.add_instance(Some(parent)));
    state.begin_quiet_call(child).unwrap();
    let _ = state.trapped_call(TaskId::NONE, child);
    assert_eq!(state.current_thread(), None);
    assert_eq!(state.begin_quiet_call(child), Err(Trap::Poisoned));
    assert!(state.begin_quiet_call(sibling).is_ok());
    // Something that the host does meanwhile is the end of the instance: the call learns of it when it returns.
    let _ = state.poison(sibling);
    assert_eq!(state.end_quiet_call(sibling), Err(Trap::Poisoned));
    let _ = state.trapped_call(TaskId::NONE, sibling);
    assert_eq!(state.current_thread(), None);
    assert!(state.begin_quiet_call(parent).is_ok());
}

#[test]
fn parents_and_children_call_each_other_only_if_the_rules_say_so() {
    let mut rules = Rules::default();
    let mut state = State::with_limits(Limits::default(), rules.clone());
    let parent = state.add_instance(None);
    let child = state.add_instance(Some(parent));
    let sibling = state.add_instance(Some(parent));
    assert_eq!(state.check_call(parent, child), Err(Trap::CannotEnter));
    assert_eq!(state.check_call(child, parent), Err(Trap::CannotEnter));
    assert_eq!(state.check_call(child, sibling), Ok(()));

    rules.donut_wrapping = true;
    let mut state = State::with_limits(Limits::default(), rules);
    let parent = state.add_instance(None);
    let child = state.add_instance(Some(parent));
    assert_eq!(state.check_call(parent, child), Ok(()));
    let outer = state.begin_sync_call(parent, None).unwrap();
    let inner = state.begin_sync_call(child, Some(parent)).unwrap();
    let back = state.begin_sync_call(parent, Some(child)).unwrap();
    assert_eq!(
        state.begin_sync_call(child, Some(parent)),
        Err(Trap::CannotEnter),
        "it is running further up"
    );
    for task in [back, inner, outer] {
        state.finish_return(task);
        state.end_sync_call(task).unwrap();
    }
    assert_eq!(state.counts(), Counts::default());
}

#[test]
fn a_caller_that_waits_for_the_trapped_instance_traps_when_it_would_learn_the_outcome() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Callback);
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    assert_eq!(pair.yields(), CallbackStep::Block);
    let (_, subtask) = pair.returned(called);
    let set = pair.set(pair.a, &[subtask]);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    let resumed = pair.tick();
    let _ = pair.state.trapped(resumed.thread, pair.b);
    match pair.tick().action {
        Action::Trap(trap) => assert!(trap.to_string().contains("other side trapped"), "{trap}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_synchronous_caller_of_the_trapped_instance_traps() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Stackful);
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    assert_eq!(pair.yields(), CallbackStep::Block);
    let step = pair
        .state
        .lower_returned(called.subtask.unwrap(), false, &mut Fair);
    assert_eq!(step, Ok(LowerStep::Block));
    let resumed = pair.tick();
    assert_eq!(resumed.thread, called.thread);
    let _ = pair.state.trapped(resumed.thread, pair.b);
    assert!(matches!(pair.tick().action, Action::Trap(_)));
    let thread = pair.state.current_thread().unwrap();
    let poisoned = pair.state.trapped(thread, pair.a);
    assert_eq!(poisoned.calls, [0]);
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn what_a_trapped_caller_asked_for_goes_on_without_it() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Callback);
    let caller = pair.state.current_thread().unwrap();
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    assert_eq!(pair.yields(), CallbackStep::Block);
    pair.returned(called);
    let _ = pair.state.trapped(caller, pair.a);
    assert_eq!(pair.tick().thread, called.thread);
    assert_eq!(pair.state.caller(called.task), Caller::Nobody);
    pair.task_return();
    pair.exits();
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn a_stream_of_the_trapped_instance_ends_for_the_other_one() {
    let mut pair = Pair::new();
    let (reader, _) = pair.stream();
    assert_eq!(pair.read(reader, 4), Ok(BLOCKED));
    let set = pair.set(pair.b, &[reader]);
    let _ = pair.state.poison(pair.a);
    pair.enter(pair.b, Lift::Callback);
    let event = pair
        .state
        .waitable_set_poll(pair.b, false, set, &mut Fair)
        .unwrap();
    assert_eq!(event.payload, CopyResult::Dropped as u32);
}

#[test]
fn a_future_that_the_trapped_instance_will_never_write_traps_its_reader() {
    let mut pair = Pair::new();
    let (reader, _) = pair.future();
    let (b, bytes) = (pair.b, pair.bytes);
    let _ = pair.state.poison(pair.a);
    let trap = pair
        .state
        .future_read(b, bytes, true, reader, buffer(1))
        .unwrap_err();
    assert!(trap.to_string().contains("other side trapped"), "{trap}");
}

#[test]
fn built_ins_of_a_poisoned_instance_trap() {
    let mut pair = Pair::new();
    let called = pair.host_call(pair.a, Lift::Callback, 0);
    let _ = pair.state.poison(pair.a);
    assert_eq!(pair.state.waitable_set_new(pair.a), Err(Trap::Poisoned));
    assert_eq!(pair.state.context_get(0), Err(Trap::Poisoned));
    let _ = pair.state.trapped(called.thread, pair.a);
    assert_eq!(pair.state.current_thread(), None);
}

/// Two instances with calls, streams and futures between them, in the middle of it all after `steps` steps.
fn scenario(pair: &mut Pair, steps: usize) {
    let (a, b, bytes) = (pair.a, pair.b, pair.bytes);
    let (reader, writer) = pair.stream();
    let (value_reader, value_writer) = pair.future();
    let mut subtask = 0;
    let mut called = None;
    for step in 0..steps {
        match step {
            0 => {
                pair.enter(a, Lift::Callback);
            }
            1 => called = Some(pair.call(a, b, Lift::Callback)),
            2 => assert_eq!(pair.yields(), CallbackStep::Block),
            3 => subtask = pair.returned(called.unwrap()).1,
            4 => assert_eq!(pair.write(writer, 5), Ok(BLOCKED)),
            5 => drop(pair.read(reader, 3).unwrap()),
            6 => drop(
                pair.state
                    .future_read(b, bytes, true, value_reader, buffer(1))
                    .unwrap(),
            ),
            7 => {
                let set = pair.set(a, &[subtask, writer]);
                let _ = pair.waits(set);
                // The write's event is there: the task goes on at once.
            }
            8 => {
                let step = pair
                    .state
                    .future_write(a, bytes, true, value_writer, buffer(1))
                    .unwrap();
                pair.finish(step).unwrap();
            }
            9 => assert_eq!(pair.yields(), CallbackStep::Block),
            10 => drop(pair.tick()),
            11 => pair.task_return(),
            12 => pair.exits(),
            13 => drop(pair.tick()),
            _ => unreachable!("the scenario has 14 steps"),
        }
    }
}

/// Ends the frames that run in an instance, as a trap in each does.
fn unwind(pair: &mut Pair) {
    while let Some(thread) = pair.state.current_thread() {
        let instance = pair.state.task_instance(pair.state.thread_task(thread));
        let _ = pair.state.trapped(thread, instance);
    }
}

#[test]
fn whenever_an_instance_traps_nothing_of_it_is_left_and_the_other_one_can_be_used() {
    for steps in 0..=14 {
        for first in 0..2 {
            let mut pair = Pair::new();
            scenario(&mut pair, steps);
            let (trapping, other) = [(pair.a, pair.b), (pair.b, pair.a)][first];
            // The one that traps is on top of the frames, or waits.
            unwind(&mut pair);
            let _ = pair.state.poison(trapping);
            while let Some(resumed) = pair.state.tick(&mut Fair) {
                let instance = pair
                    .state
                    .task_instance(pair.state.thread_task(resumed.thread));
                assert_eq!(instance, other, "step {steps}: only the other one goes on");
                let _ = pair.state.trapped(resumed.thread, instance);
            }
            let _ = pair.state.poison(other);
            assert_eq!(pair.state.counts(), Counts::default(), "step {steps}");
        }
    }
}

#[test]
fn a_readable_end_for_a_trapped_instance_counts_as_dropped() {
    let mut pair = Pair::new();
    let (a, b, bytes) = (pair.a, pair.b, pair.bytes);
    pair.enter(a, Lift::Callback);
    let ends = pair.state.stream_new(a, bytes).unwrap();
    let (readable, writable) = (ends as u32, (ends >> 32) as u32);
    let kind = SharedKind::Stream;
    let shared = pair.state.lift_readable(a, kind, bytes, readable).unwrap();
    let _ = pair.state.poison(b);
    let lowered = pair.state.lower_readable(b, shared);
    assert_eq!(lowered, Err(Trap::Poisoned));
    let write = pair.state.stream_write(a, bytes, true, writable, buffer(1));
    let dropped = CopyResult::Dropped as u32;
    assert!(matches!(write, Ok(CopyStep::Return(code)) if code == dropped));
}
