//! Values whose type is known only at run time.

mod lift;
mod lists;
mod lower;

pub use lift::{lift_val_flat, lift_val_list, lift_val_mem};
pub use lists::{
    lift_param_vals, lift_result_val, lower_param_vals, lower_result_val, typecheck_vals,
};
pub use lower::{lower_val_flat, lower_val_list, lower_val_mem};

use super::{FutureAny, ResourceAny, StreamAny};
use crate::runtime::ErrorContext;

/// A value of any component type.
///
/// Floats compare as in Rust: a NaN is not equal to itself.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs)]
pub enum Val {
    Bool(bool),
    S8(i8),
    U8(u8),
    S16(i16),
    U16(u16),
    S32(i32),
    U32(u32),
    S64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    Char(char),
    String(String),
    /// `list<T>`, and `list<T, N>` with exactly `N` elements.
    List(Vec<Val>),
    /// `map<K, V>`: its entries in order. Keys may repeat, as they may in a guest's memory.
    Map(Vec<(Val, Val)>),
    /// Every field of the record by its label, in the type's order.
    Record(Vec<(String, Val)>),
    Tuple(Vec<Val>),
    /// The label of the case, and its payload if the case has one.
    Variant(String, Option<Box<Val>>),
    /// The label.
    Enum(String),
    Option(Option<Box<Val>>),
    Result(Result<Option<Box<Val>>, Option<Box<Val>>>),
    /// The labels that are set, in any order.
    Flags(Vec<String>),
    Resource(ResourceAny),
    /// The readable end of a stream. A copy of the value is another name of the same end.
    Stream(StreamAny),
    /// The readable end of a future, likewise.
    Future(FutureAny),
    ErrorContext(ErrorContext),
}

impl Val {
    /// The kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Val::Bool(_) => "bool",
            Val::S8(_) => "s8",
            Val::U8(_) => "u8",
            Val::S16(_) => "s16",
            Val::U16(_) => "u16",
            Val::S32(_) => "s32",
            Val::U32(_) => "u32",
            Val::S64(_) => "s64",
            Val::U64(_) => "u64",
            Val::F32(_) => "f32",
            Val::F64(_) => "f64",
            Val::Char(_) => "char",
            Val::String(_) => "string",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Record(_) => "record",
            Val::Tuple(_) => "tuple",
            Val::Variant(..) => "variant",
            Val::Enum(_) => "enum",
            Val::Option(_) => "option",
            Val::Result(_) => "result",
            Val::Flags(_) => "flags",
            Val::Resource(_) => "resource",
            Val::Stream(_) => "stream",
            Val::Future(_) => "future",
            Val::ErrorContext(_) => "error-context",
        }
    }
}
