//! What the driver keeps by the state's names.

use std::marker::PhantomData;
use tidegate_core::runtime::{TaskId, ThreadId, WaitableId};

/// A name that is a small number, used again when its bearer is gone.
pub(crate) trait Id: Copy {
    /// The number.
    fn index(self) -> usize;
}

macro_rules! id {
    ($($ty:ty)*) => {$(
        impl Id for $ty {
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

id!(TaskId ThreadId WaitableId);

/// Values by names. There are never more places than there were names at a time, which the store's limits bound.
#[derive(Debug)]
pub(crate) struct IdMap<I, V> {
    places: Vec<Option<V>>,
    name: PhantomData<fn(I)>,
}

impl<I, V> Default for IdMap<I, V> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            name: PhantomData,
        }
    }
}

impl<I: Id, V> IdMap<I, V> {
    /// Keeps a value, in place of one that had the name before.
    pub(crate) fn insert(&mut self, id: I, value: V) {
        if self.places.len() <= id.index() {
            self.places.resize_with(id.index() + 1, || None);
        }
        self.places[id.index()] = Some(value);
    }

    pub(crate) fn get(&self, id: I) -> Option<&V> {
        self.places.get(id.index())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut V> {
        self.places.get_mut(id.index())?.as_mut()
    }

    pub(crate) fn remove(&mut self, id: I) -> Option<V> {
        self.places.get_mut(id.index())?.take()
    }

    pub(crate) fn contains(&self, id: I) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn clear(&mut self) {
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_what_was_kept_last() {
        let mut map = IdMap::<TaskId, &str>::default();
        map.insert(TaskId(3), "three");
        assert_eq!((map.get(TaskId(2)), map.get(TaskId(4))), (None, None));
        map.insert(TaskId(3), "another");
        assert_eq!(map.get(TaskId(3)), Some(&"another"));
        assert_eq!(map.remove(TaskId(3)), Some("another"));
        assert!(!map.contains(TaskId(3)) && map.remove(TaskId(9)).is_none());
    }
}
