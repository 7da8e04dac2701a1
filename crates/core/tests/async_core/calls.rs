//! Tasks and subtasks: backpressure, exclusivity, cancellation, synchronous calls, deadlocks.

use crate::pair::{BLOCKED, Pair, buffer};
use tidegate_core::runtime::*;
use tidegate_core::trap::Trap;

const STARTING: u32 = SubtaskState::Starting as u32;
const STARTED: u32 = SubtaskState::Started as u32;
const RETURNED: u32 = SubtaskState::Returned as u32;

/// A is in a task and has called a callback-lifted function of B, which yields; gives the subtask's index.
fn started_subtask(pair: &mut Pair) -> (Called, u32) {
    pair.enter(pair.a, Lift::Callback);
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    assert!(called.started);
    assert_eq!(pair.yields(), CallbackStep::Block);
    let (state, index) = pair.returned(called);
    assert_eq!(state, STARTED);
    (called, index)
}

#[test]
fn a_call_that_returns_at_once_leaves_nothing_behind() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Callback);
    let before = pair.state.counts();
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    pair.task_return();
    pair.exits();
    assert_eq!(pair.returned(called), (RETURNED, 0));
    assert_eq!(pair.state.counts(), before);
}

#[test]
fn the_callee_goes_on_when_its_caller_waits() {
    let mut pair = Pair::new();
    let (called, subtask) = started_subtask(&mut pair);
    let set = pair.set(pair.a, &[subtask]);
    assert_eq!(pair.waits(set), CallbackStep::Block);

    let resumed = pair.tick();
    assert_eq!(resumed.thread, called.thread);
    assert!(matches!(resumed.action, Action::Callback(Event::NONE)));
    pair.task_return();
    pair.exits();

    match pair.tick().action {
        Action::Callback(event) => {
            assert_eq!(event.code, EventCode::Subtask);
            assert_eq!((event.index, event.payload), (subtask, RETURNED));
        }
        other => panic!("{other:?}"),
    }
    pair.state.subtask_drop(pair.a, subtask).unwrap();
    pair.state.waitable_set_drop(pair.a, set).unwrap();
    pair.task_return();
    pair.exits();
    assert_eq!(pair.state.counts(), Counts::default());
    assert!(pair.state.tick(&mut Fair).is_none());
}

