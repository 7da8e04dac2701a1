//! What the host implements: traits for imported functions.

use crate::docs::docs;
use crate::face::HostTrait;
use crate::generator::{Direction, Generator};
use crate::names;
use crate::options::{FunctionFlags, Mode};
use crate::types::Passing;
use anyhow::Result;
use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use wit_parser::{Function, FunctionKind, InterfaceId, Type, TypeDefKind, TypeId, TypeOwner};

/// What a set of imported functions and resources becomes: an interface's, or those of the world itself.
pub(crate) struct Imports<'a> {
    /// The interface; `None` for the world itself.
    pub(crate) interface: Option<InterfaceId>,
    /// The name of the trait: `Host`, or `WorldImports`.
    pub(crate) trait_name: Ident,
    /// Whether the traits have a type parameter, see [`Generator::names_data`].
    pub(crate) named: bool,
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
pub(crate) struct HostFunction<'a> {
    pub(crate) function: &'a Function,
    pub(crate) flags: FunctionFlags,
    pub(crate) mode: Mode,
    pub(crate) method: Ident,
    params: Vec<Ident>,
    pub(crate) param_types: Vec<TokenStream>,
    /// What the trait's method returns, or its future gives.
    output: TokenStream,
    /// The type whose value the method may fail with instead of trapping, with the trait that converts it.
    pub(crate) convert: Option<Conversion>,
}

/// How a Rust error becomes a WIT error.
pub(crate) struct Conversion {
    /// The trait with the converting method.
    pub(crate) host: HostTrait,
    /// That method.
    pub(crate) method: Ident,
}

impl Imports<'_> {
    /// The trait for everything.
    pub(crate) fn host_trait(&self) -> HostTrait {
        self.named(&self.trait_name)
    }

    /// One of the traits, by its name.
    pub(crate) fn named(&self, name: &Ident) -> HostTrait {
        HostTrait {
            path: quote!(#name),
            named: self.named,
        }
    }

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
            items.extend(self.define_trait(
                generator,
                &doc,
                &trait_name,
                bound.as_slice(),
                functions.iter().map(HostFunction::signature).chain([drop]),
            ));
            wiring.extend(self.wire_drop(generator, resource, &trait_name));
            for function in &functions {
                wiring.extend(self.wire(generator, function, &trait_name));
            }
            supertraits.push(self.named(&trait_name).of(&quote!(D)));
        }

        let functions = self.functions_of(None, generator)?;
        for function in &functions {
            wiring.extend(self.wire(generator, function, &self.trait_name));
        }
        for interface in self.foreign_errors(generator) {
            let host = generator.converting_trait(interface, self.depth);
            supertraits.push(host.of(&quote!(D)));
        }
        let doc = match self.interface {
            Some(id) => format!("What the host does for `{}`.", generator.place(id).name),
            None => format!(
                "What the host does for the functions that the world `{}` imports itself.",
                generator.world().name
            ),
        };
        let converters = self.converters(generator)?;
        if self.interface.is_some() && !converters.is_empty() {
            items.extend(self.converts(generator, &converters));
        }
        items.extend(
            self.define_trait(
                generator,
                &doc,
                &self.trait_name,
                &supertraits,
                functions
                    .iter()
                    .map(HostFunction::signature)
                    .chain(converters),
            ),
        );
        let link = self.link(generator, &wiring);
        Ok(quote!(#items #link))
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
            mode: self.drop_mode(generator, resource),
        }
    }

    /// How the destructor of a resource waits: there are no concurrent ones.
    pub(crate) fn drop_mode(&self, generator: &Generator<'_>, resource: TypeId) -> Mode {
        let name = generator.resolve.types[resource]
            .name
            .as_deref()
            .unwrap_or_default();
        let flags = generator.flags(Direction::Import, self.interface, &format!("[drop]{name}"));
        match flags.mode(false) {
            Mode::Async => Mode::Async,
            _ => Mode::Sync,
        }
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
                mode: Mode::Sync,
            });
        }
        Ok(converters)
    }

    /// The converters as a trait that has a type parameter in any case: what code refers to that was generated elsewhere, where it is not known
    /// whether `Host` has one.
    fn converts(&self, generator: &Generator<'_>, converters: &[Signature]) -> TokenStream {
        let krate = &generator.krate;
        let host = self.host_trait().of(&quote!(D));
        let heads = (converters.iter()).map(|signature| signature.head(krate));
        let forwarded = converters.iter().map(|signature| {
            let (head, method) = (signature.head(krate), &signature.method);
            quote!(#head { <U as #host>::#method(self, error) })
        });
        quote! {
            #[doc(hidden)]
            #[allow(private_interfaces, private_bounds)]
            pub trait __Converts<D> {
                #(#heads;)*
            }
            impl<U: #host + ?::core::marker::Sized, D> __Converts<D> for U {
                #(#forwarded)*
            }
        }
    }

    /// The other interfaces whose trappable error types functions here fail with.
    fn foreign_errors(&self, generator: &Generator<'_>) -> Vec<InterfaceId> {
        generator.foreign_errors(self.interface, &self.functions)
    }

    /// Whether some function or destructor keeps the host's data while it waits.
    fn is_async(&self, generator: &Generator<'_>) -> bool {
        let functions = (self.functions.iter())
            .any(|function| generator.import_mode(self.interface, function) == Mode::Async);
        let drops = (self.resources.iter())
            .any(|&resource| self.drop_mode(generator, resource) == Mode::Async);
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
                        generator.converting_trait(owner, self.depth)
                    }
                    _ => self.host_trait(),
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
            mode: flags.mode(function.kind.is_async()),
            method: method_name(function, &self.functions),
            params,
            param_types,
            output,
            convert,
        })
    }
}

