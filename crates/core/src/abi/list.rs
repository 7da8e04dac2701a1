//! Lists, of variable and of fixed length, and what holds or refers to them.

use super::memory::GuestRange;
use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    TypeContext, TypeMismatch, parts,
};
use crate::trap::Trap;
use crate::types::{TypeDef, ValType};
use std::rc::Rc;
use std::sync::Arc;

/// The bytes that a list takes in a guest's memory at most, for it to be lifted.
pub const MAX_LIST_BYTE_LENGTH: u64 = (1 << 28) - 1;

/// What a 32-bit `realloc` can be asked for.
pub(super) const REALLOC_I32_MAX: u64 = u32::MAX as u64;

/// Checks a list's length, alignment and bounds, in this order: `load_list_from_range`.
pub(super) fn check_list(
    memory: &[u8],
    pointer: u64,
    length: u64,
    element_size: usize,
    element_align: u32,
) -> Result<GuestRange, Trap> {
    let bytes = length.saturating_mul(element_size as u64);
    if bytes > MAX_LIST_BYTE_LENGTH {
        return Err(Trap::TooLong {
            what: "list",
            length: bytes,
            limit: MAX_LIST_BYTE_LENGTH,
        });
    }
    GuestRange::check(memory, pointer, bytes, element_align, "list")
}

/// How many bytes to ask `realloc` for.
pub(super) fn list_bytes(length: usize, element_size: usize) -> Result<u64, Trap> {
    let bytes = (length as u64).saturating_mul(element_size as u64);
    if bytes > REALLOC_I32_MAX {
        return Err(Trap::TooLong {
            what: "list",
            length: bytes,
            limit: REALLOC_I32_MAX,
        });
    }
    Ok(bytes)
}

/// Lifts the elements of a list.
pub(super) fn lift_range<T: Lift>(
    cx: &mut LiftContext<'_>,
    element: ValType,
    pointer: u64,
    length: u64,
) -> anyhow::Result<Vec<T>> {
    let (size, align) = (T::LAYOUT.size(cx.memory64), T::LAYOUT.align(cx.memory64));
    let range = check_list(cx.memory, pointer, length, size, align)?;
    // It was just found to fit memory.
    T::lift_list(cx, element, range.start(), length as usize)
}

/// Allocates a list of `length` elements and gives where it begins.
pub(super) fn allocate_list<T: ComponentType>(
    cx: &mut LowerContext<'_>,
    length: usize,
) -> anyhow::Result<usize> {
    let (size, align) = (T::LAYOUT.size(cx.memory64), T::LAYOUT.align(cx.memory64));
    let bytes = list_bytes(length, size)?;
    Ok(cx.allocate(align, bytes, "list")?.start())
}

impl<T: ComponentType> ComponentType for [T] {
    const LAYOUT: Layout = Layout::PAIR;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match ty {
            ValType::List(_) => T::typecheck(parts::element(cx.types, ty), cx)
                .map_err(|mismatch| mismatch.within("list element")),
            other => Err(TypeMismatch::kind("list", cx, other)),
        }
    }
}

impl<T: Lower> Lower for [T] {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let start = lower_slice(self, cx, ty)?;
        dst.push(start as u64)?;
        dst.push(self.len() as u64)
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()> {
        let start = lower_slice(self, cx, ty)?;
        cx.store_address(ptr, start as u64)?;
        cx.store_address(ptr + cx.pointer_size(), self.len() as u64)
    }
}

fn lower_slice<T: Lower>(
    list: &[T],
    cx: &mut LowerContext<'_>,
    ty: ValType,
) -> anyhow::Result<usize> {
    let start = allocate_list::<T>(cx, list.len())?;
    T::lower_list(list, cx, parts::element(cx.types, ty), start)?;
    Ok(start)
}

impl<T: ComponentType> ComponentType for Vec<T> {
    const LAYOUT: Layout = Layout::PAIR;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        <[T]>::typecheck(ty, cx)
    }
}

