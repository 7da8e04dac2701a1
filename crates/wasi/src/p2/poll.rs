//! `wasi:io/poll`.

use std::any::Any;

use tidegate::{Resource, ResourceTable, ResourceTableError, Result};

use super::bindings::wasi::io::poll;
use crate::io::{InputStream, OutputStream, Readiness, is_ready_now, wait_any};
use crate::net::{IncomingDatagrams, Lookup, OutgoingDatagrams, TcpSocket, UdpSocket};
use crate::view::WasiCtxView;

/// An event that may be waited for.
pub struct Pollable(Event);

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

    fn readiness(&self) -> Cause {
        match self.0 {
            Event::Entry { rep, ready } => Cause::Entry(rep, ready),
            Event::Instant(when) => Cause::Instant(when),
        }
    }
}

/// What a pollable waits for, detached from the table that holds both it and its parent.
enum Cause {
    Entry(u32, fn(&mut dyn Any) -> Option<Readiness>),
    Instant(u64),
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
    fn readiness(&mut self, pollable: &Resource<Pollable>) -> Result<Readiness> {
        match self.table.get(pollable)?.readiness() {
            Cause::Instant(when) => Ok(self.ctx.monotonic_clock.wait(when)),
            Cause::Entry(rep, ready) => {
                let entry: &mut dyn Any = self.table.get_any_mut(rep)?;
                // Children keep their parent in its place, so its type cannot have changed.
                ready(entry).ok_or_else(|| ResourceTableError::NotPresent { rep }.into())
            }
        }
    }
}

impl poll::Host for WasiCtxView<'_> {
    /// Looks at each pollable once. Only if none is ready it waits, for all at once, each with a
    /// waker of its own, and then looks again: so a wait takes time in proportion to their number,
    /// however many there are.
    async fn poll(&mut self, pollables: Vec<Resource<Pollable>>) -> Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(EmptyPoll.into());
        }
        loop {
            let mut ready = Vec::new();
            let mut waits = Vec::new();
            for (index, pollable) in (0..).zip(&pollables) {
                let mut readiness = self.readiness(pollable)?;
                if is_ready_now(&mut readiness) {
                    ready.push(index);
                } else if ready.is_empty() {
                    waits.push(readiness);
                }
            }
            if !ready.is_empty() {
                return Ok(ready);
            }
            wait_any(waits).await;
        }
    }
}

/// The trap for polling nothing, which would wait forever.
#[derive(Debug, thiserror::Error)]
#[error("`poll` was called with an empty list")]
struct EmptyPoll;

impl poll::HostPollable for WasiCtxView<'_> {
    fn ready(&mut self, pollable: Resource<Pollable>) -> Result<bool> {
        Ok(is_ready_now(&mut self.readiness(&pollable)?))
    }

    async fn block(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        loop {
            let mut readiness = self.readiness(&pollable)?;
            if is_ready_now(&mut readiness) {
                return Ok(());
            }
            readiness.await;
        }
    }

    fn drop(&mut self, pollable: Resource<Pollable>) -> Result<()> {
        self.table.delete(pollable)?;
        Ok(())
    }
}
