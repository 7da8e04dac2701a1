//! The derives for types written by hand, and `flags!`.
//!
//! A `struct` with named fields is a `record`, an `enum` a `variant`, or an `enum` if no case has a payload; `#[component(record)]`,
//! `#[component(variant)]`, `#[component(enum)]` say so explicitly. Labels are the Rust names in kebab-case, or
//! `#[component(name = "…")]`.

mod flags;
mod record;
mod shape;
mod variant;

pub use flags::flags;

use proc_macro2::TokenStream;
use quote::quote;
use shape::{Input, Shape};

/// Which trait to implement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trait {
    ComponentType,
    Lift,
    Lower,
}

/// `#[derive(ComponentType)]`.
///
/// # Errors
/// For a type that is no component type, with the place.
pub fn component_type(input: TokenStream) -> syn::Result<TokenStream> {
    derive(input, Trait::ComponentType)
}

/// `#[derive(Lift)]`.
///
/// # Errors
/// As [`component_type`].
pub fn lift(input: TokenStream) -> syn::Result<TokenStream> {
    derive(input, Trait::Lift)
}

/// `#[derive(Lower)]`.
///
/// # Errors
/// As [`component_type`].
pub fn lower(input: TokenStream) -> syn::Result<TokenStream> {
    derive(input, Trait::Lower)
}

fn derive(input: TokenStream, which: Trait) -> syn::Result<TokenStream> {
    let input = Input::parse(syn::parse2(input)?)?;
    let body = match &input.shape {
        Shape::Record(fields) => record::body(&input, fields, which),
        Shape::Variant(cases) => variant::body(&input, cases, which),
        Shape::Enum(cases) => variant::enum_body(&input, cases, which),
    };
    Ok(implementation(&input, which, body))
}

/// The `impl` around the body.
fn implementation(input: &Input, which: Trait, body: TokenStream) -> TokenStream {
    let abi = input.abi();
    let name = &input.name;
    let bound = match which {
        Trait::ComponentType => quote!(#abi::ComponentType),
        Trait::Lift => quote!(#abi::Lift),
        Trait::Lower => quote!(#abi::Lower),
    };
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(syn::parse_quote!(#bound));
    }
    let (generics, arguments, conditions) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        #[allow(clippy::all, clippy::pedantic)]
        impl #generics #bound for #name #arguments #conditions {
            #body
        }
    }
}

/// The heads of the methods, the same for every shape.
struct Heads {
    typecheck: TokenStream,
    lift_flat: TokenStream,
    lift_mem: TokenStream,
    lift_plain: TokenStream,
    lower_flat: TokenStream,
    lower_mem: TokenStream,
    lower_plain: TokenStream,
}

impl Heads {
    fn new(input: &Input) -> Self {
        let (krate, abi) = (&input.krate, input.abi());
        let ty = quote!(#krate::__internal::ValType);
        let result = quote!(#krate::Result);
        Self {
            typecheck: quote! {
                fn typecheck(ty: #ty, cx: &#abi::TypeContext<'_>) -> ::core::result::Result<(), #abi::TypeMismatch>
            },
            lift_flat: quote! {
                #[inline]
                fn lift_flat(cx: &mut #abi::LiftContext<'_>, ty: #ty, src: &mut #abi::FlatReader<'_>) -> #result<Self>
            },
            lift_mem: quote! {
                #[inline]
                fn lift_mem(cx: &mut #abi::LiftContext<'_>, ty: #ty, ptr: usize) -> #result<Self>
            },
            lift_plain: quote! {
                #[inline]
                fn lift_plain(bytes: &[u8], at: usize) -> #result<Self>
            },
            lower_flat: quote! {
                #[inline]
                fn lower_flat(&self, cx: &mut #abi::LowerContext<'_>, ty: #ty, dst: &mut #abi::FlatWriter<'_>) -> #result<()>
            },
            lower_mem: quote! {
                #[inline]
                fn lower_mem(&self, cx: &mut #abi::LowerContext<'_>, ty: #ty, ptr: usize) -> #result<()>
            },
            lower_plain: quote! {
                #[inline]
                fn lower_plain(&self, bytes: &mut [u8], at: usize) -> #result<()>
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(input: &str) -> String {
        let error = component_type(input.parse().unwrap()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn labels_are_kebab_case_unless_given() {
        let tokens = component_type(
            "struct Entry { file_name: String, #[component(name = \"SIZE-of\")] r#type: u32 }"
                .parse()
                .unwrap(),
        )
        .unwrap()
        .to_string();
        assert!(tokens.contains("\"file-name\""), "{tokens}");
        assert!(tokens.contains("\"SIZE-of\""), "{tokens}");
    }

    #[test]
    fn the_shape_follows_from_the_payloads() {
        let kind = |input: &str| {
            let tokens = component_type(input.parse().unwrap()).unwrap().to_string();
            ["typecheck_record", "typecheck_variant", "typecheck_enum"]
                .into_iter()
                .find(|kind| tokens.contains(kind))
        };
        assert_eq!(kind("struct A { b: u8 }"), Some("typecheck_record"));
        assert_eq!(kind("enum A { B, C(u8) }"), Some("typecheck_variant"));
        assert_eq!(kind("enum A { B, C }"), Some("typecheck_enum"));
        assert_eq!(
            kind("#[component(variant)] enum A { B, C }"),
            Some("typecheck_variant")
        );
    }

    #[test]
    fn what_is_no_component_type_is_refused() {
        assert!(message("struct A(u8);").contains("named fields"));
        assert!(message("struct A {}").contains("at least one"));
        assert!(message("enum A {}").contains("at least one"));
        assert!(message("union A { b: u8 }").contains("union"));
        assert!(message("enum A { B(u8, u8) }").contains("one unnamed"));
        assert!(message("#[component(enum)] enum A { B(u8) }").contains("payload"));
        assert!(message("#[component(record)] enum A { B }").contains("struct"));
        assert!(message("#[component(recrod)] struct A { b: u8 }").contains("`recrod`"));
        assert!(message("struct A { #[component(nam = \"x\")] b: u8 }").contains("`nam`"));
    }

    #[test]
    fn everything_derived_is_rust() {
        for input in [
            "struct A<T> { b: T, c: Vec<T> }",
            "enum A<T> { B(T), C }",
            "enum A { B, C, D }",
        ] {
            for derive in [component_type, lift, lower] {
                let tokens = derive(input.parse().unwrap()).unwrap();
                syn::parse2::<syn::ItemImpl>(tokens).unwrap();
            }
        }
    }
}
