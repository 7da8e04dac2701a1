//! The contract of `StreamProducer`, row by row and breach by breach.

use crate::guest::{BLOCKED, Guest, bytes, cancelled, completed, dropped, rule};
use crate::script::{Act, CANCELLED, COMPLETED, DROPPED, PENDING, Watch, script};
use tidegate::stream::Rule;
use tidegate::{Result, StreamReader};

/// Runs a test with a guest that reads what a script produces, on each engine.
fn reads(acts: &[Act], test: impl Fn(&mut Guest<()>, &Watch)) {
    bytes(|mut guest| {
        let (script, watch) = script(acts.iter().cloned());
        let reader = StreamReader::new(&mut guest.store, script).unwrap();
        guest.give(reader).unwrap();
        test(&mut guest, &watch);
    });
}

/// A script that breaks a rule when the guest does something: the guest traps with that rule, its instance is unusable and the producer dropped.
fn breaks(acts: &[Act], expected: Rule, act: impl Fn(&mut Guest<()>) -> Result<u32>) {
    reads(acts, |guest, watch| {
        let error = act(guest).unwrap_err();
        assert_eq!(rule(&error), expected);
        let text = format!("{error:#}");
        assert!(text.contains("script::Script"), "{text}");
        assert!(text.contains("StreamProducer"), "{text}");
        assert!(guest.read(1).is_err(), "the instance is unusable");
        assert!(watch.dropped());
    });
}

#[test]
fn items_at_hand_move_in_the_same_turn() {
    reads(
        &[
            Act::Buffer(b"abc", COMPLETED),
            Act::Direct(b"de", COMPLETED),
            Act::Say(DROPPED),
        ],
        |guest, watch| {
            assert_eq!(guest.read(8).unwrap(), completed(3));
            assert_eq!(guest.data::<u8>(3), b"abc");
            assert_eq!(guest.read(8).unwrap(), completed(2));
            assert_eq!(guest.data::<u8>(2), b"de");
            assert!(!watch.dropped());
            assert_eq!(guest.read(8).unwrap(), dropped(0));
            assert!(watch.dropped());
            assert_eq!(watch.calls(), [(8, false); 3]);
        },
    );
}

#[test]
fn the_last_items_may_come_with_the_end() {
    for last in [Act::Buffer(b"xyz", DROPPED), Act::Direct(b"xyz", DROPPED)] {
        reads(&[last], |guest, watch| {
            assert_eq!(guest.read(8).unwrap(), dropped(3));
            assert_eq!(guest.data::<u8>(3), b"xyz");
            assert!(watch.dropped());
        });
    }
}

#[test]
fn what_the_reader_does_not_take_serves_later_reads() {
    reads(
        &[
            Act::Buffer(b"abcde", COMPLETED),
            Act::Buffer(b"fgh", DROPPED),
        ],
        |guest, watch| {
            assert_eq!(guest.read(2).unwrap(), completed(2));
            assert_eq!(guest.read(2).unwrap(), completed(2));
            assert_eq!(guest.data::<u8>(2), b"cd");
            assert_eq!(guest.read(0).unwrap(), completed(0));
            assert_eq!(guest.read(2).unwrap(), completed(1));
            assert_eq!(watch.calls(), [(2, false)], "not called for what was left");
            assert_eq!(guest.read(2).unwrap(), completed(2));
            assert_eq!(guest.read(2).unwrap(), dropped(1));
            assert_eq!(guest.data::<u8>(1), b"h");
            assert_eq!(watch.calls(), [(2, false)]);
            assert!(watch.dropped());
        },
    );
}

#[test]
fn direct_bytes_come_before_those_of_the_buffer() {
    use std::io::Write;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tidegate::StoreContextMut;
    use tidegate::stream::{Destination, StreamProducer, StreamResult};

    struct Both;

    impl StreamProducer<()> for Both {
        type Item = u8;
        type Buffer = Vec<u8>;

        fn poll_produce(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            mut store: StoreContextMut<'_, ()>,
            mut destination: Destination<'_, u8, Vec<u8>>,
            _: bool,
        ) -> Poll<Result<StreamResult>> {
            destination
                .reborrow()
                .as_direct(&mut store, 2)
                .write_all(b"ab")?;
            assert_eq!(destination.remaining(), Some(2));
            destination.set_buffer(b"never".to_vec());
            assert_eq!(destination.take_buffer(), b"never");
            destination.set_buffer(b"cdef".to_vec());
            Poll::Ready(Ok(StreamResult::Dropped))
        }
    }

    bytes(|mut guest| {
        let reader = StreamReader::new(&mut guest.store, Both).unwrap();
        guest.give(reader).unwrap();
        assert_eq!(guest.read(4).unwrap(), completed(4));
        assert_eq!(guest.data::<u8>(4), b"abcd");
        assert_eq!(guest.read(4).unwrap(), dropped(2));
        assert_eq!(guest.data::<u8>(2), b"ef");
    });
}