#[test]
fn only_the_last_of_two_unreported_changes_is_reported() {
    let mut pair = Pair::new();
    pair.state.backpressure_inc(pair.b).unwrap();
    pair.enter(pair.a, Lift::Stackful);
    let called = pair.call(pair.a, pair.b, Lift::Stackful);
    assert!(!called.started);
    let (state, subtask) = pair.returned(called);
    assert_eq!(state, STARTING);
    let set = pair.set(pair.a, &[subtask]);
    let step = pair.state.waitable_set_wait(pair.a, false, set, &mut Fair);
    assert_eq!(step, Ok(WaitStep::Block));
    assert!(
        !pair.state.has_ready(),
        "backpressure holds the callee, the caller waits"
    );

    pair.state.backpressure_dec(pair.b).unwrap();
    let resumed = pair.tick();
    assert!(matches!(resumed.action, Action::StartTask));
    pair.task_return();
    pair.state.exit_thread().unwrap();
    match pair.tick().action {
        Action::Event(event) => assert_eq!(event.payload, RETURNED),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_task_that_waits_to_start_is_cancelled_without_running() {
    let mut pair = Pair::new();
    pair.state.backpressure_inc(pair.b).unwrap();
    pair.enter(pair.a, Lift::Stackful);
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    let (_, subtask) = pair.returned(called);
    let step = pair
        .state
        .subtask_cancel(pair.a, false, subtask, &mut Fair)
        .unwrap();
    let before_started = SubtaskState::CancelledBeforeStarted as u32;
    assert!(matches!(step, SubtaskCancelStep::Return(state) if state == before_started));
    pair.state.subtask_drop(pair.a, subtask).unwrap();
    pair.state.backpressure_dec(pair.b).unwrap();
    assert!(!pair.state.has_ready());
    assert_eq!(pair.state.counts().tasks, 1, "only the caller's own");
}

#[test]
fn tasks_that_wait_start_in_turn_and_before_new_ones() {
    let mut pair = Pair::new();
    pair.state.backpressure_inc(pair.b).unwrap();
    let first = pair.host_call(pair.b, Lift::Callback, 1);
    let second = pair.host_call(pair.b, Lift::Callback, 2);
    pair.state.backpressure_dec(pair.b).unwrap();
    let late = pair.host_call(pair.b, Lift::Callback, 3);
    assert!(!late.started, "it would overtake the others");
    for expected in [first, second, late] {
        assert_eq!(pair.tick().thread, expected.thread);
        pair.task_return();
        pair.exits();
    }
}

#[test]
fn a_callback_task_runs_alone_but_a_stackful_one_does_not_care() {
    let mut pair = Pair::new();
    let blocking = pair.host_call(pair.b, Lift::Blocking, 1);
    assert!(matches!(
        pair.state.thread_suspend(pair.b, false),
        Ok(ThreadStep::Block)
    ));
    let callback = pair.host_call(pair.b, Lift::Callback, 2);
    assert!(!callback.started, "the other one has not returned");
    let stackful = pair.host_call(pair.b, Lift::Stackful, 3);
    assert!(stackful.started);
    let index = 1;
    pair.state.thread_resume_later(pair.b, index).unwrap();
    pair.task_return();
    pair.state.exit_thread().unwrap();
    assert_eq!(pair.tick().thread, blocking.thread);
    let task = pair.state.current_task().unwrap();
    pair.state.begin_return(task).unwrap();
    pair.state.finish_return(task);
    pair.state.exit_thread().unwrap();
    assert_eq!(pair.tick().thread, callback.thread);
}

#[test]
fn a_cancelled_callee_learns_of_it_and_confirms() {
    let mut pair = Pair::new();
    let (called, subtask) = started_subtask(&mut pair);
    let step = pair
        .state
        .subtask_cancel(pair.a, true, subtask, &mut Fair)
        .unwrap();
    let SubtaskCancelStep::Run(id, resumed) = step else {
        panic!("{step:?}");
    };
    assert_eq!(resumed.thread, called.thread);
    assert!(matches!(
        resumed.action,
        Action::Callback(Event::TASK_CANCELLED)
    ));
    pair.state.task_cancel(pair.b).unwrap();
    pair.exits();
    let step = pair.state.finish_subtask_cancel(id, true).unwrap();
    let before_returned = SubtaskState::CancelledBeforeReturned as u32;
    assert!(matches!(step, SubtaskCancelStep::Return(state) if state == before_returned));
    let again = pair.state.subtask_cancel(pair.a, true, subtask, &mut Fair);
    assert!(
        again
            .unwrap_err()
            .to_string()
            .contains("end has been reported")
    );
}

#[test]
fn a_cancelled_callee_may_take_its_time_and_return() {
    let mut pair = Pair::new();
    let (_, subtask) = started_subtask(&mut pair);
    let step = pair
        .state
        .subtask_cancel(pair.a, true, subtask, &mut Fair)
        .unwrap();
    let SubtaskCancelStep::Run(id, _) = step else {
        panic!("{step:?}");
    };
    assert_eq!(pair.yields(), CallbackStep::Block);
    let step = pair.state.finish_subtask_cancel(id, true).unwrap();
    assert!(matches!(step, SubtaskCancelStep::Return(BLOCKED)));
    let twice = pair.state.subtask_cancel(pair.a, true, subtask, &mut Fair);
    assert!(
        twice
            .unwrap_err()
            .to_string()
            .contains("already been requested")
    );
    let set = pair.set(pair.a, &[subtask]);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    let _ = pair.tick();
    pair.task_return();
    pair.exits();
    match pair.tick().action {
        Action::Callback(event) => assert_eq!(event.payload, RETURNED),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancellation_waits_for_a_point_where_it_can_be_delivered() {
    let mut pair = Pair::new();
    let called = pair.host_call(pair.b, Lift::Stackful, 7);
    let waiting = pair.state.thread_yield(pair.b, false, &mut Fair);
    assert!(matches!(waiting, Ok(ThreadStep::Block)));
    let resumed = pair
        .state
        .request_cancellation(called.task, None, &mut Fair);
    assert!(resumed.is_none(), "it did not block cancellably");
    let early = pair.tick();
    assert!(matches!(early.action, Action::Return(0)));
    let trap = pair.state.task_cancel(pair.b).unwrap_err();
    assert!(trap.to_string().contains("not requested and delivered"));
    let step = pair.state.thread_yield(pair.b, true, &mut Fair);
    assert!(matches!(step, Ok(ThreadStep::Return(1))));
    assert_eq!(pair.state.task_cancel(pair.b), Ok(called.task));
    assert_eq!(pair.state.caller(called.task), Caller::Host(7));
}

#[test]
fn a_synchronous_caller_waits_for_its_callee() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Blocking);
    let caller = pair.state.current_thread().unwrap();
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    assert_eq!(pair.yields(), CallbackStep::Block);
    let subtask = called.subtask.unwrap();
    let step = pair.state.lower_returned(subtask, false, &mut Fair);
    assert_eq!(step, Ok(LowerStep::Block));
    let _ = pair.tick();
    pair.task_return();
    // The callee goes on after it has returned.
    assert_eq!(pair.yields(), CallbackStep::Block);
    let order: Vec<ThreadId> = (0..2)
        .map(|_| {
            let resumed = pair.tick();
            if resumed.thread == caller {
                assert!(matches!(resumed.action, Action::Returned(id) if id == subtask));
                let task = pair.state.current_task().unwrap();
                pair.state.begin_return(task).unwrap();
                pair.state.finish_return(task);
                pair.state.exit_thread().unwrap();
            } else {
                pair.exits();
            }
            resumed.thread
        })
        .collect();
    assert_eq!(order, [caller, called.thread]);
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn a_function_that_is_not_async_traps_when_only_others_could_help_it() {
    let mut pair = Pair::new();
    let task = pair.state.begin_sync_call(pair.b, None).unwrap();
    let set = pair.set(pair.b, &[]);
    let step = pair.state.waitable_set_wait(pair.b, false, set, &mut Fair);
    assert_eq!(step, Ok(WaitStep::Block));
    let trap = pair.state.sync_next(task, &mut Fair).unwrap_err();
    assert!(
        trap.to_string()
            .contains("cannot block a synchronous task before returning")
    );
    assert!(trap.to_string().contains("deadlock detected"));
}

#[test]
fn a_function_that_is_not_async_may_wait_for_threads_of_its_instance() {
    let mut pair = Pair::new();
    let task = pair.state.begin_sync_call(pair.b, None).unwrap();
    let main = pair.state.current_thread().unwrap();
    let (helper, index) = pair.state.thread_new_indirect(pair.b).unwrap();
    pair.state.thread_resume_later(pair.b, index).unwrap();
    let step = pair.state.thread_suspend(pair.b, false).unwrap();
    assert!(matches!(step, ThreadStep::Block));

    let SyncStep::Run(resumed) = pair.state.sync_next(task, &mut Fair).unwrap() else {
        panic!("it has not returned");
    };
    assert_eq!(resumed.thread, helper);
    assert!(matches!(resumed.action, Action::StartThread));
    let reentered = pair.state.begin_sync_call(pair.b, None).unwrap_err();
    assert_eq!(reentered, Trap::CannotEnter, "the call is still under way");
    pair.state.thread_resume_later(pair.b, 1).unwrap();
    pair.state.exit_thread().unwrap();

    let SyncStep::Run(resumed) = pair.state.sync_next(task, &mut Fair).unwrap() else {
        panic!("it has not returned");
    };
    assert_eq!(resumed.thread, main);
    pair.state.begin_return(task).unwrap();
    pair.state.finish_return(task);
    pair.state.end_sync_call(task).unwrap();
    assert!(matches!(
        pair.state.sync_next(task, &mut Fair),
        Ok(SyncStep::Resolved)
    ));
    assert_eq!(pair.state.counts(), Counts::default());
    assert!(pair.state.begin_sync_call(pair.b, None).is_ok());
}

#[test]
fn what_was_lent_comes_back_when_the_end_of_the_call_is_reported() {
    let mut pair = Pair::new();
    let ty = pair.state.add_resource_type(None);
    let (a, b) = (pair.a, pair.b);
    let owned = pair.state.lower_own(a, ty, 42).unwrap();
    pair.enter(a, Lift::Callback);
    let called = pair.call(a, b, Lift::Callback);
    let mut lends = Lends::default();
    let rep = pair.state.lift_borrow(a, ty, owned, &mut lends).unwrap();
    let borrowed = pair.state.lower_borrow(b, ty, rep, called.task).unwrap();
    pair.state.lend(called.subtask.unwrap(), lends);
    let task = pair.state.task_return(b, true, true).unwrap();
    assert_eq!(
        pair.state.begin_return(task),
        Err(Trap::BorrowsRemain { count: 1 })
    );
    pair.state.resource_drop(b, ty, borrowed).unwrap();
    assert_eq!(pair.yields(), CallbackStep::Block);
    let (_, subtask) = pair.returned(called);
    assert!(matches!(
        pair.state.resource_drop(a, ty, owned),
        Err(Trap::ResourceLent { .. })
    ));
    let set = pair.set(a, &[subtask]);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    let _ = pair.tick();
    pair.task_return();
    pair.exits();
    let _ = pair.tick();
    assert_eq!(pair.state.resource_drop(a, ty, owned), Ok(Some(42)));
}

#[test]
fn tasks_resolve_exactly_once() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Callback);
    pair.task_return();
    let task = pair.state.current_task().unwrap();
    let trap = pair.state.begin_return(task).unwrap_err();
    assert!(trap.to_string().contains("already returned"));
    pair.exits();

    pair.enter(pair.a, Lift::Callback);
    let trap = pair.state.callback_returned(0, &mut Fair).unwrap_err();
    assert!(
        trap.to_string()
            .contains("`task.return` or `task.cancel` was never called")
    );
}

#[test]
fn a_synchronous_lift_cannot_use_task_return() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Blocking);
    let trap = pair.state.task_return(pair.a, true, true).unwrap_err();
    assert!(
        trap.to_string()
            .contains("task.return: only a function lifted with the `async`")
    );
}

