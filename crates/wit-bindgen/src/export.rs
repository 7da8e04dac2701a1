//! What the guest implements: handles on an exported interface's functions, and their calls.

use crate::docs::docs;
use crate::generator::{Direction, Generator};
use crate::import::method_name;
use crate::names;
use crate::options::Mode;
use crate::types::Passing;
use anyhow::Result;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, FunctionKind, InterfaceId, TypeId};

/// An exported function, ready to be written down.
pub(crate) struct GuestFunction<'a> {
    function: &'a Function,
    /// The field that holds it, in the indices and in the loaded functions.
    pub(crate) field: Ident,
    /// The method that calls it.
    method: Ident,
    mode: Mode,
    params: Vec<Ident>,
    param_types: Vec<TokenStream>,
    result: Option<TokenStream>,
}

impl<'a> GuestFunction<'a> {
    /// `siblings` are all functions that are exported beside it.
    pub(crate) fn new(
        generator: &Generator<'_>,
        interface: Option<InterfaceId>,
        function: &'a Function,
        siblings: &[&Function],
        depth: usize,
    ) -> Result<Self> {
        let mode = generator
            .flags(Direction::Export, interface, &function.name)
            .mode(function.kind.is_async());
        // What is called concurrently may start after its call returned, when the borrows are over.
        let passing = match mode {
            Mode::Concurrent => Passing::Owned,
            _ => Passing::Lent,
        };
        let (params, param_types) = generator.params(function, depth, passing)?;
        let result = (function.result.as_ref())
            .map(|result| generator.rust_type(result, depth, Passing::Owned))
            .transpose()?;
        // Named after everything that tells it apart: the bare name may belong to a method and to a function.
        let field = format_ident!(
            "f_{}",
            function
                .name
                .to_lowercase()
                .replace(|c: char| !c.is_ascii_alphanumeric(), "_")
        );
        let method = match function.kind {
            FunctionKind::Constructor(_) => format_ident!("call_constructor"),
            _ => {
                let name = method_name(function, siblings).to_string();
                format_ident!("call_{}", name.trim_end_matches('_'))
            }
        };
        Ok(Self {
            function,
            field,
            method,
            mode,
            params,
            param_types,
            result,
        })
    }

    /// The name in the component.
    pub(crate) fn wit_name(&self) -> &str {
        &self.function.name
    }

