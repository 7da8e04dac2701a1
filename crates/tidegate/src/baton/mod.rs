//! The baton: everything that a store consists of, in one box with one holder at a time.
//!
//! The holder is the innermost of: the [`Store`](crate::Store) itself, the isolate whose code runs (it sits in the engine store's data), or a host
//! function that is running. Entering an isolate hands it in, leaving takes it back: a pointer moved, not a lock.

mod blocked;
mod guard;
mod home;
mod runtime;

pub(crate) use blocked::{Blocked, Waiting, Waits};
pub(crate) use guard::HomeGuard;
pub(crate) use home::{Home, Level, in_turn};
pub(crate) use runtime::{Runtime, StoreId};

use crate::concurrent::Reply;
use crate::interrupt::Control;
use crate::link::InstanceData;
use anyhow::Result;
use std::ops::{Deref, DerefMut};
use tidegate_engine::{Cx, Flow, IsolateData};

/// The baton, or the place where it is when one holds it.
#[derive(Default)]
pub(crate) struct Baton(Option<Box<Runtime>>);

impl Baton {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self(Some(Box::new(runtime)))
    }

    /// Whether this place does not hold the baton.
    pub(crate) fn is_away(&self) -> bool {
        self.0.is_none()
    }

    /// Hands the baton on; this place holds nothing from then on.
    #[inline]
    pub(crate) fn take(&mut self) -> Baton {
        Baton(self.0.take())
    }

    /// Ends the store: what the baton holds is dropped rather than sent home.
    pub(crate) fn retire(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Baton {
    type Target = Runtime;

    #[inline]
    fn deref(&self) -> &Runtime {
        // Whoever has a `&Baton` to use got it from the place that holds it: see the module's documentation.
        self.0.as_deref().expect("the baton is held here")
    }
}

impl DerefMut for Baton {
    #[inline]
    fn deref_mut(&mut self) -> &mut Runtime {
        self.0.as_deref_mut().expect("the baton is held here")
    }
}

impl Drop for Baton {
    // Nearly always there is nothing to do: the baton was handed on.
    #[inline]
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            home::send(runtime);
        }
    }
}

/// Runs what is to be run in the store. The baton is in its place.
pub(crate) fn run_callbacks(baton: &mut Baton, control: &Control) {
    while let Some(callback) = control.callback() {
        callback(baton);
    }
}

impl IsolateData for Baton {
    type Block = Blocked;
    type Local = InstanceData;
    type Reply = Reply;

    #[inline]
    fn call(
        cx: Cx<'_, Self>,
        local: &InstanceData,
        number: usize,
        slots: &mut [u64],
    ) -> anyhow::Result<()> {
        local.call_shared(cx, number, slots)
    }

    #[inline]
    fn call_blocking(
        cx: Cx<'_, Self>,
        local: &InstanceData,
        number: usize,
        slots: &mut [u64],
    ) -> anyhow::Result<Flow<Blocked>> {
        local.call_shared_blocking(cx, number, slots)
    }

    #[inline]
    fn reply(cx: Cx<'_, Self>, slots: &mut [u64], reply: Reply) -> Result<Flow<Blocked>> {
        reply.give(cx, slots)
    }

    fn interrupted(&mut self) -> bool {
        if self.is_away() {
            return true;
        }
        let Some(control) = self.control.clone() else {
            return true;
        };
        run_callbacks(self, &control);
        control.wants_yield()
    }

    fn slice_is_over(&mut self) -> bool {
        let control = self.0.as_ref().and_then(|runtime| runtime.control.as_ref());
        control.is_some_and(|control| control.slice_is_over())
    }
}
