//! Rust types that stand for component types.

use super::{FlatReader, FlatWriter, Layout, LiftContext, LowerContext, TypeContext, TypeMismatch};
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
        let size = Self::LAYOUT.size(cx.memory64);
        for i in 0..length {
            list.push(Self::lift_mem(cx, element, ptr + i * size)?);
        }
        Ok(list)
    }
}

/// A type whose values can be lowered into a guest.
pub trait Lower: ComponentType {
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
        let size = Self::LAYOUT.size(cx.memory64);
        for (i, value) in list.iter().enumerate() {
            value.lower_mem(cx, element, ptr + i * size)?;
        }
        Ok(())
    }
}
