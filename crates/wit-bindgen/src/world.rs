//! The world: its struct, and how it is instantiated.

use crate::docs::docs;
use crate::export::GuestFunction;
use crate::face::{HostTrait, add_to_linker};
use crate::generator::Generator;
use crate::import::Imports;
use crate::names;
use anyhow::Result;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use wit_parser::{Function, InterfaceId, WorldItem};

/// What the world exports, collected.
struct Exports<'a> {
    /// Each interface with the field and accessor that stand for it.
    interfaces: Vec<(InterfaceId, Ident)>,
    functions: Vec<GuestFunction<'a>>,
}

/// The items at the root of the generated code, apart from the modules of interfaces.
pub(crate) fn world(generator: &Generator<'_>) -> Result<TokenStream> {
    let krate = &generator.krate;
    let world = generator.world();
    let name = names::type_name(&world.name);
    let docs = docs(&world.docs);
    let exports = Exports::new(generator)?;
    let (imports_items, link) = imports(generator, &name)?;
    let indices = exports.indices(generator, &name);
    let pre = pre(generator, &name);

    let interface_fields: Vec<_> = exports.interfaces.iter().map(|(_, field)| field).collect();
    let guests = exports.interfaces.iter().map(|&(id, _)| {
        let path = generator.module_path(id, 0);
        quote!(#path::Guest)
    });
    let accessors = exports.interfaces.iter().map(|(id, field)| {
        let path = generator.module_path(*id, 0);
        let doc = format!(" The functions of `{}`.", generator.place(*id).name);
        quote! {
            #[doc = #doc]
            pub fn #field(&self) -> &#path::Guest {
                &self.#field
            }
        }
    });
    let function_fields: Vec<_> = exports.functions.iter().map(|f| &f.field).collect();
    let calls = exports
        .functions
        .iter()
        .map(|f| f.call(generator, &quote!(self)));

    let (pre_name, indices_name) = (format_ident!("{name}Pre"), format_ident!("{name}Indices"));
    let doc = format!(
        " An instance of a component that implements the world `{}`.",
        world.name
    );
    Ok(quote! {
        #docs
        #[doc = ""]
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        pub struct #name {
            #(#interface_fields: #guests,)*
            #(#function_fields: #krate::Func,)*
        }

        #[allow(missing_docs, rustdoc::all, clippy::all, clippy::pedantic)]
        impl #name {
            /// Instantiates a component.
            ///
            /// # Errors
            /// When the linker lacks something that the component imports, when the component does not implement the world, or when its
            /// start traps.
            pub fn instantiate<T: ::core::marker::Send + 'static>(
                store: impl #krate::AsContextMut<Data = T>,
                component: &#krate::Component,
                linker: &#krate::Linker<T>,
            ) -> #krate::Result<Self> {
                #pre_name::new(linker.instantiate_pre(component)?)?.instantiate(store)
            }

            /// Instantiates a component, whose start may wait.
            ///
            /// # Errors
            /// As `instantiate`.
            pub async fn instantiate_async<T: ::core::marker::Send + 'static>(
                store: impl #krate::AsContextMut<Data = T>,
                component: &#krate::Component,
                linker: &#krate::Linker<T>,
            ) -> #krate::Result<Self> {
                #pre_name::new(linker.instantiate_pre(component)?)?.instantiate_async(store).await
            }

            /// Takes the world's exports from an instance.
            ///
            /// # Errors
            /// When the instance's component does not implement the world.
            pub fn new(
                store: impl #krate::AsContextMut,
                instance: &#krate::Instance,
            ) -> #krate::Result<Self> {
                #indices_name::new(instance.component())?.load(store, instance)
            }

            #link
            #(#accessors)*
            #(#calls)*
        }

        #indices
        #pre
        #imports_items
    })
}

