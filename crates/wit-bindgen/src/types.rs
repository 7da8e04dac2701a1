//! References to WIT types in Rust, and what the types contain.

use crate::generator::{Generator, error_alias, root_path};
use anyhow::{Result, bail};
use proc_macro2::TokenStream;
use quote::quote;
use wit_parser::{Handle, Type, TypeDefKind, TypeId, TypeOwner};

/// How a value is passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Passing {
    /// By value.
    Owned,
    /// Lent for a call: strings, lists and whatever holds them by reference.
    Lent,
}

/// What a type contains, however deep.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Contents {
    /// A string, list or map: not `Copy`.
    pub(crate) list: bool,
    /// A handle, stream or future: not `Clone`.
    pub(crate) handle: bool,
    /// A type that the user supplies, of which only `Debug` is known.
    pub(crate) opaque: bool,
}

impl Contents {
    /// Whether the Rust type can be `Copy`.
    pub(crate) fn copy(self) -> bool {
        !(self.list || self.handle || self.opaque)
    }

    /// Whether the Rust type can be `Clone` and `PartialEq`.
    pub(crate) fn clone(self) -> bool {
        !(self.handle || self.opaque)
    }
}

impl Generator<'_> {
    /// The Rust type of `ty`, as seen from a module `depth` levels below the root.
    pub(crate) fn rust_type(
        &self,
        ty: &Type,
        depth: usize,
        passing: Passing,
    ) -> Result<TokenStream> {
        let krate = &self.krate;
        Ok(match ty {
            Type::Bool => quote!(bool),
            Type::U8 => quote!(u8),
            Type::U16 => quote!(u16),
            Type::U32 => quote!(u32),
            Type::U64 => quote!(u64),
            Type::S8 => quote!(i8),
            Type::S16 => quote!(i16),
            Type::S32 => quote!(i32),
            Type::S64 => quote!(i64),
            Type::F32 => quote!(f32),
            Type::F64 => quote!(f64),
            Type::Char => quote!(char),
            Type::String if passing == Passing::Lent => quote!(&str),
            Type::String => quote!(#krate::__internal::String),
            Type::ErrorContext => quote!(#krate::ErrorContext),
            Type::Id(id) => self.rust_type_id(*id, depth, passing)?,
        })
    }

    fn rust_type_id(&self, id: TypeId, depth: usize, passing: Passing) -> Result<TokenStream> {
        let ty = &self.resolve.types[id];
        if ty.name.is_some() {
            let path = self.type_path(id, depth);
            if passing == Passing::Owned || self.replaced_type(id).is_some() {
                return Ok(path);
            }
            return match &ty.kind {
                TypeDefKind::Record(_) | TypeDefKind::Variant(_)
                    if !self.contents(&Type::Id(id)).copy() =>
                {
                    Ok(quote!(&#path))
                }
                TypeDefKind::Record(_)
                | TypeDefKind::Variant(_)
                | TypeDefKind::Enum(_)
                | TypeDefKind::Flags(_)
                | TypeDefKind::Resource => Ok(path),
                TypeDefKind::Type(target) => self.rust_type(target, depth, passing),
                kind => self.rust_kind(kind, depth, passing),
            };
        }
        self.rust_kind(&ty.kind, depth, passing)
    }

    /// The Rust type of a type that has no name of its own, or whose name does not matter.
    pub(crate) fn rust_kind(
        &self,
        kind: &TypeDefKind,
        depth: usize,
        passing: Passing,
    ) -> Result<TokenStream> {
        let krate = &self.krate;
        let of = |ty: &Type| self.rust_type(ty, depth, passing);
        let owned = |ty: &Type| self.rust_type(ty, depth, Passing::Owned);
        Ok(match kind {
            TypeDefKind::List(element) => {
                let element = owned(element)?;
                match passing {
                    Passing::Owned => quote!(#krate::__internal::Vec<#element>),
                    Passing::Lent => quote!(&[#element]),
                }
            }
            TypeDefKind::FixedLengthList(element, length) => {
                let length = *length as usize;
                let rust = owned(element)?;
                match passing {
                    Passing::Lent if !self.contents(element).copy() => quote!(&[#rust; #length]),
                    _ => quote!([#rust; #length]),
                }
            }
            TypeDefKind::Map(key, value) => {
                let (key, value) = (owned(key)?, owned(value)?);
                match passing {
                    Passing::Owned => quote!(#krate::__internal::Map<#key, #value>),
                    Passing::Lent => quote!(&#krate::__internal::Map<#key, #value>),
                }
            }
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(of).collect::<Result<Vec<_>>>()?;
                quote!((#(#types,)*))
            }
            TypeDefKind::Option(some) => {
                let some = of(some)?;
                quote!(::core::option::Option<#some>)
            }
            TypeDefKind::Result(result) => {
                let ok = result.ok.as_ref().map_or(Ok(quote!(())), of)?;
                let err = result.err.as_ref().map_or(Ok(quote!(())), of)?;
                quote!(::core::result::Result<#ok, #err>)
            }
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                let resource = self.definition(*resource);
                if self.is_guest_type(resource) {
                    quote!(#krate::ResourceAny)
                } else {
                    let path = self.type_path(resource, depth);
                    quote!(#krate::Resource<#path>)
                }
            }
            TypeDefKind::Type(target) => of(target)?,
            TypeDefKind::Stream(item) => {
                let item = item.as_ref().map_or(Ok(quote!(())), owned)?;
                quote!(#krate::StreamReader<#item>)
            }
            TypeDefKind::Future(value) => {
                let value = value.as_ref().map_or(Ok(quote!(())), owned)?;
                quote!(#krate::FutureReader<#value>)
            }
            TypeDefKind::Record(_)
            | TypeDefKind::Variant(_)
            | TypeDefKind::Enum(_)
            | TypeDefKind::Flags(_)
            | TypeDefKind::Resource
            | TypeDefKind::Unknown => bail!("a type without a name where WIT requires one"),
        })
    }

    /// Follows `use` and `type` to where `id` is defined.
    pub(crate) fn definition(&self, mut id: TypeId) -> TypeId {
        while let TypeDefKind::Type(Type::Id(target)) = self.resolve.types[id].kind {
            id = target;
        }
        id
    }

    /// Whether the type belongs to an exported interface.
    pub(crate) fn is_guest_type(&self, id: TypeId) -> bool {
        match self.resolve.types[id].owner {
            TypeOwner::Interface(interface) => self.place(interface).exported,
            TypeOwner::World(_) | TypeOwner::None => false,
        }
    }

    /// What `ty` contains.
    pub(crate) fn contents(&self, ty: &Type) -> Contents {
        let mut contents = Contents::default();
        self.add_contents(ty, &mut contents);
        contents
    }

    fn add_contents(&self, ty: &Type, contents: &mut Contents) {
        let id = match ty {
            Type::String => {
                contents.list = true;
                return;
            }
            Type::ErrorContext => {
                contents.handle = true;
                return;
            }
            Type::Id(id) => *id,
            _ => return,
        };
        if self.replaced_type(id).is_some() {
            contents.opaque = true;
            return;
        }
        let mut add = |ty: &Type| self.add_contents(ty, contents);
        match &self.resolve.types[id].kind {
            TypeDefKind::Record(record) => record.fields.iter().for_each(|field| add(&field.ty)),
            TypeDefKind::Tuple(tuple) => tuple.types.iter().for_each(add),
            TypeDefKind::Variant(variant) => {
                variant
                    .cases
                    .iter()
                    .filter_map(|case| case.ty.as_ref())
                    .for_each(add);
            }
            TypeDefKind::Option(ty)
            | TypeDefKind::FixedLengthList(ty, _)
            | TypeDefKind::Type(ty) => add(ty),
            TypeDefKind::Result(result) => [&result.ok, &result.err]
                .into_iter()
                .flatten()
                .for_each(add),
            TypeDefKind::List(element) => {
                add(element);
                contents.list = true;
            }
            TypeDefKind::Map(key, value) => {
                add(key);
                add(value);
                contents.list = true;
            }
            TypeDefKind::Handle(_)
            | TypeDefKind::Resource
            | TypeDefKind::Future(_)
            | TypeDefKind::Stream(_) => contents.handle = true,
            TypeDefKind::Enum(_) | TypeDefKind::Flags(_) | TypeDefKind::Unknown => {}
        }
    }

    /// If `result` is a `result` whose error type has a trappable error type: the type of success, the entry, and where the error type is
    /// defined.
    pub(crate) fn trappable_result(&self, result: Option<&Type>) -> Option<TrappableResult> {
        let Type::Id(id) = result? else { return None };
        let TypeDefKind::Result(result) = &self.resolve.types[self.definition(*id)].kind else {
            return None;
        };
        let Some(Type::Id(error)) = result.err else {
            return None;
        };
        let error = self.definition(error);
        let entry = self.trappable_error(error)?;
        Some(TrappableResult {
            ok: result.ok,
            error,
            entry,
        })
    }
}

/// A `result` whose error has a Rust type of the embedder's.
pub(crate) struct TrappableResult {
    /// The type of success.
    pub(crate) ok: Option<Type>,
    /// The WIT error type, where it is defined.
    pub(crate) error: TypeId,
    /// The entry of `trappable_error_type`.
    entry: usize,
}

impl TrappableResult {
    /// The path of the Rust error type from a module `depth` levels below the root.
    pub(crate) fn rust_error(&self, depth: usize) -> TokenStream {
        let (root, alias) = (root_path(depth), error_alias(self.entry));
        quote!(#root #alias)
    }
}
