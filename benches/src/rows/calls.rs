//! Calls: by the host, of the host, and from guest to guest.

use super::{KIB, MIB, Plan, told};
use crate::report::Budget;
use crate::ways::{Host, Lifted, Work};
use crate::{Which, limits, ours, peer};

/// All of them.
pub fn add(plans: &mut Vec<Plan>) {
    host_to_guest(plans);
    guest_to_host(plans);
    guest_to_guest(plans);
}

/// What is passed, but for scalars: what it is, its name in the guest, its length, and how many bytes it is.
const VALUES: [(&str, &str, usize, usize); 4] = [
    ("string of 16 B", "string", 16, 16),
    ("string of 64 KiB", "string", 64 * KIB, 64 * KIB),
    ("`list<u8>` of 1 MiB", "bytes", MIB, MIB),
    ("list of 1,000 records", "records", 1000, 24_000),
];

fn host_to_guest(plans: &mut Vec<Plan>) {
    let (without_async, with_async) = (wat!("calls"), wat!("async-calls"));
    for (name, component, lifted, budget) in [
        (
            "empty",
            without_async,
            Lifted::Sync,
            Some(Budget::new(40.0, 314.0)),
        ),
        (
            "empty, `call_async`",
            without_async,
            Lifted::SyncAwaited,
            Some(Budget::new(140.0, 850.0)),
        ),
        (
            "empty, sync lift in a component that uses async",
            with_async,
            Lifted::SyncAwaited,
            Some(Budget::new(140.0, 850.0)),
        ),
        (
            "empty, async callback lift",
            with_async,
            Lifted::Callback,
            Some(Budget::new(120.0, 820.0)),
        ),
        (
            "empty, async stackful lift",
            with_async,
            Lifted::Stackful,
            None,
        ),
    ] {
        let plan = both!("host → guest", name, component, calls::empty(lifted));
        plans.push(plan.limit(limits::core_call).budget(budget));
    }
    for (how, component, lifted) in [
        ("", without_async, Lifted::Sync),
        (", async callback lift", with_async, Lifted::Callback),
        (", async stackful lift", with_async, Lifted::Stackful),
    ] {
        let name = format!("scalars{how}");
        let plan = both!("host → guest", name, component, calls::scalars(lifted));
        plans.push(plan.limit(limits::core_call));
        for (value, kind, length, bytes) in VALUES {
            let name = format!("{value} in{how}");
            let plan = both!(
                "host → guest",
                name,
                component,
                calls::take(lifted, kind, length)
            );
            plans.push(plan.limit(move || limits::memcpy(bytes)));
        }
        for (value, kind, length, bytes) in VALUES {
            let name = format!("{value} out{how}");
            let plan = both!(
                "host → guest",
                name,
                component,
                calls::give(lifted, kind, length)
            );
            plans.push(plan.limit(move || limits::memcpy(bytes)));
        }
    }
}

/// A guest's loop that calls functions of the host.
fn host_loop(name: impl Into<String>, host: Host, run: &str, length: Option<usize>) -> Plan {
    let run = run.to_owned();
    both!(
        "guest → host",
        name,
        wat!("host-calls"),
        host_calls::guest_loop(host, &run, length)
    )
}

