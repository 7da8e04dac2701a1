//! Tuples.

use super::layout::Fields;
use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    TypeContext, TypeMismatch, parts,
};
use crate::types::ValType;

/// The unit type stands for no value at all: the payload of a case that has none, as in `Result<(), E>`.
impl ComponentType for () {
    const LAYOUT: Layout = Layout::EMPTY;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        Err(TypeMismatch::kind("no payload", cx, ty))
    }
}

impl Lift for () {
    const PLAIN: bool = true;

    #[inline]
    fn lift_plain(_: &[u8], _: usize) -> anyhow::Result<Self> {
        Ok(())
    }

    #[inline]
    fn lift_flat(
        _: &mut LiftContext<'_>,
        _: ValType,
        _: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        Ok(())
    }

    #[inline]
    fn lift_mem(_: &mut LiftContext<'_>, _: ValType, _: usize) -> anyhow::Result<Self> {
        Ok(())
    }
}

impl Lower for () {
    const PLAIN: bool = true;

    #[inline]
    fn lower_plain(&self, _: &mut [u8], _: usize) -> anyhow::Result<()> {
        Ok(())
    }

    #[inline]
    fn lower_flat(
        &self,
        _: &mut LowerContext<'_>,
        _: ValType,
        _: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        Ok(())
    }

    #[inline]
    fn lower_mem(&self, _: &mut LowerContext<'_>, _: ValType, _: usize) -> anyhow::Result<()> {
        Ok(())
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: ComponentType),*> ComponentType for ($($name,)*) {
            const LAYOUT: Layout = Layout::record(&[$($name::LAYOUT),*]);

            fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                parts::typecheck_tuple(ty, cx, &[$($name::typecheck),*])
            }
        }

        impl<$($name: Lift),*> Lift for ($($name,)*) {
            const PLAIN: bool = true $(&& $name::PLAIN)*;

            #[inline]
            fn lift_plain(bytes: &[u8], at: usize) -> anyhow::Result<Self> {
                let mut fields = Fields::plain(at);
                Ok(($($name::lift_plain(bytes, fields.next($name::LAYOUT))?,)*))
            }

            #[inline]
            fn lift_flat(
                cx: &mut LiftContext<'_>,
                ty: ValType,
                src: &mut FlatReader<'_>,
            ) -> anyhow::Result<Self> {
                let types = cx.types;
                Ok(($($name::lift_flat(cx, parts::field(types, ty, $index), src)?,)*))
            }

            #[inline]
            fn lift_mem(
                cx: &mut LiftContext<'_>,
                ty: ValType,
                ptr: usize,
            ) -> anyhow::Result<Self> {
                let types = cx.types;
                let mut fields = Fields::new(ptr, cx.memory64);
                Ok(($($name::lift_mem(
                    cx,
                    parts::field(types, ty, $index),
                    fields.next($name::LAYOUT),
                )?,)*))
            }
        }

        impl<$($name: Lower),*> Lower for ($($name,)*) {
            const PLAIN: bool = true $(&& $name::PLAIN)*;

            #[inline]
            fn lower_plain(&self, bytes: &mut [u8], at: usize) -> anyhow::Result<()> {
                let mut fields = Fields::plain(at);
                $(self.$index.lower_plain(bytes, fields.next($name::LAYOUT))?;)*
                Ok(())
            }

            #[inline]
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                dst: &mut FlatWriter<'_>,
            ) -> anyhow::Result<()> {
                let types = cx.types;
                $(self.$index.lower_flat(cx, parts::field(types, ty, $index), dst)?;)*
                Ok(())
            }

            #[inline]
            fn lower_mem(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                ptr: usize,
            ) -> anyhow::Result<()> {
                if Self::PLAIN {
                    return self.lower_plain(cx.memory(), ptr);
                }
                let types = cx.types;
                let mut fields = Fields::new(ptr, cx.memory64);
                $(self.$index.lower_mem(
                    cx,
                    parts::field(types, ty, $index),
                    fields.next($name::LAYOUT),
                )?;)*
                Ok(())
            }
        }
    };
}

super::for_each_tuple!(tuple);
