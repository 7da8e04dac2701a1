//! What parked stacks are resumed with.

use super::HostWork;
use crate::baton::{Baton, Blocked, Waits};
use crate::call::builtins::deliver;
use crate::error::bug;
use anyhow::{Context as _, Error, Result};
use std::pin::Pin;
use tidegate_core::runtime::Event;
use tidegate_engine::{Cx, Flow, Job, Memory};

/// How a parked stack goes on, and the baton, unless that is in its isolate already.
pub(crate) struct Reply {
    pub(crate) baton: Baton,
    pub(crate) with: With,
}

/// How the host call goes on that a stack is parked in.
pub(crate) enum With {
    /// It returns this, if it has a result.
    Value(u64),
    /// It is `waitable-set.wait`, and returns the event: its rest goes to this memory.
    Event(Option<Memory>, Event),
    /// It returns what a host function gave that ran beside others.
    Result(Pin<Box<dyn HostWork>>),
    /// It returns what a host function gave that held the store.
    Waited(Pin<Box<dyn Waits>>),
    /// It traps.
    Trap(Error),
    /// Anything else.
    Job(Job<Baton>),
}

impl Reply {
    /// Goes on in the context of the host call.
    #[inline(always)]
    pub(crate) fn give(self, mut cx: Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>> {
        if !self.baton.is_away() {
            *cx.data_mut() = self.baton;
        }
        self.with.give(cx, slots)
    }
}

impl With {
    /// Goes on in the context of the host call. The baton is in its isolate, or in what is waited for.
    #[inline]
    pub(crate) fn give(self, mut cx: Cx<'_, Baton>, slots: &mut [u64]) -> Result<Flow<Blocked>> {
        match self {
            Self::Value(value) => {
                if let Some(slot) = slots.first_mut() {
                    *slot = value;
                }
            }
            Self::Event(memory, event) => {
                let memory = memory.with_context(|| bug("an event has no memory"))?;
                deliver(&mut cx, memory, slots, event)?;
            }
            Self::Result(done) => done.deliver(&mut cx, slots)?,
            Self::Trap(error) => return Err(error),
            Self::Waited(waited) => return waited.end(cx, slots),
            Self::Job(job) => return job(cx, slots),
        }
        Ok(Flow::Return)
    }
}