/// A guest's loop that calls functions whose type is `async`.
fn async_loop(
    (group, name): (&'static str, impl Into<String>),
    component: &'static str,
    work: Work,
    run: &str,
    length: Option<usize>,
) -> Plan {
    let run = run.to_owned();
    both!(
        group,
        name,
        component,
        async_calls::guest_loop(work, &run, length)
    )
}

fn guest_to_host(plans: &mut Vec<Plan>) {
    let group = "guest → host";
    let (empty, values) = (wat!("async-host"), wat!("async-host-values"));
    let sync_lowered = wat!("async-host-sync");
    let (ready, waits) = (
        "async-lowered, ready at once",
        "async-lowered, waits once, callback `WAIT`",
    );
    let (host_ready, host_waits) = (
        "async host function that is ready",
        "async host function that waits once",
    );
    plans.extend([
        host_loop("empty", Host::Sync, "run-empty", None)
            .limit(limits::core_host_call)
            .budget(Budget::new(15.0, 122.0)),
        host_loop(
            format!("empty, {host_ready}"),
            Host::Ready,
            "run-empty",
            None,
        )
        .limit(limits::core_host_call),
        host_loop(
            format!("empty, {host_waits}"),
            Host::Waits,
            "run-empty",
            None,
        )
        .limit(limits::core_wait)
        .budget(Budget::new(300.0, 666.0)),
        async_loop(
            (group, format!("empty, {ready}")),
            empty,
            Work::Ready,
            "ready",
            None,
        )
        .limit(limits::core_host_call)
        .budget(Budget::new(30.0, 199.0)),
        async_loop(
            (group, format!("empty, {waits}")),
            empty,
            Work::Waits,
            "waits",
            None,
        )
        .budget(Budget::new(300.0, 1130.0)),
        async_loop(
            (group, "empty, sync-lowered, waits once"),
            sync_lowered,
            Work::Waits,
            "run",
            None,
        )
        .limit(limits::core_wait)
        .budget(Budget::new(300.0, 666.0)),
        host_loop("scalars", Host::Sync, "run-scalars", None).limit(limits::core_host_call),
        async_loop(
            (group, format!("scalars, {ready}")),
            values,
            Work::Ready,
            "ready-scalars",
            Some(7),
        )
        .limit(limits::core_host_call),
        async_loop(
            (group, format!("scalars, {waits}")),
            values,
            Work::Waits,
            "waits-scalars",
            Some(7),
        ),
    ]);
    for (value, kind, length, bytes) in VALUES {
        let limit = move || limits::memcpy(bytes);
        let (run, length) = (format!("run-{kind}"), Some(length));
        plans.push(host_loop(value, Host::Sync, &run, length).limit(limit));
        let name = format!("{value}, {host_ready}");
        plans.push(host_loop(name, Host::Ready, &run, length).limit(limit));
        // How the host waits does not depend on what it was given.
        if length == Some(16) {
            let name = format!("{value}, {host_waits}");
            plans.push(host_loop(name, Host::Waits, &run, length).limit(limit));
        }
        let (name, run) = (format!("{value}, {ready}"), format!("ready-{kind}"));
        plans.push(async_loop((group, name), values, Work::Ready, &run, length).limit(limit));
        let (name, run) = (format!("{value}, {waits}"), format!("waits-{kind}"));
        plans.push(async_loop((group, name), values, Work::Waits, &run, length));
    }
    plans.extend([
        async_loop(
            (group, "string of 16 B, sync-lowered, waits once"),
            sync_lowered,
            Work::Waits,
            "run-string",
            Some(16),
        )
        .limit(limits::core_wait),
        host_loop(
            "resource: new, borrow, drop",
            Host::Sync,
            "run-resource",
            None,
        ),
    ]);
}

fn guest_to_guest(plans: &mut Vec<Plan>) {
    let group = "guest → guest";
    let (scalars, values) = (wat!("async-guests"), wat!("async-guest-values"));
    let callback = "callback lift that returns at once";
    let sync_loop = |name, run: String, length| {
        both!(
            group,
            name,
            wat!("guest-calls"),
            calls::guest_loop(&run, length)
        )
    };
    plans.push(sync_loop("scalars", "run-scalars".into(), None).budget(Budget::new(4.5, 4.5)));
    for (lowered, budget) in [("sync", Some(Budget::new(200.0, 1416.0))), ("async", None)] {
        let name = format!("scalars, {lowered}-lowered → {callback}");
        let run = format!("run-{lowered}");
        let plan = async_loop((group, name), scalars, Work::Ready, &run, None);
        plans.push(plan.budget(budget));
    }
    for (value, kind, length, bytes) in VALUES {
        let limit = move || limits::memcpy(bytes);
        let length = Some(length);
        plans.push(sync_loop(value, format!("run-{kind}"), length).limit(limit));
        for lowered in ["sync", "async"] {
            let name = format!("{value}, {lowered}-lowered → {callback}");
            let run = format!("{lowered}-{kind}");
            let plan = async_loop((group, name), values, Work::Ready, &run, length);
            plans.push(plan.limit(limit));
        }
    }
    for lowered in ["sync", "async"] {
        let name =
            format!("string of 16 B, {lowered}-lowered → stackful lift that returns at once");
        let run = format!("{lowered}-stackful");
        let plan = async_loop((group, name), values, Work::Ready, &run, Some(16));
        plans.push(plan.limit(|| limits::memcpy(16)));
    }
}
