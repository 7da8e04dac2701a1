//! Resource types and handles, owned and borrowed.

use super::{Handle, InstanceId, State, TaskId};
use crate::trap::Trap;

/// A resource type of a store. Fresh for each execution of a resource type definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResourceType(u32);

impl ResourceType {
    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// What the store knows about a resource type.
#[derive(Debug)]
pub(super) struct Definition {
    /// Who implements it; the host if `None`.
    implementer: Option<InstanceId>,
}

/// A handle to a resource.
#[derive(Debug)]
pub struct ResourceHandle {
    /// Its type.
    pub ty: ResourceType,
    /// The representation: a number that means something to the implementer. Of types represented by an `i32`, the high half is zero.
    pub rep: u64,
    /// For a borrow, the task that it was lent to; `None` for an owned handle.
    pub borrow_scope: Option<TaskId>,
    /// How many borrows of it are alive.
    pub num_lends: u32,
}

/// The handles that one call has borrowed from its caller, to be given back when it ends.
#[derive(Debug, Default)]
pub struct Lends {
    /// One that is not in `others`. Most calls borrow no more: `self`.
    first: Option<u32>,
    others: Vec<u32>,
}

impl Lends {
    fn push(&mut self, index: u32) {
        if let Some(other) = self.first.replace(index) {
            self.others.push(other);
        }
    }
}

impl State {
    /// Makes a resource type that `implementer` implements; the host if `None`.
    pub fn add_resource_type(&mut self, implementer: Option<InstanceId>) -> ResourceType {
        self.resource_types.push(Definition { implementer });
        ResourceType(self.resource_types.len() as u32 - 1)
    }

    /// Who implements a resource type; the host if `None`.
    pub fn implementer(&self, ty: ResourceType) -> Option<InstanceId> {
        self.resource_types[ty.0 as usize].implementer
    }

    /// Adds an owned handle: `resource.new`, and the lowering of `own`.
    ///
    /// # Errors
    /// [`Trap::Limit`].
    pub fn lower_own(
        &mut self,
        instance: InstanceId,
        ty: ResourceType,
        rep: u64,
    ) -> Result<u32, Trap> {
        let handle = ResourceHandle {
            ty,
            rep,
            borrow_scope: None,
            num_lends: 0,
        };
        self.instance_mut(instance)
            .handles
            .add(Handle::Resource(handle))
    }

    /// Lowers `borrow` into a call that runs as `task`: a handle, or the representation itself if `instance` implements the type.
    ///
    /// # Errors
    /// [`Trap::BorrowedRep`] if it is the representation and wider than the `i32` that a `borrow` is; [`Trap::Limit`]; [`Trap::Poisoned`] if the task is
    /// gone.
    pub fn lower_borrow(
        &mut self,
        instance: InstanceId,
        ty: ResourceType,
        rep: u64,
        task: TaskId,
    ) -> Result<u32, Trap> {
        if self.implementer(ty) == Some(instance) {
            return u32::try_from(rep).map_err(|_| Trap::BorrowedRep { rep });
        }
        let handle = ResourceHandle {
            ty,
            rep,
            borrow_scope: Some(task),
            num_lends: 0,
        };
        let Some(borrows) = self.tasks.get_mut(task.0) else {
            return Err(Trap::Poisoned);
        };
        borrows.num_borrows += 1;
        let added = self
            .instance_mut(instance)
            .handles
            .add(Handle::Resource(handle));
        if added.is_err()
            && let Some(borrows) = self.tasks.get_mut(task.0)
        {
            borrows.num_borrows -= 1;
        }
        added
    }