impl<'a> Exports<'a> {
    fn new(generator: &Generator<'a>) -> Result<Self> {
        let world = generator.world();
        let siblings: Vec<&Function> = (world.exports.values())
            .filter_map(|item| match item {
                WorldItem::Function(function) => Some(function),
                _ => None,
            })
            .collect();
        let mut interfaces = Vec::new();
        for item in world.exports.values() {
            if let WorldItem::Interface { id, .. } = item {
                // `exports::wasi::cli::run` is reached by `wasi_cli_run`.
                let modules = &generator.place(*id).modules;
                let words: Vec<_> = modules[1..].iter().map(|m| m.to_string()).collect();
                interfaces.push((*id, names::ident(&words.join("_"))));
            }
        }
        let functions = (siblings.iter())
            .map(|function| GuestFunction::new(generator, None, function, &siblings, 0))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            interfaces,
            functions,
        })
    }

    /// `WorldIndices`: where a component exports what the world exports.
    fn indices(&self, generator: &Generator<'_>, name: &Ident) -> TokenStream {
        let krate = &generator.krate;
        let indices_name = format_ident!("{name}Indices");
        let interface_fields: Vec<_> = self.interfaces.iter().map(|(_, field)| field).collect();
        let guest_indices: Vec<_> = (self.interfaces.iter())
            .map(|&(id, _)| {
                let path = generator.module_path(id, 0);
                quote!(#path::GuestIndices)
            })
            .collect();
        let function_fields: Vec<_> = self.functions.iter().map(|f| &f.field).collect();
        let function_names = self.functions.iter().map(GuestFunction::wit_name);
        let function_loads = self.functions.iter().map(|function| {
            let (field, signature, wit_name) = (&function.field, function.signature(), function.wit_name());
            quote! {
                #field: #krate::__internal::load_func::<#signature>(&mut store, instance, &self.#field, #wit_name)?
            }
        });
        let doc = format!(
            " Where a component exports what the world `{}` exports: looked up once for any number of instances.",
            generator.world().name
        );
        quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::fmt::Debug)]
            pub struct #indices_name {
                #(#interface_fields: #guest_indices,)*
                #(#function_fields: #krate::ExportIndex,)*
            }

            #[allow(missing_docs, clippy::all, clippy::pedantic)]
            impl #indices_name {
                /// Looks the exports up.
                ///
                /// # Errors
                /// When one is not there.
                pub fn new(component: &#krate::Component) -> #krate::Result<Self> {
                    let _ = component;
                    ::core::result::Result::Ok(Self {
                        #(#interface_fields: #guest_indices::new(component)?,)*
                        #(#function_fields: #krate::__internal::export_index(
                            component,
                            ::core::option::Option::None,
                            #function_names,
                        )?,)*
                    })
                }

                /// Takes the exports from an instance of the component.
                ///
                /// # Errors
                /// When a function has another type than in WIT.
                pub fn load(
                    &self,
                    mut store: impl #krate::AsContextMut,
                    instance: &#krate::Instance,
                ) -> #krate::Result<#name> {
                    let _ = (&mut store, instance);
                    ::core::result::Result::Ok(#name {
                        #(#interface_fields: self.#interface_fields.load(&mut store, instance)?,)*
                        #(#function_loads,)*
                    })
                }
            }
        }
    }
}

/// `WorldPre`: a component linked once, to be instantiated any number of times.
fn pre(generator: &Generator<'_>, name: &Ident) -> TokenStream {
    let krate = &generator.krate;
    let (pre_name, indices_name) = (format_ident!("{name}Pre"), format_ident!("{name}Indices"));
    let doc = format!(
        " A component that implements the world `{}`, linked once to be instantiated any number of times.",
        generator.world().name
    );
    quote! {
        #[doc = #doc]
        pub struct #pre_name<T: ::core::marker::Send + 'static> {
            instance_pre: #krate::InstancePre<T>,
            indices: #indices_name,
        }

        impl<T: ::core::marker::Send + 'static> ::core::clone::Clone for #pre_name<T> {
            fn clone(&self) -> Self {
                Self {
                    instance_pre: ::core::clone::Clone::clone(&self.instance_pre),
                    indices: ::core::clone::Clone::clone(&self.indices),
                }
            }
        }

        impl<T: ::core::marker::Send + 'static> ::core::fmt::Debug for #pre_name<T> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!(#pre_name)).finish_non_exhaustive()
            }
        }

        #[allow(missing_docs, clippy::all, clippy::pedantic)]
        impl<T: ::core::marker::Send + 'static> #pre_name<T> {
            /// Looks the world's exports up in a component that has been linked.
            ///
            /// # Errors
            /// When one is not there.
            pub fn new(instance_pre: #krate::InstancePre<T>) -> #krate::Result<Self> {
                let indices = #indices_name::new(instance_pre.component())?;
                ::core::result::Result::Ok(Self { instance_pre, indices })
            }

            /// The linked component.
            pub fn instance_pre(&self) -> &#krate::InstancePre<T> {
                &self.instance_pre
            }

            /// Instantiates the component.
            ///
            /// # Errors
            /// When its start traps, or an export has another type than in WIT.
            pub fn instantiate(
                &self,
                mut store: impl #krate::AsContextMut<Data = T>,
            ) -> #krate::Result<#name> {
                let instance = self.instance_pre.instantiate(store.as_context_mut())?;
                self.indices.load(store, &instance)
            }

            /// Instantiates the component, whose start may wait.
            ///
            /// # Errors
            /// As `instantiate`.
            pub async fn instantiate_async(
                &self,
                mut store: impl #krate::AsContextMut<Data = T>,
            ) -> #krate::Result<#name> {
                let instance = self.instance_pre.instantiate_async(store.as_context_mut()).await?;
                self.indices.load(store, &instance)
            }
        }
    }
}

