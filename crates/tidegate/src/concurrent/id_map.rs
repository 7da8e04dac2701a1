//! What the driver keeps by the state's names.

use tidegate_core::runtime::{TaskId, ThreadId, WaitableId};

/// A name with a small number in it, which others have when its bearer is gone.
pub(crate) trait Id: Copy + PartialEq {
    /// The number.
    fn index(self) -> usize;
}

impl Id for TaskId {
    fn index(self) -> usize {
        TaskId::index(self)
    }
}

impl Id for ThreadId {
    fn index(self) -> usize {
        ThreadId::index(self)
    }
}

impl Id for WaitableId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Values by names. There are never more places than there were names at a time, which the store's limits bound.
#[derive(Debug)]
pub(crate) struct IdMap<I, V> {
    places: Vec<Option<(I, V)>>,
}

impl<I, V> Default for IdMap<I, V> {
    fn default() -> Self {
        Self { places: Vec::new() }
    }
}

impl<I: Id, V> IdMap<I, V> {
    /// Keeps a value, in place of one whose name had the same number.
    #[inline]
    pub(crate) fn insert(&mut self, id: I, value: V) {
        if self.places.len() <= id.index() {
            self.grow(id.index() + 1);
        }
        self.places[id.index()] = Some((id, value));
    }

    #[cold]
    fn grow(&mut self, places: usize) {
        self.places.resize_with(places, || None);
    }

    pub(crate) fn get(&self, id: I) -> Option<&V> {
        let (name, value) = self.places.get(id.index())?.as_ref()?;
        (*name == id).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut V> {
        let (name, value) = self.places.get_mut(id.index())?.as_mut()?;
        (*name == id).then_some(value)
    }

    #[inline]
    pub(crate) fn remove(&mut self, id: I) -> Option<V> {
        let place = self.places.get_mut(id.index())?;
        let (_, value) = place.take_if(|(name, _)| *name == id)?;
        Some(value)
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
    use tidegate_core::runtime::State;

    #[test]
    fn a_name_stands_for_what_was_kept_last() {
        let mut map = IdMap::<WaitableId, &str>::default();
        let id = WaitableId;
        map.insert(id(3), "three");
        assert_eq!((map.get(id(2)), map.get(id(4))), (None, None));
        map.insert(id(3), "another");
        assert_eq!(map.get(id(3)), Some(&"another"));
        assert_eq!(map.remove(id(3)), Some("another"));
        assert!(!map.contains(id(3)) && map.remove(id(9)).is_none());
    }

    #[test]
    fn a_name_whose_number_is_anothers_finds_nothing() {
        let mut state = State::new();
        let first = state.add_task();
        state.remove_task(first);
        let second = state.add_task();
        assert_eq!(first.index(), second.index());
        let mut map = IdMap::default();
        map.insert(second, "second");
        assert_eq!(map.get(first), None);
        assert_eq!(map.get_mut(first), None);
        assert_eq!(map.remove(first), None);
        assert_eq!(map.get(second), Some(&"second"));
    }
}
