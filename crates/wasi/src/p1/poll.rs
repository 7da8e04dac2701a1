//! Waiting for the first of many.

use std::collections::BTreeSet;
use std::time::Duration;

use super::clock::Clock;
use super::fd_io::{read_ready, write_ready};
use super::table::{Entry, Resource, Table};
use super::types::{Errno, rights};
use super::{Memory, Preview1, Progress, Stop};
use crate::fs::FileType;
use crate::io::{Input, Output, Readiness, file_ready, is_ready_now, ready_now, sleep, wait_any};

/// The most subscriptions of one call: a call looks at all of them without being interrupted.
const SUBSCRIPTIONS_MAX: u32 = 16 * 1024;
/// The size of a subscription in memory: userdata, tag (at 8), clock or descriptor (at 16).
const SUBSCRIPTION: u32 = 48;
/// The size of an event in memory: userdata, errno (at 8), type (at 10), bytes (at 16), flags (24).
const EVENT: usize = 32;

/// What a guest waits for.
enum Wanted {
    Clock {
        clock: Clock,
        /// In nanoseconds, of the clock or from now on.
        timeout: u64,
        absolute: bool,
    },
    Read(u32),
    Write(u32),
}

/// One thing a guest waits for.
struct Subscription {
    userdata: [u8; 8],
    kind: u8,
    /// An event that is there at once reports what is wrong with it.
    wanted: Result<Wanted, Errno>,
}

impl Preview1 {
    /// `poll_oneoff`: waits until at least one of `nsubscriptions` subscriptions has occurred, and
    /// stores an event for each that has by then, and at `nevents` how many.
    /// [Spec](https://github.com/WebAssembly/WASI/blob/fae981ba/preview1/docs.md#poll_oneoff)
    ///
    /// The parked guest costs no processor time. Time-outs that are not absolute count from the
    /// call, on the monotonic clock: setting the time of day does not change them. `precision` is
    /// not used to be late.
    ///
    /// Fails with `inval` for no subscriptions, more than 16384, or one of an unknown kind. What is wrong with a
    /// single one is reported in its event: `badf`, `notcapable` without the right
    /// `poll_fd_readwrite`, `inval` for a clock that is not supported or unknown flags.
    pub(super) fn poll_oneoff(
        &mut self,
        memory: &mut Memory<'_>,
        subscriptions: u32,
        events: u32,
        nsubscriptions: u32,
        nevents: u32,
    ) -> Result<(), Stop> {
        let count = u64::from(nsubscriptions);
        memory.range(subscriptions, count * u64::from(SUBSCRIPTION))?;
        let mut room = memory.range(events, count * EVENT as u64)?;
        let nevents = memory.slot::<4>(nevents)?;
        if nsubscriptions == 0 || nsubscriptions > SUBSCRIPTIONS_MAX {
            return Err(Errno::Inval.into());
        }
        let started = match self.resume.take() {
            Some(Progress::Poll { started }) => started,
            _ => self.now(Clock::Monotonic),
        };
        let mut occurred = 0u32;
        let mut pending = Pending::default();
        for index in 0..nsubscriptions {
            // Within memory, as the whole list is.
            let at = subscriptions + index * SUBSCRIPTION;
            let subscription = Subscription::load(memory, at)?;
            let Some(event) = self.check(&subscription, started, &mut pending) else {
                continue;
            };
            let next = room.start + EVENT;
            memory
                .bytes_mut(room.start..next)
                .copy_from_slice(&event.encode(&subscription));
            room.start = next;
            occurred += 1;
        }
        if occurred == 0 {
            let readiness = pending.into_readiness();
            return Err(self.resume.wait(Progress::Poll { started }, readiness));
        }
        memory.put(nevents, occurred.to_le_bytes());
        Ok(())
    }

    /// Whether a subscription has occurred; if not, `pending` learns what to wait for.
    fn check(
        &mut self,
        subscription: &Subscription,
        started: u64,
        pending: &mut Pending,
    ) -> Option<Event> {
        match &subscription.wanted {
            Err(errno) => Some(Event::failed(*errno)),
            Ok(Wanted::Clock {
                clock,
                timeout,
                absolute,
            }) => {
                let left = if *absolute {
                    timeout.saturating_sub(self.now(*clock))
                } else {
                    let passed = self.now(Clock::Monotonic).saturating_sub(started);
                    timeout.saturating_sub(passed)
                };
                if left == 0 {
                    return Some(Event::default());
                }
                pending.sleep(left);
                None
            }
            Ok(Wanted::Read(fd)) => check_fd(&mut self.table, *fd, false, pending),
            Ok(Wanted::Write(fd)) => check_fd(&mut self.table, *fd, true, pending),
        }
    }
}

