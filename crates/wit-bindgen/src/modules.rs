//! The generated file: modules for interfaces, and the root around them.

use crate::export;
use crate::face::add_to_linker;
use crate::generator::{Generator, error_alias, with_alias};
use crate::import::Imports;
use crate::world::{needs_host, world};
use anyhow::{Result, bail};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use std::collections::BTreeMap;
use wit_parser::{InterfaceId, TypeId, WorldItem};

/// A module with its items and the modules inside it.
#[derive(Default)]
struct Module {
    items: TokenStream,
    children: BTreeMap<String, Module>,
}

/// Everything that is generated.
pub(crate) fn file(generator: &Generator<'_>) -> Result<TokenStream> {
    let mut root = Module::default();
    let mut types = TokenStream::new();
    for item in generator.world().imports.values() {
        match item {
            WorldItem::Interface { id, .. } if generator.place(*id).with.is_none() => {
                root.at(generator, *id)
                    .items
                    .extend(imported(generator, *id)?);
            }
            WorldItem::Type { id, .. } => types.extend(generator.define(*id, 0)?),
            _ => {}
        }
    }
    for item in generator.world().exports.values() {
        match item {
            WorldItem::Interface { id, .. } => {
                root.at(generator, *id)
                    .items
                    .extend(exported(generator, *id)?);
            }
            WorldItem::Type { id, .. } => types.extend(generator.define(*id, 0)?),
            WorldItem::Function(_) => {}
        }
    }
    let aliases = aliases(generator)?;
    let world = world(generator)?;
    let modules = root
        .children
        .into_iter()
        .map(|(name, module)| module.write(&name, true));
    Ok(quote! {
        #aliases
        #types
        #world
        #(#modules)*
    })
}

/// The module of an imported interface.
fn imported(generator: &Generator<'_>, id: InterfaceId) -> Result<TokenStream> {
    let interface = &generator.resolve.interfaces[id];
    let depth = generator.place(id).modules.len();
    let types: Vec<TypeId> = interface.types.values().copied().collect();
    let mut items = define(generator, &types, depth)?;
    if needs_host(generator, interface) {
        let functions: Vec<_> = interface.functions.values().collect();
        let imports = Imports {
            interface: Some(id),
            trait_name: format_ident!("Host"),
            named: generator.names_data(Some(id), &functions),
            depth,
            functions,
            resources: types
                .iter()
                .copied()
                .filter(|&ty| generator.is_resource(ty))
                .collect(),
            types,
        };
        items.extend(imports.generate(generator)?);
        items.extend(add_to_linker(
            generator,
            "add_to_linker",
            &[imports.host_trait()],
            |getter| quote!(__link(linker, #getter)),
        ));
    } else {
        items.extend(link_types(generator, id));
    }
    Ok(items)
}

/// What puts an interface without functions and resources into a linker: it must be there, but nothing has to be implemented.
fn link_types(generator: &Generator<'_>, id: InterfaceId) -> TokenStream {
    let krate = &generator.krate;
    let name = &generator.place(id).name;
    quote! {
        #[doc(hidden)]
        pub fn __link<T, G>(linker: &mut #krate::Linker<T>, _getter: G) -> #krate::Result<()>
        where
            T: ::core::marker::Send + 'static,
        {
            add_to_linker(linker)
        }

        /// Puts the interface, which has nothing but types, into the linker.
        ///
        /// # Errors
        /// When its name is taken.
        pub fn add_to_linker<T>(linker: &mut #krate::Linker<T>) -> #krate::Result<()>
        where
            T: ::core::marker::Send + 'static,
        {
            linker.instance(#name)?;
            ::core::result::Result::Ok(())
        }
    }
}

/// The module of an exported interface.
fn exported(generator: &Generator<'_>, id: InterfaceId) -> Result<TokenStream> {
    let depth = generator.place(id).modules.len();
    let types: Vec<TypeId> = generator.resolve.interfaces[id]
        .types
        .values()
        .copied()
        .collect();
    let resources: Vec<TypeId> = types
        .iter()
        .copied()
        .filter(|&ty| generator.is_resource(ty))
        .collect();
    let mut items = define(generator, &types, depth)?;
    items.extend(export::interface(generator, id, &resources, depth)?);
    Ok(items)
}

fn define(generator: &Generator<'_>, types: &[TypeId], depth: usize) -> Result<TokenStream> {
    types
        .iter()
        .map(|&ty| generator.define(ty, depth))
        .collect()
}

/// Names at the root for the targets of `with` and `trappable_error_type`, which are written relative to where the macro is called.
fn aliases(generator: &Generator<'_>) -> Result<TokenStream> {
    let mut aliases = TokenStream::new();
    for (index, remap) in generator.options.with.iter().enumerate() {
        let (alias, target) = (with_alias(index), &remap.target);
        if !generator.stands_for_interface(index) {
            aliases.extend(quote! {
                #[allow(dead_code, non_camel_case_types)]
                type #alias = #target;
            });
        } else if let syn::Type::Path(path) = target {
            aliases.extend(quote! {
                #[allow(unused_imports)]
                use #path as #alias;
            });
        } else {
            bail!("`with`: `{}` needs the path of a module", remap.name);
        }
    }
    for (index, remap) in generator.options.trappable_error_types.iter().enumerate() {
        let (alias, target) = (error_alias(index), &remap.target);
        aliases.extend(quote! {
            #[allow(dead_code, non_camel_case_types)]
            type #alias = #target;
        });
    }
    Ok(aliases)
}

impl Module {
    /// The module of an interface.
    fn at(&mut self, generator: &Generator<'_>, id: InterfaceId) -> &mut Module {
        (generator.place(id).modules.iter()).fold(self, |module, name| {
            module.children.entry(name.to_string()).or_default()
        })
    }

    fn write(self, name: &str, outermost: bool) -> TokenStream {
        let name = format_ident!("{name}");
        let items = self.items;
        let children = self
            .children
            .into_iter()
            .map(|(name, module)| module.write(&name, false));
        // Documentation comes from WIT, which knows no rustdoc.
        let allow = outermost.then(|| {
            quote! {
                #[allow(missing_docs, dead_code, unused_mut, unused_variables, private_interfaces, private_bounds)]
                #[allow(rustdoc::all, clippy::all, clippy::pedantic)]
            }
        });
        quote! {
            #allow
            pub mod #name {
                #items
                #(#children)*
            }
        }
    }
}