    /// Lifts `own`: removes the handle and gives the representation.
    ///
    /// # Errors
    /// Unknown index, wrong type, lent, not owned; in the specification's order.
    pub fn lift_own(
        &mut self,
        instance: InstanceId,
        ty: ResourceType,
        index: u32,
    ) -> Result<u64, Trap> {
        let handle = self.resource(instance, ty, index)?;
        if handle.num_lends != 0 {
            return Err(Trap::ResourceLent { index });
        }
        if handle.borrow_scope.is_some() {
            return Err(Trap::NotOwned { index });
        }
        let rep = handle.rep;
        self.instance_mut(instance).handles.remove(index)?;
        Ok(rep)
    }

    /// Lifts `borrow`: gives the representation and counts a lend until [`give_back`](Self::give_back).
    ///
    /// # Errors
    /// Unknown index, wrong type.
    pub fn lift_borrow(
        &mut self,
        instance: InstanceId,
        ty: ResourceType,
        index: u32,
        lends: &mut Lends,
    ) -> Result<u64, Trap> {
        let handle = self.resource(instance, ty, index)?;
        handle.num_lends += 1;
        let rep = handle.rep;
        lends.push(index);
        Ok(rep)
    }

    /// Ends the lends of a call, and leaves the list empty for reuse.
    #[inline]
    pub fn give_back(&mut self, instance: InstanceId, lends: &mut Lends) {
        for index in lends.first.take().into_iter().chain(lends.others.drain(..)) {
            // A handle that is lent cannot be removed, so it is still there.
            if let Ok(Handle::Resource(handle)) = self.instance_mut(instance).handles.get_mut(index)
            {
                handle.num_lends -= 1;
            }
        }
    }

    /// `resource.rep`: the representation behind a handle.
    ///
    /// # Errors
    /// Unknown index, wrong type.
    pub fn resource_rep(
        &mut self,
        instance: InstanceId,
        ty: ResourceType,
        index: u32,
    ) -> Result<u64, Trap> {
        Ok(self.resource(instance, ty, index)?.rep)
    }

    /// `resource.drop`, up to the destructor: removes the handle and gives the representation if it was owned.
    ///
    /// # Errors
    /// Unknown index, wrong type, lent.
    pub fn resource_drop(
        &mut self,
        instance: InstanceId,
        ty: ResourceType,
        index: u32,
    ) -> Result<Option<u64>, Trap> {
        let handle = self.resource(instance, ty, index)?;
        if handle.num_lends != 0 {
            return Err(Trap::ResourceLent { index });
        }
        let (rep, borrow_scope) = (handle.rep, handle.borrow_scope);
        self.instance_mut(instance).handles.remove(index)?;
        match borrow_scope {
            None => Ok(Some(rep)),
            Some(task) => {
                // A task that was ended by a trap does not count any more.
                if let Some(task) = self.tasks.get_mut(task.0) {
                    task.num_borrows -= 1;
                }
                Ok(None)
            }
        }
    }

    /// Removes all handles that `instance` has borrowed.
    pub fn drop_borrows(&mut self, instance: InstanceId) {
        let borrowed: Vec<(u32, TaskId)> = self
            .instance(instance)
            .handles
            .iter()
            .filter_map(|(index, handle)| match handle {
                Handle::Resource(handle) => Some((index, handle.borrow_scope?)),
                _ => None,
            })
            .collect();
        for (index, task) in borrowed {
            let removed = self.instance_mut(instance).handles.remove(index).is_ok();
            if let Some(task) = self.tasks.get_mut(task.0).filter(|_| removed) {
                task.num_borrows -= 1;
            }
        }
    }

    fn resource(
        &mut self,
        instance: InstanceId,
        ty: ResourceType,
        index: u32,
    ) -> Result<&mut ResourceHandle, Trap> {
        match self.instance_mut(instance).handles.get_mut(index)? {
            Handle::Resource(handle) => {
                if handle.ty == ty {
                    Ok(handle)
                } else {
                    Err(Trap::WrongHandle {
                        index,
                        expected: "guest-defined resource",
                        found: "a different guest-defined resource",
                    })
                }
            }
            other => Err(other.mismatch(index, "resource")),
        }
    }
}
