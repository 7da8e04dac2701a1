//! What is measured of WASI.

use super::{Generation, Source, Work, World, guests, limits, ours};
use crate::Which;
use crate::limits as plain;
use crate::measure::Subject;
use crate::rows::{self, Plan, told};
use anyhow::Result;
use std::cell::OnceCell;
use std::rc::Rc;

const KIB: u32 = 1 << 10;

/// The reference line of a row, if it has one.
type Limit = Option<fn(&World, u32) -> Result<Subject>>;

const NONE: Limit = None;
const MEMCPY: Limit = Some(|_, size| plain::memcpy(size as usize).map_err(told));
const CALL: Limit = Some(|_, _| plain::core_host_call().map_err(told));
const READ: Limit = Some(|world, size| limits::read(world, size as usize).map_err(told));
const WRITE: Limit = Some(|world, size| limits::write(world, size as usize).map_err(told));
const OPEN: Limit = Some(|world, _| Ok(limits::open(world)));
const READDIR: Limit = Some(|world, _| Ok(limits::readdir(world)));
const TCP: Limit = Some(|world, size| limits::tcp(world, size as usize).map_err(told));

/// What the rows have in common.
struct Rows {
    plans: Vec<Plan>,
    /// Made when the first of them is wanted; gone with the last.
    world: Rc<OnceCell<World>>,
}

/// All rows.
pub fn all() -> Vec<Plan> {
    let mut rows = Rows {
        plans: Vec::new(),
        world: Rc::default(),
    };
    for generation in [Generation::P1, Generation::P2, Generation::P3] {
        rows.streams(generation);
        rows.poll(generation);
        rows.files(generation);
        rows.sockets(generation);
    }
    rows.plans
}

/// Instantiation of a program of WASI 0.2 with a context of its own, and its end.
pub fn instantiate(group: &'static str, name: String, program: &'static [u8]) -> Plan {
    Plan::new(group, name, move |which| match which {
        Which::Ours => ours::instantiate(program).map_err(told),
        Which::Peer => Ok(Subject::new(peer_wasi::instantiate(program).map_err(told)?)),
    })
}

/// What it is in, made when it is first wanted.
fn made(world: &OnceCell<World>) -> Result<&World> {
    if world.get().is_none() {
        let _ = world.set(World::new()?);
    }
    Ok(world.get().expect("it was just made"))
}

impl Rows {
    fn add(&mut self, group: &'static str, name: impl Into<String>, limit: Limit, work: Work) {
        let world = Rc::clone(&self.world);
        let mut plan = Plan::new(group, name, move |which| {
            let world = made(&world)?;
            let bytes = wat::parse_str(guests::text(work.generation))?;
            let work = match work.name {
                "tcp" => Work {
                    arg: world.echo().port().into(),
                    ..work
                },
                _ => work,
            };
            match which {
                Which::Ours => ours::subject(&bytes, world, work).map_err(told),
                Which::Peer => Ok(Subject::new(
                    peer_wasi::guest(&bytes, world.path(), work).map_err(told)?,
                )),
            }
        });
        if let Some(limit) = limit {
            let world = Rc::clone(&self.world);
            plan = plan.limit(move || limit(made(&world)?, work.size));
        }
        self.plans.push(plan);
    }

    fn streams(&mut self, generation: Generation) {
        let (write, read, names) = match generation {
            Generation::P1 => (
                "WASI 0.1, output",
                "WASI 0.1, input",
                ["`fd_write` of", "`fd_read` of"],
            ),
            Generation::P2 => (
                "WASI 0.2, output-stream",
                "WASI 0.2, input-stream",
                ["`check-write` and `write` of", "`read` of"],
            ),
            Generation::P3 => (
                "WASI 0.3, output stream",
                "WASI 0.3, input stream",
                ["`stream.write` of", "`stream.read` of"],
            ),
        };
        let [writes, reads] = names;
        for size in [16, 4 * KIB, 64 * KIB] {
            self.add(
                write,
                format!("{writes} {}", bytes(size)),
                CALL,
                work(generation, "write", size),
            );
            self.add(
                read,
                format!("{reads} {}", bytes(size)),
                MEMCPY,
                work(generation, "read", size),
            );
        }
        if generation == Generation::P2 {
            self.add(
                write,
                "`blocking-write-and-flush` of 4 KiB",
                CALL,
                work(generation, "write-flush", 4 * KIB),
            );
            self.add(
                read,
                "`blocking-read` of 4 KiB",
                MEMCPY,
                work(generation, "blocking-read", 4 * KIB),
            );
            self.add(
                read,
                "`subscribe`, `block` and drop",
                CALL,
                work(generation, "subscribe", 0),
            );
        }
    }

