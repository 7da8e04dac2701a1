//! The types of the component model, interned per component.
//!
//! A [`Types`] arena belongs to one [`Plan`](crate::plan::Plan); a [`ValType`] is a small copyable index into it. Structurally equal types
//! get equal indices, so two value types of one plan are equal exactly when their indices are.

/// A component-level value type.
///
/// Composite types are indices into [`Types`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs)]
pub enum ValType {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    ErrorContext,
    /// `list<T>`
    List(TypeIdx),
    /// `list<T, N>`
    FixedList(TypeIdx),
    /// `map<K, V>`
    Map(TypeIdx),
    Record(TypeIdx),
    Tuple(TypeIdx),
    Variant(TypeIdx),
    Enum(TypeIdx),
    Option(TypeIdx),
    Result(TypeIdx),
    Flags(TypeIdx),
    Own(ResourceIdx),
    Borrow(ResourceIdx),
    Stream(TypeIdx),
    Future(TypeIdx),
}

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// The position in the arena.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// A composite type: an index into [`Types::defs`].
    TypeIdx
}
index! {
    /// A function type: an index into [`Types::funcs`].
    FuncTypeIdx
}
index! {
    /// A resource type of a plan: an index into [`Plan::resources`](crate::plan::Plan::resources).
    ///
    /// What it stands for at run time differs between instantiations; see [`ResourceType`](crate::runtime::ResourceType).
    ResourceIdx
}

/// The definition of a composite type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs)]
pub enum TypeDef {
    List(ValType),
    FixedList {
        element: ValType,
        length: u32,
    },
    Map {
        key: ValType,
        value: ValType,
    },
    Record(Box<[Field]>),
    Tuple(Box<[ValType]>),
    Variant(Box<[Case]>),
    Enum(Box<[Box<str>]>),
    Option(ValType),
    Result {
        ok: Option<ValType>,
        err: Option<ValType>,
    },
    Flags(Box<[Box<str>]>),
    /// `stream<T>`, `stream` without an element type if `None`.
    Stream(Option<ValType>),
    /// `future<T>`, likewise.
    Future(Option<ValType>),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// Its label.
    pub name: Box<str>,
    /// Its type.
    pub ty: ValType,
}

/// A case of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    /// Its label.
    pub name: Box<str>,
    /// The type of its payload, if it has one.
    pub ty: Option<ValType>,
}

/// A component function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FuncType {
    /// Parameters with their names, in order.
    pub params: Box<[Field]>,
    /// The result, if there is one.
    pub result: Option<ValType>,
    /// Whether the type is `async`: its callee may block before it returns.
    pub async_: bool,
}

/// The types of a component.
#[derive(Debug, Default)]
pub struct Types {
    /// Composite types.
    pub defs: Vec<TypeDef>,
    /// Function types.
    pub funcs: Vec<FuncType>,
}
