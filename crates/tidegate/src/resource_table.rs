//! A table of host values that guests hold handles to.

use std::any::Any;
use std::collections::BTreeSet;
use tidegate_core::abi::Resource;

/// Host values by the number that guests know them as: the usual home of what stands behind [`Resource`]s.
///
/// An entry may be the child of another (a pollable of its stream); a parent cannot be deleted while it has children.
#[derive(Default)]
pub struct ResourceTable {
    slots: Vec<Slot>,
    free_head: Option<u32>,
    len: usize,
    max_len: Option<usize>,
}

enum Slot {
    Free { next: Option<u32> },
    Used(Entry),
}

struct Entry {
    value: Box<dyn Any + Send>,
    parent: Option<u32>,
    children: BTreeSet<u32>,
}

/// Why an operation on a [`ResourceTable`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResourceTableError {
    /// The table holds as many entries as it may.
    #[error(
        "the resource table is full: {limit} entries (raise it with `ResourceTable::set_max_len`)"
    )]
    Full {
        /// How many it may hold.
        limit: usize,
    },
    /// No entry has this number.
    #[error("the resource table has no entry {rep}")]
    NotPresent {
        /// The number.
        rep: u32,
    },
    /// The entry is of another type.
    #[error("entry {rep} of the resource table is of another type than {expected}")]
    WrongType {
        /// The number.
        rep: u32,
        /// The type asked for.
        expected: &'static str,
    },
    /// The entry has children, which must be deleted first.
    #[error("entry {rep} of the resource table cannot be deleted: {children} children are alive")]
    HasChildren {
        /// The number.
        rep: u32,
        /// How many children it has.
        children: usize,
    },
    /// Ownership was needed, a borrow was given.
    #[error("entry {rep} of the resource table was only borrowed")]
    NotOwned {
        /// The number.
        rep: u32,
    },
}

