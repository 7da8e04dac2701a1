//! The types of the component model, interned per component.
//!
//! A [`Types`] arena belongs to one [`Plan`](crate::plan::Plan); a [`ValType`] is a small copyable index into it. Structurally equal types
//! get equal indices, so two value types of one plan are equal exactly when their indices are.
//!
//! What the Canonical ABI derives from a type is computed once, when the type is interned: its [`Layout`] in 32-bit and 64-bit memories, its
//! flat core types ([`flat`]), and what it [contains](Types::contains_borrow).

mod display;
pub mod flat;
mod intern;
mod layout;
mod stored;
#[cfg(test)]
mod tests;

pub use display::{DisplayFunc, DisplayType};
pub use flat::{
    FlatType, MAX_FLAT_ASYNC_PARAMS, MAX_FLAT_ASYNC_RESULTS, MAX_FLAT_PARAMS, MAX_FLAT_RESULTS,
};
pub use intern::{FuncInfo, MAX_FLAGS, MAX_TYPE_DEPTH, MAX_TYPES, MAX_VALUE_SIZE, TypeError};
pub use layout::{Layout, VariantLayout};

use intern::TypeInfo;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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

impl ValType {
    /// Whether this is one of the integer and floating-point types.
    pub fn is_number(self) -> bool {
        use ValType::*;
        matches!(
            self,
            S8 | U8 | S16 | U16 | S32 | U32 | S64 | U64 | F32 | F64
        )
    }

    /// The composite type's index, if it is one.
    pub fn type_idx(self) -> Option<TypeIdx> {
        use ValType::*;
        match self {
            List(ty) | FixedList(ty) | Map(ty) | Record(ty) | Tuple(ty) | Variant(ty)
            | Enum(ty) | Option(ty) | Result(ty) | Flags(ty) | Stream(ty) | Future(ty) => Some(ty),
            _ => None,
        }
    }
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
    /// A composite type: an index into a [`Types`].
    TypeIdx
}
index! {
    /// A function type: an index into a [`Types`].
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
#[derive(Clone, Debug, Default)]
pub struct Types {
    defs: Vec<TypeDef>,
    infos: Vec<TypeInfo>,
    funcs: Vec<FuncType>,
    func_infos: Vec<FuncInfo>,
    /// Empty after the types were read: see [`stored`](crate::stored).
    def_index: HashMap<TypeDef, TypeIdx>,
    func_index: HashMap<FuncType, FuncTypeIdx>,
    resource_names: Vec<Option<Arc<str>>>,
    identity: Identity,
}

/// Tells collections of types apart, and each from its copies: they may grow differently.
#[derive(Debug)]
struct Identity(u64);

impl Default for Identity {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Types {
    /// A number that no other collection of types in this process has: together with the number of a type, it names the type.
    pub(crate) fn identity(&self) -> u64 {
        self.identity.0
    }

    /// A composite type's definition.
    pub fn def(&self, ty: TypeIdx) -> &TypeDef {
        &self.defs[ty.index()]
    }

    /// A function type.
    pub fn func(&self, ty: FuncTypeIdx) -> &FuncType {
        &self.funcs[ty.index()]
    }

    /// What the Canonical ABI derives from a function type.
    pub fn func_info(&self, ty: FuncTypeIdx) -> &FuncInfo {
        &self.func_infos[ty.index()]
    }

    /// All composite types, in order of their indices. A type's parts come before it.
    pub fn defs(&self) -> &[TypeDef] {
        &self.defs
    }

    /// All function types, in order of their indices.
    pub fn funcs(&self) -> &[FuncType] {
        &self.funcs
    }

    /// The name under which a resource type is imported or exported, for messages.
    pub fn resource_name(&self, resource: ResourceIdx) -> Option<&str> {
        self.resource_names.get(resource.index())?.as_deref()
    }

    /// Gives a resource type a name for messages, unless it has one.
    pub fn name_resource(&mut self, resource: ResourceIdx, name: &str) {
        let index = resource.index();
        if self.resource_names.len() <= index {
            self.resource_names.resize(index + 1, None);
        }
        self.resource_names[index].get_or_insert_with(|| name.into());
    }

    /// Whether a type contains `borrow`: the specification's `contains_borrow`.
    pub fn contains_borrow(&self, ty: ValType) -> bool {
        self.traits(ty).borrow
    }

    /// Whether a type contains `own` or `borrow`.
    pub fn contains_resource(&self, ty: ValType) -> bool {
        let traits = self.traits(ty);
        traits.borrow || traits.own
    }

    /// Whether a type contains `stream` or `future`: the specification's `contains_async_value`.
    pub fn contains_stream_or_future(&self, ty: ValType) -> bool {
        self.traits(ty).stream_or_future
    }

    /// Whether a type contains strings, lists of variable length or maps, which live outside the value itself.
    pub fn contains_pointer(&self, ty: ValType) -> bool {
        self.traits(ty).pointer
    }

    /// Whether every pattern of the type's bytes is a value, without padding: a number, or a fixed-length list of such.
    ///
    /// Values of such a type are copied between memories byte by byte.
    pub fn is_plain_numeric(&self, ty: ValType) -> bool {
        self.traits(ty).plain_numeric
    }

    /// An entry of a `map<K, V>` as it lies in memory: `tuple<K, V>`. Gives `None` for every other type.
    pub fn map_entry(&self, map: TypeIdx) -> Option<ValType> {
        self.infos[map.index()].entry
    }

    /// How many cases a variant, enum, option or result has; 0 for every other type.
    pub fn case_count(&self, ty: TypeIdx) -> usize {
        match self.def(ty) {
            TypeDef::Variant(cases) => cases.len(),
            TypeDef::Enum(labels) => labels.len(),
            TypeDef::Option(_) | TypeDef::Result { .. } => 2,
            _ => 0,
        }
    }

    /// The payload of a case of a variant, enum, option or result, after despecialization. The outer `None`: there is no such case.
    pub fn case_payload(&self, ty: TypeIdx, case: usize) -> Option<Option<ValType>> {
        match (self.def(ty), case) {
            (TypeDef::Variant(cases), _) => cases.get(case).map(|case| case.ty),
            (TypeDef::Enum(labels), _) => labels.get(case).map(|_| None),
            (TypeDef::Option(_), 0) => Some(None),
            (TypeDef::Option(ty), 1) => Some(Some(*ty)),
            (TypeDef::Result { ok, .. }, 0) => Some(*ok),
            (TypeDef::Result { err, .. }, 1) => Some(*err),
            _ => None,
        }
    }
}
