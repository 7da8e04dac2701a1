//! Stores: the home of running components and of the embedder's data.

use crate::baton::{Baton, Runtime};
use crate::interrupt::InterruptHandle;
use crate::{Engine, Limits};
use std::any::{Any, TypeId};
use std::marker::PhantomData;

/// Holds component instances and the embedder's data `T`, and is what every call needs.
pub struct Store<T: Send + 'static> {
    engine: Engine,
    baton: Baton,
    data: PhantomData<fn() -> T>,
}

impl<T: Send + 'static> Store<T> {
    /// A store without instances, with the default limits.
    pub fn new(engine: &Engine, data: T) -> Self {
        Self::with_limits(engine, data, Limits::default())
    }

    /// A store without instances, with these limits.
    pub fn with_limits(engine: &Engine, data: T, limits: Limits) -> Self {
        let baton = Baton::new(Runtime::new(engine.clone(), Box::new(data), limits));
        Self {
            engine: engine.clone(),
            baton,
            data: PhantomData,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        downcast_ref(&*self.baton.data)
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.baton.user_data()
    }

    /// A handle by which other threads interrupt the calls of this store.
    pub fn interrupt_handle(&mut self) -> InterruptHandle {
        self.as_context_mut().interrupt_handle()
    }

    /// Ends each call that has not ended by then, with [`Terminated::Deadline`](crate::interrupt::Terminated::Deadline); `None` for no such time.
    /// Guests that compute are interrupted where the engine is set up for that, others where they wait next.
    pub fn set_deadline(&mut self, deadline: Option<std::time::Instant>) {
        self.baton.control().set_deadline(deadline);
    }

    /// Ends the store and gives the embedder's data back.
    pub fn into_data(mut self) -> T {
        let data = std::mem::replace(&mut self.baton.data, Box::new(()));
        // The store was made with a `T`, and nothing else is ever put in its place.
        *data.downcast().expect("a store's data keeps its type")
    }
}

impl<T: Send + 'static> Drop for Store<T> {
    fn drop(&mut self) {
        std::mem::take(&mut self.baton).retire();
    }
}

fn downcast_ref<T: 'static>(data: &(dyn Any + Send)) -> &T {
    // See `Runtime::user_data`.
    data.downcast_ref().expect("a store's data keeps its type")
}

/// The right to use a store: from a [`Store`], or inside a host function.
pub struct StoreContextMut<'a, T: Send + 'static> {
    /// Holds the runtime, but while a call of this context is under way.
    pub(crate) slot: &'a mut Baton,
    data: PhantomData<fn() -> T>,
}

impl<'a, T: Send + 'static> StoreContextMut<'a, T> {
    pub(crate) fn new(slot: &'a mut Baton) -> Self {
        Self {
            slot,
            data: PhantomData,
        }
    }

    /// The embedder's data.
    pub fn data(&self) -> &T {
        downcast_ref(&*self.slot.data)
    }

    /// The embedder's data.
    pub fn data_mut(&mut self) -> &mut T {
        self.slot.user_data()
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.slot.engine
    }

    /// A handle by which other threads interrupt the calls of this store.
    pub fn interrupt_handle(&mut self) -> InterruptHandle {
        InterruptHandle::new(self.slot.control().clone(), TypeId::of::<T>())
    }
}

/// What can be used as a store.
pub trait AsContextMut {
    /// The type of the embedder's data.
    type Data: Send + 'static;

    /// The right to use the store.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<T: Send + 'static> AsContextMut for Store<T> {
    type Data = T;

    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut::new(&mut self.baton)
    }
}

impl<T: Send + 'static> AsContextMut for StoreContextMut<'_, T> {
    type Data = T;

    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut::new(self.slot)
    }
}

impl<S: AsContextMut> AsContextMut for &mut S {
    type Data = S::Data;

    fn as_context_mut(&mut self) -> StoreContextMut<'_, S::Data> {
        S::as_context_mut(self)
    }
}