impl Generator<'_> {
    /// How an imported function waits.
    fn import_mode(&self, interface: Option<InterfaceId>, function: &Function) -> Mode {
        self.flags(Direction::Import, interface, &function.name)
            .mode(function.kind.is_async())
    }

    /// Whether the host traits of an imported interface, or of the world itself, have a type parameter that names what implements them as seen
    /// in a store. Functions that get an accessor or access need it, and so does who inherits from a trait that has it.
    pub(crate) fn names_data(
        &self,
        interface: Option<InterfaceId>,
        functions: &[&Function],
    ) -> bool {
        let needed = |mode| matches!(mode, Mode::Concurrent | Mode::Store);
        (functions.iter()).any(|function| needed(self.import_mode(interface, function)))
            || (self.foreign_errors(interface, functions).into_iter())
                .any(|id| self.converting_trait(id, 0).named)
    }

    /// The trait that converts the errors that an imported interface defines, as seen from a module `depth` levels below the root.
    fn converting_trait(&self, id: InterfaceId, depth: usize) -> HostTrait {
        let path = self.module_path(id, depth);
        if self.place(id).with.is_some() {
            return HostTrait {
                path: quote!(#path::__Converts),
                named: true,
            };
        }
        let functions: Vec<_> = self.resolve.interfaces[id].functions.values().collect();
        HostTrait {
            path: quote!(#path::Host),
            named: self.names_data(Some(id), &functions),
        }
    }

    /// The interfaces but `interface` whose trappable error types the functions fail with.
    fn foreign_errors(
        &self,
        interface: Option<InterfaceId>,
        functions: &[&Function],
    ) -> Vec<InterfaceId> {
        let mut interfaces = Vec::new();
        for function in functions {
            if let Some(result) = self.trappable_result(function.result.as_ref())
                && let TypeOwner::Interface(owner) = self.resolve.types[result.error].owner
                && Some(owner) != interface
                && !interfaces.contains(&owner)
            {
                interfaces.push(owner);
            }
        }
        interfaces
    }

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
            mode: self.mode,
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
    mode: Mode,
}

impl Signature {
    fn head(&self, krate: &TokenStream) -> TokenStream {
        let Self {
            method,
            params,
            param_types,
            output,
            mode,
            ..
        } = self;
        let future =
            || quote!(impl ::core::future::Future<Output = #output> + ::core::marker::Send);
        let first = self.first();
        let (first, output) = match mode {
            Mode::Sync => (quote!(&mut self), quote!(#output)),
            Mode::Async => (quote!(&mut self), future()),
            Mode::Store => (quote!(#first: #krate::Access<'_, T, D>), quote!(#output)),
            Mode::Concurrent => (quote!(#first: &#krate::Accessor<T, D>), future()),
        };
        let (generics, bounds) = match self.is_static() {
            true => (
                quote!(<T>),
                quote!(where T: ::core::marker::Send + 'static, D: #krate::HasData + 'static),
            ),
            false => (TokenStream::new(), TokenStream::new()),
        };
        quote!(fn #method #generics (#first, #(#params: #param_types),*) -> #output #bounds)
    }

    /// Whether it is told where the host's data is, rather than given it.
    fn is_static(&self) -> bool {
        matches!(self.mode, Mode::Store | Mode::Concurrent)
    }

    /// The name of the parameter before those of WIT.
    fn first(&self) -> Ident {
        let name = match self.mode {
            Mode::Concurrent => "accessor",
            _ => "access",
        };
        // WIT has no underscores.
        match self.params.iter().any(|param| param == name) {
            true => format_ident!("{name}_"),
            false => format_ident!("{name}"),
        }
    }
}

impl Imports<'_> {
    /// A trait with these methods, and its implementation for `&mut U`.
    fn define_trait(
        &self,
        generator: &Generator<'_>,
        doc: &str,
        name: &Ident,
        supertraits: &[TokenStream],
        methods: impl Iterator<Item = Signature>,
    ) -> TokenStream {
        let krate = &generator.krate;
        let host = self.named(name).of(&quote!(D));
        let mut declared = TokenStream::new();
        let mut forwarded = TokenStream::new();
        for signature in methods {
            let (docs, head) = (&signature.docs, signature.head(krate));
            let (method, params) = (&signature.method, &signature.params);
            let first = match signature.is_static() {
                true => signature.first().into_token_stream(),
                false => quote!(&mut **self),
            };
            declared.extend(quote!(#docs #head;));
            forwarded.extend(quote! {
                #head {
                    <U as #host>::#method(#first, #(#params),*)
                }
            });
        }
        let doc = format!(" {doc}");
        let colon = (!supertraits.is_empty()).then(|| quote!(:));
        let (parameter, generic) = match self.named {
            true => (quote!(<D = #krate::HasSelf<Self>>), quote!(, D)),
            false => (TokenStream::new(), TokenStream::new()),
        };
        quote! {
            #[doc = #doc]
            #[allow(missing_docs, private_interfaces, private_bounds, rustdoc::all, clippy::all)]
            pub trait #name #parameter #colon #(#supertraits)+* {
                #declared
            }
            impl<U: #host + ?::core::marker::Sized #generic> #host for &mut U {
                #forwarded
            }
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
