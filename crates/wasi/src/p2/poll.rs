//! `wasi:io/poll`.

use std::any::Any;

use tidegate::{Resource, ResourceTable, ResourceTableError, Result};

use super::bindings::wasi::io::poll;
use crate::io::{InputStream, OutputStream, Readiness, WaitSet, is_ready_now};
use crate::net::{IncomingDatagrams, Lookup, OutgoingDatagrams, TcpSocket, UdpSocket};
use crate::view::WasiCtxView;

/// An event that may be waited for.
pub struct Pollable(Event);

#[derive(Clone, Copy)]
enum Event {
    /// Another entry of the table, this one's parent, is ready.
    Entry {
        rep: u32,
        ready: fn(&mut dyn Any) -> Option<Readiness>,
    },
    /// The monotonic clock has reached this, in nanoseconds.
    Instant(u64),
}

impl Pollable {
    /// Ready when the guest's monotonic clock has reached `when`.
    pub(super) fn at(when: u64) -> Self {
        Self(Event::Instant(when))
    }
}

/// What can be subscribed to.
pub(super) trait Subscribe: Send + 'static {
    /// Done once the event is there.
    fn readiness(&mut self) -> Readiness;
}

macro_rules! subscribe {
    ($($ty:ty),*) => { $(
        impl Subscribe for $ty {
            fn readiness(&mut self) -> Readiness {
                self.ready()
            }
        }
    )* };
}

subscribe!(
    InputStream,
    OutputStream,
    TcpSocket,
    UdpSocket,
    IncomingDatagrams,
    OutgoingDatagrams,
    Lookup
);

/// A pollable for an entry of the table, as its child: the entry cannot be dropped before it.
pub(super) fn subscribe<T: Subscribe>(
    table: &mut ResourceTable,
    entry: &Resource<T>,
) -> Result<Resource<Pollable>> {
    let pollable = Pollable(Event::Entry {
        rep: entry.rep(),
        ready: |value| value.downcast_mut().map(T::readiness),
    });
    Ok(table.push_child(pollable, entry)?)
}

impl WasiCtxView<'_> {
    fn event(&self, pollable: &Resource<Pollable>) -> Result<Event> {
        Ok(self.table.get(pollable)?.0)
    }

    /// The readiness of an entry of the table.
    fn readiness(
        &mut self,
        rep: u32,
        ready: fn(&mut dyn Any) -> Option<Readiness>,
    ) -> Result<Readiness> {
        let entry: &mut dyn Any = self.table.get_any_mut(rep)?;
        // Children keep their parent in its place, so its type cannot have changed.
        ready(entry).ok_or_else(|| ResourceTableError::NotPresent { rep }.into())
    }

    /// What to wait for, unless the event is there.
    fn pending(&mut self, pollable: &Resource<Pollable>) -> Result<Option<Readiness>> {
        let mut readiness = match self.event(pollable)? {
            Event::Instant(when) => self.ctx.monotonic_clock.wait(when),
            Event::Entry { rep, ready } => self.readiness(rep, ready)?,
        };
        Ok((!is_ready_now(&mut readiness)).then_some(readiness))
    }

    /// Looks at each pollable once.
    fn look(&mut self, pollables: &[Resource<Pollable>]) -> Result<Look> {
        let mut look = Look::default();
        // All instants are compared with one look at the clock, if there are any.
        let mut now = None;
        for (index, pollable) in (0..).zip(pollables) {
            match self.event(pollable)? {
                Event::Instant(when) => {
                    let now = *now.get_or_insert_with(|| self.ctx.monotonic_clock.now());
                    if when <= now {
                        look.ready.push(index);
                    } else if look.ready.is_empty() {
                        look.instants.push((when, index));
                    }
                }
                Event::Entry { rep, ready } => {
                    let mut readiness = self.readiness(rep, ready)?;
                    if is_ready_now(&mut readiness) {
                        look.ready.push(index);
                    } else if look.ready.is_empty() {
                        look.waits.push(index, readiness);
                    }
                }
            }
        }
        Ok(look)
    }
}

/// What came of looking at pollables, by their places in the list.
#[derive(Default)]
struct Look {
    ready: Vec<u32>,
    /// What to wait for if none is ready.
    waits: WaitSet,
    /// When to wait until.
    instants: Vec<(u64, u32)>,
}

impl poll::Host for WasiCtxView<'_> {
    /// Looks at each pollable once. If none is ready it waits for all at once: each entry has a waker of its own, and all
    /// instants share one timer. After the wait, only those that were woken are looked at again.
    async fn poll(&mut self, pollables: Vec<Resource<Pollable>>) -> Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(EmptyPoll.into());
        }
        let Look {
            mut ready,
            mut waits,
            instants,
        } = self.look(&pollables)?;
        let soonest = instants.iter().map(|(when, _)| *when).min();
        while ready.is_empty() {
            let timer = soonest.map(|when| self.ctx.monotonic_clock.wait(when));
            for index in waits.next(timer).await {
                match self.pending(&pollables[index as usize])? {
                    None => ready.push(index),
                    // Woken early, or another stream on the same source was faster.
                    Some(readiness) => waits.push(index, readiness),
                }
            }
            if soonest.is_some() {
                let now = self.ctx.monotonic_clock.now();
                let due = instants.iter().filter(|(when, _)| *when <= now);
                ready.extend(due.map(|(_, index)| *index));
            }
        }
        ready.sort_unstable();
        Ok(ready)
    }
}

/// The trap for polling nothing, which would wait forever.
#[derive(Debug, thiserror::Error)]
#[error("`poll` was called with an empty list")]
struct EmptyPoll;

impl poll::HostPollable for WasiCtxView<'_> {
    fn ready(&mut self, pollable: Resource<Pollable>) -> Result<bool> {
        Ok(self.pending(&pollable)?.is_none())
    }

    async fn block(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        while let Some(readiness) = self.pending(&pollable)? {
            readiness.await;
        }
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        self.table.delete(pollable)?;
        Ok(())
    }
}