#[test]
fn leaving_is_checked_before_all_else() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Callback);
    let (a, bytes) = (pair.a, pair.bytes);
    let realloc = pair.state.begin_realloc(a).unwrap();
    let state = &mut pair.state;
    // Handle 0 does not exist: the second check would say so.
    let traps = [
        state.thread_index(a).map(drop),
        state.thread_new_indirect(a).map(drop),
        state.thread_resume_later(a, 0),
        state.thread_suspend(a, true).map(drop),
        state.thread_yield(a, true, &mut Fair).map(drop),
        state
            .thread_suspend_then_resume(a, true, 0, &mut Fair)
            .map(drop),
        state
            .thread_yield_then_resume(a, true, 0, &mut Fair)
            .map(drop),
        state
            .thread_suspend_then_promote(a, true, 0, &mut Fair)
            .map(drop),
        state
            .thread_yield_then_promote(a, true, 0, &mut Fair)
            .map(drop),
        state.task_return(a, false, false).map(drop),
        state.task_cancel(a).map(drop),
        state.waitable_set_new(a).map(drop),
        state.waitable_set_wait(a, true, 0, &mut Fair).map(drop),
        state.waitable_set_poll(a, true, 0, &mut Fair).map(drop),
        state.waitable_set_drop(a, 0),
        state.waitable_join(a, 0, 0),
        state.subtask_cancel(a, true, 0, &mut Fair).map(drop),
        state.subtask_drop(a, 0),
        state.stream_new(a, bytes).map(drop),
        state.stream_read(a, bytes, true, 0, buffer(1)).map(drop),
        state.stream_write(a, bytes, true, 0, buffer(1)).map(drop),
        state.stream_cancel_read(a, bytes, true, 0).map(drop),
        state.stream_cancel_write(a, bytes, true, 0).map(drop),
        state.stream_drop_readable(a, bytes, 0).map(drop),
        state.stream_drop_writable(a, bytes, 0).map(drop),
        state.future_new(a, bytes).map(drop),
        state.future_read(a, bytes, true, 0, buffer(1)).map(drop),
        state.future_write(a, bytes, true, 0, buffer(1)).map(drop),
        state.future_cancel_read(a, bytes, true, 0).map(drop),
        state.future_cancel_write(a, bytes, true, 0).map(drop),
        state.future_drop_readable(a, bytes, 0).map(drop),
        state.future_drop_writable(a, bytes, 0).map(drop),
        state.error_context_new(a, "").map(drop),
        state.error_context_debug_message(a, 0).map(drop),
        state.error_context_drop(a, 0),
    ];
    for (position, trap) in traps.into_iter().enumerate() {
        assert_eq!(trap, Err(Trap::CannotLeave), "number {position}");
    }
    // These may be called anywhere. `realloc` is a call of its own, with storage of its own.
    assert_eq!(state.context_set(1, 5), Ok(()));
    assert_eq!(state.context_get(1), Ok(5));
    assert_eq!(state.backpressure_inc(a), Ok(()));
    assert_eq!(state.backpressure_dec(a), Ok(()));
    state.end_realloc(realloc).unwrap();
    assert_eq!(state.context_get(1), Ok(0));
    assert_eq!(state.thread_index(a), Ok(1));
}

