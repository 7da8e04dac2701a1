//! Access to a store from futures of the host that run side by side.

use crate::baton::Home;
use crate::concurrent::{Cancelled, JoinHandle, Signal, spawn};
use crate::has_data::{Getter, HasData, HasSelf};
use crate::{AsContextMut, Result, StoreContextMut};
use std::future::Future;
use std::sync::Arc;

/// The way to a store for what runs concurrently in it: host functions that were defined with
/// [`func_wrap_concurrent`](crate::LinkerInstance::func_wrap_concurrent), tasks that were [spawned](Self::spawn), and the future of
/// [`run_concurrent`](crate::StoreContextMut::run_concurrent).
///
/// Many of them take turns, so none can hold the store: each borrows it for a moment, [`with`](Self::with) a closure. `D` names what is found in
/// the store's data, as [`HasData`] says; all of it, unless something else was asked for.
///
/// Cheap to clone.
pub struct Accessor<T: Send + 'static, D: HasData = HasSelf<T>> {
    home: Home,
    getter: Getter<T, D>,
    /// Of the call of a host function that this was made for.
    signal: Option<Arc<Signal>>,
}

/// The store cannot be borrowed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store is in use: an accessor cannot borrow it inside a closure that has borrowed it already, nor when nothing drives the store (`Store::run_concurrent`)"
)]
pub struct StoreInUse;

impl<T: Send + 'static> Accessor<T> {
    pub(crate) fn new(home: Home, signal: Option<Arc<Signal>>) -> Self {
        Self {
            home,
            getter: Getter::whole(),
            signal,
        }
    }
}

impl<T: Send + 'static, D: HasData> Accessor<T, D> {
    /// Borrows the store for the duration of a closure, which must not block.
    ///
    /// # Errors
    /// [`StoreInUse`] inside another such closure, or while nothing drives the store.
    pub fn with<R>(&self, f: impl FnOnce(Access<'_, T, D>) -> R) -> Result<R, StoreInUse> {
        let mut lent = self.home.lend().ok_or(StoreInUse)?;
        let store = StoreContextMut::new(&mut lent.baton);
        Ok(f(Access::new(store, self.getter.clone())))
    }

    /// How what `D` names is borrowed from the store's data.
    pub fn getter(&self) -> Getter<T, D> {
        self.getter.clone()
    }

    /// The same for something else in the store's data.
    pub fn with_getter<E: HasData>(&self, getter: Getter<T, E>) -> Accessor<T, E> {
        Accessor {
            home: self.home.clone(),
            getter,
            signal: self.signal.clone(),
        }
    }

    /// Ready once the guest has asked for the end of the call that this accessor was made for (`subtask.cancel`). Never ready elsewhere.
    ///
    /// A host function that watches for this ends by itself, and may give what it has: its guest gets the result as if nothing had been asked. A
    /// function that does not (no such future exists when the guest asks) is dropped where it waits.
    ///
    /// The future may be dropped at any time.
    pub fn cancelled(&self) -> Cancelled {
        Cancelled::new(self.signal.clone())
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }
}

impl<T: Send + 'static, D: HasData + 'static> Accessor<T, D> {
    /// Runs a future beside whatever else runs in the store, whenever the store is driven, until it is ready or the store ends.
    ///
    /// The handle waits for its result and can [abort](JoinHandle::abort) it; dropping the handle leaves it running.
    ///
    /// # Errors
    /// [`StoreInUse`].
    pub fn spawn<F, R>(
        &self,
        task: impl FnOnce(Accessor<T, D>) -> F,
    ) -> Result<JoinHandle<R>, StoreInUse>
    where
        F: Future<Output = R> + Send + 'static,
        R: Send + 'static,
    {
        let future = task(self.clone_without_signal());
        let mut lent = self.home.lend().ok_or(StoreInUse)?;
        Ok(spawn(&mut lent.baton, future))
    }

    fn clone_without_signal(&self) -> Self {
        Self {
            signal: None,
            ..self.clone()
        }
    }
}

impl<T: Send + 'static, D: HasData> Clone for Accessor<T, D> {
    fn clone(&self) -> Self {
        self.with_getter(self.getter.clone())
    }
}

impl<T: Send + 'static, D: HasData> std::fmt::Debug for Accessor<T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accessor").finish_non_exhaustive()
    }
}

/// A store, borrowed for a moment, and what is found in its data.
pub struct Access<'a, T: Send + 'static, D: HasData = HasSelf<T>> {
    store: StoreContextMut<'a, T>,
    getter: Getter<T, D>,
}

impl<'a, T: Send + 'static, D: HasData> Access<'a, T, D> {
    /// For a store, and for what `getter` finds in its data.
    pub fn new(store: StoreContextMut<'a, T>, getter: Getter<T, D>) -> Self {
        Self { store, getter }
    }

    /// What `D` names.
    pub fn get(&mut self) -> D::Data<'_> {
        self.getter.get(self.store.data_mut())
    }

    /// All of the store's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// How what `D` names is borrowed from the store's data.
    pub fn getter(&self) -> Getter<T, D> {
        self.getter.clone()
    }

    /// An accessor for what goes on after this borrow has ended.
    pub fn accessor(&self) -> Accessor<T, D> {
        Accessor {
            home: self.store.slot.home(),
            getter: self.getter.clone(),
            signal: None,
        }
    }

    /// As [`Accessor::spawn`].
    pub fn spawn<F, R>(&mut self, task: impl FnOnce(Accessor<T, D>) -> F) -> JoinHandle<R>
    where
        F: Future<Output = R> + Send + 'static,
        R: Send + 'static,
    {
        let future = task(self.accessor());
        spawn(self.store.slot, future)
    }
}

impl<T: Send + 'static, D: HasData> AsContextMut for Access<'_, T, D> {
    type Data = T;

    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}

impl<T: Send + 'static, D: HasData> std::fmt::Debug for Access<'_, T, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}
