//! Streams and futures.

use super::{KIB, Plan, size, told};
use crate::report::Budget;
use crate::ways::Flow;
use crate::{Which, limits, ours, peer};

/// What host and guest move, and what it may cost.
const FLOWS: [(Flow, Option<Budget>); 12] = [
    (Flow::direct(16), None),
    (Flow::direct(64), Some(Budget::new(35.0, 130.0))),
    (Flow::direct(KIB), None),
    (Flow::direct(64 * KIB), Some(Budget::new(630.0, 610.0))),
    (Flow::vector(64), None),
    (Flow::vector(64 * KIB), Some(Budget::new(700.0, 1375.0))),
    (Flow::direct(64).waits(), Some(Budget::new(250.0, 774.0))),
    (
        Flow::direct(64 * KIB).waits(),
        Some(Budget::new(900.0, 1285.0)),
    ),
    (Flow::vector(64).waits(), None),
    (Flow::vector(64 * KIB).waits(), None),
    (Flow::direct(64).times(1000), None),
    (Flow::direct(64).waits().times(1000), None),
];

/// All of them.
pub fn add(plans: &mut Vec<Plan>) {
    let (to_guest, to_host) = ("stream, host → guest", "stream, guest → host");
    let (to_other, forwarded) = ("stream, guest → guest", "stream, forwarded by a guest");
    let (component, records) = (wat!("streams"), "1,000 records");
    for (flow, budget) in FLOWS {
        let length = flow.chunk * flow.streams;
        let limit = move || limits::memcpy(length);
        let plan = both!(
            to_guest,
            flow.name(),
            component,
            streams::host_to_guest(flow)
        );
        // The producer of vectors makes one each time, by copying.
        let plan = match flow.direct {
            true => plan.limit(limit),
            false => plan.limit(move || limits::cloned_and_copied(length)),
        };
        plans.push(plan.budget(budget));
        let plan = both!(
            to_host,
            flow.name(),
            component,
            streams::guest_to_host(flow)
        );
        plans.push(plan.limit(limit).budget(budget));
    }
    plans.extend([
        both!(
            to_guest,
            format!("{records}, vector"),
            component,
            streams::entries_to_guest(1000)
        )
        .limit(|| limits::memcpy(24_000)),
        both!(
            to_host,
            format!("{records}, vector"),
            component,
            streams::entries_to_host(1000)
        )
        .limit(|| limits::memcpy(24_000)),
    ]);
    for (chunk, streams, budget) in [
        (16, 1, None),
        (64, 1, Some(Budget::new(120.0, 609.0))),
        (KIB, 1, None),
        (64 * KIB, 1, Some(Budget::new(650.0, 1085.0))),
        (64, 1000, None),
    ] {
        let name = match streams {
            1 => size(chunk),
            _ => format!("{}, 1,000 streams", size(chunk)),
        };
        let plan = both!(
            to_other,
            name,
            component,
            streams::guest_to_guest(chunk, streams)
        );
        plans.push(
            plan.limit(move || limits::memcpy(chunk * streams))
                .budget(budget),
        );
    }
    let plan = both!(
        to_other,
        records,
        component,
        streams::entries_to_other_guest(1000)
    );
    plans.push(plan.limit(|| limits::memcpy(24_000)));
    for flow in [
        Flow::direct(16),
        Flow::direct(KIB),
        Flow::direct(64 * KIB),
        Flow::vector(64 * KIB),
    ] {
        let plan = both!(forwarded, flow.name(), component, streams::forwarded(flow));
        plans.push(plan.limit(move || limits::pipe(flow.chunk)));
    }
    plans.push(both!(
        "future",
        "host → guest → host",
        wat!("futures"),
        streams::future_round_trip()
    ));
}
