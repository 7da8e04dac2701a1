//! A `list<u8>` that stays where it is: in the memory of the guest that it came from, or goes to.

use super::list::{check_list, list_bytes};
use super::memory::{self, GuestRange};
use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    LowerTarget, TypeContext, TypeMismatch,
};
use crate::types::ValType;

/// Where a `list<u8>` lies in a guest's memory. Lifting it checks its bounds and copies nothing; lowering it gives its pointer and length.
///
/// It means something only during the call that it was lifted or allocated in, and only for that guest's memory. Kept for longer it names
/// whatever bytes are there by then; they are looked up with a check of the bounds each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestBytes {
    range: GuestRange,
}

impl GuestBytes {
    /// Asks the guest's `realloc` for a list of `length` bytes, whatever is in them.
    ///
    /// # Errors
    /// What ended `realloc`; [`Trap::BadRealloc`](crate::trap::Trap::BadRealloc).
    pub fn allocate(target: &mut dyn LowerTarget, length: usize) -> anyhow::Result<Self> {
        let bytes = list_bytes(length, 1)?;
        let pointer = target.realloc(0, 0, 1, bytes)?;
        let range = super::context::check_realloc(target.parts().0, pointer, bytes, 1, "list")?;
        Ok(Self { range })
    }

    /// How many bytes they are.
    pub fn len(self) -> usize {
        self.range.length()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The first `length` bytes of it, or all if there are fewer.
    pub fn truncate(self, length: usize) -> Self {
        let range = self.range.first(length);
        Self { range }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When the memory is another than the one that it lies in.
    pub fn bytes(self, memory: &[u8]) -> anyhow::Result<&[u8]> {
        self.range.bytes(memory)
    }

    /// Its bytes, to be written.
    ///
    /// # Errors
    /// When the memory is another than the one that it lies in.
    pub fn bytes_mut(self, memory: &mut [u8]) -> anyhow::Result<&mut [u8]> {
        memory::bytes_mut(memory, self.range.start(), self.range.length())
    }
}

impl ComponentType for GuestBytes {
    const LAYOUT: Layout = Layout::PAIR;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        <[u8]>::typecheck(ty, cx)
    }
}

impl Lift for GuestBytes {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        _: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let pointer = src.address(cx.memory64)?;
        let length = src.address(cx.memory64)?;
        let range = check_list(cx.memory, pointer, length, 1, 1)?;
        Ok(Self { range })
    }

    fn lift_mem(cx: &mut LiftContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<Self> {
        let pointer = cx.load_address(ptr)?;
        let length = cx.load_address(ptr + cx.pointer_size())?;
        let range = check_list(cx.memory, pointer, length, 1, 1)?;
        Ok(Self { range })
    }
}

impl Lower for GuestBytes {
    fn lower_flat(
        &self,
        _: &mut LowerContext<'_>,
        _: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        dst.push(self.range.start() as u64)?;
        dst.push(self.range.length() as u64)
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<()> {
        cx.store_address(ptr, self.range.start() as u64)?;
        cx.store_address(ptr + cx.pointer_size(), self.range.length() as u64)
    }
}
