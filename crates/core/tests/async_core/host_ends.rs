//! Streams and futures one end of which the host holds.

use crate::pair::{BLOCKED, Pair, buffer, cancelled, completed, dropped};
use tidegate_core::runtime::*;

/// A stream that the host writes and B reads.
fn produced(pair: &mut Pair) -> (SharedId, u32) {
    let shared = pair.state.host_new(SharedKind::Stream, pair.bytes);
    assert!(!pair.state.host_attach(shared, Side::Writable));
    let reader = pair.state.lower_readable(pair.b, shared).unwrap();
    (shared, reader)
}

fn read(pair: &mut Pair, reader: u32, length: u64) -> CopyStep {
    let (b, bytes) = (pair.b, pair.bytes);
    pair.state
        .stream_read(b, bytes, true, reader, buffer(length))
        .unwrap()
}

fn turn(step: CopyStep) -> HostTurn {
    match step {
        CopyStep::Host(turn) => turn,
        other => panic!("the host is asked first: {other:?}"),
    }
}

fn finish(pair: &mut Pair, turn: HostTurn) -> u32 {
    match pair.state.finish_host_turn(turn).unwrap() {
        CopyStep::Return(value) => value,
        other => panic!("{other:?}"),
    }
}

fn poll(pair: &mut Pair, waitable: u32) -> Event {
    let set = pair.set(pair.b, &[waitable]);
    if pair.state.current_thread().is_none() {
        pair.enter(pair.b, Lift::Callback);
    }
    let event = pair
        .state
        .waitable_set_poll(pair.b, false, set, &mut Fair)
        .unwrap();
    pair.state.waitable_join(pair.b, waitable, 0).unwrap();
    event
}

#[test]
fn items_at_hand_move_in_the_same_turn() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 8));
    assert_eq!((turn.shared, turn.side), (shared, Side::Writable));
    let offer = pair.state.host_offer(shared, Side::Writable).unwrap();
    assert_eq!((offer.remaining(), offer.cancelling), (8, false));
    pair.state.host_moved(shared, Side::Writable, 3, 3, true);
    assert_eq!(finish(&mut pair, turn), completed(3));
    assert_eq!(pair.state.host_offer(shared, Side::Writable), None);
    assert_eq!(pair.state.flow(shared).items, 3);
}

fn finish_moved(pair: &mut Pair, turn: HostTurn, count: u32) -> u32 {
    match pair.state.finish_moved(turn, count, count.into()).unwrap() {
        CopyStep::Return(value) => value,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_moved_in_the_same_turn_is_no_event() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    pair.enter(pair.b, Lift::Callback);
    let set = pair.set(pair.b, &[reader]);
    for _ in 0..2 {
        let turn = turn(read(&mut pair, reader, 8));
        assert_eq!(finish_moved(&mut pair, turn, 3), completed(3));
        assert_eq!(pair.state.host_offer(shared, Side::Writable), None);
        let event = pair
            .state
            .waitable_set_poll(pair.b, false, set, &mut Fair)
            .unwrap();
        assert_eq!(event, Event::NONE);
    }
    let turn = turn(read(&mut pair, reader, 8));
    let moved = finish_moved(&mut pair, turn, 100);
    assert_eq!(moved, completed(8), "never more than was offered");
    let flow = pair.state.flow(shared);
    assert_eq!((flow.items, flow.copies, flow.read_stalls), (14, 3, 0));
}

#[test]
fn what_moved_gives_way_to_the_end_that_came_meanwhile() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 8));
    assert!(!pair.state.drop_side(shared, Side::Writable));
    assert_eq!(finish_moved(&mut pair, turn, 3), dropped(0));
}

#[test]
fn items_that_come_later_are_an_event() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 8));
    assert_eq!(finish(&mut pair, turn), BLOCKED);
    pair.state.host_moved(shared, Side::Writable, 3, 3, true);
    // The event has not been delivered: the buffer can still be filled.
    pair.state.host_moved(shared, Side::Writable, 100, 5, true);
    let event = poll(&mut pair, reader);
    assert_eq!(event.payload, completed(8), "never more than was offered");
}

#[test]
fn a_consumer_may_hold_the_writer_back_after_taking_items() {
    let mut pair = Pair::new();
    let ends = pair.state.stream_new(pair.b, pair.bytes).unwrap();
    let (b, bytes) = (pair.b, pair.bytes);
    let shared = pair
        .state
        .lift_readable(b, SharedKind::Stream, bytes, ends as u32)
        .unwrap();
    pair.state.host_attach(shared, Side::Readable);
    let writer = (ends >> 32) as u32;
    let step = pair
        .state
        .stream_write(b, bytes, true, writer, buffer(6))
        .unwrap();
    let turn = turn(step);
    pair.state.host_moved(shared, Side::Readable, 4, 4, false);
    assert_eq!(finish(&mut pair, turn), BLOCKED);
    let offer = pair.state.host_offer(shared, Side::Readable).unwrap();
    assert_eq!(offer.remaining(), 2);
    assert_eq!(poll(&mut pair, writer), Event::NONE);
    pair.state
        .host_complete(shared, Side::Readable, CopyResult::Completed);
    assert_eq!(poll(&mut pair, writer).payload, completed(4));
}

