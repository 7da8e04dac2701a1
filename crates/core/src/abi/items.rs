//! Items of streams and futures: Rust types, and values whose type is known only at run time.

use super::{
    Layout, Lift, LiftContext, Lower, LowerContext, TypeContext, TypeMismatch, Val, lift_val_list,
    lower_val_list,
};
use crate::types::ValType;

/// Stands for the element type where there is none: a type without a layout does not look at it.
const UNUSED: ValType = ValType::Bool;

/// What may travel through a stream or future: every type that can be lifted or lowered, [`Val`] (an empty tuple where there is no element type), and `()` where there
/// is no element type.
pub trait Item: Sized + Send + 'static {
    /// Checks that it stands for the element type.
    ///
    /// # Errors
    /// Where the types differ.
    fn typecheck_item(ty: Option<ValType>, cx: &TypeContext<'_>) -> Result<(), TypeMismatch>;
}

/// An [`Item`] that can be lifted out of a guest.
pub trait LiftItem: Item {
    /// Lifts `count` items that lie in memory one after another, at an address whose alignment and bounds have been checked.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s.
    fn lift_items(
        cx: &mut LiftContext<'_>,
        ty: Option<ValType>,
        ptr: usize,
        count: usize,
    ) -> anyhow::Result<Vec<Self>>;
}

/// An [`Item`] that can be lowered into a guest.
pub trait LowerItem: Item {
    /// Lowers items into memory one after another, at an address whose alignment and bounds have been checked.
    ///
    /// # Errors
    /// The guest's [`Trap`](crate::trap::Trap)s, and errors of its `realloc`.
    fn lower_items(
        items: &[Self],
        cx: &mut LowerContext<'_>,
        ty: Option<ValType>,
        ptr: usize,
    ) -> anyhow::Result<()>;
}

/// What the implementations for typed values need to know of them.
pub trait TypedItem: super::ComponentType + Send + 'static {}

impl<T: super::ComponentType + Send + 'static> TypedItem for T {}

impl<T: TypedItem> Item for T {
    fn typecheck_item(ty: Option<ValType>, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match ty {
            Some(ty) => T::typecheck(ty, cx),
            None if T::LAYOUT == Layout::EMPTY => Ok(()),
            None => Err(TypeMismatch::new(
                std::any::type_name::<T>(),
                "no element type (use `()`)",
            )),
        }
    }
}

impl<T: Lift + Send + 'static> LiftItem for T {
    fn lift_items(
        cx: &mut LiftContext<'_>,
        ty: Option<ValType>,
        ptr: usize,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        T::lift_list(cx, ty.unwrap_or(UNUSED), ptr, count)
    }
}

impl<T: Lower + Send + 'static> LowerItem for T {
    fn lower_items(
        items: &[Self],
        cx: &mut LowerContext<'_>,
        ty: Option<ValType>,
        ptr: usize,
    ) -> anyhow::Result<()> {
        T::lower_list(items, cx, ty.unwrap_or(UNUSED), ptr)
    }
}

impl Item for Val {
    fn typecheck_item(_: Option<ValType>, _: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        Ok(())
    }
}

impl LiftItem for Val {
    fn lift_items(
        cx: &mut LiftContext<'_>,
        ty: Option<ValType>,
        ptr: usize,
        count: usize,
    ) -> anyhow::Result<Vec<Self>> {
        match ty {
            Some(ty) => lift_val_list(cx, ty, ptr, count),
            None => {
                cx.budget.take(count, size_of::<Val>())?;
                Ok(vec![Val::Tuple(Vec::new()); count])
            }
        }
    }
}

impl LowerItem for Val {
    fn lower_items(
        items: &[Self],
        cx: &mut LowerContext<'_>,
        ty: Option<ValType>,
        ptr: usize,
    ) -> anyhow::Result<()> {
        match ty {
            Some(ty) => lower_val_list(items, cx, ty, ptr),
            None => Ok(()),
        }
    }
}
