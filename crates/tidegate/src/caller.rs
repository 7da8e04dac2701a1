//! From where exported functions are called.

use crate::{Accessor, AsContextMut, HasData, Result, TypedFunc};
use std::future::Future;
use tidegate_core::abi::{LiftResult, LowerParams};

/// From where an exported function can be called that may run beside others: a store (`&mut store`), which the call then has for itself, or,
/// inside [`Store::run_concurrent`](crate::Store::run_concurrent) and host functions, an [`Accessor`].
///
/// What `bindgen!` generates for exports that WIT calls `async` takes either.
pub trait Caller: Send {
    /// Calls `func`.
    ///
    /// The future may be dropped: from a store as said for [`TypedFunc::call_async`], from an accessor as for
    /// [`TypedFunc::call_concurrent`].
    ///
    /// # Errors
    /// As those.
    fn call<P, R>(
        self,
        func: &TypedFunc<P, R>,
        params: P,
    ) -> impl Future<Output = Result<R>> + Send
    where
        P: LowerParams + Send + Sync + 'static,
        R: LiftResult + Send + 'static;
}

impl<S: AsContextMut + Send> Caller for S {
    fn call<P, R>(self, func: &TypedFunc<P, R>, params: P) -> impl Future<Output = Result<R>> + Send
    where
        P: LowerParams + Send + Sync + 'static,
        R: LiftResult + Send + 'static,
    {
        func.call_async(self, params)
    }
}

impl<T: Send + 'static, D: HasData> Caller for &Accessor<T, D> {
    fn call<P, R>(self, func: &TypedFunc<P, R>, params: P) -> impl Future<Output = Result<R>> + Send
    where
        P: LowerParams + Send + Sync + 'static,
        R: LiftResult + Send + 'static,
    {
        func.call_concurrent(self, params)
    }
}
