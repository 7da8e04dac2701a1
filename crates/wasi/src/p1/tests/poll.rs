//! Waiting for many things at once.

use std::time::{Duration, Instant};

use super::*;
use crate::io::{FdInput, is_ready_now};

/// Puts a subscription to a clock into the list.
fn clock(guest: &mut Guest, index: u32, id: u32, timeout: u64, flags: u16) {
    let at = LIST + index * 48;
    guest.put(at, &[0; 48]);
    guest.put(at, &u64::from(100 + index).to_le_bytes());
    guest.put(at + 16, &id.to_le_bytes());
    guest.put(at + 24, &timeout.to_le_bytes());
    guest.put(at + 40, &flags.to_le_bytes());
}

/// Puts a subscription to a descriptor into the list; kind 1 reads, 2 writes.
fn descriptor(guest: &mut Guest, index: u32, kind: u8, fd: u32) {
    let at = LIST + index * 48;
    guest.put(at, &[0; 48]);
    guest.put(at, &u64::from(100 + index).to_le_bytes());
    guest.put(at + 8, &[kind]);
    guest.put(at + 16, &fd.to_le_bytes());
}

/// Userdata, error, type and bytes of every event.
fn poll(guest: &mut Guest, count: u32) -> Vec<(u64, u16, u8, u64)> {
    call!(guest, poll_oneoff(LIST, DATA, count, OUT)).unwrap();
    let events = (0..guest.get_u32(OUT)).map(|n| DATA + n * 32);
    events
        .map(|at| {
            (
                guest.get_u64(at),
                guest.get_u16(at + 8),
                guest.get(at + 10, 1)[0],
                guest.get_u64(at + 16),
            )
        })
        .collect()
}

#[test]
fn sleep_lasts_as_long_as_asked_across_calls() {
    let mut guest = Guest::new();
    clock(&mut guest, 0, 1, 30_000_000, 0);
    clock(&mut guest, 1, 1, 60_000_000_000, 0);
    let start = Instant::now();
    assert_eq!(poll(&mut guest, 2), [(100, 0, 0, 0)]);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert!(start.elapsed() < Duration::from_millis(500));
}

#[test]
fn wait_that_was_given_up_does_not_shorten_the_next() {
    let mut guest = Guest::new();
    clock(&mut guest, 0, 1, 50_000_000, 0);
    let arguments = [LIST, DATA, 1, OUT].map(u64::from);
    let given_up = guest.try_call("poll_oneoff", &arguments).unwrap();
    assert!(matches!(given_up, Outcome::Wait(_)));
    std::thread::sleep(Duration::from_millis(60));
    drop(given_up);
    let start = Instant::now();
    assert_eq!(poll(&mut guest, 1).len(), 1);
    assert!(start.elapsed() >= Duration::from_millis(50));
}

#[test]
fn absolute_times_of_both_clocks_are_understood() {
    let mut guest = Guest::new();
    for id in [0, 1] {
        call!(guest, clock_time_get(id, 0, OUT)).unwrap();
        let now = guest.get_u64(OUT);
        clock(&mut guest, 0, id, now + 20_000_000, 1);
        let start = Instant::now();
        assert_eq!(poll(&mut guest, 1), [(100, 0, 0, 0)]);
        assert!(start.elapsed() >= Duration::from_millis(19), "clock {id}");
        clock(&mut guest, 0, id, now, 1);
        assert_eq!(poll(&mut guest, 1), [(100, 0, 0, 0)], "in the past");
    }
}

