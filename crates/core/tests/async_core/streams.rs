//! Streams and futures between two guests: whatever is cancelled or dropped when, nothing is lost or doubled.

use crate::pair::{BLOCKED, Pair, buffer, cancelled, completed, dropped};
use tidegate_core::runtime::*;
use tidegate_core::trap::Trap;

fn reason(trap: Trap) -> String {
    trap.to_string()
}

#[test]
fn a_write_waits_for_a_reader_and_reports_what_it_took() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    let set = pair.set(pair.a, &[writer]);
    assert_eq!(pair.write(writer, 5), Ok(BLOCKED));
    assert_eq!(pair.read(reader, 3), Ok(completed(3)));
    // Items that go over before the event is delivered are in its count.
    assert_eq!(pair.read(reader, 1), Ok(completed(1)));
    pair.enter(pair.a, Lift::Callback);
    let event = pair
        .state
        .waitable_set_poll(pair.a, false, set, &mut Fair)
        .unwrap();
    assert_eq!(event.code, EventCode::StreamWrite);
    assert_eq!((event.index, event.payload), (writer, completed(4)));
    assert_eq!(pair.write(writer, 0), Ok(BLOCKED), "the end is idle again");
}

#[test]
fn cancel_reports_items_that_were_moved_before() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    assert_eq!(pair.write(writer, 5), Ok(BLOCKED));
    assert_eq!(pair.read(reader, 2), Ok(completed(2)));
    let step = pair
        .state
        .stream_cancel_write(pair.a, pair.bytes, true, writer);
    assert!(
        matches!(step, Ok(CancelStep::Return(value)) if value == cancelled(2)),
        "{step:?}"
    );
    assert_eq!(
        pair.read(reader, 2),
        Ok(BLOCKED),
        "the buffer was given back"
    );
}

#[test]
fn dropping_one_end_ends_the_other_with_its_progress() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    let set = pair.set(pair.a, &[writer]);
    assert_eq!(pair.write(writer, 5), Ok(BLOCKED));
    assert_eq!(pair.read(reader, 2), Ok(completed(2)));
    let told = pair
        .state
        .stream_drop_readable(pair.b, pair.bytes, reader)
        .unwrap();
    assert_eq!(told, None, "the host has no part in it");
    pair.enter(pair.a, Lift::Callback);
    let event = pair
        .state
        .waitable_set_poll(pair.a, false, set, &mut Fair)
        .unwrap();
    assert_eq!(event.payload, dropped(2));
    let trap = pair.write(writer, 1).unwrap_err();
    assert!(reason(trap).contains("cannot write to stream after being notified"));
}

#[test]
fn an_empty_read_finds_out_whether_a_writer_is_there() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    assert_eq!(pair.read(reader, 0), Ok(BLOCKED));
    assert_eq!(
        pair.write(writer, 4),
        Ok(BLOCKED),
        "the items wait for a buffer"
    );
    let step = pair
        .state
        .stream_cancel_read(pair.b, pair.bytes, true, reader);
    assert!(matches!(step, Ok(CancelStep::Return(value)) if value == cancelled(0)));
    assert_eq!(pair.read(reader, 4), Ok(completed(4)));
}

#[test]
fn a_future_carries_one_value() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.future();
    let (a, b, bytes) = (pair.a, pair.b, pair.bytes);
    let step = pair.state.future_write(a, bytes, true, writer, buffer(1));
    assert_eq!(step.and_then(|step| pair.finish(step)), Ok(BLOCKED));
    let step = pair.state.future_read(b, bytes, true, reader, buffer(1));
    assert_eq!(step.and_then(|step| pair.finish(step)), Ok(0));
    let again = pair.state.future_read(b, bytes, true, reader, buffer(1));
    assert!(reason(again.unwrap_err()).contains("cannot read from future after previous read"));
    let lifted = pair
        .state
        .lift_readable(b, SharedKind::Future, bytes, reader);
    assert!(reason(lifted.unwrap_err()).contains("cannot lift future after previous read"));
}

