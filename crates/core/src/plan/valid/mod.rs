//! Validation: by wasmparser, with two checks of our own before it.

mod nesting;
mod static_check;

pub(super) use nesting::check as check_nesting;
pub(super) use static_check::check as check_types;

use super::PlanError;
use wasmparser::{FuncValidatorAllocations, Parser, ValidPayload, Validator, WasmFeatures};

/// The WebAssembly features that a component and its core modules may use.
///
/// All of the pinned specification's component features but values, garbage-collected representations and nested names, which
/// it gates as future syntax. The engine has the last word on core features.
pub(super) fn features() -> WasmFeatures {
    WasmFeatures::default()
        | WasmFeatures::CM_ASYNC
        | WasmFeatures::CM_ASYNC_STACKFUL
        | WasmFeatures::CM_MORE_ASYNC_BUILTINS
        | WasmFeatures::CM_THREADING
        | WasmFeatures::CM_ERROR_CONTEXT
        | WasmFeatures::CM_FIXED_LENGTH_LISTS
        | WasmFeatures::CM_MAP
        | WasmFeatures::CM64
        | WasmFeatures::CM_IMPLEMENTS
        | WasmFeatures::CM_CANON_NAMES
}

/// Whether the bodies of core functions are validated too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bodies {
    Validate,
    Skip,
}

/// Validates a component with everything in it.
pub(super) fn validate(bytes: &[u8], bodies: Bodies) -> Result<(), PlanError> {
    let mut validator = Validator::new_with_features(features());
    let mut parser = Parser::new(0);
    parser.set_features(features());
    let mut allocations = FuncValidatorAllocations::default();
    for payload in parser.parse_all(bytes) {
        let payload = validator.payload(&payload?)?;
        if let (ValidPayload::Func(func, body), Bodies::Validate) = (payload, bodies) {
            let mut func = func.into_validator(allocations);
            func.validate(&body)?;
            allocations = func.into_allocations();
        }
    }
    Ok(())
}
