//! What a derive is applied to.

use heck::ToKebabCase;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Fields, LitStr, Token, Type};

/// The type that is derived for.
pub(super) struct Input {
    pub(super) name: Ident,
    pub(super) generics: syn::Generics,
    pub(super) shape: Shape,
    /// The path of the `tidegate` crate.
    pub(super) krate: TokenStream,
}

/// What it stands for.
pub(super) enum Shape {
    Record(Vec<Field>),
    Variant(Vec<Case>),
    Enum(Vec<Case>),
}

/// A field of a record.
pub(super) struct Field {
    pub(super) ident: Ident,
    pub(super) label: String,
    pub(super) ty: Type,
}

/// A case of a variant or enum.
pub(super) struct Case {
    pub(super) ident: Ident,
    pub(super) label: String,
    pub(super) payload: Option<Type>,
}

/// What `#[component(…)]` says.
#[derive(Default)]
pub(super) struct Options {
    kind: Option<Ident>,
    pub(super) label: Option<LitStr>,
    krate: Option<syn::Path>,
}

impl Input {
    pub(super) fn parse(input: DeriveInput) -> syn::Result<Self> {
        let options = Options::of_type(&input.attrs)?;
        let kind = options.kind.as_ref().map(|kind| kind.unraw().to_string());
        let error = |message: &str| Err(syn::Error::new(input.ident.span(), message));
        let shape = match (input.data, kind.as_deref()) {
            (Data::Struct(data), None | Some("record")) => Shape::Record(fields(data.fields)?),
            (Data::Struct(_), _) => return error("a struct stands for a `record`"),
            (Data::Enum(_), Some("record")) => return error("a `record` is a struct in Rust"),
            (Data::Enum(data), kind) => {
                let cases = data
                    .variants
                    .into_iter()
                    .map(case)
                    .collect::<syn::Result<Vec<_>>>()?;
                let plain = cases.iter().all(|case| case.payload.is_none());
                match kind {
                    Some("enum") if !plain => {
                        return error("a case of an `enum` has no payload: this is a `variant`");
                    }
                    Some("variant") => Shape::Variant(cases),
                    _ if plain => Shape::Enum(cases),
                    _ => Shape::Variant(cases),
                }
            }
            (Data::Union(_), _) => return error("a union stands for no component type"),
        };
        let parts = match &shape {
            Shape::Record(fields) => fields.len(),
            Shape::Variant(cases) | Shape::Enum(cases) => cases.len(),
        };
        if parts == 0 {
            return error("a component type has at least one field or case");
        }
        Ok(Self {
            name: input.ident,
            generics: input.generics,
            shape,
            krate: options.krate(),
        })
    }

    /// The path of the module that the traits are in.
    pub(super) fn abi(&self) -> TokenStream {
        let krate = &self.krate;
        quote!(#krate::__internal::abi)
    }
}

fn fields(fields: Fields) -> syn::Result<Vec<Field>> {
    let Fields::Named(fields) = fields else {
        return Err(syn::Error::new(
            fields.span(),
            "a `record` has named fields",
        ));
    };
    let mut parsed = Vec::new();
    for field in fields.named {
        let options = Options::of_part(&field.attrs)?;
        // A named field has a name.
        if let Some(ident) = field.ident {
            parsed.push(Field {
                label: options.label_of(&ident),
                ident,
                ty: field.ty,
            });
        }
    }
    Ok(parsed)
}

fn case(variant: syn::Variant) -> syn::Result<Case> {
    let options = Options::of_part(&variant.attrs)?;
    let payload = match variant.fields {
        Fields::Unit => None,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            fields.unnamed.into_iter().next().map(|field| field.ty)
        }
        other => {
            return Err(syn::Error::new(
                other.span(),
                "a case has no payload, or one unnamed field",
            ));
        }
    };
    Ok(Case {
        label: options.label_of(&variant.ident),
        ident: variant.ident,
        payload,
    })
}

impl Options {
    /// Of a type: its kind, and where the `tidegate` crate is.
    pub(super) fn of_type(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self::default();
        options.parse(attributes, |options, key, input| {
            match key.unraw().to_string().as_str() {
                "record" | "variant" | "enum" => options.kind = Some(key),
                "crate" => {
                    input.parse::<Token![=]>()?;
                    options.krate = Some(input.parse()?);
                }
                other => {
                    return Err(syn::Error::new(
                        key.span(),
                        format!("unknown option `{other}`; there are `record`, `variant`, `enum` and `crate = path`"),
                    ));
                }
            }
            Ok(())
        })?;
        Ok(options)
    }

    /// Of a field, case or flag: its label.
    pub(super) fn of_part(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut options = Self::default();
        options.parse(attributes, |options, key, input| {
            if key != "name" {
                return Err(syn::Error::new(
                    key.span(),
                    format!("unknown option `{key}`; there is `name = \"label\"`"),
                ));
            }
            input.parse::<Token![=]>()?;
            options.label = Some(input.parse()?);
            Ok(())
        })?;
        Ok(options)
    }

    fn parse(
        &mut self,
        attributes: &[Attribute],
        mut entry: impl FnMut(&mut Self, Ident, syn::parse::ParseStream<'_>) -> syn::Result<()>,
    ) -> syn::Result<()> {
        for attribute in attributes {
            if attribute.path().is_ident("component") {
                attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
                    while !input.is_empty() {
                        let key = input.call(Ident::parse_any)?;
                        entry(self, key, input)?;
                        if !input.is_empty() {
                            input.parse::<Token![,]>()?;
                        }
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// The path of the `tidegate` crate.
    pub(super) fn krate(&self) -> TokenStream {
        match &self.krate {
            Some(path) => quote!(#path),
            None => quote!(::tidegate),
        }
    }

    /// The label given, or the name in kebab-case.
    pub(super) fn label_of(&self, ident: &Ident) -> String {
        match &self.label {
            Some(label) => label.value(),
            None => ident.unraw().to_string().to_kebab_case(),
        }
    }
}