#[test]
fn a_future_must_be_written_before_its_writable_end_goes() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.future();
    let (a, b, bytes) = (pair.a, pair.b, pair.bytes);
    let trap = pair
        .state
        .future_drop_writable(a, bytes, writer)
        .unwrap_err();
    assert!(reason(trap).contains("cannot drop future write end without first writing"));
    let _ = pair.state.future_drop_readable(b, bytes, reader).unwrap();
    let step = pair.state.future_write(a, bytes, true, writer, buffer(1));
    assert_eq!(
        step.and_then(|step| pair.finish(step)),
        Ok(CopyResult::Dropped as u32)
    );
    assert_eq!(pair.state.future_drop_writable(a, bytes, writer), Ok(None));
    assert_eq!(pair.state.counts(), Counts::default());
}

#[test]
fn an_end_in_a_set_can_be_neither_lifted_nor_used_synchronously() {
    let mut pair = Pair::new();
    let (reader, _) = pair.stream();
    pair.set(pair.b, &[reader]);
    let (b, bytes) = (pair.b, pair.bytes);
    let lifted = pair
        .state
        .lift_readable(b, SharedKind::Stream, bytes, reader);
    assert!(
        reason(lifted.unwrap_err()).contains("cannot lift stream while it's in a waitable set")
    );
    let read = pair.state.stream_read(b, bytes, false, reader, buffer(1));
    assert!(reason(read.unwrap_err()).contains("waitable cannot be used synchronously"));
}

#[test]
fn kind_and_element_type_are_checked_in_this_order() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    let (a, b) = (pair.a, pair.b);
    let wrong_end = pair
        .state
        .stream_read(a, PayloadId::NONE, true, writer, buffer(1));
    assert!(matches!(wrong_end.unwrap_err(), Trap::WrongHandle { .. }));
    let wrong_type = pair
        .state
        .stream_read(b, PayloadId::NONE, true, reader, buffer(1));
    assert!(reason(wrong_type.unwrap_err()).contains("element type"));
}

#[test]
fn counters_tell_items_bytes_and_stalls() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    assert_eq!(pair.write(writer, 5), Ok(BLOCKED));
    assert_eq!(pair.read(reader, 3), Ok(completed(3)));
    assert_eq!(pair.read(reader, 9), Ok(completed(2)));
    let shared = pair
        .state
        .lift_readable(pair.b, SharedKind::Stream, pair.bytes, reader)
        .unwrap();
    let flow = pair.state.flow(shared);
    assert_eq!((flow.items, flow.bytes, flow.copies), (5, 5, 2));
    assert_eq!((flow.write_stalls, flow.read_stalls), (1, 0));
}

/// What one end of a stream knows.
#[derive(Default)]
struct EndModel {
    /// Items that its events told of.
    reported: u64,
    busy: bool,
    gone: bool,
    done: bool,
}

impl EndModel {
    /// Takes note of an operation's result; true if it is under way.
    fn note(&mut self, value: u32) {
        self.busy = value == BLOCKED;
        if !self.busy {
            self.reported += u64::from(value >> 4);
            self.done |= value & 0xf == CopyResult::Dropped as u32;
        }
    }
}