#[test]
fn completed_without_an_item_is_a_breach() {
    let expected = Rule::CompletedWithoutItem;
    breaks(&[Act::Say(COMPLETED)], expected, |guest| guest.read(4));
    breaks(&[Act::Buffer(b"", COMPLETED)], expected, |guest| {
        guest.read(4)
    });
}

#[test]
fn pending_after_writing_is_a_breach() {
    let expected = Rule::PendingAfterWriting;
    for act in [Act::Buffer(b"a", PENDING), Act::Direct(b"a", PENDING)] {
        breaks(&[act], expected, |guest| guest.read(4));
    }
    breaks(&[Act::Buffer(b"a", PENDING)], expected, |guest| {
        guest.read(0)
    });
}

#[test]
fn cancelled_unasked_is_a_breach() {
    let expected = Rule::CancelledUnasked;
    for act in [Act::Say(CANCELLED), Act::Buffer(b"a", CANCELLED)] {
        breaks(&[act], expected, |guest| guest.read(4));
    }
}

#[test]
fn writing_more_than_there_is_room_for_is_a_breach() {
    let expected = Rule::WroteTooMuch { marked: 5, room: 4 };
    breaks(&[Act::Overrun(1)], expected, |guest| guest.read(4));
    let expected = Rule::WroteTooMuch { marked: 1, room: 0 };
    breaks(&[Act::Overrun(1)], expected, |guest| guest.read(0));
}

#[test]
fn breaches_while_cancelling_trap_the_canceller() {
    let cases = [
        (Act::Say(COMPLETED), Rule::CompletedWithoutItem),
        (Act::Buffer(b"a", PENDING), Rule::PendingAfterWriting),
    ];
    for (act, expected) in cases {
        breaks(&[Act::Say(PENDING), act], expected, |guest| {
            assert_eq!(guest.read(4).unwrap(), BLOCKED);
            guest.cancel_read()
        });
    }
}

#[test]
fn a_breach_of_a_producer_that_was_woken_is_the_end_of_the_reader() {
    let cases = [
        Act::Say(COMPLETED),
        Act::Buffer(b"a", PENDING),
        Act::Say(CANCELLED),
        Act::Overrun(1),
    ];
    for act in cases {
        reads(&[Act::Say(PENDING)], |guest, watch| {
            assert_eq!(guest.read(4).unwrap(), BLOCKED);
            watch.wake_to(act.clone());
            let error = guest.wait_read().unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains("broke the contract"), "{text}");
            assert!(guest.read(1).is_err(), "the instance is unusable");
            assert!(watch.dropped());
        });
    }
}

#[test]
fn an_error_is_the_end_of_the_reader() {
    reads(&[Act::Fail], |guest, watch| {
        let error = guest.read(4).unwrap_err();
        assert!(format!("{error:#}").contains("the script is over"));
        assert!(guest.read(1).is_err(), "the instance is unusable");
        assert!(watch.dropped());
    });
    reads(&[Act::Say(PENDING)], |guest, watch| {
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        watch.wake_to(Act::Fail);
        let error = guest.wait_read().unwrap_err();
        assert!(format!("{error:#}").contains("the script is over"));
        assert!(watch.dropped());
    });
}

#[test]
fn a_producer_that_waits_is_called_again_when_it_was_woken() {
    reads(&[Act::Say(PENDING)], |guest, watch| {
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        assert_eq!(watch.calls(), [(4, false)]);
        watch.wake_to(Act::Direct(b"ab", COMPLETED));
        assert_eq!(guest.wait_read().unwrap(), completed(2));
        assert_eq!(guest.data::<u8>(2), b"ab");
        assert_eq!(watch.calls(), [(4, false)]);
    });
}