#[test]
fn a_deadlock_is_reported_with_what_waits_for_what() {
    let mut pair = Pair::new();
    let (_, subtask) = started_subtask(&mut pair);
    let set = pair.set(pair.a, &[subtask]);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    let _ = pair.tick();
    let empty = pair.set(pair.b, &[]);
    assert_eq!(pair.waits(empty), CallbackStep::Block);
    assert!(pair.state.tick(&mut Fair).is_none());
    let report = pair.state.deadlock().to_string();
    assert!(report.starts_with("deadlock detected: event loop cannot make further progress"));
    assert!(
        report.contains("instance 1 waits for an event of a set of 1 waitables"),
        "{report}"
    );
    assert!(
        report.contains("instance 2 waits for an event of an empty waitable set"),
        "{report}"
    );
}

#[test]
fn a_completion_that_comes_late_reaches_nobody() {
    let mut pair = Pair::new();
    let ty = pair.state.add_resource_type(None);
    let late = pair.host_call(pair.a, Lift::Callback, 1);
    let set = pair.set(pair.a, &[]);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    let poisoned = pair.state.poison(pair.a);
    assert_eq!(poisoned.calls, [1]);
    // The next task and thread are where those were.
    let next = pair.host_call(pair.b, Lift::Callback, 2);
    assert_eq!(next.task.index(), late.task.index());
    assert_eq!(next.thread.index(), late.thread.index());
    assert_ne!((next.task, next.thread), (late.task, late.thread));

    let state = &mut pair.state;
    assert!(!state.has_task(late.task));
    assert_eq!(state.begin_return(late.task), Err(Trap::Poisoned));
    state.finish_return(late.task);
    assert_eq!(state.check_borrows(late.task), Err(Trap::Poisoned));
    let borrow = state.lower_borrow(pair.a, ty, 7, late.task);
    assert_eq!(borrow, Err(Trap::Poisoned));
    assert_eq!(state.end_sync_call(late.task), Err(Trap::Poisoned));
    assert_eq!(state.end_realloc(late.task), Err(Trap::Poisoned));
    assert!(matches!(
        state.sync_next(late.task, &mut Fair),
        Ok(SyncStep::Resolved)
    ));
    let resumed = state.request_cancellation(late.task, None, &mut Fair);
    assert!(resumed.is_none());
    state.remove_task(late.task);
    let _ = state.trapped(late.thread, pair.a);

    assert_eq!(pair.state.current_thread(), Some(next.thread));
    assert_eq!(pair.state.task_state(next.task), TaskState::Started);
    pair.task_return();
    pair.exits();
    assert!(!pair.state.has_task(next.task));
}

