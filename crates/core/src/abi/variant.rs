//! Variants: `Option`, `Result`, and the discriminants of all of them.

use super::layout::VariantLayout;
use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    TypeContext, TypeMismatch, memory, parts,
};
use crate::trap::Trap;
use crate::types::{TypeDef, ValType};
use std::marker::PhantomData;

/// Checks a discriminant.
///
/// # Errors
/// [`Trap::InvalidDiscriminant`].
#[inline]
pub fn check_discriminant(discriminant: u32, cases: u32) -> Result<u32, Trap> {
    if discriminant < cases {
        Ok(discriminant)
    } else {
        Err(Trap::InvalidDiscriminant {
            discriminant,
            cases,
        })
    }
}

/// Lifts the discriminant of a variant or enum with `cases` cases from a flat value. What follows is the payload, then padding.
///
/// # Errors
/// [`Trap::InvalidDiscriminant`].
#[inline]
pub fn lift_discriminant_flat(src: &mut FlatReader<'_>, cases: u32) -> anyhow::Result<u32> {
    Ok(check_discriminant(src.word32()?, cases)?)
}

impl VariantLayout {
    /// Lifts the discriminant of a variant or enum from memory.
    ///
    /// # Errors
    /// [`Trap::InvalidDiscriminant`].
    #[inline]
    pub fn lift_discriminant(&self, bytes: &[u8], at: usize) -> anyhow::Result<u32> {
        let discriminant = memory::load_uint(bytes, at, self.discriminant)?;
        // At most four bytes were loaded.
        Ok(check_discriminant(discriminant as u32, self.cases)?)
    }

    /// Lowers the discriminant of a variant or enum into memory.
    ///
    /// # Errors
    /// [`Trap::OutOfBounds`] when the address was not checked.
    #[inline]
    pub fn lower_discriminant(&self, bytes: &mut [u8], at: usize, case: u32) -> anyhow::Result<()> {
        memory::store_uint(bytes, at, case.into(), self.discriminant)
    }
}

struct OptionLayout<T>(PhantomData<T>);

impl<T: ComponentType> OptionLayout<T> {
    const VARIANT: VariantLayout = VariantLayout::new(&[Layout::EMPTY, T::LAYOUT]);
}

impl<T: ComponentType> ComponentType for Option<T> {
    const LAYOUT: Layout = OptionLayout::<T>::VARIANT.layout;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match ty {
            ValType::Option(_) => T::typecheck(parts::payload(cx.types, ty, 1), cx)
                .map_err(|mismatch| mismatch.within("option")),
            other => Err(TypeMismatch::kind("option", cx, other)),
        }
    }
}

impl<T: Lift> Lift for Option<T> {
    const PLAIN: bool = T::PLAIN;

    #[inline]
    fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
        let layout = &OptionLayout::<T>::VARIANT;
        Ok(match layout.lift_discriminant(bytes, at)? {
            0 => None,
            _ => Some(T::lift_plain(bytes, at + layout.payload(false))?),
        })
    }

    #[inline]
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let end = src.position() + Self::LAYOUT.flat as usize;
        let value = match lift_discriminant_flat(src, 2)? {
            0 => None,
            _ => Some(T::lift_flat(cx, parts::payload(cx.types, ty, 1), src)?),
        };
        src.skip_to(end);
        Ok(value)
    }

    #[inline]
    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        let layout = &OptionLayout::<T>::VARIANT;
        Ok(match layout.lift_discriminant(cx.memory, ptr)? {
            0 => None,
            _ => {
                let ptr = ptr + layout.payload(cx.memory64);
                Some(T::lift_mem(cx, parts::payload(cx.types, ty, 1), ptr)?)
            }
        })
    }
}

impl<T: Lower> Lower for Option<T> {
    const PLAIN: bool = T::PLAIN;

    #[inline]
    fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
        let layout = &OptionLayout::<T>::VARIANT;
        layout.lower_discriminant(bytes, at, self.is_some().into())?;
        match self {
            None => Ok(()),
            Some(value) => value.lower_plain(bytes, at + layout.payload(false)),
        }
    }

    #[inline]
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let end = dst.position() + Self::LAYOUT.flat as usize;
        match self {
            None => dst.push(0)?,
            Some(value) => {
                dst.push(1)?;
                value.lower_flat(cx, parts::payload(cx.types, ty, 1), dst)?;
            }
        }
        dst.pad_to(end)
    }

    #[inline]
    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()> {
        let layout = &OptionLayout::<T>::VARIANT;
        layout.lower_discriminant(cx.memory(), ptr, self.is_some().into())?;
        match self {
            None => Ok(()),
            Some(value) => {
                let ptr = ptr + layout.payload(cx.memory64);
                value.lower_mem(cx, parts::payload(cx.types, ty, 1), ptr)
            }
        }
    }
}

