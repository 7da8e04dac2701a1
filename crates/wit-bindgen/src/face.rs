//! How host traits are put into a linker by the embedder: three functions, by what implements the traits.

use crate::generator::Generator;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// A host trait.
#[derive(Clone, Debug)]
pub(crate) struct HostTrait {
    /// Where it is.
    pub(crate) path: TokenStream,
    /// Whether it has a type parameter: the name of what implements it, as seen in a store.
    pub(crate) named: bool,
}

impl HostTrait {
    /// The trait as implemented by what `name` stands for.
    pub(crate) fn of(&self, name: &TokenStream) -> TokenStream {
        let path = &self.path;
        match self.named {
            true => quote!(#path<#name>),
            false => quote!(#path),
        }
    }
}

/// The three public ways to put host traits into a linker. `name` is the first one's, `link` makes the call given an expression for the
/// getter.
pub(crate) fn add_to_linker(
    generator: &Generator<'_>,
    name: &str,
    traits: &[HostTrait],
    link: impl Fn(TokenStream) -> TokenStream,
) -> TokenStream {
    let krate = &generator.krate;
    let (of_whole, of_part, of_view) = (
        format_ident!("{name}"),
        format_ident!("{name}_with"),
        format_ident!("{name}_get"),
    );
    // The traits take a mutable reference to what implements them for granted.
    let bounds: Vec<_> = traits.iter().map(|host| &host.path).collect();
    let view_bounds = traits.iter().map(|host| host.of(&quote!(D)));
    let view_bound = (!traits.is_empty()).then(|| quote!(for<'a> D::Data<'a>: #(#view_bounds +)*,));
    let whole = link(quote!(#krate::__internal::Whole));
    let part = link(quote!(#krate::__internal::Part::new(get)));
    let view = link(quote!(#krate::__internal::View::<D, _>::new(get)));
    quote! {
        /// Puts the host's functions into the linker; the store's data implements the traits itself.
        ///
        /// # Errors
        /// When the linker already has one of them.
        pub fn #of_whole<T>(linker: &mut #krate::Linker<T>) -> #krate::Result<()>
        where
            T: #(#bounds +)* ::core::marker::Send + 'static,
        {
            #whole
        }

        /// Puts the host's functions into the linker; a part of the store's data, which `get` borrows, implements the traits.
        ///
        /// # Errors
        /// When the linker already has one of them.
        pub fn #of_part<T, U>(
            linker: &mut #krate::Linker<T>,
            get: impl ::core::ops::Fn(&mut T) -> &mut U
                + ::core::clone::Clone + ::core::marker::Send + ::core::marker::Sync + 'static,
        ) -> #krate::Result<()>
        where
            T: ::core::marker::Send + 'static,
            U: #(#bounds +)* 'static,
        {
            #part
        }

        /// Puts the host's functions into the linker; what `get` makes of the store's data, a view named by `D`, implements the traits.
        ///
        /// # Errors
        /// When the linker already has one of them.
        pub fn #of_view<T, D>(
            linker: &mut #krate::Linker<T>,
            get: impl ::core::ops::Fn(&mut T) -> D::Data<'_>
                + ::core::clone::Clone + ::core::marker::Send + ::core::marker::Sync + 'static,
        ) -> #krate::Result<()>
        where
            T: ::core::marker::Send + 'static,
            D: #krate::HasData + 'static,
            #view_bound
        {
            #view
        }
    }
}