#[test]
fn a_call_that_waits_to_start_goes_with_its_caller() {
    let mut pair = Pair::new();
    pair.state.backpressure_inc(pair.b).unwrap();
    pair.enter(pair.a, Lift::Callback);
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    assert!(!called.started);
    let _ = pair.returned(called);
    let caller = pair.state.current_thread().unwrap();
    let poisoned = pair.state.trapped(caller, pair.a);
    assert_eq!(poisoned.unstarted, [called.task]);
    assert!(!pair.state.has_task(called.task));
    pair.state.backpressure_dec(pair.b).unwrap();
    assert!(pair.state.tick(&mut Fair).is_none());
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn who_passes_wrong_arguments_late_traps_when_it_learns() {
    let mut pair = Pair::new();
    pair.state.backpressure_inc(pair.b).unwrap();
    pair.enter(pair.a, Lift::Callback);
    let called = pair.call(pair.a, pair.b, Lift::Callback);
    let (_, index) = pair.returned(called);
    let set = pair.set(pair.a, &[index]);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    pair.state.backpressure_dec(pair.b).unwrap();
    let resumed = pair.tick();
    assert_eq!(resumed.thread, called.thread);
    pair.state.refuse_arguments(called.task).unwrap();
    assert!(!pair.state.has_task(called.task));
    assert!(!pair.state.instance(pair.b).poisoned);
    let resumed = pair.tick();
    assert!(matches!(resumed.action, Action::Trap(_)), "{resumed:?}");
}

#[test]
fn a_borrow_may_be_dropped_by_another_thread() {
    let mut pair = Pair::new();
    let ty = pair.state.add_resource_type(None);
    let first = pair.host_call(pair.a, Lift::Callback, 1);
    let borrows = [7, 8].map(|rep| pair.state.lower_borrow(pair.a, ty, rep, first.task));
    let [one, other] = borrows.map(Result::unwrap);
    let (_, index) = pair.state.thread_new_indirect(pair.a).unwrap();
    pair.state.thread_resume_later(pair.a, index).unwrap();
    let set = pair.set(pair.a, &[]);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    let remain = |count| Err(Trap::BorrowsRemain { count });

    // A thread of another task of the same instance.
    let second = pair.host_call(pair.a, Lift::Callback, 2);
    assert!(second.started);
    assert_eq!(pair.state.resource_drop(pair.a, ty, one), Ok(None));
    assert_eq!(pair.state.check_borrows(second.task), Ok(()));
    assert_eq!(pair.state.check_borrows(first.task), remain(1));
    pair.task_return();
    pair.exits();

    // Another thread of the same task.
    let _ = pair.tick();
    assert_eq!(pair.state.current_task(), Ok(first.task));
    assert_eq!(pair.state.begin_return(first.task), remain(1));
    assert_eq!(pair.state.resource_drop(pair.a, ty, other), Ok(None));
    assert_eq!(pair.state.begin_return(first.task), Ok(()));
}

#[test]
fn backpressure_stays_in_its_range() {
    let mut pair = Pair::new();
    for _ in 0..65535 {
        pair.state.backpressure_inc(pair.a).unwrap();
    }
    assert!(pair.state.backpressure_inc(pair.a).is_err());
    assert!(pair.state.backpressure_dec(pair.b).is_err());
}

#[test]
fn a_synchronous_built_in_that_fails_says_first_that_it_could_not_have_blocked() {
    let mut pair = Pair::new();
    let (b, bytes) = (pair.b, pair.bytes);
    pair.enter(b, Lift::Callback);
    let read = |pair: &mut Pair, async_| {
        pair.state
            .stream_read(b, bytes, async_, 99, buffer(1))
            .unwrap_err()
            .to_string()
    };
    assert!(read(&mut pair, false).contains("unknown handle index 99"));
    assert_eq!(pair.state.check_sync_lower(b), Ok(()));
    let _ = pair.yields();

    let _ = pair.state.begin_sync_call(b, None).unwrap();
    assert!(read(&mut pair, true).contains("unknown handle index 99"));
    // The callback's task is ready, but there is only one stack.
    assert!(pair.state.check_sync_lower(b).is_err());
    assert!(read(&mut pair, false).contains("cannot block a synchronous task"));

    let mut pair = Pair::new();
    let _ = pair.state.begin_sync_call(b, None).unwrap();
    assert!(read(&mut pair, false).contains("cannot block a synchronous task"));
    assert!(read(&mut pair, true).contains("unknown handle index 99"));
    assert!(pair.state.check_sync_lower(b).is_err());
    let (_, index) = pair.state.thread_new_indirect(b).unwrap();
    assert!(pair.state.check_sync_lower(b).is_err(), "it is suspended");
    pair.state.thread_resume_later(b, index).unwrap();
    assert_eq!(pair.state.check_sync_lower(b), Ok(()));
}

#[test]
fn a_set_is_dropped_only_when_it_is_empty_and_nobody_waits_for_it() {
    let mut pair = Pair::new();
    let (b, bytes) = (pair.b, pair.bytes);
    let end = pair.state.stream_new(b, bytes).unwrap() as u32;
    let set = pair.set(b, &[end]);
    let trap = pair.state.waitable_set_drop(b, set).unwrap_err();
    assert!(trap.to_string().contains("waitables are joined to"));
    pair.state.waitable_join(b, end, 0).unwrap();
    pair.enter(b, Lift::Callback);
    assert_eq!(pair.waits(set), CallbackStep::Block);
    let trap = pair.state.waitable_set_drop(b, set).unwrap_err();
    assert!(
        trap.to_string()
            .contains("cannot drop waitable set with waiters")
    );
}

#[test]
fn an_exclusive_thread_whose_wait_is_over_makes_way_for_a_call_but_one_that_yields_does_not() {
    let mut pair = Pair::new();
    let (a, b, bytes) = (pair.a, pair.b, pair.bytes);
    // A task of B waits exclusively, in the middle of its code, for A to write.
    let (reader, writer) = pair.stream();
    pair.enter(b, Lift::Blocking);
    let holder = pair.state.current_thread().unwrap();
    let read = pair
        .state
        .stream_read(b, bytes, false, reader, buffer(1))
        .unwrap();
    assert!(matches!(read, CopyStep::Block));

    pair.enter(a, Lift::Callback);
    let called = pair.call(a, b, Lift::Callback);
    assert!(!called.started);
    let subtask = called.subtask.unwrap();
    assert!(
        pair.state.make_way(subtask, &mut Fair).is_none(),
        "it waits"
    );
    assert_eq!(pair.write(writer, 1).unwrap() & 0xf, 0);
    let resumed = pair.state.make_way(subtask, &mut Fair).unwrap();
    assert_eq!(resumed.thread, holder);

    let step = pair.state.thread_yield(b, false, &mut Fair).unwrap();
    assert!(matches!(step, ThreadStep::Block));
    assert!(
        pair.state.make_way(subtask, &mut Fair).is_none(),
        "it might yield for ever"
    );
    let (state, index) = pair.returned(called);
    assert_eq!(state, STARTING);
    let step = pair.state.subtask_cancel(a, false, index, &mut Fair);
    assert!(matches!(step, Ok(SubtaskCancelStep::Return(_))));
    assert!(
        pair.state.make_way(subtask, &mut Fair).is_none(),
        "it is resolved"
    );
}
