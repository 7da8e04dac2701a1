//! Calls: by the host, of the host, and from guest to guest.

use super::{KIB, MIB, Parts, Plan, told};
use crate::report::Budget;
use crate::ways::{Host, Lifted, Work};
use crate::{Which, limits, ours, peer};

/// All of them.
pub fn add(plans: &mut Vec<Plan>) {
    host_to_guest(plans);
    guest_to_host(plans);
    guest_to_guest(plans);
}

fn host_to_guest(plans: &mut Vec<Plan>) {
    both!(
        plans,
        "host → guest",
        "empty",
        "calls",
        Some(Budget::new(40.0, 314.0)),
        Some(limits::core_call().map_err(told)?),
        calls::empty(Lifted::Sync)
    );
    both!(
        plans,
        "host → guest",
        "empty, `call_async`",
        "calls",
        Some(Budget::new(140.0, 850.0)),
        Some(limits::core_call().map_err(told)?),
        calls::empty(Lifted::SyncAwaited)
    );
    both!(
        plans,
        "host → guest",
        "empty, sync lift in a component that uses async",
        "async-calls",
        Some(Budget::new(140.0, 850.0)),
        Some(limits::core_call().map_err(told)?),
        calls::empty(Lifted::SyncAwaited)
    );
    both!(
        plans,
        "host → guest",
        "empty, async callback lift",
        "async-calls",
        Some(Budget::new(120.0, 820.0)),
        Some(limits::core_call().map_err(told)?),
        calls::empty(Lifted::Callback)
    );
    both!(
        plans,
        "host → guest",
        "empty, async stackful lift",
        "async-calls",
        None,
        Some(limits::core_call().map_err(told)?),
        calls::empty(Lifted::Stackful)
    );
    both!(
        plans,
        "host → guest",
        "scalars",
        "calls",
        None,
        Some(limits::core_call().map_err(told)?),
        calls::scalars(Lifted::Sync)
    );
    both!(
        plans,
        "host → guest",
        "string of 16 B in",
        "calls",
        None,
        Some(limits::memcpy(16)),
        calls::take_string(Lifted::Sync, 16)
    );
    both!(
        plans,
        "host → guest",
        "string of 64 KiB in",
        "calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        calls::take_string(Lifted::Sync, 64 * KIB)
    );
    both!(
        plans,
        "host → guest",
        "`list<u8>` of 1 MiB in",
        "calls",
        None,
        Some(limits::memcpy(MIB)),
        calls::take_bytes(Lifted::Sync, MIB)
    );
    both!(
        plans,
        "host → guest",
        "list of 1,000 records in",
        "calls",
        None,
        Some(limits::memcpy(24_000)),
        calls::take_records(Lifted::Sync, 1000)
    );
    both!(
        plans,
        "host → guest",
        "string of 16 B out",
        "calls",
        None,
        Some(limits::memcpy(16)),
        calls::give_string(Lifted::Sync, 16)
    );
    both!(
        plans,
        "host → guest",
        "string of 64 KiB out",
        "calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        calls::give_string(Lifted::Sync, 64 << 10)
    );
    both!(
        plans,
        "host → guest",
        "`list<u8>` of 1 MiB out",
        "calls",
        None,
        Some(limits::memcpy(MIB)),
        calls::give_bytes(Lifted::Sync, 1 << 20)
    );
    both!(
        plans,
        "host → guest",
        "list of 1,000 records out",
        "calls",
        None,
        Some(limits::memcpy(24_000)),
        calls::give_records(Lifted::Sync, 1000)
    );
    for (how, lifted) in [
        ("async callback lift", Lifted::Callback),
        ("async stackful lift", Lifted::Stackful),
    ] {
        async_values(plans, how, lifted);
    }
}

