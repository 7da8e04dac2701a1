//! The contract of `StreamConsumer`, row by row and breach by breach.

use crate::guest::{BLOCKED, Guest, bytes, cancelled, completed, dropped, rule};
use crate::script::{Act, CANCELLED, COMPLETED, DROPPED, PENDING, Watch, script};
use tidegate::stream::Rule;
use tidegate::{Result, StreamReader};

/// Runs a test with a guest that writes to a script, on each engine.
fn writes(acts: &[Act], test: impl Fn(&mut Guest<()>, &Watch)) {
    bytes(|mut guest| {
        let (script, watch) = script(acts.iter().cloned());
        let reader = guest.make::<StreamReader<u8>>().unwrap();
        reader.pipe(&mut guest.store, script).unwrap();
        test(&mut guest, &watch);
    });
}

fn write(guest: &mut Guest<()>, bytes: &[u8]) -> Result<u32> {
    guest.write(bytes.to_vec())
}

/// A script that breaks a rule when the guest does something: the guest traps with that rule, its instance is unusable and the consumer dropped.
fn breaks(acts: &[Act], expected: Rule, act: impl Fn(&mut Guest<()>) -> Result<u32>) {
    writes(acts, |guest, watch| {
        let error = act(guest).unwrap_err();
        assert_eq!(rule(&error), expected);
        let text = format!("{error:#}");
        assert!(text.contains("script::Script"), "{text}");
        assert!(text.contains("StreamConsumer"), "{text}");
        assert!(write(guest, b"a").is_err(), "the instance is unusable");
        assert!(watch.dropped());
    });
}

#[test]
fn items_are_taken_in_the_same_turn() {
    writes(
        &[
            Act::Take(8, COMPLETED),
            Act::TakeDirect(2, COMPLETED),
            Act::Take(2, DROPPED),
        ],
        |guest, watch| {
            assert_eq!(write(guest, b"abc").unwrap(), completed(3));
            assert_eq!(watch.taken(), b"abc");
            assert_eq!(write(guest, b"defg").unwrap(), completed(2));
            assert_eq!(watch.taken(), b"de");
            assert!(!watch.dropped());
            assert_eq!(write(guest, b"fgh").unwrap(), dropped(2));
            assert_eq!(watch.taken(), b"fg");
            assert!(watch.dropped());
            assert_eq!(watch.calls(), [(3, false), (4, false), (3, false)]);
        },
    );
}

#[test]
fn completed_without_taking_is_a_breach() {
    let expected = Rule::CompletedWithoutItem;
    for act in [Act::Say(COMPLETED), Act::Take(0, COMPLETED)] {
        breaks(&[act], expected, |guest| write(guest, b"abc"));
    }
    breaks(
        &[Act::Say(PENDING), Act::Say(COMPLETED)],
        expected,
        |guest| {
            assert_eq!(write(guest, b"abc").unwrap(), BLOCKED);
            guest.cancel_write()
        },
    );
}

#[test]
fn cancelled_unasked_is_a_breach() {
    let expected = Rule::CancelledUnasked;
    for act in [Act::Say(CANCELLED), Act::Take(1, CANCELLED)] {
        breaks(&[act], expected, |guest| write(guest, b"abc"));
    }
}

#[test]
fn reading_more_than_there_is_is_a_breach() {
    let expected = Rule::ReadTooMuch {
        marked: 5,
        offered: 3,
    };
    breaks(&[Act::Overrun(2)], expected, |guest| write(guest, b"abc"));
}

#[test]
fn a_breach_of_a_consumer_that_was_woken_is_the_end_of_the_writer() {
    for act in [Act::Say(COMPLETED), Act::Say(CANCELLED), Act::Overrun(1)] {
        writes(&[Act::Say(PENDING)], |guest, watch| {
            assert_eq!(write(guest, b"abc").unwrap(), BLOCKED);
            watch.wake_to(act.clone());
            let error = guest.wait_write().unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains("broke the contract"), "{text}");
            assert!(write(guest, b"a").is_err(), "the instance is unusable");
            assert!(watch.dropped());
        });
    }
}

#[test]
fn an_error_is_the_end_of_the_writer() {
    writes(&[Act::Fail], |guest, watch| {
        let error = write(guest, b"abc").unwrap_err();
        assert!(format!("{error:#}").contains("the script is over"));
        assert!(watch.dropped());
    });
}

#[test]
fn a_consumer_that_waits_is_called_again_when_it_was_woken() {
    writes(&[Act::Say(PENDING)], |guest, watch| {
        assert_eq!(write(guest, b"abc").unwrap(), BLOCKED);
        watch.wake_to(Act::Take(2, COMPLETED));
        assert_eq!(guest.wait_write().unwrap(), completed(2));
        assert_eq!(watch.taken(), b"ab");
    });
}

#[test]
fn taking_and_waiting_holds_the_writer_back() {
    writes(&[Act::Take(2, PENDING)], |guest, watch| {
        assert_eq!(write(guest, b"abcd").unwrap(), BLOCKED);
        assert_eq!(watch.taken(), b"ab");
        // The rest is offered again, in parts.
        watch.then(Act::Take(1, PENDING));
        watch.then(Act::Take(1, PENDING));
        watch.then(Act::Say(COMPLETED));
        let waking = watch.clone();
        let helper = std::thread::spawn(move || {
            while waking.left() > 0 {
                waking.wake();
                std::thread::yield_now();
            }
        });
        assert_eq!(guest.wait_write().unwrap(), completed(4));
        helper.join().unwrap();
        assert_eq!(watch.taken(), b"cd");
        let rooms: Vec<usize> = watch.calls().iter().map(|call| call.0).collect();
        assert_eq!(rooms, [4, 2, 1, 0]);
    });
}

