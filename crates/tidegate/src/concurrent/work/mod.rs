//! What the host has under way for a store: the driver polls it whenever it was woken.

mod door;
mod poll;
mod set;
mod waker;

pub(crate) use door::{Asked, WorkHandle};
pub(crate) use poll::{abandon, cancel};
pub(super) use poll::{poll, poll_ready, poll_woken};
pub(crate) use set::WorkSet;

use crate::baton::Baton;
use crate::error::bug;
use anyhow::{Result, bail};
use std::pin::Pin;
use std::task::{Context, Poll};
use tidegate_engine::Cx;

/// Something of the host's that goes on while guests wait: a call of a host function, a task, an end of a stream.
pub(crate) trait HostWork: Send {
    /// Goes on. `place` holds the baton, and must hold it again afterwards. Ready work is dropped.
    fn poll(self: Pin<&mut Self>, place: &mut Baton, cx: &mut Context<'_>) -> Poll<()>;

    /// The guest whose isolate `cx` is asks for its end. Ready work is dropped.
    ///
    /// # Errors
    /// What that guest traps with.
    fn cancel(
        self: Pin<&mut Self>,
        _cx: &mut Cx<'_, Baton>,
        _waker: &mut Context<'_>,
    ) -> Result<Poll<()>> {
        Ok(Poll::Pending)
    }

    /// It was ready, and is in the set no more.
    fn done(self: Pin<Box<Self>>, _place: &mut Baton) {}

    /// What it gave is taken to its caller, whose parked stack goes on: in the context of the host call that it is blocked in.
    ///
    /// # Errors
    /// What that guest traps with.
    fn deliver(self: Pin<Box<Self>>, _cx: &mut Cx<'_, Baton>, _slots: &mut [u64]) -> Result<()> {
        bail!(bug("nobody waits for this"))
    }

    /// It is about to be dropped before it was ready, or delivered.
    fn abandon(self: Pin<&mut Self>, _place: &mut Baton) {}
}

/// Names an item of a [`WorkSet`]. A name is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WorkKey {
    index: u32,
    generation: u32,
}

impl WorkKey {
    /// The name as a number, for those who know nothing of work.
    pub(crate) fn number(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The name that a number was made of.
    pub(crate) fn from_number(number: u64) -> Self {
        Self {
            index: number as u32,
            generation: (number >> 32) as u32,
        }
    }
}
