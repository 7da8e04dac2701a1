//! Parameter and result lists: flat values as long as they fit, memory when they do not.
//!
//! See [Lifting and Lowering Values] of the Canonical ABI: `lift_flat_values` and `lower_flat_values`.
//!
//! [Lifting and Lowering Values]: https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#lifting-and-lowering-values

use super::layout::Fields;
use super::memory::GuestRange;
use super::{
    ComponentType, FlatReader, FlatWriter, Layout, Lift, LiftContext, Lower, LowerContext,
    TypeContext, TypeMismatch,
};
use crate::types::{FuncType, FuncTypeIdx, Types, ValType};

/// A tuple of Rust types that stands for a function's parameters, by position.
pub trait ParamList {
    /// The layout of the parameters as a tuple.
    const LAYOUT: Layout;

    /// Checks number and types.
    ///
    /// # Errors
    /// Where they differ.
    fn typecheck_params(func: &FuncType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch>;
}

/// Parameters that can be lifted out of a caller.
pub trait LiftParams: ParamList + Sized {
    /// Lifts the parameters of a call. `max_flat` is [`MAX_FLAT_PARAMS`](super::MAX_FLAT_PARAMS) or, for an async-lowered function,
    /// [`MAX_FLAT_ASYNC_PARAMS`](super::MAX_FLAT_ASYNC_PARAMS). What `src` then goes on with is the pointer for results, if there is one.
    ///
    /// # Errors
    /// The guest's traps.
    fn lift_params(
        cx: &mut LiftContext<'_>,
        func: FuncTypeIdx,
        max_flat: usize,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self>;
}

/// Parameters that can be lowered into a callee.
pub trait LowerParams: ParamList {
    /// Lowers the parameters of a call. What does not fit [`MAX_FLAT_PARAMS`](super::MAX_FLAT_PARAMS) goes to a block allocated by `realloc`.
    ///
    /// # Errors
    /// The guest's traps, and errors of its `realloc`.
    fn lower_params(
        &self,
        cx: &mut LowerContext<'_>,
        func: FuncTypeIdx,
        max_flat: usize,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()>;
}

/// A Rust type that stands for a function's result: `()` for none, `(T,)` for one.
pub trait ResultList {
    /// The layout of the result as a tuple.
    const LAYOUT: Layout;

    /// Checks that the function has such a result.
    ///
    /// # Errors
    /// Where they differ.
    fn typecheck_result(func: &FuncType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch>;
}

/// A result that can be lifted out of a callee.
pub trait LiftResult: ResultList + Sized {
    /// Lifts the result of a call. `max_flat` is [`MAX_FLAT_RESULTS`](super::MAX_FLAT_RESULTS), or
    /// [`MAX_FLAT_PARAMS`](super::MAX_FLAT_PARAMS) for what was given to `task.return`.
    ///
    /// # Errors
    /// The guest's traps.
    fn lift_result(
        cx: &mut LiftContext<'_>,
        func: FuncTypeIdx,
        max_flat: usize,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self>;
}

/// A result that can be lowered into a caller.
pub trait LowerResult: ResultList {
    /// Lowers the result of a call. `max_flat` is [`MAX_FLAT_RESULTS`](super::MAX_FLAT_RESULTS) or, for an async-lowered function,
    /// [`MAX_FLAT_ASYNC_RESULTS`](super::MAX_FLAT_ASYNC_RESULTS). What does not fit goes where the next word of `out` points: the one that follows the parameters.
    ///
    /// # Errors
    /// The guest's traps, and errors of its `realloc`.
    fn lower_result(
        &self,
        cx: &mut LowerContext<'_>,
        func: FuncTypeIdx,
        max_flat: usize,
        out: &mut FlatReader<'_>,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()>;
}

/// Where values that do not fit flat are to be lifted from.
pub(super) fn spilled_source(
    cx: &LiftContext<'_>,
    layout: Layout,
    src: &mut FlatReader<'_>,
) -> anyhow::Result<usize> {
    let pointer = src.address(cx.memory64)?;
    let (size, align) = (layout.size(cx.memory64), layout.align(cx.memory64));
    Ok(GuestRange::check(cx.memory, pointer, size as u64, align, "tuple")?.start())
}

/// Where values that do not fit flat are to be lowered to: a block allocated now, whose address is pushed to `dst`.
pub(super) fn spilled_params(
    cx: &mut LowerContext<'_>,
    layout: Layout,
    dst: &mut FlatWriter<'_>,
) -> anyhow::Result<usize> {
    let (size, align) = (layout.size(cx.memory64), layout.align(cx.memory64));
    let start = cx.allocate(align, size as u64, "tuple")?.start();
    dst.push(start as u64)?;
    Ok(start)
}

/// Where a result that does not fit flat is to be lowered to: the caller's own choice.
pub(super) fn spilled_result(
    cx: &mut LowerContext<'_>,
    layout: Layout,
    out: &mut FlatReader<'_>,
) -> anyhow::Result<usize> {
    let pointer = out.address(cx.memory64)?;
    let (size, align) = (layout.size(cx.memory64), layout.align(cx.memory64));
    Ok(GuestRange::check(cx.memory(), pointer, size as u64, align, "tuple")?.start())
}

impl ResultList for () {
    const LAYOUT: Layout = Layout::EMPTY;