impl<T: Lift> Lift for Vec<T> {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let pointer = src.address(cx.memory64)?;
        let length = src.address(cx.memory64)?;
        lift_range(cx, parts::element(cx.types, ty), pointer, length)
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        let pointer = cx.load_address(ptr)?;
        let length = cx.load_address(ptr + cx.pointer_size())?;
        lift_range(cx, parts::element(cx.types, ty), pointer, length)
    }
}

impl<T: Lower> Lower for Vec<T> {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        self.as_slice().lower_flat(cx, ty, dst)
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()> {
        self.as_slice().lower_mem(cx, ty, ptr)
    }
}

impl<T: ComponentType, const N: usize> ComponentType for [T; N] {
    const LAYOUT: Layout = Layout::array(T::LAYOUT, N as u32);

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        let expected = || format!("list of fixed length {N}");
        let ValType::FixedList(index) = ty else {
            return Err(TypeMismatch::kind(expected(), cx, ty));
        };
        match cx.types.def(index) {
            TypeDef::FixedList { element, length } if *length as usize == N => {
                T::typecheck(*element, cx).map_err(|mismatch| mismatch.within("list element"))
            }
            _ => Err(TypeMismatch::kind(expected(), cx, ty)),
        }
    }
}

impl<T: Lift, const N: usize> Lift for [T; N] {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let element = parts::element(cx.types, ty);
        let list: Vec<T> = (0..N)
            .map(|_| T::lift_flat(cx, element, src))
            .collect::<anyhow::Result<_>>()?;
        whole(list)
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        whole(T::lift_list(cx, parts::element(cx.types, ty), ptr, N)?)
    }
}

fn whole<T, const N: usize>(list: Vec<T>) -> anyhow::Result<[T; N]> {
    list.try_into().map_err(|list: Vec<T>| {
        anyhow::anyhow!(
            "a bug in Tidegate: {} elements were lifted where {N} were asked for; please report it",
            list.len()
        )
    })
}

impl<T: Lower, const N: usize> Lower for [T; N] {
    const PLAIN: bool = T::PLAIN;

    #[inline]
    fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
        let size = const { T::LAYOUT.size32 as usize };
        (self.iter().enumerate()).try_for_each(|(i, value)| value.lower_plain(bytes, at + i * size))
    }

    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let element = parts::element(cx.types, ty);
        self.iter()
            .try_for_each(|value| value.lower_flat(cx, element, dst))
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()> {
        T::lower_list(self, cx, parts::element(cx.types, ty), ptr)
    }
}

impl<T: Lift> Lift for Box<[T]> {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        Ok(Vec::lift_flat(cx, ty, src)?.into())
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        Ok(Vec::lift_mem(cx, ty, ptr)?.into())
    }
}

impl<T: Lift> Lift for Arc<[T]> {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        Ok(Vec::lift_flat(cx, ty, src)?.into())
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        Ok(Vec::lift_mem(cx, ty, ptr)?.into())
    }
}

macro_rules! pointer {
    ($($rust:ty)*) => {$(
        impl<T: ComponentType + ?Sized> ComponentType for $rust {
            const LAYOUT: Layout = T::LAYOUT;

            fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                T::typecheck(ty, cx)
            }
        }

        impl<T: Lower + ?Sized> Lower for $rust {
            const PLAIN: bool = T::PLAIN;

            #[inline]
            fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
                T::lower_plain(self, bytes, at)
            }

            #[inline]
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                dst: &mut FlatWriter<'_>,
            ) -> anyhow::Result<()> {
                T::lower_flat(self, cx, ty, dst)
            }

            #[inline]
            fn lower_mem(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                ptr: usize,
            ) -> anyhow::Result<()> {
                T::lower_mem(self, cx, ty, ptr)
            }
        }
    )*};
}

pointer! { &T Box<T> Rc<T> Arc<T> }

impl<T: Lift> Lift for Box<T> {
    const PLAIN: bool = T::PLAIN;

    #[inline]
    fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
        Ok(Box::new(T::lift_plain(bytes, at)?))
    }

    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        Ok(Box::new(T::lift_flat(cx, ty, src)?))
    }

    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        Ok(Box::new(T::lift_mem(cx, ty, ptr)?))
    }
}