#[test]
fn input_wakes_the_waiting_guest_and_reports_the_right_event() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut guest = Guest::with(|ctx| ctx.stdin(FdInput::new(reader).unwrap()));
    descriptor(&mut guest, 0, 1, 0);
    clock(&mut guest, 1, 1, 60_000_000_000, 0);
    let arguments = [LIST, DATA, 2, OUT].map(u64::from);
    let Ok(Outcome::Wait(mut readiness)) = guest.try_call("poll_oneoff", &arguments) else {
        panic!("nothing is there yet");
    };
    assert!(!is_ready_now(&mut readiness));
    drop(readiness);
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        rustix::io::write(&writer, b"x").unwrap();
        writer
    });
    assert_eq!(poll(&mut guest, 2), [(100, 0, 1, 1)]);
    let writer = late.join().unwrap();
    assert_eq!(guest.read(0, 4).unwrap(), b"x");
    drop(writer);
    descriptor(&mut guest, 0, 1, 0);
    assert_eq!(
        poll(&mut guest, 1),
        [(100, 0, 1, 1)],
        "the end is an event too"
    );
    assert_eq!(guest.read(0, 4).unwrap(), b"");
}

#[test]
fn read_waits_unless_the_descriptor_is_nonblocking() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut guest = Guest::with(|ctx| ctx.stdin(FdInput::new(reader).unwrap()));
    call!(guest, fd_fdstat_set_flags(0, 4)).unwrap();
    assert_eq!(guest.fdstat(0).unwrap().1, 4);
    assert_eq!(guest.read(0, 4), Err(Errno::Again));
    call!(guest, fd_fdstat_set_flags(0, 0)).unwrap();
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        rustix::io::write(&writer, b"later").unwrap();
    });
    assert_eq!(guest.read(0, 9).unwrap(), b"later");
    late.join().unwrap();
}

#[test]
fn what_is_wrong_with_one_subscription_is_reported_in_its_event() {
    let mut guest = Guest::new();
    let fd = guest.open(ROOT, "file", 1, rights::FD_READ).unwrap();
    descriptor(&mut guest, 0, 1, 99);
    descriptor(&mut guest, 1, 2, 0);
    descriptor(&mut guest, 2, 1, fd);
    clock(&mut guest, 3, 2, 0, 0);
    clock(&mut guest, 4, 1, 0, 6);
    clock(&mut guest, 5, 1, u64::MAX, 0);
    let [badf, notcapable, inval] =
        [Errno::Badf, Errno::NotCapable, Errno::Inval].map(|errno| errno as u16);
    assert_eq!(
        poll(&mut guest, 6),
        [
            (100, badf, 1, 0),
            (101, badf, 2, 0),
            (102, notcapable, 1, 0),
            (103, inval, 0, 0),
            (104, inval, 0, 0),
        ]
    );
    assert_eq!(
        call!(guest, poll_oneoff(LIST, DATA, 0, OUT)),
        Err(Errno::Inval)
    );
    descriptor(&mut guest, 0, 3, 0);
    assert_eq!(
        call!(guest, poll_oneoff(LIST, DATA, 1, OUT)),
        Err(Errno::Inval)
    );
}

#[test]
fn regular_file_is_ready_and_says_how_much_is_left() {
    let mut guest = Guest::new();
    fs::write(guest.host_path("file"), "0123456789").unwrap();
    let fd = guest.open(ROOT, "file", 0, ALL).unwrap();
    guest.read(fd, 4).unwrap();
    descriptor(&mut guest, 0, 1, fd);
    descriptor(&mut guest, 1, 2, fd);
    descriptor(&mut guest, 2, 2, 1);
    assert_eq!(
        poll(&mut guest, 3),
        [(100, 0, 1, 6), (101, 0, 2, 1), (102, 0, 2, 1)]
    );
}

#[test]
fn many_subscriptions_cost_what_differs_among_them() {
    let (reader, _writer) = rustix::pipe::pipe().unwrap();
    let mut guest = Guest::with(|ctx| ctx.stdin(FdInput::new(reader).unwrap()));
    guest.memory = vec![0; 0x200000];
    let count = 16 * 1024;
    for index in 0..count {
        descriptor(&mut guest, index, 1, 0);
    }
    let events = LIST + count * 48;
    let arguments = [LIST, events, count, OUT].map(u64::from);
    let outcome = guest.try_call("poll_oneoff", &arguments);
    assert!(matches!(outcome, Ok(Outcome::Wait(_))));
    let too_many = call!(guest, poll_oneoff(LIST, LIST, count + 1, OUT));
    assert_eq!(too_many, Err(Errno::Inval));
}
