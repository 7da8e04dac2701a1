//! Streams, futures and error contexts as the host sees them.

use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    TypeContext, TypeMismatch, async_values,
};
use crate::runtime::{ErrorContext, HostReader};
use crate::types::ValType;

macro_rules! reader {
    ($(#[$doc:meta])* $name:ident, $ty:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name {
            reader: HostReader,
        }

        impl $name {
            /// The readable end of this name.
            pub const fn new(reader: HostReader) -> Self {
                Self { reader }
            }

            /// Its name.
            pub const fn reader(&self) -> HostReader {
                self.reader
            }
        }

        impl ComponentType for $name {
            const LAYOUT: Layout = Layout::scalar(4);

            fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                match ty {
                    ValType::$ty(_) => Ok(()),
                    other => Err(TypeMismatch::kind($kind, cx, other)),
                }
            }
        }

        impl Lift for $name {
            fn lift_flat(
                cx: &mut LiftContext<'_>,
                ty: ValType,
                src: &mut FlatReader<'_>,
            ) -> anyhow::Result<Self> {
                let handle = src.word32()?;
                Ok(Self::new(async_values::lift_reader(cx, ty, handle)?))
            }

            fn lift_mem(cx: &mut LiftContext<'_>, ty: ValType, ptr: usize) -> anyhow::Result<Self> {
                let handle = u32::from_le_bytes(cx.load(ptr)?);
                Ok(Self::new(async_values::lift_reader(cx, ty, handle)?))
            }
        }

        impl Lower for $name {
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                dst: &mut FlatWriter<'_>,
            ) -> anyhow::Result<()> {
                let handle = async_values::lower_reader(cx, ty, self.reader)?;
                dst.push(handle.into())
            }

            fn lower_mem(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                ptr: usize,
            ) -> anyhow::Result<()> {
                let handle = async_values::lower_reader(cx, ty, self.reader)?;
                cx.store(ptr, handle.to_le_bytes())
            }
        }
    };
}

reader! {
    /// The readable end of a stream with items of any type: the name of an end that the host holds.
    ///
    /// Lowering it gives the end away; the name means nothing any more then. An end that is neither given away nor closed stays for as long
    /// as its store.
    StreamAny, Stream, "stream"
}
reader! {
    /// The readable end of a future of any type: the name of an end that the host holds.
    ///
    /// Lowering it gives the end away; the name means nothing any more then. An end that is neither given away nor closed stays for as long
    /// as its store.
    FutureAny, Future, "future"
}

impl ComponentType for ErrorContext {
    const LAYOUT: Layout = Layout::scalar(4);

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match ty {
            ValType::ErrorContext => Ok(()),
            other => Err(TypeMismatch::kind("error-context", cx, other)),
        }
    }
}

impl Lift for ErrorContext {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        _: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let handle = src.word32()?;
        async_values::lift_error_context(cx, handle)
    }

    fn lift_mem(cx: &mut LiftContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<Self> {
        let handle = u32::from_le_bytes(cx.load(ptr)?);
        async_values::lift_error_context(cx, handle)
    }
}

impl Lower for ErrorContext {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        _: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let handle = async_values::lower_error_context(cx, self)?;
        dst.push(handle.into())
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<()> {
        let handle = async_values::lower_error_context(cx, self)?;
        cx.store(ptr, handle.to_le_bytes())
    }
}
