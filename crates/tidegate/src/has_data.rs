//! Which part of a store's data implements the host's traits.

use std::marker::PhantomData;

/// A name for a view of a store's data: for what is borrowed from it while a host function runs.
///
/// Only needed where the traits that `bindgen!` generates are implemented by a struct made of several borrows. When the data implements them
/// itself, `add_to_linker(&mut linker)` needs no name; when a part of it does, `add_to_linker_with(&mut linker, |data| &mut data.part)`
/// neither.
///
/// ```
/// use tidegate::{HasData, ResourceTable};
///
/// struct Clock;
///
/// // What the host functions work on…
/// struct View<'a> {
///     clock: &'a mut Clock,
///     table: &'a mut ResourceTable,
/// }
///
/// // … and its name, for `add_to_linker_get::<_, View<'static>>(&mut linker, |data| View { … })`.
/// impl HasData for View<'static> {
///     type Data<'a> = View<'a>;
/// }
/// ```
pub trait HasData: 'static {
    /// The view, borrowed from the data for `'a`.
    type Data<'a>;
}

/// Gets what implements the host's traits out of a store's data.
pub trait HostGetter<T: 'static>: Clone + Send + Sync + 'static {
    /// What it gets.
    type Data<'a>;

    /// Gets it.
    fn get<'a>(&self, data: &'a mut T) -> Self::Data<'a>;
}

/// The store's data itself.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

impl<T: 'static> HostGetter<T> for Whole {
    type Data<'a> = &'a mut T;

    #[inline]
    fn get<'a>(&self, data: &'a mut T) -> &'a mut T {
        data
    }
}

/// A part of it, by a closure.
pub struct Part<U, F> {
    get: F,
    part: PhantomData<fn() -> U>,
}

impl<U, F> Part<U, F> {
    /// The part that `get` borrows.
    pub fn new(get: F) -> Self {
        Self {
            get,
            part: PhantomData,
        }
    }
}

impl<U, F: Clone> Clone for Part<U, F> {
    fn clone(&self) -> Self {
        Self::new(self.get.clone())
    }
}

impl<T: 'static, U, F> HostGetter<T> for Part<U, F>
where
    U: 'static,
    F: Fn(&mut T) -> &mut U + Clone + Send + Sync + 'static,
{
    type Data<'a> = &'a mut U;

    #[inline]
    fn get<'a>(&self, data: &'a mut T) -> &'a mut U {
        (self.get)(data)
    }
}

/// A view of it, by a closure.
pub struct View<D, F> {
    get: F,
    view: PhantomData<fn() -> D>,
}

impl<D, F> View<D, F> {
    /// The view that `get` makes.
    pub fn new(get: F) -> Self {
        Self {
            get,
            view: PhantomData,
        }
    }
}

impl<D, F: Clone> Clone for View<D, F> {
    fn clone(&self) -> Self {
        Self::new(self.get.clone())
    }
}

impl<T: 'static, D, F> HostGetter<T> for View<D, F>
where
    D: HasData,
    F: Fn(&mut T) -> D::Data<'_> + Clone + Send + Sync + 'static,
{
    type Data<'a> = D::Data<'a>;

    #[inline]
    fn get<'a>(&self, data: &'a mut T) -> D::Data<'a> {
        (self.get)(data)
    }
}
