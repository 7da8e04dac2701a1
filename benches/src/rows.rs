//! What is measured: a row for each kind of work.

use crate::measure::Subject;
use crate::{Which, limits, ours, peer, wasi};
use anyhow::{Context, Result};

/// One kind of work.
pub struct Row {
    /// The heading it stands under.
    pub group: &'static str,
    /// What is done.
    pub name: String,
    /// On Tidegate.
    pub ours: Subject,
    /// On Wasmtime.
    pub peer: Subject,
    /// What no runtime could do better.
    pub limit: Option<Subject>,
    /// The most that it may cost, in nanoseconds, if `docs` give a budget.
    pub budget: Option<f64>,
}

/// A row that is made only if it is wanted.
pub struct Plan {
    /// The heading it stands under.
    pub group: &'static str,
    /// What is done.
    pub name: String,
    make: Box<dyn FnOnce(Option<Which>) -> Result<Parts>>,
    /// The most that it may cost.
    pub budget: Option<f64>,
}

/// What is timed.
pub struct Parts {
    /// On Tidegate.
    pub ours: Option<Subject>,
    /// On Wasmtime.
    pub peer: Option<Subject>,
    /// What no runtime could do better.
    pub limit: Option<Subject>,
}

/// Where a row's figures come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Both runtimes are timed in this process, in turns.
    Turns,
    /// Each is timed in a process of its own, as its guests take much of what a process may have.
    Apart,
    /// Each runs once in a process of its own, and gives the figure as its checksum.
    Figure,
}

impl Plan {
    /// A row without a budget.
    pub fn new(
        group: &'static str,
        name: String,
        make: impl FnOnce(Option<Which>) -> Result<Parts> + 'static,
    ) -> Self {
        Self {
            group,
            name,
            make: Box::new(make),
            budget: None,
        }
    }

    /// Makes what is to be measured.
    ///
    /// # Errors
    /// A guest does not compile or link.
    pub fn make(self) -> Result<Row> {
        let parts = (self.make)(None)?;
        Ok(Row {
            group: self.group,
            name: self.name,
            ours: parts.ours.context("made for both")?,
            peer: parts.peer.context("made for both")?,
            limit: parts.limit,
            budget: self.budget,
        })
    }

    /// Makes what is to be measured on one runtime.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn make_one(self, which: Which) -> Result<Subject> {
        let parts = (self.make)(Some(which))?;
        let made = match which {
            Which::Ours => parts.ours,
            Which::Peer => parts.peer,
        };
        made.context("made for one")
    }

    /// Where its figures come from.
    pub fn source(&self) -> Source {
        match self.group {
            MEMORY | IDLE => Source::Figure,
            SCALE => Source::Apart,
            _ => Source::Turns,
        }
    }
}

/// The same subject on both runtimes, from the same bytes.
macro_rules! both {
    ($plans:ident, $group:expr, $name:expr, $wat:literal, $budget:expr, $limit:expr, $module:ident :: $subject:ident ( $($args:tt)* )) => {
        $plans.push(Plan {
            group: $group,
            name: $name.to_string(),
            budget: $budget,
            make: Box::new(move |only: Option<Which>| {
                let bytes = wat::parse_str(include_str!(concat!("../wat/", $wat, ".wat")))?;
                Ok(Parts {
                    ours: match only {
                        Some(Which::Peer) => None,
                        _ => {
                            #[allow(unused_imports)]
                            use ours::$module::*;
                            Some(ours::$module::$subject(&bytes, $($args)*).map_err(told)?)
                        }
                    },
                    peer: match only {
                        Some(Which::Ours) => None,
                        _ => {
                            #[allow(unused_imports)]
                            use peer::$module::*;
                            Some(peer::$module::$subject(&bytes, $($args)*).map_err(told)?)
                        }
                    },
                    limit: match only {
                        Some(_) => None,
                        None => $limit,
                    },
                })
            }),
        });
    };
}

