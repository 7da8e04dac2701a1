//! The code that puts what host traits declare into a linker.

use crate::generator::Generator;
use crate::import::{Conversion, HostFunction, Imports};
use crate::names;
use crate::options::Mode;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Type, TypeId};

impl Imports<'_> {
    /// The hidden function behind every `add_to_linker…`.
    pub(crate) fn link(&self, generator: &Generator<'_>, wiring: &TokenStream) -> TokenStream {
        let krate = &generator.krate;
        let host = self.host_trait().of(&quote!(G::Name));
        let (name, instance) = match self.interface {
            Some(id) => {
                let name = &generator.place(id).name;
                (format_ident!("__link"), quote!(linker.instance(#name)?))
            }
            None => (
                format_ident!("__link_{}", names::snake(&generator.world().name)),
                quote!(linker.root()),
            ),
        };
        quote! {
            #[doc(hidden)]
            pub fn #name<T, G>(linker: &mut #krate::Linker<T>, getter: G) -> #krate::Result<()>
            where
                T: ::core::marker::Send + 'static,
                G: #krate::__internal::HostGetter<T>,
                for<'a> <G::Name as #krate::HasData>::Data<'a>: #host,
            {
                let mut instance = #instance;
                let _ = (&mut instance, &getter);
                #wiring
                ::core::result::Result::Ok(())
            }
        }
    }

    /// Puts one function into the linker.
    pub(crate) fn wire(
        &self,
        generator: &Generator<'_>,
        function: &HostFunction<'_>,
        trait_name: &Ident,
    ) -> TokenStream {
        let krate = &generator.krate;
        let host = self.named(trait_name).of(&quote!(G::Name));
        let (method, wit_name) = (&function.method, &function.function.name);
        let arguments: Vec<_> = (0..function.param_types.len())
            .map(|i| format_ident!("arg{i}"))
            .collect();
        let types = &function.param_types;
        let parameters = quote!((#(#arguments,)*): (#(#types,)*));
        let (traced_call, traced_return) = self.trace(generator, function, &arguments);
        let trap = (function.flags.trappable && function.convert.is_none()).then(|| quote!(?));
        let results = match function.function.result {
            Some(_) => quote!(::core::result::Result::Ok((result,))),
            None => quote!(::core::result::Result::Ok(result)),
        };
        let convert = |converted| convert(&function.convert, converted);
        let data = quote!(<G::Name as #krate::HasData>::Data<'static>);
        let borrow = quote!(#krate::__internal::HostGetter::get(&getter, store.data_mut()));
        let body = |await_: Option<TokenStream>| {
            let convert = convert(quote!(&mut host));
            quote! {
                let mut host = #borrow;
                #traced_call
                let result = <_ as #host>::#method(&mut host, #(#arguments),*) #await_ #trap;
                #convert
                #traced_return
                #results
            }
        };
        let store = quote!(mut store: #krate::StoreContextMut<'_, T>);
        match function.mode {
            Mode::Sync => {
                let body = body(None);
                quote! {
                    instance.func_wrap(#wit_name, {
                        let getter = ::core::clone::Clone::clone(&getter);
                        move |#store, #parameters| { #body }
                    })?;
                }
            }
            Mode::Async => {
                let body = body(Some(quote!(.await)));
                quote! {
                    instance.func_wrap_async(#wit_name, {
                        let getter = ::core::clone::Clone::clone(&getter);
                        move |#store, #parameters| {
                            let getter = ::core::clone::Clone::clone(&getter);
                            #krate::__internal::Box::new(async move { #body })
                        }
                    })?;
                }
            }
            Mode::Store => {
                let convert = convert(quote!(&mut #borrow));
                quote! {
                    instance.func_wrap(#wit_name, {
                        let getter = ::core::clone::Clone::clone(&getter);
                        let named = #krate::__internal::HostGetter::named(&getter);
                        move |#store, #parameters| {
                            #traced_call
                            let access = #krate::Access::new(
                                #krate::AsContextMut::as_context_mut(&mut store),
                                ::core::clone::Clone::clone(&named),
                            );
                            let result = <#data as #host>::#method(access, #(#arguments),*) #trap;
                            #convert
                            #traced_return
                            #results
                        }
                    })?;
                }
            }
            Mode::Concurrent => {
                let convert = function.convert.as_ref().map(|Conversion { host, method }| {
                    let host = host.of(&quote!(G::Name));
                    quote! {
                        let result = match result {
                            ::core::result::Result::Ok(value) => ::core::result::Result::Ok(value),
                            ::core::result::Result::Err(error) => ::core::result::Result::Err(
                                accessor.with(|mut access| <_ as #host>::#method(&mut access.get(), error))??
                            ),
                        };
                    }
                });
                quote! {
                    instance.func_wrap_concurrent(#wit_name, {
                        let named = #krate::__internal::HostGetter::named(&getter);
                        move |accessor: &#krate::Accessor<T>, #parameters| {
                            let accessor = accessor.with_getter::<G::Name>(::core::clone::Clone::clone(&named));
                            #krate::__internal::Box::pin(async move {
                                #traced_call
                                let result = <#data as #host>::#method(&accessor, #(#arguments),*).await #trap;
                                #convert
                                #traced_return
                                #results
                            })
                        }
                    })?;
                }
            }
        }
    }

    /// Statements that trace a call and its return.
    fn trace(
        &self,
        generator: &Generator<'_>,
        function: &HostFunction<'_>,
        arguments: &[Ident],
    ) -> (TokenStream, TokenStream) {
        if !function.flags.tracing {
            return (TokenStream::new(), TokenStream::new());
        }
        let krate = &generator.krate;
        let interface = match self.interface {
            Some(id) => generator.place(id).name.as_str(),
            None => "",
        };
        let name = &function.function.name;
        let shown = |ty: &Type| function.flags.verbose_tracing || !generator.contents(ty).list;
        let values = function
            .function
            .params
            .iter()
            .zip(arguments)
            .map(|(param, argument)| {
                let label = &param.name;
                if shown(&param.ty) {
                    quote!((#label, &#argument))
                } else {
                    quote!((#label, &::core::format_args!("…")))
                }
            });
        let result = match &function.function.result {
            Some(ty) if shown(ty) => quote!(&result),
            Some(_) => quote!(&::core::format_args!("…")),
            None => quote!(&::core::format_args!("()")),
        };
        (
            quote!(#krate::__internal::trace_call(#interface, #name, &[#(#values),*]);),
            quote!(#krate::__internal::trace_return(#interface, #name, #result);),
        )
    }

    /// Puts a resource with its destructor into the linker.
    pub(crate) fn wire_drop(
        &self,
        generator: &Generator<'_>,
        resource: TypeId,
        trait_name: &Ident,
    ) -> TokenStream {
        let krate = &generator.krate;
        let name = generator.resolve.types[resource]
            .name
            .as_deref()
            .unwrap_or_default();
        let path = generator.type_path(resource, self.depth);
        let ty = quote!(#krate::ResourceType::host::<#path>());
        let host_trait = self.named(trait_name).of(&quote!(G::Name));
        let dropped = quote! {
            let mut host = #krate::__internal::HostGetter::get(&getter, store.data_mut());
            <_ as #host_trait>::drop(&mut host, #krate::Resource::new_own(rep))
        };
        let closure = quote!(move |mut store: #krate::StoreContextMut<'_, T>, rep: u32|);
        if self.drop_mode(generator, resource) == Mode::Async {
            quote! {
                instance.resource_async(#name, #ty, {
                    let getter = ::core::clone::Clone::clone(&getter);
                    #closure {
                        let getter = ::core::clone::Clone::clone(&getter);
                        #krate::__internal::Box::new(async move { #dropped.await })
                    }
                })?;
            }
        } else {
            quote! {
                instance.resource(#name, #ty, {
                    let getter = ::core::clone::Clone::clone(&getter);
                    #closure { #dropped }
                })?;
            }
        }
    }
}

/// Statements that turn a Rust error into WIT's, given an expression for the host.
fn convert(conversion: &Option<Conversion>, with: TokenStream) -> Option<TokenStream> {
    conversion.as_ref().map(|Conversion { host, method }| {
        let host = host.of(&quote!(G::Name));
        quote! {
            let result = match result {
                ::core::result::Result::Ok(value) => ::core::result::Result::Ok(value),
                ::core::result::Result::Err(error) => {
                    ::core::result::Result::Err(<_ as #host>::#method(#with, error)?)
                }
            };
        }
    })
}
