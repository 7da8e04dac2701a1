//! Values whose type is known only at run time.

use super::ResourceAny;

/// A value of any component type.
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
    Stream(AsyncAny),
    Future(AsyncAny),
    ErrorContext(AsyncAny),
}

/// The readable end of a stream or future, or an error context: a handle in [`HOST`](crate::runtime::HOST)'s table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsyncAny {
    handle: u32,
}

impl AsyncAny {
    /// What a handle in [`HOST`](crate::runtime::HOST)'s table stands for.
    pub const fn new(handle: u32) -> Self {
        Self { handle }
    }

    /// The handle.
    pub const fn handle(&self) -> u32 {
        self.handle
    }
}