/// What the world imports: its own functions' trait, and the `add_to_linker` functions for everything.
fn imports(generator: &Generator<'_>, name: &Ident) -> Result<(TokenStream, TokenStream)> {
    let world = generator.world();
    let mut traits = Vec::new();
    let mut links = Vec::new();
    let mut own = Imports {
        interface: None,
        trait_name: format_ident!("{name}Imports"),
        named: false,
        depth: 0,
        functions: Vec::new(),
        resources: Vec::new(),
        types: Vec::new(),
    };
    for item in world.imports.values() {
        match item {
            WorldItem::Interface { id, .. } => {
                let interface = &generator.resolve.interfaces[*id];
                // What is bound elsewhere is linked there too; an interface of plain types has no trait.
                if generator.place(*id).with.is_none() {
                    let path = generator.module_path(*id, 0);
                    if needs_host(generator, interface) {
                        let functions: Vec<_> = interface.functions.values().collect();
                        traits.push(HostTrait {
                            path: quote!(#path::Host),
                            named: generator.names_data(Some(*id), &functions),
                        });
                    }
                    links.push(quote!(#path::__link));
                }
            }
            WorldItem::Function(function) => own.functions.push(function),
            WorldItem::Type { id, .. } => {
                own.types.push(*id);
                if generator.is_resource(*id) {
                    own.resources.push(*id);
                }
            }
        }
    }
    let mut items = TokenStream::new();
    let mut own_faces = TokenStream::new();
    if !own.functions.is_empty() || !own.resources.is_empty() {
        own.named = generator.names_data(None, &own.functions);
        let link = format_ident!("__link_{}", names::snake(&world.name));
        traits.push(own.host_trait());
        links.push(quote!(self::#link));
        items = own.generate(generator)?;
        own_faces = add_to_linker(
            generator,
            "add_to_linker_imports",
            &[own.host_trait()],
            |getter| quote!(self::#link(linker, #getter)),
        );
    }
    if links.is_empty() {
        return Ok((items, TokenStream::new()));
    }
    let krate = &generator.krate;
    let bounds = traits.iter().map(|host| host.of(&quote!(G::Name)));
    let bounded = (!traits.is_empty())
        .then(|| quote!(for<'a> <G::Name as #krate::HasData>::Data<'a>: #(#bounds +)*,));
    let faces = add_to_linker(
        generator,
        "add_to_linker",
        &traits,
        |getter| quote!(Self::__link(linker, #getter)),
    );
    let link = quote! {
        #faces
        #own_faces

        #[doc(hidden)]
        pub fn __link<T, G>(linker: &mut #krate::Linker<T>, getter: G) -> #krate::Result<()>
        where
            T: ::core::marker::Send + 'static,
            G: #krate::__internal::HostGetter<T>,
            #bounded
        {
            #(#links(linker, ::core::clone::Clone::clone(&getter))?;)*
            ::core::result::Result::Ok(())
        }
    };
    Ok((items, link))
}

/// Whether an imported interface has something that the host must do.
pub(crate) fn needs_host(generator: &Generator<'_>, interface: &wit_parser::Interface) -> bool {
    !interface.functions.is_empty()
        || interface
            .types
            .values()
            .any(|&id| generator.is_resource(id) || generator.trappable_error(id).is_some())
}
