//! The duration of a call, as far as requests are concerned.

use super::Control;
use crate::baton::Baton;
use std::sync::Arc;

/// Waits for a call on this thread. Where that is in a host function, the call runs to its end, as all of a synchronous host function does.
pub(crate) fn block_on<F: Future>(control: Option<Arc<Control>>, call: F) -> F::Output {
    let _blocking = control.filter(|control| control.block(0)).map(Blocking);
    crate::block_on(call)
}

/// The same for a call that has been entered.
pub(crate) fn block_on_within<F: Future>(control: Option<Arc<Control>>, call: F) -> F::Output {
    let _blocking = control.filter(|control| control.block(1)).map(Blocking);
    crate::block_on(call)
}

struct Blocking(Arc<Control>);

impl Drop for Blocking {
    fn drop(&mut self) {
        self.0.unblock();
    }
}

/// A call is under way.
pub(crate) struct Scope(Option<Arc<Control>>);

impl Scope {
    /// A call of the store begins.
    #[inline]
    pub(crate) fn enter(baton: &Baton) -> Self {
        Self(baton.control.as_ref().map(enter))
    }
}

#[cold]
fn enter(control: &Arc<Control>) -> Arc<Control> {
    control.enter();
    control.clone()
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        if let Some(control) = &self.0 {
            control.leave();
        }
    }
}