/// Reads, writes, cancels and drops at random; both ends must agree on what went over.
fn agree(seed: u64) {
    let mut random = Seeded::new(seed);
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    let (a, b, bytes) = (pair.a, pair.b, pair.bytes);
    let sets = [pair.set(a, &[writer]), pair.set(b, &[reader])];
    let mut ends = [EndModel::default(), EndModel::default()];
    // Somebody has to poll.
    pair.enter(a, Lift::Callback);
    for _ in 0..60 {
        let side = random.below(2);
        let (instance, index) = [(a, writer), (b, reader)][side];
        let end = &mut ends[side];
        if end.gone {
            continue;
        }
        match random.below(12) {
            0 if !end.busy => {
                pair.state.waitable_join(instance, index, 0).unwrap();
                let told = match side {
                    0 => pair.state.stream_drop_writable(a, bytes, index),
                    _ => pair.state.stream_drop_readable(b, bytes, index),
                };
                assert_eq!(told, Ok(None));
                end.gone = true;
            }
            1 | 2 if end.busy => {
                let step = match side {
                    0 => pair.state.stream_cancel_write(a, bytes, true, index),
                    _ => pair.state.stream_cancel_read(b, bytes, true, index),
                };
                match step.unwrap() {
                    CancelStep::Return(value) => {
                        assert_ne!(value, BLOCKED, "guests let go at once");
                        end.note(value);
                    }
                    other => panic!("{other:?}"),
                }
            }
            3..6 => {
                let event = pair
                    .state
                    .waitable_set_poll(instance, false, sets[side], &mut Fair)
                    .unwrap();
                if event != Event::NONE {
                    assert_eq!(event.index, index);
                    assert!(end.busy, "only what is under way ends");
                    end.note(event.payload);
                }
            }
            _ if !end.busy && !end.done => {
                let length = random.below(7) as u64;
                let result = match side {
                    0 => pair.write(index, length),
                    _ => pair.read(index, length),
                };
                end.note(result.unwrap());
            }
            _ => {}
        }
    }
    // Settle: whatever is under way is cancelled, and reports what it did.
    for (side, (instance, index)) in [(a, writer), (b, reader)].into_iter().enumerate() {
        let end = &mut ends[side];
        if end.busy {
            let step = match side {
                0 => pair.state.stream_cancel_write(instance, bytes, true, index),
                _ => pair.state.stream_cancel_read(instance, bytes, true, index),
            };
            match step.unwrap() {
                CancelStep::Return(value) => end.note(value),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(
        ends[0].reported, ends[1].reported,
        "seed {seed}: every item written is read once"
    );
    for (side, (instance, index)) in [(a, writer), (b, reader)].into_iter().enumerate() {
        if !ends[side].gone {
            pair.state.waitable_join(instance, index, 0).unwrap();
            let _ = match side {
                0 => pair.state.stream_drop_writable(instance, bytes, index),
                _ => pair.state.stream_drop_readable(instance, bytes, index),
            }
            .unwrap();
        }
        pair.state.waitable_set_drop(instance, sets[side]).unwrap();
    }
    let counts = pair.state.counts();
    assert_eq!(
        (counts.waitables, counts.waitable_sets, counts.shared),
        (0, 0, 0)
    );
}

#[test]
fn both_ends_agree_on_what_went_over_whenever_one_cancels_or_drops() {
    for seed in 0..3000 {
        agree(seed);
    }
}

#[test]
fn a_cancelled_read_gives_its_buffer_back_at_once() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    assert_eq!(pair.read(reader, 4), Ok(BLOCKED));
    let step = pair
        .state
        .stream_cancel_read(pair.b, pair.bytes, false, reader);
    assert!(matches!(step, Ok(CancelStep::Return(value)) if value == cancelled(0)));
    assert_eq!(pair.write(writer, 4), Ok(BLOCKED));
}

#[test]
fn a_copy_within_an_instance_is_for_numbers_only() {
    let mut pair = Pair::new();
    let text = pair.state.payload(
        &tidegate_core::types::Types::default(),
        &[],
        Some(tidegate_core::types::ValType::String),
    );
    let ends = pair.state.stream_new(pair.a, text).unwrap();
    let (reader, writer) = (ends as u32, (ends >> 32) as u32);
    let step = pair
        .state
        .stream_write(pair.a, text, true, writer, buffer(1));
    assert!(matches!(step, Ok(CopyStep::Return(BLOCKED))));
    let trap = pair
        .state
        .stream_read(pair.a, text, true, reader, buffer(1))
        .unwrap_err();
    assert!(reason(trap).contains("cannot read from and write to intra-component stream"));
}

#[test]
fn an_event_goes_with_its_waitable_from_set_to_set() {
    let mut pair = Pair::new();
    let (reader, writer) = pair.stream();
    let first = pair.set(pair.a, &[writer]);
    let second = pair.set(pair.a, &[]);
    assert_eq!(pair.write(writer, 5), Ok(BLOCKED));
    assert_eq!(pair.read(reader, 5), Ok(completed(5)));
    pair.state.waitable_join(pair.a, writer, second).unwrap();
    pair.enter(pair.a, Lift::Callback);
    let a = pair.a;
    let mut poll = |set| {
        pair.state
            .waitable_set_poll(a, false, set, &mut Fair)
            .unwrap()
    };
    assert_eq!(poll(first), Event::NONE);
    assert_eq!(poll(second).payload, completed(5));
    assert_eq!(poll(second), Event::NONE, "it is delivered once");
}