    fn typecheck_result(func: &FuncType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match func.result {
            None => Ok(()),
            Some(found) => Err(TypeMismatch::kind("no result", cx, found)),
        }
    }
}

impl LiftResult for () {
    #[inline]
    fn lift_result(
        _: &mut LiftContext<'_>,
        _: FuncTypeIdx,
        _: usize,
        _: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        Ok(())
    }
}

impl LowerResult for () {
    #[inline]
    fn lower_result(
        &self,
        _: &mut LowerContext<'_>,
        _: FuncTypeIdx,
        _: usize,
        _: &mut FlatReader<'_>,
        _: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        Ok(())
    }
}

impl<T: ComponentType> ResultList for (T,) {
    const LAYOUT: Layout = Layout::record(&[T::LAYOUT]);

    fn typecheck_result(func: &FuncType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
        match func.result {
            Some(ty) => T::typecheck(ty, cx).map_err(|mismatch| mismatch.within("result")),
            None => Err(TypeMismatch::new("a result", "none")),
        }
    }
}

impl<T: Lift> LiftResult for (T,) {
    #[inline]
    fn lift_result(
        cx: &mut LiftContext<'_>,
        func: FuncTypeIdx,
        max_flat: usize,
        src: &mut FlatReader<'_>,
    ) -> anyhow::Result<Self> {
        let ty = result(cx.types, func);
        if T::LAYOUT.flat as usize > max_flat {
            let ptr = spilled_source(cx, T::LAYOUT, src)?;
            Ok((T::lift_mem(cx, ty, ptr)?,))
        } else {
            Ok((T::lift_flat(cx, ty, src)?,))
        }
    }
}

impl<T: Lower> LowerResult for (T,) {
    #[inline]
    fn lower_result(
        &self,
        cx: &mut LowerContext<'_>,
        func: FuncTypeIdx,
        max_flat: usize,
        out: &mut FlatReader<'_>,
        dst: &mut FlatWriter<'_>,
    ) -> anyhow::Result<()> {
        let ty = result(cx.types, func);
        if T::LAYOUT.flat as usize > max_flat {
            let ptr = spilled_result(cx, T::LAYOUT, out)?;
            self.0.lower_mem(cx, ty, ptr)
        } else {
            self.0.lower_flat(cx, ty, dst)
        }
    }
}

macro_rules! params {
    ($($name:ident $index:tt),*) => {
        impl<$($name: ComponentType),*> ParamList for ($($name,)*) {
            const LAYOUT: Layout = Layout::record(&[$($name::LAYOUT),*]);

            fn typecheck_params(func: &FuncType, cx: &TypeContext<'_>) -> Result<(), TypeMismatch> {
                const COUNT: usize = 0 $(+ { let _ = $index; 1 })*;
                if func.params.len() != COUNT {
                    return Err(TypeMismatch::new(
                        format!("{COUNT} parameters"),
                        format!("{} parameters", func.params.len()),
                    ));
                }
                $(
                    let param = &func.params[$index];
                    $name::typecheck(param.ty, cx)
                        .map_err(|mismatch| mismatch.within(format!("parameter `{}`", param.name)))?;
                )*
                let _ = cx;
                Ok(())
            }
        }

        impl<$($name: Lift),*> LiftParams for ($($name,)*) {
            #[inline]
            #[allow(unused)]
            fn lift_params(
                cx: &mut LiftContext<'_>,
                func: FuncTypeIdx,
                max_flat: usize,
                src: &mut FlatReader<'_>,
            ) -> anyhow::Result<Self> {
                let types = cx.types;
                if <Self as ParamList>::LAYOUT.flat as usize > max_flat {
                    let ptr = spilled_source(cx, <Self as ParamList>::LAYOUT, src)?;
                    let mut fields = Fields::new(ptr, cx.memory64);
                    Ok(($($name::lift_mem(cx, param(types, func, $index), fields.next($name::LAYOUT))?,)*))
                } else {
                    Ok(($($name::lift_flat(cx, param(types, func, $index), src)?,)*))
                }
            }
        }

        impl<$($name: Lower),*> LowerParams for ($($name,)*) {
            #[inline]
            #[allow(unused)]
            fn lower_params(
                &self,
                cx: &mut LowerContext<'_>,
                func: FuncTypeIdx,
                max_flat: usize,
                dst: &mut FlatWriter<'_>,
            ) -> anyhow::Result<()> {
                let types = cx.types;
                if <Self as ParamList>::LAYOUT.flat as usize > max_flat {
                    let ptr = spilled_params(cx, <Self as ParamList>::LAYOUT, dst)?;
                    let mut fields = Fields::new(ptr, cx.memory64);
                    $(self.$index.lower_mem(cx, param(types, func, $index), fields.next($name::LAYOUT))?;)*
                } else {
                    $(self.$index.lower_flat(cx, param(types, func, $index), dst)?;)*
                }
                Ok(())
            }
        }
    };
}

super::for_each_tuple!(params);
params!();

/// The type of a parameter. After the typecheck there is one; types without parts do not look at it, so that the optimiser drops the look-up.
#[inline]
fn param(types: &Types, func: FuncTypeIdx, index: usize) -> ValType {
    let param = types.funcs().get(func.index());
    let param = param.and_then(|func| func.params.get(index));
    param.map_or(ValType::Bool, |param| param.ty)
}

/// The type of the result, likewise.
#[inline]
fn result(types: &Types, func: FuncTypeIdx) -> ValType {
    let result = types.funcs().get(func.index()).and_then(|func| func.result);
    result.unwrap_or(ValType::Bool)
}