/// What the host passes to functions that are lifted asynchronously, and gets of them.
fn async_values(plans: &mut Vec<Plan>, how: &str, lifted: Lifted) {
    both!(
        plans,
        "host → guest",
        format!("scalars, {how}"),
        "async-calls",
        None,
        Some(limits::core_call().map_err(told)?),
        calls::scalars(lifted)
    );
    both!(
        plans,
        "host → guest",
        format!("string of 16 B in, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(16)),
        calls::take_string(lifted, 16)
    );
    both!(
        plans,
        "host → guest",
        format!("string of 64 KiB in, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        calls::take_string(lifted, 64 * KIB)
    );
    both!(
        plans,
        "host → guest",
        format!("`list<u8>` of 1 MiB in, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(MIB)),
        calls::take_bytes(lifted, MIB)
    );
    both!(
        plans,
        "host → guest",
        format!("list of 1,000 records in, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(24_000)),
        calls::take_records(lifted, 1000)
    );
    both!(
        plans,
        "host → guest",
        format!("string of 16 B out, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(16)),
        calls::give_string(lifted, 16)
    );
    both!(
        plans,
        "host → guest",
        format!("string of 64 KiB out, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        calls::give_string(lifted, 64 << 10)
    );
    both!(
        plans,
        "host → guest",
        format!("`list<u8>` of 1 MiB out, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(MIB)),
        calls::give_bytes(lifted, 1 << 20)
    );
    both!(
        plans,
        "host → guest",
        format!("list of 1,000 records out, {how}"),
        "async-calls",
        None,
        Some(limits::memcpy(24_000)),
        calls::give_records(lifted, 1000)
    );
}

/// What is passed from a guest, but for scalars: what it is, its name in the guest, its length, and how many bytes it is.
const VALUES: [(&str, &str, u32, usize); 4] = [
    ("string of 16 B", "string", 16, 16),
    ("string of 64 KiB", "string", 64 << 10, 64 * KIB),
    ("`list<u8>` of 1 MiB", "bytes", 1 << 20, MIB),
    ("list of 1,000 records", "records", 1000, 24_000),
];

fn guest_to_host(plans: &mut Vec<Plan>) {
    both!(
        plans,
        "guest → host",
        "empty",
        "host-calls",
        Some(Budget::new(15.0, 122.0)),
        Some(limits::core_host_call().map_err(told)?),
        host_calls::guest_loop(Host::Sync, "run-empty", None)
    );
    both!(
        plans,
        "guest → host",
        "empty, async host function that is ready",
        "host-calls",
        None,
        Some(limits::core_host_call().map_err(told)?),
        host_calls::guest_loop(Host::Ready, "run-empty", None)
    );
    both!(
        plans,
        "guest → host",
        "empty, async host function that waits once",
        "host-calls",
        Some(Budget::new(300.0, 666.0)),
        Some(limits::core_wait().map_err(told)?),
        host_calls::guest_loop(Host::Waits, "run-empty", None)
    );
    both!(
        plans,
        "guest → host",
        "empty, async-lowered, ready at once",
        "async-host",
        Some(Budget::new(30.0, 199.0)),
        Some(limits::core_host_call().map_err(told)?),
        async_calls::guest_loop(Work::Ready, "ready", None)
    );
    both!(
        plans,
        "guest → host",
        "empty, async-lowered, waits once, callback `WAIT`",
        "async-host",
        Some(Budget::new(300.0, 1130.0)),
        None,
        async_calls::guest_loop(Work::Waits, "waits", None)
    );
    both!(
        plans,
        "guest → host",
        "empty, sync-lowered, waits once",
        "async-host-sync",
        Some(Budget::new(300.0, 666.0)),
        Some(limits::core_wait().map_err(told)?),
        async_calls::guest_loop(Work::Waits, "run", None)
    );
    both!(
        plans,
        "guest → host",
        "scalars",
        "host-calls",
        None,
        Some(limits::core_host_call().map_err(told)?),
        host_calls::guest_loop(Host::Sync, "run-scalars", None)
    );
    both!(
        plans,
        "guest → host",
        "scalars, async-lowered, ready at once",
        "async-host-values",
        None,
        Some(limits::core_host_call().map_err(told)?),
        async_calls::guest_loop(Work::Ready, "ready-scalars", Some(7))
    );
    both!(
        plans,
        "guest → host",
        "scalars, async-lowered, waits once, callback `WAIT`",
        "async-host-values",
        None,
        None,
        async_calls::guest_loop(Work::Waits, "waits-scalars", Some(7))
    );
    for (value, name, length, bytes) in VALUES {
        let (run, ready, waits) = (
            format!("run-{name}"),
            format!("ready-{name}"),
            format!("waits-{name}"),
        );
        for (how, host) in [
            ("", Host::Sync),
            (", async host function that is ready", Host::Ready),
            (", async host function that waits once", Host::Waits),
        ] {
            // How the host waits does not depend on what it was given.
            if host != Host::Waits || length == 16 {
                let run = run.clone();
                both!(
                    plans,
                    "guest → host",
                    format!("{value}{how}"),
                    "host-calls",
                    None,
                    Some(limits::memcpy(bytes)),
                    host_calls::guest_loop(host, &run, Some(length))
                );
            }
        }
        both!(
            plans,
            "guest → host",
            format!("{value}, async-lowered, ready at once"),
            "async-host-values",
            None,
            Some(limits::memcpy(bytes)),
            async_calls::guest_loop(Work::Ready, &ready, Some(length))
        );
        both!(
            plans,
            "guest → host",
            format!("{value}, async-lowered, waits once, callback `WAIT`"),
            "async-host-values",
            None,
            None,
            async_calls::guest_loop(Work::Waits, &waits, Some(length))
        );
    }
    both!(
        plans,
        "guest → host",
        "string of 16 B, sync-lowered, waits once",
        "async-host-sync",
        None,
        Some(limits::core_wait().map_err(told)?),
        async_calls::guest_loop(Work::Waits, "run-string", Some(16))
    );
    both!(
        plans,
        "guest → host",
        "resource: new, borrow, drop",
        "host-calls",
        None,
        None,
        host_calls::guest_loop(Host::Sync, "run-resource", None)
    );
}

fn guest_to_guest(plans: &mut Vec<Plan>) {
    both!(
        plans,
        "guest → guest",
        "scalars",
        "guest-calls",
        Some(Budget::new(4.5, 4.5)),
        None,
        calls::guest_loop("run-scalars", None)
    );
    both!(
        plans,
        "guest → guest",
        "scalars, sync-lowered → callback lift that returns at once",
        "async-guests",
        Some(Budget::new(200.0, 1416.0)),
        None,
        async_calls::guest_loop(Work::Ready, "run-sync", None)
    );
    both!(
        plans,
        "guest → guest",
        "scalars, async-lowered → callback lift that returns at once",
        "async-guests",
        None,
        None,
        async_calls::guest_loop(Work::Ready, "run-async", None)
    );
    for (value, name, length, bytes) in VALUES {
        let run = format!("run-{name}");
        both!(
            plans,
            "guest → guest",
            value,
            "guest-calls",
            None,
            Some(limits::memcpy(bytes)),
            calls::guest_loop(&run, Some(length))
        );
        for lowered in ["sync", "async"] {
            let run = format!("{lowered}-{name}");
            both!(
                plans,
                "guest → guest",
                format!("{value}, {lowered}-lowered → callback lift that returns at once"),
                "async-guest-values",
                None,
                Some(limits::memcpy(bytes)),
                async_calls::guest_loop(Work::Ready, &run, Some(length))
            );
        }
    }
    for lowered in ["sync", "async"] {
        let run = format!("{lowered}-stackful");
        both!(
            plans,
            "guest → guest",
            format!("string of 16 B, {lowered}-lowered → stackful lift that returns at once"),
            "async-guest-values",
            None,
            Some(limits::memcpy(16)),
            async_calls::guest_loop(Work::Ready, &run, Some(16))
        );
    }
}