impl ResourceTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits how many entries the table may hold; unlimited by default.
    pub fn set_max_len(&mut self, max_len: usize) {
        self.max_len = Some(max_len);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a value; the handle owns it.
    ///
    /// # Errors
    /// [`ResourceTableError::Full`].
    pub fn push<T: Send + 'static>(&mut self, value: T) -> Result<Resource<T>, ResourceTableError> {
        self.insert(Box::new(value), None).map(Resource::new_own)
    }

    /// Adds a value as the child of another, which then cannot be deleted before it.
    ///
    /// # Errors
    /// [`ResourceTableError::Full`], or no such parent.
    pub fn push_child<T: Send + 'static, P: 'static>(
        &mut self,
        value: T,
        parent: &Resource<P>,
    ) -> Result<Resource<T>, ResourceTableError> {
        self.entry(parent.rep())?;
        let rep = self.insert(Box::new(value), Some(parent.rep()))?;
        self.entry_mut(parent.rep())?.children.insert(rep);
        Ok(Resource::new_own(rep))
    }

    /// The value behind a handle.
    ///
    /// # Errors
    /// No such entry, or one of another type.
    pub fn get<T: 'static>(&self, handle: &Resource<T>) -> Result<&T, ResourceTableError> {
        let rep = handle.rep();
        self.entry(rep)?
            .value
            .downcast_ref()
            .ok_or(wrong_type::<T>(rep))
    }

    /// The value behind a handle, to be changed.
    ///
    /// # Errors
    /// No such entry, or one of another type.
    pub fn get_mut<T: 'static>(
        &mut self,
        handle: &Resource<T>,
    ) -> Result<&mut T, ResourceTableError> {
        let rep = handle.rep();
        self.entry_mut(rep)?
            .value
            .downcast_mut()
            .ok_or(wrong_type::<T>(rep))
    }

    /// The value behind a number, whatever its type.
    ///
    /// # Errors
    /// No such entry.
    pub fn get_any_mut(&mut self, rep: u32) -> Result<&mut (dyn Any + Send), ResourceTableError> {
        Ok(&mut *self.entry_mut(rep)?.value)
    }

    /// Removes and gives the value that a handle owns.
    ///
    /// # Errors
    /// No such entry, one of another type, one with children, or a handle that does not own it; nothing has changed then.
    pub fn delete<T: 'static>(&mut self, handle: Resource<T>) -> Result<T, ResourceTableError> {
        let rep = handle.rep();
        if !handle.owned() {
            return Err(ResourceTableError::NotOwned { rep });
        }
        let entry = self.entry(rep)?;
        if !entry.value.is::<T>() {
            return Err(wrong_type::<T>(rep));
        }
        if !entry.children.is_empty() {
            return Err(ResourceTableError::HasChildren {
                rep,
                children: entry.children.len(),
            });
        }
        let parent = entry.parent;
        let free = Slot::Free {
            next: self.free_head,
        };
        let Slot::Used(entry) = std::mem::replace(&mut self.slots[rep as usize], free) else {
            return Err(ResourceTableError::NotPresent { rep });
        };
        self.free_head = Some(rep);
        self.len -= 1;
        if let Some(parent) = parent.and_then(|rep| self.entry_mut(rep).ok()) {
            parent.children.remove(&rep);
        }
        entry
            .value
            .downcast()
            .map(|value| *value)
            .map_err(|_| wrong_type::<T>(rep))
    }

    fn insert(
        &mut self,
        value: Box<dyn Any + Send>,
        parent: Option<u32>,
    ) -> Result<u32, ResourceTableError> {
        let limit = self.max_len.unwrap_or(u32::MAX as usize);
        if self.len >= limit {
            return Err(ResourceTableError::Full { limit });
        }
        let entry = Slot::Used(Entry {
            value,
            parent,
            children: BTreeSet::new(),
        });
        self.len += 1;
        match self.free_head {
            Some(rep) => {
                if let Slot::Free { next } = std::mem::replace(&mut self.slots[rep as usize], entry)
                {
                    self.free_head = next;
                }
                Ok(rep)
            }
            None => {
                self.slots.push(entry);
                Ok(self.slots.len() as u32 - 1)
            }
        }
    }

    fn entry(&self, rep: u32) -> Result<&Entry, ResourceTableError> {
        match self.slots.get(rep as usize) {
            Some(Slot::Used(entry)) => Ok(entry),
            _ => Err(ResourceTableError::NotPresent { rep }),
        }
    }

    fn entry_mut(&mut self, rep: u32) -> Result<&mut Entry, ResourceTableError> {
        match self.slots.get_mut(rep as usize) {
            Some(Slot::Used(entry)) => Ok(entry),
            _ => Err(ResourceTableError::NotPresent { rep }),
        }
    }
}

fn wrong_type<T>(rep: u32) -> ResourceTableError {
    ResourceTableError::WrongType {
        rep,
        expected: std::any::type_name::<T>(),
    }
}

impl std::fmt::Debug for ResourceTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResourceTable")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_reused_and_stale_handles_refused() {
        let mut table = ResourceTable::new();
        let a = table.push(1_u8).unwrap();
        let rep = a.rep();
        assert_eq!(table.delete(a), Ok(1));
        assert_eq!(
            table.get(&Resource::<u8>::new_own(rep)),
            Err(ResourceTableError::NotPresent { rep })
        );
        assert_eq!(table.push("again").unwrap().rep(), rep);
        assert!(matches!(
            table.get(&Resource::<u8>::new_own(rep)),
            Err(ResourceTableError::WrongType { .. })
        ));
    }

    #[test]
    fn a_parent_outlives_its_children() {
        let mut table = ResourceTable::new();
        let parent = table.push("stream").unwrap();
        let child = table.push_child("pollable", &parent).unwrap();
        let again = Resource::<&str>::new_own(parent.rep());
        assert!(matches!(
            table.delete(again),
            Err(ResourceTableError::HasChildren { children: 1, .. })
        ));
        table.delete(child).unwrap();
        table.delete(parent).unwrap();
        assert!(table.is_empty());
    }

    #[test]
    fn a_full_table_says_so() {
        let mut table = ResourceTable::new();
        table.set_max_len(1);
        table.push(()).unwrap();
        assert_eq!(
            table.push(()).unwrap_err(),
            ResourceTableError::Full { limit: 1 }
        );
    }
}