fn check_fd(table: &mut Table, fd: u32, write: bool, pending: &mut Pending) -> Option<Event> {
    if pending.knows(fd, write) {
        return None;
    }
    let entry = match table.get_mut(fd) {
        Ok(entry) => entry,
        Err(errno) => return Some(Event::failed(errno)),
    };
    if let Err(errno) = entry.demand(rights::POLL_FD_READWRITE) {
        return Some(Event::failed(errno));
    }
    match readiness(entry, write) {
        Err(errno) => Some(Event::failed(errno)),
        Ok(mut readiness) => {
            if is_ready_now(&mut readiness) {
                return Some(Event {
                    errno: 0,
                    bytes: bytes_at_hand(entry, write),
                });
            }
            pending.descriptor(fd, write, readiness);
            None
        }
    }
}

/// Done once a read (or write) of the descriptor would not have to wait.
fn readiness(entry: &mut Entry, write: bool) -> Result<Readiness, Errno> {
    match (&mut entry.resource, write) {
        (Resource::Input(input), false) => Ok(input.ready()),
        (Resource::Output(output), true) => Ok(output.ready()),
        (Resource::File(file), _) => Ok(file_ready(file, write)),
        (Resource::Listener(listener), false) => Ok(read_ready(listener)),
        (Resource::Socket(socket), false) => Ok(read_ready(socket)),
        (Resource::Socket(socket), true) => Ok(write_ready(socket)),
        (Resource::Dir(_), _) => Ok(ready_now()),
        (Resource::Input(_), true)
        | (Resource::Output(_), false)
        | (Resource::Listener(_), true) => Err(Errno::Badf),
    }
}

/// How many bytes a read would find, as far as that is known: 1 where there is something.
fn bytes_at_hand(entry: &Entry, write: bool) -> u64 {
    match &entry.resource {
        Resource::File(file) if !write && file.file_type() == FileType::RegularFile => {
            let size = file.stat().map_or(0, |stat| stat.size);
            let position = file.seek(std::io::SeekFrom::Current(0)).unwrap_or(0);
            size.saturating_sub(position)
        }
        Resource::Socket(socket) if !write => rustix::io::ioctl_fionread(&**socket).unwrap_or(0),
        _ => 1,
    }
}

/// What is to be waited for: each descriptor once, and the earliest clock, so that it does not grow
/// with the number of subscriptions.
#[derive(Default)]
struct Pending {
    known: BTreeSet<(u32, bool)>,
    descriptors: Vec<Readiness>,
    /// In nanoseconds from now on.
    soonest: Option<u64>,
}

impl Pending {
    fn knows(&self, fd: u32, write: bool) -> bool {
        self.known.contains(&(fd, write))
    }

    fn descriptor(&mut self, fd: u32, write: bool, readiness: Readiness) {
        self.known.insert((fd, write));
        self.descriptors.push(readiness);
    }

    fn sleep(&mut self, nanoseconds: u64) {
        let soonest = self.soonest.get_or_insert(nanoseconds);
        *soonest = nanoseconds.min(*soonest);
    }

    fn into_readiness(self) -> Readiness {
        let timer = self
            .soonest
            .map(|nanoseconds| sleep(Duration::from_nanos(nanoseconds)));
        match timer {
            Some(timer) if self.descriptors.is_empty() => timer,
            timer => wait_any(self.descriptors.into_iter().chain(timer)),
        }
    }
}

/// Something that has occurred.
#[derive(Default)]
struct Event {
    errno: u16,
    bytes: u64,
}

impl Event {
    fn failed(errno: Errno) -> Self {
        Self {
            errno: errno as u16,
            bytes: 0,
        }
    }

    fn encode(&self, subscription: &Subscription) -> [u8; EVENT] {
        let mut out = [0; EVENT];
        out[..8].copy_from_slice(&subscription.userdata);
        out[8..10].copy_from_slice(&self.errno.to_le_bytes());
        out[10] = subscription.kind;
        out[16..24].copy_from_slice(&self.bytes.to_le_bytes());
        out
    }
}

impl Subscription {
    fn load(memory: &Memory<'_>, at: u32) -> Result<Self, Stop> {
        let userdata = memory.load::<8>(at)?;
        let [kind] = memory.load::<1>(at + 8)?;
        let fd = u32::from_le_bytes(memory.load(at + 16)?);
        let wanted = match kind {
            0 => {
                let timeout = u64::from_le_bytes(memory.load(at + 24)?);
                let flags = u16::from_le_bytes(memory.load(at + 40)?);
                let absolute = flags & 1 != 0;
                match Clock::from_id(fd) {
                    _ if flags & !1 != 0 => Err(Errno::Inval),
                    Ok(clock) => Ok(Wanted::Clock {
                        clock,
                        timeout,
                        absolute,
                    }),
                    Err(errno) => Err(errno),
                }
            }
            1 => Ok(Wanted::Read(fd)),
            2 => Ok(Wanted::Write(fd)),
            _ => return Err(Errno::Inval.into()),
        };
        Ok(Self {
            userdata,
            kind,
            wanted,
        })
    }
}
