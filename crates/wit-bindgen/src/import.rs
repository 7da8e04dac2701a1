//! What the host implements: traits for imported functions, and putting them into a linker.

use crate::docs::docs;
use crate::generator::{Direction, Generator};
use crate::names;
use crate::options::FunctionFlags;
use crate::types::Passing;
use anyhow::{Result, bail};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, FunctionKind, InterfaceId, Type, TypeDefKind, TypeId, TypeOwner};

/// What a set of imported functions and resources becomes: an interface's, or those of the world itself.
pub(crate) struct Imports<'a> {
    /// The interface; `None` for the world itself.
    pub(crate) interface: Option<InterfaceId>,
    /// The name of the trait: `Host`, or `WorldImports`.
    pub(crate) trait_name: Ident,
    /// How deep the module is.
    pub(crate) depth: usize,
    /// The functions, those of resources included.
    pub(crate) functions: Vec<&'a Function>,
    /// The resources defined here.
    pub(crate) resources: Vec<TypeId>,
    /// All types defined here.
    pub(crate) types: Vec<TypeId>,
}

/// A host function, ready to be written down.
struct HostFunction<'a> {
    function: &'a Function,
    flags: FunctionFlags,
    method: Ident,
    params: Vec<Ident>,
    param_types: Vec<TokenStream>,
    /// What the trait's method returns, or its future gives.
    output: TokenStream,
    /// The type whose value the method may fail with instead of trapping, with the trait that converts it.
    convert: Option<Conversion>,
}

/// How a Rust error becomes a WIT error.
struct Conversion {
    /// The trait with the converting method.
    host: TokenStream,
    /// That method.
    method: Ident,
}

