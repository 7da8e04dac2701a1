//! What lifting and lowering work in: the specification's `LiftLowerContext`, once for each direction.

use super::memory::{self, GuestRange};
use crate::plan::StringEncoding;
use crate::runtime::{InstanceId, Lends, ResourceType, State, TaskId};
use crate::trap::Trap;
use crate::types::{ResourceIdx, Types};
use std::any::TypeId;

/// The bytes of host memory that one call may make the host allocate by lifting, unless set otherwise: 512 MiB, twice the longest list.
///
/// A list in guest memory can be many times larger as host values; this is what bounds it. Between guests, it bounds the bytes of strings and lists that
/// are looked at.
pub const DEFAULT_LIFTED_BYTES: usize = 512 << 20;

/// Lifting: from a guest's flat values and memory to host values.
#[derive(Debug)]
pub struct LiftContext<'a> {
    /// The types that [`ValType`](crate::types::ValType)s refer to.
    pub types: &'a Types,
    /// What the plan's resource types are in this instantiation.
    pub resources: &'a [ResourceType],
    /// The memory to lift from; empty if the function has none.
    pub memory: &'a [u8],
    /// Whether that memory has 64-bit addresses.
    pub memory64: bool,
    /// How strings are encoded in it.
    pub encoding: StringEncoding,
    /// The handle tables.
    pub state: &'a mut State,
    /// The instance to lift from.
    pub instance: InstanceId,
    /// What the call has borrowed from the instance so far.
    pub lends: &'a mut Lends,
    /// The call into the host that receives borrowed [`ResourceAny`](super::ResourceAny)s, each of which the host must drop before it returns.
    /// `None` where the type has no `borrow`.
    pub task: Option<TaskId>,
    /// How much more may be lifted.
    pub budget: LiftBudget,
}

impl LiftContext<'_> {
    /// What a resource type of the plan is in this instantiation.
    ///
    /// # Errors
    /// When there is no such type.
    pub fn resource(&self, index: ResourceIdx) -> anyhow::Result<ResourceType> {
        resource(self.resources, index)
    }

    /// Loads `N` bytes of memory.
    ///
    /// # Errors
    /// [`Trap::OutOfBounds`].
    #[inline]
    pub fn load<const N: usize>(&self, ptr: usize) -> anyhow::Result<[u8; N]> {
        memory::load(self.memory, ptr)
    }

    /// Loads a pointer or length.
    ///
    /// # Errors
    /// [`Trap::OutOfBounds`].
    #[inline]
    pub fn load_address(&self, ptr: usize) -> anyhow::Result<u64> {
        if self.memory64 {
            Ok(u64::from_le_bytes(self.load(ptr)?))
        } else {
            Ok(u32::from_le_bytes(self.load(ptr)?).into())
        }
    }

    /// The size of a pointer in bytes.
    #[inline]
    pub fn pointer_size(&self) -> usize {
        if self.memory64 { 8 } else { 4 }
    }
}

/// How many bytes of host memory a call may still make the host allocate.
#[derive(Clone, Copy, Debug)]
pub struct LiftBudget {
    limit: usize,
    left: usize,
}

impl Default for LiftBudget {
    fn default() -> Self {
        Self::new(DEFAULT_LIFTED_BYTES)
    }
}

impl LiftBudget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// Takes `count` times `size` bytes.
    ///
    /// # Errors
    /// [`Trap::Limit`] when that is more than is left.
    #[inline]
    pub fn take(&mut self, count: usize, size: usize) -> Result<(), Trap> {
        match count
            .checked_mul(size)
            .and_then(|bytes| self.left.checked_sub(bytes))
        {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Trap::Limit {
                what: "bytes of values lifted in one call",
                limit: self.limit as u64,
                option: "max-lifted-bytes",
            }),
        }
    }
}

/// Lowering: from host values to a guest's flat values and memory.
pub struct LowerContext<'a> {
    /// The types that [`ValType`](crate::types::ValType)s refer to.
    pub types: &'a Types,
    /// What the plan's resource types are in this instantiation.
    pub resources: &'a [ResourceType],
    /// Where values go.
    pub target: &'a mut dyn LowerTarget,
    /// Whether the memory has 64-bit addresses.
    pub memory64: bool,
    /// How strings are encoded in it.
    pub encoding: StringEncoding,
    /// The instance to lower into.
    pub instance: InstanceId,
    /// The call that receives borrowed handles. `None` where the type has no `borrow`, as results never have.
    pub task: Option<TaskId>,
    /// What the call has borrowed from [`HOST`](crate::runtime::HOST)'s table so far.
    pub lends: &'a mut Lends,
}

