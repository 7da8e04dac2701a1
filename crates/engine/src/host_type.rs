//! The types of host functions.

use std::sync::{Arc, OnceLock};

use crate::{error::EngineError, signature::Signature, types::FuncType};

/// The type of a host function, in the form that an engine wants it in.
///
/// An engine keeps a register of types, in which a new one takes longer to find than the rest of making a function. Whoever makes the same function in
/// many isolates keeps this, and uses it with one engine only.
#[derive(Clone, Debug)]
pub struct HostType(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    ty: FuncType,
    signature: Signature,
    /// Found when it is first used there.
    wasmtime: OnceLock<::wasmtime::FuncType>,
}

impl From<FuncType> for HostType {
    fn from(ty: FuncType) -> Self {
        Self(Arc::new(Inner {
            signature: Signature::of(&ty),
            ty,
            wasmtime: OnceLock::new(),
        }))
    }
}

impl HostType {
    pub(crate) fn ty(&self) -> &FuncType {
        &self.0.ty
    }

    /// How such a function is called with words.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] if it cannot be.
    pub(crate) fn signature(&self) -> Result<Signature, EngineError> {
        let signature = self.0.signature;
        if !signature.callable {
            return Err(EngineError::Unsupported(format!(
                "a host function cannot have references, vectors, or more than {} parameters or results",
                Signature::MAX
            )));
        }
        Ok(signature)
    }

    /// The form for wasmtime, made by `convert` the first time.
    pub(crate) fn wasmtime(
        &self,
        convert: impl FnOnce(&FuncType) -> Result<::wasmtime::FuncType, EngineError>,
    ) -> Result<::wasmtime::FuncType, EngineError> {
        if let Some(ty) = self.0.wasmtime.get() {
            return Ok(ty.clone());
        }
        let ty = convert(&self.0.ty)?;
        Ok(self.0.wasmtime.get_or_init(|| ty).clone())
    }
}