#[test]
fn a_consumer_may_be_done_with_a_write_after_part_of_it() {
    writes(&[Act::Take(2, PENDING)], |guest, watch| {
        assert_eq!(write(guest, b"abcd").unwrap(), BLOCKED);
        watch.wake_to(Act::Say(COMPLETED));
        assert_eq!(guest.wait_write().unwrap(), completed(2));
        watch.then(Act::Take(4, PENDING));
        assert_eq!(write(guest, b"cd").unwrap(), BLOCKED);
        watch.wake_to(Act::Say(DROPPED));
        assert_eq!(guest.wait_write().unwrap(), dropped(2));
        assert_eq!(watch.taken(), b"abcd");
    });
}

#[test]
fn a_probe_is_answered() {
    writes(&[Act::Say(COMPLETED), Act::Say(PENDING)], |guest, watch| {
        assert_eq!(write(guest, b"").unwrap(), completed(0));
        assert_eq!(write(guest, b"").unwrap(), BLOCKED);
        assert_eq!(watch.calls(), [(0, false); 2]);
        watch.wake_to(Act::Say(COMPLETED));
        assert_eq!(guest.wait_write().unwrap(), completed(0));
        watch.then(Act::Say(DROPPED));
        assert_eq!(write(guest, b"").unwrap(), dropped(0));
    });
}

#[test]
fn a_cancelled_write_is_given_back_at_once() {
    writes(
        &[
            Act::Say(PENDING),
            Act::Say(CANCELLED),
            Act::Take(9, COMPLETED),
        ],
        |guest, watch| {
            assert_eq!(write(guest, b"abc").unwrap(), BLOCKED);
            assert_eq!(guest.cancel_write().unwrap(), cancelled(0));
            assert_eq!(watch.calls(), [(3, false), (3, true)]);
            assert_eq!(write(guest, b"abc").unwrap(), completed(3));
            assert_eq!(watch.taken(), b"abc");
        },
    );
}

#[test]
fn a_cancelled_write_reports_what_was_taken() {
    for (acts, expected) in [
        ([Act::Take(2, PENDING), Act::Say(CANCELLED)], cancelled(2)),
        ([Act::Take(2, PENDING), Act::Say(COMPLETED)], completed(2)),
        ([Act::Say(PENDING), Act::Take(2, CANCELLED)], cancelled(2)),
        ([Act::Say(PENDING), Act::Take(2, COMPLETED)], completed(2)),
        ([Act::Take(1, PENDING), Act::Take(1, DROPPED)], dropped(2)),
    ] {
        writes(&acts, |guest, watch| {
            assert_eq!(write(guest, b"abcd").unwrap(), BLOCKED);
            assert_eq!(guest.cancel_write().unwrap(), expected);
            assert_eq!(watch.taken(), b"ab");
        });
    }
}

#[test]
fn an_operation_that_has_begun_may_end_before_the_buffer_is_given_back() {
    for (act, expected) in [
        (Act::Say(CANCELLED), cancelled(1)),
        (Act::Take(2, CANCELLED), cancelled(3)),
        (Act::Take(2, COMPLETED), completed(3)),
        (Act::Say(DROPPED), dropped(1)),
    ] {
        writes(
            &[Act::Take(1, PENDING), Act::Say(PENDING)],
            |guest, watch| {
                assert_eq!(write(guest, b"abcd").unwrap(), BLOCKED);
                assert_eq!(guest.cancel_write().unwrap(), BLOCKED);
                watch.wake_to(act.clone());
                assert_eq!(guest.wait_write().unwrap(), expected);
                assert_eq!(watch.calls(), [(4, false), (3, true), (3, true)]);
            },
        );
    }
}

#[test]
fn a_writer_that_is_gone_drops_the_consumer() {
    writes(&[Act::Take(9, COMPLETED)], |guest, watch| {
        assert_eq!(write(guest, b"abc").unwrap(), completed(3));
        guest.drop_writable().unwrap();
        assert!(watch.dropped());
    });
}

#[test]
fn a_writer_that_is_gone_before_it_is_piped_drops_the_consumer() {
    bytes(|mut guest| {
        let (script, watch) = script([]);
        let reader = guest.make::<StreamReader<u8>>().unwrap();
        guest.drop_writable().unwrap();
        reader.pipe(&mut guest.store, script).unwrap();
        assert!(watch.dropped());
    });
}

#[test]
fn a_writer_that_waits_already_is_served() {
    bytes(|mut guest| {
        let reader = guest.make::<StreamReader<u8>>().unwrap();
        assert_eq!(write(&mut guest, b"abc").unwrap(), BLOCKED);
        let (script, watch) = script([Act::Take(9, COMPLETED)]);
        reader.pipe(&mut guest.store, script).unwrap();
        assert_eq!(guest.wait_write().unwrap(), completed(3));
        assert_eq!(watch.taken(), b"abc");
    });
}

#[test]
fn a_writer_that_traps_drops_the_consumer() {
    writes(&[Act::Say(PENDING)], |guest, watch| {
        assert_eq!(write(guest, b"abc").unwrap(), BLOCKED);
        // Two writes at once.
        assert!(write(guest, b"abc").is_err());
        assert!(watch.dropped());
    });
}