#[test]
fn a_probe_is_answered() {
    // It will not wait.
    reads(
        &[Act::Say(COMPLETED), Act::Buffer(b"ab", COMPLETED)],
        |guest, watch| {
            assert_eq!(guest.read(0).unwrap(), completed(0));
            assert_eq!(watch.calls(), [(0, false)]);
            assert_eq!(guest.read(1).unwrap(), completed(1));
        },
    );
    // It has items at hand already.
    reads(&[Act::Buffer(b"ab", COMPLETED)], |guest, watch| {
        assert_eq!(guest.read(0).unwrap(), completed(0));
        assert_eq!(guest.read(4).unwrap(), completed(2));
        assert_eq!(guest.data::<u8>(2), b"ab");
        assert_eq!(watch.calls(), [(0, false)]);
    });
    // It waits.
    reads(&[Act::Say(PENDING)], |guest, watch| {
        assert_eq!(guest.read(0).unwrap(), BLOCKED);
        watch.wake_to(Act::Say(COMPLETED));
        assert_eq!(guest.wait_read().unwrap(), completed(0));
        assert_eq!(watch.calls(), [(0, false); 2]);
    });
    // There is no more.
    reads(&[Act::Say(DROPPED)], |guest, _| {
        assert_eq!(guest.read(0).unwrap(), dropped(0));
    });
}

#[test]
fn a_cancelled_read_is_given_back_at_once() {
    reads(
        &[Act::Say(PENDING), Act::Say(CANCELLED), Act::Say(PENDING)],
        |guest, watch| {
            assert_eq!(guest.read(4).unwrap(), BLOCKED);
            assert_eq!(guest.cancel_read().unwrap(), cancelled(0));
            assert_eq!(watch.calls(), [(4, false), (4, true)]);
            assert_eq!(guest.read(3).unwrap(), BLOCKED);
            assert_eq!(watch.calls(), [(3, false)]);
        },
    );
}

#[test]
fn a_cancelled_read_reports_what_has_arrived() {
    for (answer, expected) in [
        (COMPLETED, completed(2)),
        (CANCELLED, cancelled(2)),
        (DROPPED, dropped(2)),
    ] {
        for act in [Act::Buffer(b"ab", answer), Act::Direct(b"ab", answer)] {
            reads(&[Act::Say(PENDING), act], |guest, _| {
                assert_eq!(guest.read(4).unwrap(), BLOCKED);
                assert_eq!(guest.cancel_read().unwrap(), expected);
                assert_eq!(guest.data::<u8>(2), b"ab");
            });
        }
    }
}

#[test]
fn an_operation_that_has_begun_may_end_before_the_buffer_is_given_back() {
    for (act, expected) in [
        (Act::Say(CANCELLED), cancelled(0)),
        (Act::Direct(b"ab", CANCELLED), cancelled(2)),
        (Act::Direct(b"ab", COMPLETED), completed(2)),
        (Act::Say(DROPPED), dropped(0)),
    ] {
        reads(&[Act::Say(PENDING), Act::Say(PENDING)], |guest, watch| {
            assert_eq!(guest.read(4).unwrap(), BLOCKED);
            assert_eq!(guest.cancel_read().unwrap(), BLOCKED);
            watch.wake_to(act.clone());
            assert_eq!(guest.wait_read().unwrap(), expected);
            assert_eq!(watch.calls(), [(4, false), (4, true), (4, true)]);
        });
    }
}

#[test]
fn what_a_producer_was_woken_for_is_reported_to_the_canceller() {
    // The producer is woken, but the guest cancels before anybody looks.
    reads(&[Act::Say(PENDING)], |guest, watch| {
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        watch.wake_to(Act::Direct(b"abc", COMPLETED));
        assert_eq!(guest.cancel_read().unwrap(), completed(3));
        assert_eq!(watch.calls(), [(4, false), (4, true)]);
        assert_eq!(guest.data::<u8>(3), b"abc");
    });
}

#[test]
fn a_reader_that_is_gone_drops_the_producer() {
    reads(&[Act::Say(PENDING), Act::Say(CANCELLED)], |guest, watch| {
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        guest.cancel_read().unwrap();
        guest.drop_readable().unwrap();
        assert!(watch.dropped());
    });
    bytes(|mut guest| {
        let (script, watch) = script([]);
        let mut reader = StreamReader::new(&mut guest.store, script).unwrap();
        reader.close(&mut guest.store).unwrap();
        assert!(watch.dropped());
        assert!(reader.close(&mut guest.store).is_err());
        assert!(guest.give(reader).is_err(), "it is closed");
    });
}

#[test]
fn a_reader_that_traps_drops_the_producer() {
    reads(&[Act::Say(PENDING)], |guest, watch| {
        assert_eq!(guest.read(4).unwrap(), BLOCKED);
        // Two reads at once.
        assert!(guest.read(4).is_err());
        assert!(watch.dropped());
    });
}
