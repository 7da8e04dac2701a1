//! The macros of Tidegate, thin over `tidegate-wit-bindgen`. Use them through the `tidegate` crate, where they are documented.
#![forbid(unsafe_code)]

mod bindgen;

use proc_macro::TokenStream;
use tidegate_wit_bindgen::derive;

/// Generates Rust from a WIT world.
#[proc_macro]
pub fn bindgen(input: TokenStream) -> TokenStream {
    or_error(bindgen::expand(input.into()))
}

/// Implements `ComponentType`: a struct or enum that stands for a record, variant or enum.
#[proc_macro_derive(ComponentType, attributes(component))]
pub fn derive_component_type(input: TokenStream) -> TokenStream {
    or_error(derive::component_type(input.into()))
}

/// Implements `Lift`: values can be received from guests.
#[proc_macro_derive(Lift, attributes(component))]
pub fn derive_lift(input: TokenStream) -> TokenStream {
    or_error(derive::lift(input.into()))
}

/// Implements `Lower`: values can be given to guests.
#[proc_macro_derive(Lower, attributes(component))]
pub fn derive_lower(input: TokenStream) -> TokenStream {
    or_error(derive::lower(input.into()))
}

/// Defines a type that stands for `flags`.
#[proc_macro]
pub fn flags(input: TokenStream) -> TokenStream {
    or_error(derive::flags(input.into()))
}

fn or_error(expanded: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expanded
        .unwrap_or_else(|error| error.into_compile_error())
        .into()
}