impl Imports<'_> {
    /// The traits, their implementations for `&mut U`, and the function that puts them into a linker.
    pub(crate) fn generate(&self, generator: &Generator<'_>) -> Result<TokenStream> {
        let mut items = TokenStream::new();
        let mut supertraits = Vec::new();
        let bound = self
            .is_async(generator)
            .then(|| quote!(::core::marker::Send));
        supertraits.extend(bound.clone());
        let mut wiring = TokenStream::new();

        for &resource in &self.resources {
            let name = generator.resolve.types[resource]
                .name
                .as_deref()
                .unwrap_or_default();
            let trait_name = format_ident!("Host{}", names::type_name(name));
            let functions = self.functions_of(Some(resource), generator)?;
            let drop = self.drop_method(generator, resource);
            let doc = format!("What the host does for the resource `{name}`.");
            items.extend(host_trait(
                &doc,
                &trait_name,
                bound.as_slice(),
                functions.iter().map(HostFunction::signature).chain([drop]),
            ));
            wiring.extend(self.wire_drop(generator, resource, &trait_name));
            for function in &functions {
                wiring.extend(self.wire(generator, function, &trait_name));
            }
            supertraits.push(quote!(#trait_name));
        }

        let functions = self.functions_of(None, generator)?;
        for function in &functions {
            wiring.extend(self.wire(generator, function, &self.trait_name));
        }
        for interface in self.foreign_errors(generator) {
            let path = generator.module_path(interface, self.depth);
            supertraits.push(quote!(#path::Host));
        }
        let doc = match self.interface {
            Some(id) => format!("What the host does for `{}`.", generator.place(id).name),
            None => format!(
                "What the host does for the functions that the world `{}` imports itself.",
                generator.world().name
            ),
        };
        let converters = self.converters(generator)?;
        items.extend(host_trait(
            &doc,
            &self.trait_name,
            &supertraits,
            functions
                .iter()
                .map(HostFunction::signature)
                .chain(converters),
        ));
        let link = self.link(generator, &wiring);
        Ok(quote!(#items #link))
    }

    /// The hidden function behind every `add_to_linker…`.
    fn link(&self, generator: &Generator<'_>, wiring: &TokenStream) -> TokenStream {
        let krate = &generator.krate;
        let trait_name = &self.trait_name;
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
                for<'a> <G::Name as #krate::HasData>::Data<'a>: #trait_name,
            {
                let mut instance = #instance;
                let _ = (&mut instance, &getter);
                #wiring
                ::core::result::Result::Ok(())
            }
        }
    }

    /// Puts one function into the linker.
    fn wire(
        &self,
        generator: &Generator<'_>,
        function: &HostFunction<'_>,
        trait_name: &Ident,
    ) -> TokenStream {
        let krate = &generator.krate;
        let HostFunction {
            method,
            param_types,
            convert,
            flags,
            ..
        } = function;
        let wit_name = &function.function.name;
        let arguments: Vec<_> = (0..param_types.len())
            .map(|i| format_ident!("arg{i}"))
            .collect();
        let (traced_call, traced_return) = self.trace(generator, function, &arguments);
        let await_ = flags.async_.then(|| quote!(.await));
        let trap = (flags.trappable && convert.is_none()).then(|| quote!(?));
        let convert = convert.as_ref().map(|Conversion { host, method }| {
            quote! {
                let result = match result {
                    ::core::result::Result::Ok(value) => ::core::result::Result::Ok(value),
                    ::core::result::Result::Err(error) => {
                        ::core::result::Result::Err(#host::#method(&mut host, error)?)
                    }
                };
            }
        });
        let results = match function.function.result {
            Some(_) => quote!((result,)),
            None => quote!(result),
        };
        let body = quote! {
            let mut host = #krate::__internal::HostGetter::get(&getter, store.data_mut());
            #traced_call
            let result = #trait_name::#method(&mut host, #(#arguments),*) #await_ #trap;
            #convert
            #traced_return
            ::core::result::Result::Ok(#results)
        };
        let closure = quote! {
            move |mut store: #krate::StoreContextMut<'_, T>, (#(#arguments,)*): (#(#param_types,)*)|
        };
        if flags.async_ {
            quote! {
                instance.func_wrap_async(#wit_name, {
                    let getter = ::core::clone::Clone::clone(&getter);
                    #closure {
                        let getter = ::core::clone::Clone::clone(&getter);
                        #krate::__internal::Box::new(async move { #body })
                    }
                })?;
            }
        } else {
            quote! {
                instance.func_wrap(#wit_name, {
                    let getter = ::core::clone::Clone::clone(&getter);
                    #closure { #body }
                })?;
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
    fn wire_drop(
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
        let host = quote! {
            let mut host = #krate::__internal::HostGetter::get(&getter, store.data_mut());
        };
        let closure = quote!(move |mut store: #krate::StoreContextMut<'_, T>, rep: u32|);
        if self.drop_flags(generator, resource).async_ {
            quote! {
                instance.resource_async(#name, #ty, {
                    let getter = ::core::clone::Clone::clone(&getter);
                    #closure {
                        let getter = ::core::clone::Clone::clone(&getter);
                        #krate::__internal::Box::new(async move {
                            #host
                            #trait_name::drop(&mut host, #krate::Resource::new_own(rep)).await
                        })
                    }
                })?;
            }
        } else {
            quote! {
                instance.resource(#name, #ty, {
                    let getter = ::core::clone::Clone::clone(&getter);
                    #closure {
                        #host
                        #trait_name::drop(&mut host, #krate::Resource::new_own(rep))
                    }
                })?;
            }
        }
    }

    /// The method of a resource's trait that drops it.
    fn drop_method(&self, generator: &Generator<'_>, resource: TypeId) -> Signature {
        let krate = &generator.krate;
        let path = generator.type_path(resource, self.depth);
        Signature {
            docs: quote! {
                #[doc = " The guest dropped its handle, or lost it when it ended: the host owns the value again, and lets it go."]
            },
            method: format_ident!("drop"),
            params: vec![format_ident!("rep")],
            param_types: vec![quote!(#krate::Resource<#path>)],
            output: quote!(#krate::Result<()>),
            async_: self.drop_flags(generator, resource).async_,
        }
    }

    fn drop_flags(&self, generator: &Generator<'_>, resource: TypeId) -> FunctionFlags {
        let name = generator.resolve.types[resource]
            .name
            .as_deref()
            .unwrap_or_default();
        generator.flags(Direction::Import, self.interface, &format!("[drop]{name}"))
    }

    /// For each trappable error type defined here, the method that converts it.
    fn converters(&self, generator: &Generator<'_>) -> Result<Vec<Signature>> {
        let krate = &generator.krate;
        let mut converters = Vec::new();
        for &id in &self.types {
            let Some(entry) = generator.trappable_error(id) else {
                continue;
            };
            let name = generator.resolve.types[id]
                .name
                .as_deref()
                .unwrap_or_default();
            let wit_type = generator.rust_type(&Type::Id(id), self.depth, Passing::Owned)?;
            let root = crate::generator::root_path(self.depth);
            let alias = crate::generator::error_alias(entry);
            let doc = format!(
                " Turns the error of a host function into the `{name}` that the guest sees, or into a trap."
            );
            converters.push(Signature {
                docs: quote!(#[doc = #doc]),
                method: format_ident!("convert_{}", names::snake(name)),
                params: vec![format_ident!("error")],
                param_types: vec![quote!(#root #alias)],
                output: quote!(#krate::Result<#wit_type>),
                async_: false,
            });
        }
        Ok(converters)
    }

    /// The other interfaces whose trappable error types functions here fail with.
    fn foreign_errors(&self, generator: &Generator<'_>) -> Vec<InterfaceId> {
        let mut interfaces = Vec::new();
        for function in &self.functions {
            if let Some(result) = generator.trappable_result(function.result.as_ref())
                && let TypeOwner::Interface(owner) = generator.resolve.types[result.error].owner
                && Some(owner) != self.interface
                && !interfaces.contains(&owner)
            {
                interfaces.push(owner);
            }
        }
        interfaces
    }

    /// Whether some function or destructor is `async`.
    fn is_async(&self, generator: &Generator<'_>) -> bool {
        let functions = self.functions.iter().any(|function| {
            generator
                .flags(Direction::Import, self.interface, &function.name)
                .async_
        });
        let drops = self
            .resources
            .iter()
            .any(|&resource| self.drop_flags(generator, resource).async_);
        functions || drops
    }

    fn functions_of<'f>(
        &'f self,
        resource: Option<TypeId>,
        generator: &Generator<'_>,
    ) -> Result<Vec<HostFunction<'f>>> {
        (self.functions.iter())
            .filter(|function| function.kind.resource() == resource)
            .map(|function| self.host_function(function, generator))
            .collect()
    }

    fn host_function<'f>(
        &self,
        function: &'f Function,
        generator: &Generator<'_>,
    ) -> Result<HostFunction<'f>> {
        if function.kind.is_async() {
            bail!(
                "`{}` is an `async func`, which bindgen! does not support: only functions that WIT does not call `async` can be bound",
                function.name
            );
        }
        let krate = &generator.krate;
        let flags = generator.flags(Direction::Import, self.interface, &function.name);
        let (params, param_types) = generator.params(function, self.depth, Passing::Owned)?;
        let trappable = generator.trappable_result(function.result.as_ref());
        let (output, convert) = match trappable {
            Some(result) => {
                let ok = match &result.ok {
                    Some(ok) => generator.rust_type(ok, self.depth, Passing::Owned)?,
                    None => quote!(()),
                };
                let error = result.rust_error(self.depth);
                let ty = &generator.resolve.types[result.error];
                let host = match ty.owner {
                    TypeOwner::Interface(owner) if Some(owner) != self.interface => {
                        let path = generator.module_path(owner, self.depth);
                        quote!(#path::Host)
                    }
                    _ => {
                        let trait_name = &self.trait_name;
                        quote!(#trait_name)
                    }
                };
                let name = names::snake(ty.name.as_deref().unwrap_or_default());
                let method = format_ident!("convert_{name}");
                let output = quote!(::core::result::Result<#ok, #error>);
                (output, Some(Conversion { host, method }))
            }
            None => {
                let output = match &function.result {
                    Some(result) => generator.rust_type(result, self.depth, Passing::Owned)?,
                    None => quote!(()),
                };
                match flags.trappable {
                    true => (quote!(#krate::Result<#output>), None),
                    false => (output, None),
                }
            }
        };
        Ok(HostFunction {
            function,
            flags,
            method: method_name(function, &self.functions),
            params,
            param_types,
            output,
            convert,
        })
    }
}

impl Generator<'_> {
    /// The names and types of a function's parameters.
    pub(crate) fn params(
        &self,
        function: &Function,
        depth: usize,
        passing: Passing,
    ) -> Result<(Vec<Ident>, Vec<TokenStream>)> {
        let mut names = Vec::new();
        let mut types = Vec::new();
        for param in &function.params {
            names.push(names::snake(&param.name));
            types.push(self.rust_type(&param.ty, depth, passing)?);
        }
        Ok((names, types))
    }

    /// Whether `id` is a resource that is defined where it stands, not taken over from elsewhere.
    pub(crate) fn is_resource(&self, id: TypeId) -> bool {
        matches!(self.resolve.types[id].kind, TypeDefKind::Resource)
    }
}

impl HostFunction<'_> {
    fn signature(&self) -> Signature {
        Signature {
            docs: docs(&self.function.docs),
            method: self.method.clone(),
            params: self.params.clone(),
            param_types: self.param_types.clone(),
            output: self.output.clone(),
            async_: self.flags.async_,
        }
    }
}

/// A method of a host trait.
struct Signature {
    docs: TokenStream,
    method: Ident,
    params: Vec<Ident>,
    param_types: Vec<TokenStream>,
    output: TokenStream,
    async_: bool,
}

impl Signature {
    fn head(&self) -> TokenStream {
        let Self {
            method,
            params,
            param_types,
            output,
            ..
        } = self;
        let output = match self.async_ {
            true => quote!(impl ::core::future::Future<Output = #output> + ::core::marker::Send),
            false => quote!(#output),
        };
        quote!(fn #method(&mut self, #(#params: #param_types),*) -> #output)
    }
}

/// A trait with these methods, and its implementation for `&mut U`.
fn host_trait(
    doc: &str,
    name: &Ident,
    supertraits: &[TokenStream],
    methods: impl Iterator<Item = Signature>,
) -> TokenStream {
    let mut declared = TokenStream::new();
    let mut forwarded = TokenStream::new();
    for signature in methods {
        let (docs, head) = (&signature.docs, signature.head());
        let (method, params) = (&signature.method, &signature.params);
        declared.extend(quote!(#docs #head;));
        forwarded.extend(quote! {
            #head {
                #name::#method(&mut **self, #(#params),*)
            }
        });
    }
    let doc = format!(" {doc}");
    let colon = (!supertraits.is_empty()).then(|| quote!(:));
    quote! {
        #[doc = #doc]
        #[allow(missing_docs, private_interfaces, private_bounds, rustdoc::all, clippy::all)]
        pub trait #name #colon #(#supertraits)+* {
            #declared
        }
        impl<U: #name + ?::core::marker::Sized> #name for &mut U {
            #forwarded
        }
    }
}

/// The Rust name of a function or method.
pub(crate) fn method_name(function: &Function, siblings: &[&Function]) -> Ident {
    let name = function.item_name();
    match function.kind {
        // A constructor is `new`, unless the resource has a function of that name too.
        FunctionKind::Constructor(resource) => {
            let taken = siblings
                .iter()
                .any(|other| other.kind.resource() == Some(resource) && other.item_name() == "new");
            format_ident!("{}", if taken { "constructor" } else { "new" })
        }
        FunctionKind::Setter | FunctionKind::MethodSetter(_) | FunctionKind::StaticSetter(_) => {
            format_ident!("set_{}", names::snake(name))
        }
        // Every resource's trait has a `drop` already.
        _ if function.kind.resource().is_some() && name == "drop" => format_ident!("drop_"),
        _ => names::snake(name),
    }
}

/// The three public ways to put host traits into a linker. `name` is the first one's, `bounds` are the traits, `link` makes the call given an
/// expression for the getter.
pub(crate) fn add_to_linker(
    generator: &Generator<'_>,
    name: &str,
    bounds: &[TokenStream],
    link: impl Fn(TokenStream) -> TokenStream,
) -> TokenStream {
    let krate = &generator.krate;
    let (of_whole, of_part, of_view) = (
        format_ident!("{name}"),
        format_ident!("{name}_with"),
        format_ident!("{name}_get"),
    );
    let view_bound = (!bounds.is_empty()).then(|| quote!(for<'a> D::Data<'a>: #(#bounds +)*,));
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
            D: #krate::HasData,
            #view_bound
        {
            #view
        }
    }
}