#[test]
fn a_readiness_probe_is_answered_without_items() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 0));
    pair.state
        .host_complete(shared, Side::Writable, CopyResult::Completed);
    assert_eq!(finish(&mut pair, turn), completed(0));
}

#[test]
fn a_cancelled_read_reports_what_came_while_the_host_let_go() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 8));
    assert_eq!(finish(&mut pair, turn), BLOCKED);
    let (b, bytes) = (pair.b, pair.bytes);
    let step = pair.state.stream_cancel_read(b, bytes, true, reader);
    let Ok(CancelStep::Host(turn)) = step else {
        panic!("{step:?}");
    };
    let offer = pair.state.host_offer(shared, Side::Writable).unwrap();
    assert!(offer.cancelling);
    // It takes its time: the cancellation goes on in the background.
    let step = pair.state.finish_cancel_turn(turn);
    assert!(matches!(step, Ok(CancelStep::Return(BLOCKED))));
    pair.state.host_moved(shared, Side::Writable, 2, 2, false);
    pair.state
        .host_complete(shared, Side::Writable, CopyResult::Cancelled);
    assert_eq!(poll(&mut pair, reader).payload, cancelled(2));
}

#[test]
fn a_synchronous_cancellation_waits_for_the_host() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 8));
    assert_eq!(finish(&mut pair, turn), BLOCKED);
    pair.enter(pair.b, Lift::Stackful);
    let (b, bytes) = (pair.b, pair.bytes);
    let step = pair.state.stream_cancel_read(b, bytes, false, reader);
    let Ok(CancelStep::Host(turn)) = step else {
        panic!("{step:?}");
    };
    let step = pair.state.finish_cancel_turn(turn);
    assert!(matches!(step, Ok(CancelStep::Block)));
    pair.state
        .host_complete(shared, Side::Writable, CopyResult::Cancelled);
    assert!(matches!(pair.tick().action, Action::Return(value) if value == cancelled(0)));
}

#[test]
fn the_host_learns_that_the_guest_dropped_its_end() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let told = pair.state.stream_drop_readable(pair.b, pair.bytes, reader);
    assert_eq!(told, Ok(Some((shared, Side::Writable))));
    assert!(pair.state.host_peer_dropped(shared));
    assert!(!pair.state.drop_side(shared, Side::Writable));
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn the_guest_learns_that_the_host_dropped_its_end() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 8));
    pair.state.host_moved(shared, Side::Writable, 2, 2, false);
    assert!(!pair.state.drop_side(shared, Side::Writable));
    assert_eq!(finish(&mut pair, turn), dropped(2));
}

#[test]
fn a_trap_of_the_guest_tells_the_host() {
    let mut pair = Pair::new();
    let (shared, reader) = produced(&mut pair);
    let turn = turn(read(&mut pair, reader, 8));
    assert_eq!(finish(&mut pair, turn), BLOCKED);
    let _ = pair.state.poison(pair.b);
    assert_eq!(pair.state.take_unheard(), [(shared, Side::Writable)]);
    assert_eq!(pair.state.host_offer(shared, Side::Writable), None);
    pair.state.host_moved(shared, Side::Writable, 2, 2, true);
    assert!(!pair.state.drop_side(shared, Side::Writable));
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn a_host_function_that_takes_its_time_is_a_subtask() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Callback);
    let subtask = pair.state.host_call(pair.a, 5).unwrap();
    let step = pair.state.lower_returned(subtask, true, &mut Fair).unwrap();
    let LowerStep::Return(packed) = step else {
        panic!("{step:?}");
    };
    assert_eq!(packed & 0xf, SubtaskState::Started as u32);
    let index = packed >> 4;
    let step = pair
        .state
        .subtask_cancel(pair.a, true, index, &mut Fair)
        .unwrap();
    let SubtaskCancelStep::Host(id, number) = step else {
        panic!("{step:?}");
    };
    assert_eq!((id, number), (subtask, 5));
    pair.state.host_call_resolved(subtask, false);
    let step = pair.state.finish_subtask_cancel(subtask, true).unwrap();
    let expected = SubtaskState::CancelledBeforeReturned as u32;
    assert!(matches!(step, SubtaskCancelStep::Return(state) if state == expected));
    pair.state.subtask_drop(pair.a, index).unwrap();
}

#[test]
fn a_trapped_caller_gives_up_its_host_functions() {
    let mut pair = Pair::new();
    pair.enter(pair.a, Lift::Stackful);
    let thread = pair.state.current_thread().unwrap();
    let subtask = pair.state.host_call(pair.a, 4).unwrap();
    let step = pair.state.lower_returned(subtask, true, &mut Fair);
    assert!(matches!(step, Ok(LowerStep::Return(_))));
    assert_eq!(pair.state.block_in_host_call(5), Ok(thread));
    assert_eq!(pair.state.waiting_for(thread), WaitingFor::HostCall);
    let mut poisoned = pair.state.trapped(thread, pair.a);
    poisoned.host_functions.sort_unstable();
    assert_eq!(poisoned.host_functions, [4, 5]);
    assert_eq!(pair.state.counts(), Counts::default());
}
