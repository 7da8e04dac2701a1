//! Rust's string types.

use super::store::{Conversion, StringPort, store_string};
use super::{GuestString, Simple};
use crate::abi::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    LowerTarget, TypeContext, TypeMismatch, memory,
};
use crate::plan::StringEncoding;
use crate::types::ValType;
use std::borrow::Cow;
use std::sync::Arc;

/// Lifts a string from its address and tagged length.
pub(in crate::abi) fn lift_string(
    cx: &mut LiftContext<'_>,
    pointer: u64,
    tagged_code_units: u64,
) -> anyhow::Result<String> {
    let string = GuestString::locate(
        cx.memory,
        cx.memory64,
        cx.encoding,
        pointer,
        tagged_code_units,
    )?;
    // As UTF-8 it takes at most twice the bytes: a Latin-1 character two for one, a UTF-16 code unit three for two.
    let worst = if string.simple == Simple::Utf8 { 1 } else { 2 };
    cx.budget.take(string.range.length(), worst)?;
    string.decode(cx.memory)
}

/// A host string on its way into a guest.
struct HostString<'a> {
    text: &'a str,
    target: &'a mut dyn LowerTarget,
}

impl StringPort for HostString<'_> {
    fn read(&mut self, offset: usize, into: &mut [u8]) -> anyhow::Result<()> {
        into.copy_from_slice(memory::bytes(self.text.as_bytes(), offset, into.len())?);
        Ok(())
    }

    fn copy(&mut self, dst: usize) -> anyhow::Result<()> {
        let memory = self.target.parts().0;
        memory::bytes_mut(memory, dst, self.text.len())?.copy_from_slice(self.text.as_bytes());
        Ok(())
    }

    fn target(&mut self) -> &mut [u8] {
        self.target.parts().0
    }

    fn realloc(
        &mut self,
        old: u64,
        old_size: u64,
        align: u32,
        new_size: u64,
    ) -> anyhow::Result<u64> {
        self.target.realloc(old, old_size, align, new_size)
    }
}

/// Lowers a string, and gives its address and tagged length.
pub(in crate::abi) fn lower_string(
    cx: &mut LowerContext<'_>,
    text: &str,
) -> anyhow::Result<(u64, u64)> {
    let conversion = Conversion {
        from: StringEncoding::Utf8,
        simple: Simple::Utf8,
        length: text.len(),
        to: cx.encoding,
        memory64: cx.memory64,
    };
    let mut port = HostString {
        text,
        target: &mut *cx.target,
    };
    store_string(&mut port, conversion)
}

impl ComponentType for str {
    const LAYOUT: Layout = Layout::PAIR;

    fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match ty {
            ValType::String => Ok(()),
            other => Err(TypeMismatch::kind("string", cx, other)),
        }
    }
}

impl Lower for str {
    fn lower_flat(
        &self,
        cx: &mut LowerContext<'_>,
        _: ValType,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let (pointer, tagged_code_units) = lower_string(cx, self)?;
        dst.push(pointer)?;
        dst.push(tagged_code_units)
    }

    fn lower_mem(&self, cx: &mut LowerContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<()> {
        let (pointer, tagged_code_units) = lower_string(cx, self)?;
        cx.store_address(ptr, pointer)?;
        cx.store_address(ptr + cx.pointer_size(), tagged_code_units)
    }
}

impl Lift for String {
    fn lift_flat(
        cx: &mut LiftContext<'_>,
        _: ValType,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let pointer = src.address(cx.memory64)?;
        let tagged_code_units = src.address(cx.memory64)?;
        lift_string(cx, pointer, tagged_code_units)
    }

    fn lift_mem(cx: &mut LiftContext<'_>, _: ValType, ptr: usize) -> anyhow::Result<Self> {
        let pointer = cx.load_address(ptr)?;
        let tagged_code_units = cx.load_address(ptr + cx.pointer_size())?;
        lift_string(cx, pointer, tagged_code_units)
    }
}

macro_rules! owned {
    ($($rust:ty)*) => {$(
        impl ComponentType for $rust {
            const LAYOUT: Layout = Layout::PAIR;

            fn typecheck(ty: ValType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                str::typecheck(ty, cx)
            }
        }

        impl Lower for $rust {
            fn lower_flat(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                dst: &mut FlatWriter<'_>,
            ) -> anyhow::Result<()> {
                str::lower_flat(self, cx, ty, dst)
            }

            fn lower_mem(
                &self,
                cx: &mut LowerContext<'_>,
                ty: ValType,
                ptr: usize,
            ) -> anyhow::Result<()> {
                str::lower_mem(self, cx, ty, ptr)
            }
        }
    )*};
}

owned! { String Cow<'_, str> }

macro_rules! from_string {
    ($($rust:ty)*) => {$(
        impl Lift for $rust {
            fn lift_flat(
                cx: &mut LiftContext<'_>,
                ty: ValType,
                src: &mut FlatReader<'_>,
            ) -> anyhow::Result<Self> {
                Ok(String::lift_flat(cx, ty, src)?.into())
            }

            fn lift_mem(
                cx: &mut LiftContext<'_>,
                ty: ValType,
                ptr: usize,
            ) -> anyhow::Result<Self> {
                Ok(String::lift_mem(cx, ty, ptr)?.into())
            }
        }
    )*};
}

from_string! { Box<str> Arc<str> Cow<'_, str> }
