//! Which part of a store's data implements the host's traits.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

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
/// impl HasData for View<'_> {
///     type Data<'a> = View<'a>;
/// }
/// ```
///
/// Implement it for any lifetime, as here: the compiler forgets the lifetimes of what an `async fn` holds when it asks whether its future is `Send`.
pub trait HasData {
    /// The view, borrowed from the data for `'a`.
    type Data<'a>;
}

/// Names a mutable reference: `&mut U`, where `U` is a store's data or a part of it.
pub struct HasSelf<U: ?Sized>(PhantomData<fn(&U)>);

impl<U: ?Sized + 'static> HasData for HasSelf<U> {
    type Data<'a> = &'a mut U;
}

/// How what `D` names is borrowed from a store's data.
pub struct Getter<T: 'static, D: HasData>(Get<T, D>);

enum Get<T: 'static, D: HasData> {
    Plain(fn(&mut T) -> D::Data<'_>),
    Capturing(Capturing<T, D>),
}

type Capturing<T, D> = Arc<dyn Fn(&mut T) -> <D as HasData>::Data<'_> + Send + Sync>;

impl<T: 'static> Getter<T, HasSelf<T>> {
    /// Borrows all of the data.
    pub fn whole() -> Self {
        Self(Get::Plain(|data| data))
    }
}

impl<T: 'static, D: HasData> Getter<T, D> {
    /// Borrows by a closure, which may capture.
    pub fn new(get: impl Fn(&mut T) -> D::Data<'_> + Send + Sync + 'static) -> Self {
        Self(Get::Capturing(Arc::new(get)))
    }

    /// Borrows by a plain function.
    pub fn plain(get: fn(&mut T) -> D::Data<'_>) -> Self {
        Self(Get::Plain(get))
    }

    /// Borrows from `data`.
    #[inline]
    pub fn get<'a>(&self, data: &'a mut T) -> D::Data<'a> {
        match &self.0 {
            Get::Plain(get) => get(data),
            Get::Capturing(get) => get(data),
        }
    }
}

impl<T: 'static, D: HasData> Clone for Getter<T, D> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Get::Plain(get) => Get::Plain(*get),
            Get::Capturing(get) => Get::Capturing(get.clone()),
        })
    }
}

impl<T: 'static, D: HasData> fmt::Debug for Getter<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Getter").finish_non_exhaustive()
    }
}

/// Gets what implements the host's traits out of a store's data, by code that the compiler knows: what generated host functions use.
pub trait HostGetter<T: 'static>: Clone + Send + Sync + 'static {
    /// The name of what it gets.
    type Name: HasData + 'static;

    /// Gets it.
    fn get<'a>(&self, data: &'a mut T) -> <Self::Name as HasData>::Data<'a>;

    /// The same for those that only know the name.
    fn named(&self) -> Getter<T, Self::Name>;
}

/// The store's data itself.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

impl<T: 'static> HostGetter<T> for Whole {
    type Name = HasSelf<T>;

    #[inline]
    fn get<'a>(&self, data: &'a mut T) -> &'a mut T {
        data
    }

    fn named(&self) -> Getter<T, HasSelf<T>> {
        Getter::whole()
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
    type Name = HasSelf<U>;

    #[inline]
    fn get<'a>(&self, data: &'a mut T) -> &'a mut U {
        (self.get)(data)
    }

    fn named(&self) -> Getter<T, HasSelf<U>> {
        Getter::<T, HasSelf<U>>::new(self.get.clone())
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
    D: HasData + 'static,
    F: Fn(&mut T) -> D::Data<'_> + Clone + Send + Sync + 'static,
{
    type Name = D;

    #[inline]
    fn get<'a>(&self, data: &'a mut T) -> D::Data<'a> {
        (self.get)(data)
    }

    fn named(&self) -> Getter<T, D> {
        Getter::new(self.get.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Parts {
        one: u32,
        two: u32,
    }

    struct Both<'a>(&'a mut u32, &'a mut u32);

    impl HasData for Both<'static> {
        type Data<'a> = Both<'a>;
    }

    fn add<D: HasData>(getter: &Getter<Parts, D>, parts: &mut Parts, add: fn(D::Data<'_>)) {
        add(getter.clone().get(parts));
    }

    #[test]
    fn what_a_name_stands_for_is_borrowed_by_whatever_closure() {
        let mut parts = Parts { one: 1, two: 2 };
        add(&Getter::whole(), &mut parts, |parts| parts.one += 10);
        let second = true;
        let part = Getter::<Parts, HasSelf<u32>>::new(move |parts| match second {
            true => &mut parts.two,
            false => &mut parts.one,
        });
        add(&part, &mut parts, |part| *part += 20);
        let view =
            Getter::<Parts, Both<'static>>::plain(|parts| Both(&mut parts.one, &mut parts.two));
        add(&view, &mut parts, |both| {
            *both.0 += 100;
            *both.1 += 200;
        });
        assert_eq!((parts.one, parts.two), (111, 222));
    }
}
