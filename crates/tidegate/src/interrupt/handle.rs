//! The embedder's handle.

use super::call::Interruptible;
use super::control::{Control, For, Suspension, Terminated, callback};
use crate::StoreContextMut;
use std::any::TypeId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Interrupts the calls of a store, from any thread. Cheap to clone. See [the module](super) for what each request does.
///
/// It may be used by the thread that handles signals, but not in a signal handler itself: it takes a lock, briefly.
#[derive(Clone)]
pub struct InterruptHandle {
    control: Arc<Control>,
    call: For,
    /// The type of the store's data.
    data: TypeId,
}

impl InterruptHandle {
    pub(crate) fn new(control: Arc<Control>, data: TypeId) -> Self {
        Self {
            control,
            call: For::Any,
            data,
        }
    }

    /// A handle for one call alone: the next one of the store that is not made by a host function. Requests made before it begins are met when it
    /// does; those made after its end have no effect.
    pub fn next_call(&self) -> Self {
        Self {
            call: For::Call(self.control.next_call()),
            ..self.clone()
        }
    }

    /// Asks the call to stop where it is.
    pub fn pause(&self) {
        self.control.pause(self.call);
    }

    /// Takes a request to pause back, or has a call go on that stands still but was not given out as a [`PausedCall`](super::PausedCall).
    pub fn resume(&self) {
        self.control.resume();
    }

    /// Asks the call to end, with an error that carries [`Terminated`] and the reason.
    pub fn terminate(&self, reason: impl Into<Arc<str>>) {
        self.control
            .terminate(Terminated::Asked(reason.into()), self.call);
    }

    /// Ends the calls of several stores of one engine, as [`terminate`](Self::terminate) does.
    pub(crate) fn terminate_all(handles: &[Self], reason: impl Into<Arc<str>>) {
        let why = Terminated::Asked(reason.into());
        Control::terminate_all(handles.iter().map(|handle| &handle.control), &why);
    }

    /// Asks the call to end at a time, with [`Terminated::Deadline`]. One time counts for each store: the last that was set.
    pub fn terminate_at(&self, deadline: Instant) {
        self.control.set_call_deadline(self.call, deadline);
    }

    /// Asks for a closure to be run with the store, in the middle of whatever the guest does. `T` is the type of the store's data.
    ///
    /// While the guest computes it runs on the guest's thread and stack, so that it may not call into the isolate that was interrupted.
    /// While the guest waits in a host function that has the store itself, it runs when that function is done. A call that ends before it could
    /// run leaves it to the next.
    ///
    /// # Panics
    /// `T` is not the type of the store's data.
    pub fn run_in_store<T: Send + 'static>(
        &self,
        closure: impl FnOnce(StoreContextMut<'_, T>) + Send + 'static,
    ) {
        assert!(
            self.data == TypeId::of::<T>(),
            "the closure is for a store with data of another type"
        );
        self.control.run_in_store(callback(closure));
    }

    /// Runs a call so that it can be paused: what it gives says whether it ended or stopped. The future of the call may be any that makes calls
    /// with this store; it is not touched while it is paused.
    pub fn run<F: Future>(&self, call: F) -> Interruptible<F> {
        Interruptible::new(Box::pin(call), self.clone())
    }

    /// Where the call stands still, if it does.
    pub fn suspension(&self) -> Option<Suspension> {
        self.control.stopped()
    }

    /// How long guests of the store have run on a processor. Counts only where the engine can interrupt guests that compute, or a handle
    /// was made before.
    pub fn processor_time(&self) -> Duration {
        self.control.processor_time()
    }
}

impl std::fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InterruptHandle")
            .field("call", &self.call)
            .finish_non_exhaustive()
    }
}
