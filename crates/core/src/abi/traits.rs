//! Rust types that stand for component types.

use super::{
    FlatReader, FlatWriter, Layout, LiftContext, LowerContext, TypeContext, TypeMismatch, memory,
};
use crate::types::ValType;

/// A Rust type that stands for a component type.
pub trait ComponentType {
    /// Its layout in memory and as flat values.
    const LAYOUT: Layout;

    /// Checks that it stands for `ty`. Lifting and lowering rely on this having been done.
    ///
    /// # Errors
    /// Where the types differ.
    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch>;
}

/// A type whose values can be lifted out of a guest.
pub trait Lift: ComponentType + Sized {
    /// Whether a value in memory is nothing but its own bytes: it has no pointers and no handles. Then [`lift_plain`](Self::lift_plain) is there, and
    /// the bounds of a list are checked once.
    const PLAIN: bool = false;

    /// Lifts a value from flat values, of which it reads exactly as many as its layout says.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s.
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self>;

    /// Lifts a value from memory, at an address whose alignment and bounds have been checked.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s.
    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self>;

    /// Does what [`lift_mem`](Self::lift_mem) does, from bytes alone. For types that are [`PLAIN`](Self::PLAIN).
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s; always, if the type is not plain.
    #[inline]
    fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
        let _ = (bytes, at);
        Err(not_plain())
    }

    /// Lifts `length` values that lie in memory one after another, at an address whose alignment and bounds have been checked.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s.
    fn lift_list(
        cx: &mut LiftContext<'_>,
        element: ValType,
        ptr: usize,
        length: usize,
    ) -> anyhow::Result<Vec<Self>> {
        // Values without a size still take time.
        cx.budget.take(length, size_of::<Self>().max(1))?;
        // Every element takes at least a byte of the memory that was checked.
        let mut list = Vec::with_capacity(length);
        if const { Self::PLAIN && Self::LAYOUT.size32 > 0 } {
            let size = const { Self::LAYOUT.size32 as usize };
            let bytes = memory::bytes(cx.memory, ptr, length * size)?;
            for value in bytes.chunks_exact(size) {
                list.push(Self::lift_plain(value, 0)?);
            }
            return Ok(list);
        }
        let size = Self::LAYOUT.size(cx.memory64);
        for i in 0..length {
            list.push(Self::lift_mem(cx, element, ptr + i * size)?);
        }
        Ok(list)
    }
}

/// A type whose values can be lowered into a guest.
pub trait Lower: ComponentType {
    /// Whether a value in memory is nothing but its own bytes, as [`Lift::PLAIN`]. Then [`lower_plain`](Self::lower_plain) is there.
    const PLAIN: bool = false;

    /// Lowers a value to flat values, of which it writes exactly as many as its layout says.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s, and errors of its `realloc`.
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()>;

    /// Lowers a value into memory, at an address whose alignment and bounds have been checked.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s, and errors of its `realloc`.
    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()>;

    /// Does what [`lower_mem`](Self::lower_mem) does, with bytes alone. For types that are [`PLAIN`](Self::PLAIN).
    ///
    /// # Errors
    /// [`Trap::OutOfBounds`](crate::trap::Trap::OutOfBounds) when the address was not checked; always, if the type is not plain.
    #[inline]
    fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
        let _ = (bytes, at);
        Err(not_plain())
    }

    /// Lowers values into memory one after another, at an address whose alignment and bounds have been checked.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s, and errors of its `realloc`.
    fn lower_list(
        list: &[Self],
        cx: &mut LowerContext<'_>,
        element: ValType,
        ptr: usize,
    ) -> anyhow::Result<()>
    where
        Self: Sized,
    {
        if const { Self::PLAIN && Self::LAYOUT.size32 > 0 } {
            let size = const { Self::LAYOUT.size32 as usize };
            let bytes = memory::bytes_mut(cx.memory(), ptr, list.len() * size)?;
            for (value, bytes) in list.iter().zip(bytes.chunks_exact_mut(size)) {
                value.lower_plain(bytes, 0)?;
            }
            return Ok(());
        }
        let size = Self::LAYOUT.size(cx.memory64);
        for (i, value) in list.iter().enumerate() {
            value.lower_mem(cx, element, ptr + i * size)?;
        }
        Ok(())
    }
}

#[cold]
fn not_plain() -> anyhow::Error {
    anyhow::anyhow!(
        "a bug in Tidegate: a value with pointers or handles is taken for bytes alone; please report it"
    )
}
