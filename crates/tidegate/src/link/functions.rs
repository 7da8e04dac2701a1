//! Core functions that `canon` definitions make.
//!
//! Those that a host function or a built-in is behind are defined once for all instantiations of a linked component; what such a function does in one of
//! them is worked out when it is first called there, and kept. Those that a guest's function is behind are made in each instantiation: what they call
//! lies in another isolate, which may be out of reach later.

use super::{Body, HostFunc, InstanceData};
use crate::Result;
use crate::baton::{Baton, Blocked};
use crate::call::canon::CallSite;
use crate::error::bug;
use crate::group::Door;
use anyhow::bail;
use std::sync::Arc;
use tidegate_engine::{BlockingHostFn, Cx, Flow, Func, HostFn, HostType};

/// Where core definitions are looked up.
pub(super) enum At<'a, 'b> {
    /// In a store, no isolate of which runs.
    Store(&'a mut Baton),
    /// In the isolate that runs, where they lie.
    Isolate(&'a mut Cx<'b, Baton>),
}

/// What a core function does.
pub(crate) enum CoreBody {
    /// It never waits.
    Plain(HostFn<Baton>),
    /// It may park its caller.
    Blocking(BlockingHostFn<Baton>),
}

impl CoreBody {
    /// Makes a core function of it.
    pub(super) fn define(self, cx: &mut Cx<'_, Baton>, ty: impl Into<HostType>) -> Result<Func> {
        match self {
            Self::Plain(func) => cx.host_func(ty, func),
            Self::Blocking(func) => cx.blocking_host_func(ty, func),
        }
    }
}

/// What the core function does that a function of the host's is behind. `door` is what adapters know of whether the caller may leave.
pub(super) fn host_body(func: &HostFunc, site: Arc<CallSite>, door: Option<Door>) -> CoreBody {
    match &func.body {
        Body::Sync(define) => CoreBody::Plain(Door::guard(door, define(site))),
        Body::Waiting(define) | Body::Concurrent(define) => {
            CoreBody::Blocking(Door::guard_blocking(door, define(site)))
        }
    }
}

impl InstanceData {
    /// Calls a shared function that never waits.
    #[inline]
    pub(crate) fn call_shared(
        &self,
        mut cx: Cx<'_, Baton>,
        number: usize,
        slots: &mut [u64],
    ) -> Result<()> {
        match self.shared_body(&mut cx, number)? {
            CoreBody::Plain(func) => func(cx, slots),
            CoreBody::Blocking(_) => {
                bail!(bug("a function that waits is defined as one that does not"))
            }
        }
    }

    /// Calls one that may park its caller.
    #[inline]
    pub(crate) fn call_shared_blocking(
        &self,
        mut cx: Cx<'_, Baton>,
        number: usize,
        slots: &mut [u64],
    ) -> Result<Flow<Blocked>> {
        match self.shared_body(&mut cx, number)? {
            CoreBody::Plain(func) => func(cx, slots).map(|()| Flow::Return),
            CoreBody::Blocking(func) => func(cx, slots),
        }
    }
}