    /// The type of the typed function.
    pub(crate) fn signature(&self) -> TokenStream {
        let params = &self.param_types;
        let result = match &self.result {
            Some(result) => quote!((#result,)),
            None => quote!(()),
        };
        quote!((#(#params,)*), #result)
    }

    /// The method that calls it; `funcs` is where its field is found.
    pub(crate) fn call(&self, generator: &Generator<'_>, funcs: &TokenStream) -> TokenStream {
        let krate = &generator.krate;
        let Self {
            field,
            method,
            params,
            param_types,
            ..
        } = self;
        let docs = docs(&self.function.docs);
        let (result_type, result) = match &self.result {
            Some(result) => (quote!(#result), quote!((result,))),
            None => (quote!(()), quote!(result)),
        };
        let signature = self.signature();
        let returned = quote!(::core::result::Result::Ok(result));
        let errors = quote! {
            #[doc = ""]
            #[doc = " # Errors"]
            #[doc = " When the guest traps."]
        };
        let func = quote!(#krate::__internal::typed_func::<#signature>(&#funcs.#field));
        let args = quote!((#(#params,)*));
        match self.mode {
            Mode::Sync | Mode::Store => quote! {
                #docs
                #errors
                pub fn #method<S: #krate::AsContextMut>(&self, mut store: S, #(#params: #param_types),*) -> #krate::Result<#result_type> {
                    let #result = #func.call(store.as_context_mut(), #args)?;
                    #returned
                }
            },
            Mode::Async => quote! {
                #docs
                #errors
                pub async fn #method<S: #krate::AsContextMut>(&self, mut store: S, #(#params: #param_types),*) -> #krate::Result<#result_type> {
                    let #result = #func.call_async(store.as_context_mut(), #args).await?;
                    #returned
                }
            },
            Mode::Concurrent => quote! {
                #docs
                #errors
                pub async fn #method<C: #krate::Caller>(&self, caller: C, #(#params: #param_types),*) -> #krate::Result<#result_type> {
                    let #result = #krate::Caller::call(caller, &#func, #args).await?;
                    #returned
                }
            },
        }
    }
}

/// The functions of an exported interface: `Guest`, `GuestIndices`, and a `Guest…` for each resource.
pub(crate) fn interface(
    generator: &Generator<'_>,
    id: InterfaceId,
    resources: &[TypeId],
    depth: usize,
) -> Result<TokenStream> {
    let krate = &generator.krate;
    let interface_name = &generator.place(id).name;
    let all: Vec<&Function> = generator.resolve.interfaces[id]
        .functions
        .values()
        .collect();
    let functions = (all.iter())
        .map(|function| GuestFunction::new(generator, Some(id), function, &all, depth))
        .collect::<Result<Vec<_>>>()?;

    let fields: Vec<_> = functions.iter().map(|function| &function.field).collect();
    let lookups = functions.iter().map(|function| {
        let (field, name) = (&function.field, function.wit_name());
        quote!(#field: #krate::__internal::export_index(component, ::core::option::Option::Some(&instance), #name)?)
    });
    let loads = functions.iter().map(|function| {
        let (field, signature) = (&function.field, function.signature());
        let context = format!("{interface_name}#{}", function.wit_name());
        quote! {
            #field: #krate::__internal::load_func::<#signature>(&mut store, instance, &self.#field, #context)?
        }
    });
    let plain = (functions.iter())
        .filter(|function| function.function.kind.resource().is_none())
        .map(|function| function.call(generator, &quote!(self)));

    let mut accessors = TokenStream::new();
    let mut resource_types = TokenStream::new();
    for &resource in resources {
        let name = generator.resolve.types[resource]
            .name
            .as_deref()
            .unwrap_or_default();
        let (accessor, guest) = (
            names::snake(name),
            format_ident!("Guest{}", names::type_name(name)),
        );
        let doc = format!(" The functions of the resource `{name}`.");
        accessors.extend(quote! {
            #[doc = #doc]
            pub fn #accessor(&self) -> #guest<'_> {
                #guest { guest: self }
            }
        });
        let methods = (functions.iter())
            .filter(|function| function.function.kind.resource() == Some(resource))
            .map(|function| function.call(generator, &quote!(self.guest)));
        resource_types.extend(quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
            pub struct #guest<'a> {
                guest: &'a Guest,
            }
            impl #guest<'_> {
                #(#methods)*
            }
        });
    }

    let doc = format!(" The functions of `{interface_name}` in an instance that exports it.");
    let index_doc = format!(" Where a component exports the functions of `{interface_name}`.");
    Ok(quote! {
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        pub struct Guest {
            #(#fields: #krate::Func,)*
        }

        #[doc = #index_doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        pub struct GuestIndices {
            #(#fields: #krate::ExportIndex,)*
        }

        impl GuestIndices {
            /// Looks the functions up.
            ///
            /// # Errors
            /// When one is not there.
            pub fn new(component: &#krate::Component) -> #krate::Result<Self> {
                let instance = #krate::__internal::export_index(component, ::core::option::Option::None, #interface_name)?;
                let _ = &instance;
                ::core::result::Result::Ok(Self { #(#lookups,)* })
            }

            /// Takes the functions from an instance of the component.
            ///
            /// # Errors
            /// When a function has another type than in WIT.
            pub fn load(
                &self,
                mut store: impl #krate::AsContextMut,
                instance: &#krate::Instance,
            ) -> #krate::Result<Guest> {
                let _ = (&mut store, instance);
                ::core::result::Result::Ok(Guest { #(#loads,)* })
            }
        }

        impl Guest {
            #accessors
            #(#plain)*
        }

        #resource_types
    })
}
