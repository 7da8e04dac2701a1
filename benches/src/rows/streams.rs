//! Streams and futures.

use super::{KIB, Parts, Plan, told};
use crate::report::Budget;
use crate::{Which, limits, ours, peer};

/// What host and guest move, and what it may cost.
const STREAMS: [(&str, usize, usize, bool, bool, Option<Budget>); 12] = [
    ("16 B, direct", 16, 1, true, false, None),
    (
        "64 B, direct",
        64,
        1,
        true,
        false,
        Some(Budget::new(35.0, 130.0)),
    ),
    ("1 KiB, direct", KIB, 1, true, false, None),
    (
        "64 KiB, direct",
        64 * KIB,
        1,
        true,
        false,
        Some(Budget::new(630.0, 610.0)),
    ),
    ("64 B, vector", 64, 1, false, false, None),
    (
        "64 KiB, vector",
        64 * KIB,
        1,
        false,
        false,
        Some(Budget::new(700.0, 1375.0)),
    ),
    (
        "64 B, direct, waits once",
        64,
        1,
        true,
        true,
        Some(Budget::new(250.0, 774.0)),
    ),
    (
        "64 KiB, direct, waits once",
        64 * KIB,
        1,
        true,
        true,
        Some(Budget::new(900.0, 1285.0)),
    ),
    ("64 B, vector, waits once", 64, 1, false, true, None),
    ("64 KiB, vector, waits once", 64 * KIB, 1, false, true, None),
    ("64 B, direct, 1,000 streams", 64, 1000, true, false, None),
    (
        "64 B, direct, waits once, 1,000 streams",
        64,
        1000,
        true,
        true,
        None,
    ),
];

/// All of them.
pub fn add(plans: &mut Vec<Plan>) {
    for (name, chunk, streams, direct, waits, budget) in STREAMS {
        let plan = (chunk, streams, direct, waits);
        both!(
            plans,
            "stream, host → guest",
            name,
            "streams",
            budget,
            Some(limits::memcpy(chunk * streams)),
            streams::host_to_guest(plan.into())
        );
        both!(
            plans,
            "stream, guest → host",
            name,
            "streams",
            budget,
            Some(limits::memcpy(chunk * streams)),
            streams::guest_to_host(plan.into())
        );
    }
    both!(
        plans,
        "stream, host → guest",
        "1,000 records, vector",
        "streams",
        None,
        Some(limits::memcpy(24_000)),
        streams::entries_to_guest(1000)
    );
    both!(
        plans,
        "stream, guest → host",
        "1,000 records, vector",
        "streams",
        None,
        Some(limits::memcpy(24_000)),
        streams::entries_to_host(1000)
    );
    for (name, chunk, streams, budget) in [
        ("16 B", 16, 1, None),
        ("64 B", 64, 1, Some(Budget::new(120.0, 609.0))),
        ("1 KiB", KIB, 1, None),
        ("64 KiB", 64 * KIB, 1, Some(Budget::new(650.0, 1085.0))),
        ("64 B, 1,000 streams", 64, 1000, None),
    ] {
        both!(
            plans,
            "stream, guest → guest",
            name,
            "streams",
            budget,
            Some(limits::memcpy(chunk * streams)),
            streams::guest_to_guest(chunk, streams)
        );
    }
    both!(
        plans,
        "stream, guest → guest",
        "1,000 records",
        "streams",
        None,
        Some(limits::memcpy(24_000)),
        streams::entries_to_other_guest(1000)
    );
    for (name, chunk, direct) in [
        ("16 B, direct", 16, true),
        ("1 KiB, direct", KIB, true),
        ("64 KiB, direct", 64 * KIB, true),
        ("64 KiB, vector", 64 * KIB, false),
    ] {
        let plan = (chunk, 1, direct, false);
        both!(
            plans,
            "stream, forwarded by a guest",
            name,
            "streams",
            None,
            Some(limits::pipe(chunk).map_err(told)?),
            streams::forwarded(plan.into())
        );
    }
    both!(
        plans,
        "future",
        "host → guest → host",
        "futures",
        None,
        None,
        streams::future_round_trip()
    );
}