/// An error of either runtime, as one type.
pub fn told(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// All rows, in the order of the report; those of many guests have `most` at most.
pub fn all(most: usize) -> Vec<Plan> {
    let mut plans = Vec::new();
    host_to_guest(&mut plans);
    guest_to_host(&mut plans);
    guest_to_guest(&mut plans);
    instances(&mut plans);
    streams(&mut plans);
    plans.extend(wasi::rows::all());
    scale(&mut plans, most);
    plans
}

fn host_to_guest(plans: &mut Vec<Plan>) {
    both!(
        plans,
        "host → guest",
        "empty",
        "calls",
        Some(40.0),
        Some(limits::core_call().map_err(told)?),
        calls::empty()
    );
    both!(
        plans,
        "host → guest",
        "empty, `call_async`",
        "calls",
        Some(140.0),
        Some(limits::core_call().map_err(told)?),
        calls::empty_async()
    );
    both!(
        plans,
        "host → guest",
        "empty, sync lift in a component that uses async",
        "async-calls",
        Some(140.0),
        Some(limits::core_call().map_err(told)?),
        calls::empty_async_lift("sync-lift")
    );
    both!(
        plans,
        "host → guest",
        "empty, async callback lift",
        "async-calls",
        Some(120.0),
        Some(limits::core_call().map_err(told)?),
        calls::empty_async_lift("callback-lift")
    );
    both!(
        plans,
        "host → guest",
        "empty, async stackful lift",
        "async-calls",
        None,
        Some(limits::core_call().map_err(told)?),
        calls::empty_async_lift("stackful-lift")
    );
    both!(
        plans,
        "host → guest",
        "scalars",
        "calls",
        None,
        Some(limits::core_call().map_err(told)?),
        calls::scalars()
    );
    both!(
        plans,
        "host → guest",
        "string of 16 B in",
        "calls",
        None,
        Some(limits::memcpy(16)),
        calls::take_string(16)
    );
    both!(
        plans,
        "host → guest",
        "string of 64 KiB in",
        "calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        calls::take_string(64 * KIB)
    );
    both!(
        plans,
        "host → guest",
        "`list<u8>` of 1 MiB in",
        "calls",
        None,
        Some(limits::memcpy(MIB)),
        calls::take_bytes(MIB)
    );
    both!(
        plans,
        "host → guest",
        "list of 1,000 records in",
        "calls",
        None,
        Some(limits::memcpy(24_000)),
        calls::take_records(1000)
    );
    both!(
        plans,
        "host → guest",
        "string of 64 KiB out",
        "calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        calls::give_string(64 << 10)
    );
    both!(
        plans,
        "host → guest",
        "`list<u8>` of 1 MiB out",
        "calls",
        None,
        Some(limits::memcpy(MIB)),
        calls::give_bytes(1 << 20)
    );
    both!(
        plans,
        "host → guest",
        "list of 1,000 records out",
        "calls",
        None,
        Some(limits::memcpy(24_000)),
        calls::give_records(1000)
    );
}

fn guest_to_host(plans: &mut Vec<Plan>) {
    both!(
        plans,
        "guest → host",
        "empty",
        "host-calls",
        Some(15.0),
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
        Some(300.0),
        Some(limits::core_wait().map_err(told)?),
        host_calls::guest_loop(Host::Waits, "run-empty", None)
    );
    both!(
        plans,
        "guest → host",
        "empty, async-lowered, ready at once",
        "async-host",
        Some(30.0),
        Some(limits::core_host_call().map_err(told)?),
        async_calls::guest_loop(Work::Ready, "ready")
    );
    both!(
        plans,
        "guest → host",
        "empty, async-lowered, waits once, callback `WAIT`",
        "async-host",
        Some(300.0),
        None,
        async_calls::guest_loop(Work::Waits, "waits")
    );
    both!(
        plans,
        "guest → host",
        "empty, sync-lowered, waits once",
        "async-host-sync",
        Some(300.0),
        Some(limits::core_wait().map_err(told)?),
        async_calls::guest_loop(Work::Waits, "run")
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
        "string of 16 B",
        "host-calls",
        None,
        Some(limits::memcpy(16)),
        host_calls::guest_loop(Host::Sync, "run-string", Some(16))
    );
    both!(
        plans,
        "guest → host",
        "string of 64 KiB",
        "host-calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        host_calls::guest_loop(Host::Sync, "run-string", Some(64 << 10))
    );
    both!(
        plans,
        "guest → host",
        "`list<u8>` of 1 MiB",
        "host-calls",
        None,
        Some(limits::memcpy(MIB)),
        host_calls::guest_loop(Host::Sync, "run-bytes", Some(1 << 20))
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
        Some(4.5),
        None,
        calls::guest_loop("run-scalars", None)
    );
    both!(
        plans,
        "guest → guest",
        "sync-lowered → callback lift that returns at once",
        "async-guests",
        Some(200.0),
        None,
        async_calls::guest_loop(Work::Ready, "run-sync")
    );
    both!(
        plans,
        "guest → guest",
        "async-lowered → callback lift that returns at once",
        "async-guests",
        None,
        None,
        async_calls::guest_loop(Work::Ready, "run-async")
    );
    both!(
        plans,
        "guest → guest",
        "string of 16 B",
        "guest-calls",
        None,
        Some(limits::memcpy(16)),
        calls::guest_loop("run-string", Some(16))
    );
    both!(
        plans,
        "guest → guest",
        "string of 64 KiB",
        "guest-calls",
        None,
        Some(limits::memcpy(64 * KIB)),
        calls::guest_loop("run-string", Some(64 << 10))
    );
    both!(
        plans,
        "guest → guest",
        "`list<u8>` of 1 MiB",
        "guest-calls",
        None,
        Some(limits::memcpy(MIB)),
        calls::guest_loop("run-bytes", Some(1 << 20))
    );
}

fn instances(plans: &mut Vec<Plan>) {
    both!(
        plans,
        "instances",
        "instantiate and drop, without a memory",
        "small",
        Some(800.0),
        Some(limits::core_instance(false).map_err(told)?),
        instances::instantiate()
    );
    both!(
        plans,
        "instances",
        "instantiate and drop, with a memory",
        "small-with-memory",
        Some(1800.0),
        Some(limits::core_instance(true).map_err(told)?),
        instances::instantiate()
    );
    both!(
        plans,
        "instances",
        "instantiate and drop, with a memory and seven imports",
        "host-calls",
        None,
        None,
        host_calls::instantiate()
    );
    both!(
        plans,
        "instances",
        "compile",
        "guest-calls",
        None,
        None,
        instances::compile()
    );
    both!(
        plans,
        "instances",
        "load what was compiled before",
        "guest-calls",
        None,
        None,
        instances::load()
    );
}

/// What host and guest move, and what it may cost.
const STREAMS: [(&str, usize, usize, bool, bool, Option<f64>); 12] = [
    ("16 B, direct", 16, 1, true, false, None),
    ("64 B, direct", 64, 1, true, false, Some(35.0)),
    ("1 KiB, direct", KIB, 1, true, false, None),
    ("64 KiB, direct", 64 * KIB, 1, true, false, Some(630.0)),
    ("64 B, vector", 64, 1, false, false, None),
    ("64 KiB, vector", 64 * KIB, 1, false, false, Some(700.0)),
    ("64 B, direct, waits once", 64, 1, true, true, Some(250.0)),
    (
        "64 KiB, direct, waits once",
        64 * KIB,
        1,
        true,
        true,
        Some(900.0),
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

fn streams(plans: &mut Vec<Plan>) {
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
        ("64 B", 64, 1, Some(120.0)),
        ("1 KiB", KIB, 1, None),
        ("64 KiB", 64 * KIB, 1, Some(650.0)),
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

/// The heading of rows of waking guests.
const SCALE: &str = "scale";

/// The heading of rows whose figures are bytes.
const MEMORY: &str = "scale, bytes each";

/// The heading of rows whose figures are processor time of guests that wait.
const IDLE: &str = "scale, processor time of 3 s";

/// Many guests, `most` at most. Each has its mappings, of which a process may have 65,530 unless it is allowed more (`vm.max_map_count`).
fn scale(plans: &mut Vec<Plan>, most: usize) {
    for guests in [1, 1000, most] {
        both!(
            plans,
            SCALE,
            format!("wake one of {guests} guests (callback)"),
            "parked",
            None,
            None,
            scale::wake_one(guests)
        );
        both!(
            plans,
            SCALE,
            format!("wake one of {guests} guests (own stack)"),
            "parked-stack",
            None,
            None,
            scale::wake_one(guests)
        );
    }
    for guests in [1000, most] {
        both!(
            plans,
            SCALE,
            format!("wake all of {guests} guests (callback)"),
            "parked",
            None,
            None,
            scale::wake_all(guests)
        );
        both!(
            plans,
            SCALE,
            format!("wake all of {guests} guests (own stack)"),
            "parked-stack",
            None,
            None,
            scale::wake_all(guests)
        );
    }
    for guests in [1000, most] {
        both!(
            plans,
            MEMORY,
            format!("{guests} guests (callback)"),
            "parked",
            Some(10_240.0),
            None,
            scale::memory(guests)
        );
        both!(
            plans,
            MEMORY,
            format!("{guests} guests (own stack)"),
            "parked-stack",
            Some(16_384.0),
            None,
            scale::memory(guests)
        );
    }
    both!(
        plans,
        IDLE,
        format!("{most} guests (callback)"),
        "parked",
        None,
        None,
        scale::idle(most)
    );
    both!(
        plans,
        IDLE,
        format!("{most} guests (own stack)"),
        "parked-stack",
        None,
        None,
        scale::idle(most)
    );
}