impl std::fmt::Debug for LowerContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LowerContext")
            .field("instance", &self.instance)
            .field("task", &self.task)
            .field("memory64", &self.memory64)
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// The destination of lowering: an instance's memory and allocator.
pub trait LowerTarget {
    /// The memory, empty if the function has none, and the handle tables.
    fn parts(&mut self) -> (&mut [u8], &mut State);

    /// Calls the guest's `realloc` with these arguments and gives its answer, unchecked. It runs guest code, and may grow the memory.
    ///
    /// While it runs the instance must not be left: the caller of the guest's function sees to that.
    ///
    /// # Errors
    /// Whatever ended the call.
    fn realloc(
        &mut self,
        old: u64,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<u64>;
}

impl LowerContext<'_> {
    /// What a resource type of the plan is in this instantiation.
    ///
    /// # Errors
    /// When there is no such type.
    pub fn resource(&self, index: ResourceIdx) -> anyhow::Result<ResourceType> {
        resource(self.resources, index)
    }

    /// The memory.
    #[inline]
    pub fn memory(&mut self) -> &mut [u8] {
        self.target.parts().0
    }

    /// The handle tables.
    #[inline]
    pub fn state(&mut self) -> &mut State {
        self.target.parts().1
    }

    /// Stores `N` bytes into memory.
    ///
    /// # Errors
    /// [`Trap::OutOfBounds`].
    #[inline]
    pub fn store<const N: usize>(&mut self, ptr: usize, bytes: [u8; N]) -> anyhow::Result<()> {
        memory::store(self.memory(), ptr, bytes)
    }

    /// Stores a pointer or length.
    ///
    /// # Errors
    /// [`Trap::OutOfBounds`].
    #[inline]
    pub fn store_address(&mut self, ptr: usize, address: u64) -> anyhow::Result<()> {
        if self.memory64 {
            self.store(ptr, address.to_le_bytes())
        } else {
            self.store(ptr, (address as u32).to_le_bytes())
        }
    }

    /// The size of a pointer in bytes.
    #[inline]
    pub fn pointer_size(&self) -> usize {
        if self.memory64 { 8 } else { 4 }
    }

    /// Allocates a block for `what` by the guest's `realloc`, and checks the answer.
    ///
    /// # Errors
    /// What ended `realloc`; [`Trap::BadRealloc`] for a block that is unaligned or outside memory.
    pub fn allocate(
        &mut self,
        align: u32,
        size: u64,
        what: &'static str,
    ) -> anyhow::Result<GuestRange> {
        let pointer = self.target.realloc(0, 0, align, size)?;
        check_realloc(self.memory(), pointer, size, align, what)
    }
}

/// Checks the answer of `realloc`.
pub(super) fn check_realloc(
    memory: &[u8],
    pointer: u64,
    size: u64,
    align: u32,
    what: &'static str,
) -> anyhow::Result<GuestRange> {
    GuestRange::check(memory, pointer, size, align, what)
        .map_err(|trap| Trap::BadRealloc(Box::new(trap)).into())
}

/// What typechecking a Rust type against a component's type looks at.
#[derive(Clone, Copy, Debug)]
pub struct TypeContext<'a> {
    /// The types that [`ValType`](crate::types::ValType)s refer to.
    pub types: &'a Types,
    /// What is known of the plan's resource types, by [`ResourceIdx`].
    pub resource_kinds: &'a [ResourceKind],
}

/// What a resource type is to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// The host implements it, with this Rust type.
    Host(TypeId),
    /// A guest implements it.
    Guest,
}

fn resource(resources: &[ResourceType], index: ResourceIdx) -> anyhow::Result<ResourceType> {
    resources.get(index.index()).copied().ok_or_else(|| {
        anyhow::anyhow!(
            "a bug in Tidegate: resource type {} is used before it is defined; please report it",
            index.0
        )
    })
}