struct ResultLayout<T, E>(PhantomData<(T, E)>);

impl<T: ComponentType, E: ComponentType> ResultLayout<T, E> {
    const VARIANT: VariantLayout = VariantLayout::new(&[T::LAYOUT, E::LAYOUT]);
}

/// The typecheck of a payload, none for `()`, which is the only type without bytes.
fn payload_check<T: ComponentType>() -> Option<parts::Check> {
    (T::LAYOUT.size32 != 0).then_some(T::typecheck)
}

impl<T: ComponentType, E: ComponentType> ComponentType for Result<T, E> {
    const LAYOUT: Layout = ResultLayout::<T, E>::VARIANT.layout;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        let ValType::Result(index) = ty else {
            return Err(TypeMismatch::kind("result", cx, ty));
        };
        let TypeDef::Result { ok, err } = cx.types.def(index) else {
            return Err(TypeMismatch::kind("result", cx, ty));
        };
        parts::typecheck_payload(*ok, cx, payload_check::<T>())
            .map_err(|mismatch| mismatch.within("ok"))?;
        parts::typecheck_payload(*err, cx, payload_check::<E>())
            .map_err(|mismatch| mismatch.within("error"))
    }
}

impl<T: Lift, E: Lift> Lift for Result<T, E> {
    const PLAIN: bool = T::PLAIN && E::PLAIN;

    #[inline]
    fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
        let layout = &ResultLayout::<T, E>::VARIANT;
        let payload = at + layout.payload(false);
        Ok(match layout.lift_discriminant(bytes, at)? {
            0 => Ok(T::lift_plain(bytes, payload)?),
            _ => Err(E::lift_plain(bytes, payload)?),
        })
    }

    #[inline]
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        ty: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let end = src.position() + Self::LAYOUT.flat as usize;
        let value = match lift_discriminant_flat(src, 2)? {
            0 => Ok(T::lift_flat(cx, parts::payload(cx.types, ty, 0), src)?),
            _ => Err(E::lift_flat(cx, parts::payload(cx.types, ty, 1), src)?),
        };
        src.skip_to(end);
        Ok(value)
    }

    #[inline]
    fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
        let layout = &ResultLayout::<T, E>::VARIANT;
        let payload = ptr + layout.payload(cx.memory64);
        Ok(match layout.lift_discriminant(cx.memory, ptr)? {
            0 => Ok(T::lift_mem(cx, parts::payload(cx.types, ty, 0), payload)?),
            _ => Err(E::lift_mem(cx, parts::payload(cx.types, ty, 1), payload)?),
        })
    }
}

impl<T: Lower, E: Lower> Lower for Result<T, E> {
    const PLAIN: bool = T::PLAIN && E::PLAIN;

    #[inline]
    fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
        let layout = &ResultLayout::<T, E>::VARIANT;
        layout.lower_discriminant(bytes, at, self.is_err().into())?;
        let payload = at + layout.payload(false);
        match self {
            Ok(value) => value.lower_plain(bytes, payload),
            Err(error) => error.lower_plain(bytes, payload),
        }
    }

    #[inline]
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        ty: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let end = dst.position() + Self::LAYOUT.flat as usize;
        match self {
            Ok(value) => {
                dst.push(0)?;
                value.lower_flat(cx, parts::payload(cx.types, ty, 0), dst)?;
            }
            Err(error) => {
                dst.push(1)?;
                error.lower_flat(cx, parts::payload(cx.types, ty, 1), dst)?;
            }
        }
        dst.pad_to(end)
    }

    #[inline]
    fn lower_mem(&self, cx: &mut LowerContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<()> {
        let layout = &ResultLayout::<T, E>::VARIANT;
        layout.lower_discriminant(cx.memory(), ptr, self.is_err().into())?;
        let payload = ptr + layout.payload(cx.memory64);
        match self {
            Ok(value) => value.lower_mem(cx, parts::payload(cx.types, ty, 0), payload),
            Err(error) => error.lower_mem(cx, parts::payload(cx.types, ty, 1), payload),
        }
    }
}