    fn poll(&mut self, generation: Generation) {
        let (group, what) = match generation {
            Generation::P1 => ("WASI 0.1, poll", "`poll_oneoff` of"),
            Generation::P2 => ("WASI 0.2, poll", "`poll` of"),
            Generation::P3 => (
                "WASI 0.3, poll",
                "`stream.read`, `waitable-set.wait` beside",
            ),
        };
        for size in [1, 100, 10_000] {
            // WASI 0.3 does not ask for what is ready already.
            if generation != Generation::P3 {
                self.add(
                    group,
                    format!("{what} {size}, one ready"),
                    NONE,
                    work(generation, "poll", size),
                );
            }
            self.add(
                group,
                match generation {
                    Generation::P3 => format!("{what} {} that wait", size - 1),
                    _ => format!("{what} {size}, after a wait, and a read"),
                },
                NONE,
                Work {
                    stdin: Source::Waits,
                    arg: 1,
                    ..work(generation, "poll", size)
                },
            );
        }
    }

    fn files(&mut self, generation: Generation) {
        let (group, read, write, open) = match generation {
            Generation::P1 => (
                "WASI 0.1, files",
                "`fd_pread` of",
                "`fd_pwrite` of",
                "`path_open` and `fd_close`",
            ),
            Generation::P2 => (
                "WASI 0.2, files",
                "`read` of",
                "`write` of",
                "`open-at` and drop",
            ),
            Generation::P3 => (
                "WASI 0.3, files",
                "`read-via-stream` of",
                "`write-via-stream` of",
                "`open-at` and drop",
            ),
        };
        for size in [4 * KIB, 64 * KIB] {
            let size_shown = bytes(size);
            self.add(
                group,
                format!("{read} {size_shown}"),
                READ,
                work(generation, "file-read", size),
            );
            self.add(
                group,
                format!("{write} {size_shown}"),
                WRITE,
                work(generation, "file-write", size),
            );
        }
        if generation != Generation::P1 {
            for size in [4 * KIB, 64 * KIB] {
                let size_shown = bytes(size);
                self.add(
                    group,
                    format!("read 16 times {size_shown} of one stream"),
                    NONE,
                    work(generation, "file-read-stream", size),
                );
                self.add(
                    group,
                    format!("write 16 times {size_shown} to one stream"),
                    NONE,
                    work(generation, "file-write-stream", size),
                );
            }
        }
        self.add(group, open, OPEN, work(generation, "open", 0));
        self.add(
            group,
            match generation {
                Generation::P1 => "`fd_readdir` of 10,000 entries, by pieces of 64 KiB",
                _ => "`read-directory` of 10,000 entries",
            },
            READDIR,
            work(generation, "readdir", 64 * KIB),
        );
    }

    fn sockets(&mut self, generation: Generation) {
        let group = match generation {
            // What a listener accepts would be the only socket, and Wasmtime does not accept.
            Generation::P1 => return,
            Generation::P2 => "WASI 0.2, TCP",
            Generation::P3 => "WASI 0.3, TCP",
        };
        self.add(
            group,
            "64 B to a server and back",
            TCP,
            work(generation, "tcp", 64),
        );
    }
}

fn work(generation: Generation, name: &'static str, size: u32) -> Work {
    Work {
        generation,
        name,
        size,
        arg: 0,
        stdin: Source::Ready,
    }
}

fn bytes(size: u32) -> String {
    rows::size(size as usize)
}
