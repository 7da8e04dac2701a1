//! Definitions of WIT types in Rust.

use crate::docs::docs;
use crate::generator::{Generator, root_path, with_alias};
use crate::names;
use crate::types::{Contents, Passing};
use anyhow::{Result, bail};
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use std::collections::HashSet;
use wit_parser::{Enum, Flags, Record, Type, TypeDefKind, TypeId, Variant, WorldItem};

impl Generator<'_> {
    /// Defines the named type `id` in a module `depth` levels below the root.
    pub(crate) fn define(&self, id: TypeId, depth: usize) -> Result<TokenStream> {
        let krate = &self.krate;
        let ty = &self.resolve.types[id];
        let name = names::type_name(ty.name.as_deref().unwrap_or_default());
        let docs = docs(&ty.docs);
        if let Some(with) = self.replaced_type(id) {
            let (root, alias) = (root_path(depth), with_alias(with));
            return Ok(quote! {
                #docs
                pub type #name = #root #alias;
            });
        }
        // At the root there is no module to carry this.
        let allow = (depth == 0).then(|| quote!(#[allow(missing_docs, rustdoc::all, clippy::all)]));
        let definition = match &ty.kind {
            TypeDefKind::Record(record) => self.record(id, &name, record, depth)?,
            TypeDefKind::Variant(variant) => self.variant(id, &name, variant, depth)?,
            TypeDefKind::Enum(enum_) => self.enumeration(id, &name, enum_),
            TypeDefKind::Flags(flags) => {
                return Ok(self.flags_type(&name, flags, &quote!(#docs #allow)));
            }
            TypeDefKind::Resource if self.is_guest_type(id) => {
                quote!(pub type #name = #krate::ResourceAny;)
            }
            TypeDefKind::Resource => quote! {
                #[derive(::core::fmt::Debug)]
                pub enum #name {}
            },
            TypeDefKind::Type(target) => {
                let target = self.rust_type(target, depth, Passing::Owned)?;
                quote!(pub type #name = #target;)
            }
            TypeDefKind::Unknown => bail!("type `{name}` is not resolved"),
            kind => {
                let target = self.rust_kind(kind, depth, Passing::Owned)?;
                quote!(pub type #name = #target;)
            }
        };
        Ok(quote!(#docs #allow #definition))
    }

    fn record(
        &self,
        id: TypeId,
        name: &Ident,
        record: &Record,
        depth: usize,
    ) -> Result<TokenStream> {
        let mut fields = TokenStream::new();
        for field in &record.fields {
            let (docs, label) = (docs(&field.docs), &field.name);
            let (field_name, ty) = (
                names::snake(label),
                self.rust_type(&field.ty, depth, Passing::Owned)?,
            );
            fields.extend(quote! {
                #docs
                #[component(name = #label)]
                pub #field_name: #ty,
            });
        }
        let attributes = self.attributes(id, quote!(record), self.contents(&Type::Id(id)));
        let error = self.debug_error(id, name);
        Ok(quote! {
            #attributes
            pub struct #name { #fields }
            #error
        })
    }

    fn variant(
        &self,
        id: TypeId,
        name: &Ident,
        variant: &Variant,
        depth: usize,
    ) -> Result<TokenStream> {
        let mut cases = TokenStream::new();
        for case in &variant.cases {
            let (docs, label, case_name) = (docs(&case.docs), &case.name, names::camel(&case.name));
            let payload = match &case.ty {
                Some(ty) => {
                    let ty = self.rust_type(ty, depth, Passing::Owned)?;
                    quote!((#ty))
                }
                None => TokenStream::new(),
            };
            cases.extend(quote! {
                #docs
                #[component(name = #label)]
                #case_name #payload,
            });
        }
        let attributes = self.attributes(id, quote!(variant), self.contents(&Type::Id(id)));
        let error = self.debug_error(id, name);
        Ok(quote! {
            #attributes
            pub enum #name { #cases }
            #error
        })
    }

    fn enumeration(&self, id: TypeId, name: &Ident, enum_: &Enum) -> TokenStream {
        let mut cases = TokenStream::new();
        let (mut names_of, mut messages) = (TokenStream::new(), TokenStream::new());
        for case in &enum_.cases {
            let (docs, label, case_name) = (docs(&case.docs), &case.name, names::camel(&case.name));
            cases.extend(quote! {
                #docs
                #[component(name = #label)]
                #case_name,
            });
            let message = case.docs.contents.as_deref().unwrap_or_default().trim();
            names_of.extend(quote!(Self::#case_name => #label,));
            messages.extend(quote!(Self::#case_name => #message,));
        }
        let attributes = self.attributes(id, quote!(enum), Contents::default());
        let error = self.is_error(id).then(|| {
            quote! {
                impl #name {
                    /// The name of the case in WIT.
                    pub fn name(&self) -> &'static str {
                        match *self { #names_of }
                    }
                    /// What WIT says about the case.
                    pub fn message(&self) -> &'static str {
                        match *self { #messages }
                    }
                }
                impl ::core::fmt::Display for #name {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        f.write_str(self.name())
                    }
                }
                impl ::core::error::Error for #name {}
            }
        });
        quote! {
            #attributes
            pub enum #name { #cases }
            #error
        }
    }

    fn flags_type(&self, name: &Ident, flags: &Flags, attributes: &TokenStream) -> TokenStream {
        let krate = &self.krate;
        let constants = flags.flags.iter().map(|flag| {
            let (docs, label, constant) = (docs(&flag.docs), &flag.name, names::shouty(&flag.name));
            quote! {
                #docs
                #[component(name = #label)]
                const #constant;
            }
        });
        quote! {
            #krate::flags! {
                #attributes
                #[component(crate = #krate)]
                pub #name { #(#constants)* }
            }
        }
    }

    /// The derives of a record, variant or enum.
    fn attributes(&self, id: TypeId, kind: TokenStream, contents: Contents) -> TokenStream {
        let krate = &self.krate;
        let mut derives = vec![
            quote!(#krate::ComponentType),
            quote!(#krate::Lift),
            quote!(#krate::Lower),
            quote!(::core::fmt::Debug),
        ];
        if contents.clone() {
            derives.push(quote!(::core::clone::Clone));
            derives.push(quote!(::core::cmp::PartialEq));
        }
        if contents.copy() {
            derives.push(quote!(::core::marker::Copy));
        }
        if matches!(self.resolve.types[id].kind, TypeDefKind::Enum(_)) {
            derives.push(quote!(::core::cmp::Eq));
            derives.push(quote!(::core::hash::Hash));
        }
        let mut seen: HashSet<String> = derives.iter().map(last_segment).collect();
        for derive in &self.options.additional_derives {
            if seen.insert(last_segment(derive)) {
                derives.push(quote!(#derive));
            }
        }
        quote! {
            #[derive(#(#derives),*)]
            #[component(#kind, crate = #krate)]
        }
    }

    /// `Display` and `Error` for a type that some function fails with.
    fn debug_error(&self, id: TypeId, name: &Ident) -> Option<TokenStream> {
        self.is_error(id).then(|| {
            quote! {
                impl ::core::fmt::Display for #name {
                    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                        ::core::fmt::Debug::fmt(self, f)
                    }
                }
                impl ::core::error::Error for #name {}
            }
        })
    }

    /// Whether some function of the world fails with this type.
    fn is_error(&self, id: TypeId) -> bool {
        self.errors.contains(&id)
    }

    /// The types that functions of the world fail with, where they are defined.
    pub(crate) fn find_errors(&self) -> HashSet<TypeId> {
        let world = self.world();
        let mut errors = HashSet::new();
        for item in world.imports.values().chain(world.exports.values()) {
            let functions: Box<dyn Iterator<Item = _>> = match item {
                WorldItem::Interface { id, .. } => {
                    Box::new(self.resolve.interfaces[*id].functions.values())
                }
                WorldItem::Function(function) => Box::new(std::iter::once(function)),
                WorldItem::Type { .. } => continue,
            };
            for function in functions {
                if let Some(Type::Id(id)) = function.result
                    && let TypeDefKind::Result(result) =
                        &self.resolve.types[self.definition(id)].kind
                    && let Some(Type::Id(error)) = result.err
                {
                    errors.insert(self.definition(error));
                }
            }
        }
        errors
    }
}

/// The last name of a path: `Hash` of `core::hash::Hash`.
fn last_segment(path: &impl ToTokens) -> String {
    let text = path.to_token_stream().to_string();
    text.rsplit(':')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}
