//! The Canonical ABI's values: lifting them out of guests and lowering them into guests, over plain byte slices.
//!
//! [`Lift`] and [`Lower`] do it for Rust types, [`Val`] for values whose type is known only at run time. [`ParamList`] and [`ResultList`] are
//! what a whole call passes.

/// Calls a macro for tuples of one to seventeen elements, with a name and an index for each.
macro_rules! for_each_tuple {
    ($macro:ident) => {
        $macro!(A 0);
        $macro!(A 0, B 1);
        $macro!(A 0, B 1, C 2);
        $macro!(A 0, B 1, C 2, D 3);
        $macro!(A 0, B 1, C 2, D 3, E 4);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15);
        $macro!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16);
    };
}
use for_each_tuple;

mod async_values;
mod context;
mod error;
mod flat;
pub mod fuse;
mod guest_bytes;
mod items;
pub mod layout;
mod list;
mod map;
pub mod memory;
mod params;
pub mod parts;
mod readers;
mod resource;
mod scalar;
mod strings;
mod traits;
mod transfer;
mod tuple;
mod val;
pub mod variant;

pub use crate::types::{
    MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
};
pub use context::{
    DEFAULT_LIFTED_BYTES, LiftBudget, LiftContext, LowerContext, LowerTarget, ResourceKind,
    TypeContext,
};
pub use error::TypeMismatch;
pub use flat::{FlatReader, FlatWriter};
pub use guest_bytes::GuestBytes;
pub use items::{Item, LiftItem, LowerItem};
pub use layout::{Layout, VariantLayout};
pub use list::MAX_LIST_BYTE_LENGTH;
pub use params::{LiftParams, LiftResult, LowerParams, LowerResult, ParamList, ResultList};
pub use readers::{FutureAny, StreamAny};
pub use resource::{Resource, ResourceAny};
pub use scalar::{
    CANONICAL_NAN32, CANONICAL_NAN64, canonicalize_nan32, canonicalize_nan64, convert_u32_to_char,
};
pub use strings::{MAX_STRING_BYTE_LENGTH, validate_utf8};
pub use traits::{ComponentType, Lift, Lower};
pub use transfer::{
    Program, Side, Transfer, TransferContext, TransferError, transfer_items, transfer_params,
    transfer_result,
};
pub use val::{
    Val, lift_param_vals, lift_result_val, lift_val_flat, lift_val_list, lift_val_mem,
    lower_param_vals, lower_result_val, lower_val_flat, lower_val_list, lower_val_mem,
    typecheck_vals,
};
