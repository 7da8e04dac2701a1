//! What all parts of the generator share: where each interface's items are, and which options apply to what.

use crate::names;
use crate::options::{FunctionFlags, Options, Rules};
use anyhow::{Result, bail};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use wit_parser::{
    InterfaceId, PackageName, Resolve, TypeId, TypeOwner, World, WorldId, WorldItem, WorldKey,
};

/// The state of one generation.
pub(crate) struct Generator<'a> {
    pub(crate) options: &'a Options,
    pub(crate) resolve: &'a Resolve,
    pub(crate) world_id: WorldId,
    /// The path of the `tidegate` crate.
    pub(crate) krate: TokenStream,
    /// The types that functions fail with.
    pub(crate) errors: HashSet<TypeId>,
    places: HashMap<InterfaceId, Place>,
    /// Which options have had an effect, to find those that never do.
    used: RefCell<HashSet<Entry>>,
}

/// One entry of an option.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Entry {
    Import(usize),
    Export(usize),
    With(usize),
    TrappableError(usize),
}

/// Where the items of an interface are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The name that the world knows the interface by, such as `wasi:io/poll@0.2.12`.
    pub(crate) name: String,
    /// The modules from the root of the generated code down, or from the target of `with`.
    pub(crate) modules: Vec<Ident>,
    /// The `with` entry that says where it is bound, if there is one.
    pub(crate) with: Option<usize>,
    /// Whether the guest exports it.
    pub(crate) exported: bool,
    /// The names by which options may mean the interface, the most specific first, each with the number of modules that it stands for.
    selectors: Vec<(String, usize)>,
}

/// Which side of the world a function is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    Import,
    Export,
}

impl<'a> Generator<'a> {
    pub(crate) fn new(options: &'a Options, resolve: &'a Resolve, world_id: WorldId) -> Self {
        let krate = &options.tidegate_crate;
        let mut generator = Self {
            options,
            resolve,
            world_id,
            krate: quote!(#krate),
            errors: HashSet::new(),
            places: HashMap::new(),
            used: RefCell::default(),
        };
        let world = &resolve.worlds[world_id];
        for (items, exported) in [(&world.imports, false), (&world.exports, true)] {
            for (key, item) in items {
                if let WorldItem::Interface { id, .. } = item {
                    let place = generator.place_of(key, exported);
                    generator.places.insert(*id, place);
                }
            }
        }
        generator.errors = generator.find_errors();
        generator
    }

    pub(crate) fn world(&self) -> &'a World {
        &self.resolve.worlds[self.world_id]
    }

    /// Where the items of `id`, an interface of the world, are.
    pub(crate) fn place(&self, id: InterfaceId) -> &Place {
        &self.places[&id]
    }

    /// The path from a module `depth` levels below the root to the module of `id`.
    pub(crate) fn module_path(&self, id: InterfaceId, depth: usize) -> TokenStream {
        let place = self.place(id);
        let root = root_path(depth);
        let modules = &place.modules;
        match place.with {
            Some(with) => {
                let alias = with_alias(with);
                quote!(#root #alias #(:: #modules)*)
            }
            None => quote!(#root #(#modules)::*),
        }
    }

    /// The path from a module `depth` levels below the root to the named type `id`.
    pub(crate) fn type_path(&self, id: TypeId, depth: usize) -> TokenStream {
        let ty = &self.resolve.types[id];
        let name = names::type_name(ty.name.as_deref().unwrap_or_default());
        match ty.owner {
            TypeOwner::Interface(interface) => {
                let module = self.module_path(interface, depth);
                quote!(#module :: #name)
            }
            TypeOwner::World(_) | TypeOwner::None => {
                let root = root_path(depth);
                quote!(#root #name)
            }
        }
    }

    /// Whether a `with` entry names interfaces, not a type.
    pub(crate) fn stands_for_interface(&self, with: usize) -> bool {
        self.places.values().any(|place| place.with == Some(with))
    }

    /// How a function of the interface (of the world itself if `None`) is bound.
    pub(crate) fn flags(
        &self,
        direction: Direction,
        interface: Option<InterfaceId>,
        function: &str,
    ) -> FunctionFlags {
        let (rules, entry): (&Rules, fn(usize) -> Entry) = match direction {
            Direction::Import => (&self.options.imports, Entry::Import),
            Direction::Export => (&self.options.exports, Entry::Export),
        };
        let selectors = interface.map_or(&[][..], |id| &self.place(id).selectors);
        for (index, rule) in rules.rules.iter().enumerate() {
            let matches = match interface {
                None => rule.name == function,
                Some(_) => selectors.iter().any(|(selector, _)| {
                    rule.name
                        .strip_prefix(selector.as_str())
                        .is_some_and(|rest| {
                            rest.is_empty() || rest.strip_prefix('.') == Some(function)
                        })
                }),
            };
            if matches {
                self.used.borrow_mut().insert(entry(index));
                return rule.flags;
            }
        }
        rules.default
    }

    /// The `with` entry that replaces the type `id`, if there is one.
    pub(crate) fn replaced_type(&self, id: TypeId) -> Option<usize> {
        self.find_type(
            id,
            self.options.with.iter().map(|remap| remap.name.as_str()),
        )
        .inspect(|&index| {
            self.used.borrow_mut().insert(Entry::With(index));
        })
    }

    /// The `trappable_error_type` entry for the type `id`, if there is one.
    pub(crate) fn trappable_error(&self, id: TypeId) -> Option<usize> {
        let names = self.options.trappable_error_types.iter();
        self.find_type(id, names.map(|remap| remap.name.as_str()))
            .inspect(|&index| {
                self.used.borrow_mut().insert(Entry::TrappableError(index));
            })
    }

    fn find_type<'n>(&self, id: TypeId, mut names: impl Iterator<Item = &'n str>) -> Option<usize> {
        let ty = &self.resolve.types[id];
        let type_name = ty.name.as_deref()?;
        names.position(|name| match ty.owner {
            TypeOwner::Interface(interface) => self
                .places
                .get(&interface)
                .into_iter()
                .flat_map(|place| &place.selectors)
                .any(|(selector, _)| {
                    name.strip_prefix(selector.as_str())
                        .and_then(|rest| rest.strip_prefix('.'))
                        == Some(type_name)
                }),
            TypeOwner::World(_) => name == type_name,
            TypeOwner::None => false,
        })
    }

    /// Fails if an entry of an option never applied: it is a mistake in its name.
    pub(crate) fn check_unused(&self) -> Result<()> {
        let used = self.used.borrow();
        let options = self.options;
        let entries = (options.imports.rules.iter().enumerate())
            .map(|(index, rule)| ("imports", &rule.name, Entry::Import(index)))
            .chain(
                (options.exports.rules.iter().enumerate())
                    .map(|(index, rule)| ("exports", &rule.name, Entry::Export(index))),
            )
            .chain(
                (options.with.iter().enumerate())
                    .map(|(index, remap)| ("with", &remap.name, Entry::With(index))),
            )
            .chain(
                (options.trappable_error_types.iter().enumerate()).map(|(index, remap)| {
                    (
                        "trappable_error_type",
                        &remap.name,
                        Entry::TrappableError(index),
                    )
                }),
            );
        for (option, name, entry) in entries {
            if !used.contains(&entry) {
                let mut known: Vec<&str> = self.places.values().map(|p| p.name.as_str()).collect();
                known.sort_unstable();
                bail!(
                    "`{option}` names `{name}`, which is nothing in this world or already decided by an earlier entry; \
                     its interfaces are {}",
                    known.join(", ")
                );
            }
        }
        Ok(())
    }

    fn place_of(&self, key: &WorldKey, exported: bool) -> Place {
        let name = self.resolve.name_world_key(key);
        let (mut modules, selectors) = match key {
            WorldKey::Name(name) => (vec![names::snake(name)], vec![(name.clone(), 1)]),
            WorldKey::Interface(id) => self.package_modules(*id),
        };
        // What a guest exports is its own: only types that the host defines can be defined elsewhere.
        let with = if exported {
            None
        } else {
            self.find_with(&selectors)
        };
        if let Some((_, kept)) = with {
            modules.drain(..kept);
        } else if exported {
            modules.insert(0, names::ident("exports"));
        }
        Place {
            name,
            modules,
            with: with.map(|(index, _)| index),
            exported,
            selectors,
        }
    }

    /// The `with` entry for an interface, and how many of its modules the entry's target stands for.
    fn find_with(&self, selectors: &[(String, usize)]) -> Option<(usize, usize)> {
        selectors.iter().find_map(|(selector, modules)| {
            let index = (self.options.with.iter()).position(|remap| remap.name == *selector)?;
            self.used.borrow_mut().insert(Entry::With(index));
            Some((index, *modules))
        })
    }

    fn package_modules(&self, id: InterfaceId) -> (Vec<Ident>, Vec<(String, usize)>) {
        let interface = &self.resolve.interfaces[id];
        let interface_name = interface.name.as_deref().unwrap_or_default();
        // An interface that the world imports or exports by its own name has a package.
        let Some(package) = interface.package else {
            return (vec![names::snake(interface_name)], Vec::new());
        };
        let package = &self.resolve.packages[package].name;
        let (namespace, base) = (&package.namespace, &package.name);
        let modules = vec![
            names::snake(namespace),
            self.package_module(package),
            names::snake(interface_name),
        ];
        let version = (package.version.as_ref()).map(|version| format!("@{version}"));
        let mut selectors = Vec::new();
        for version in version.iter().map(String::as_str).chain([""]) {
            selectors.push((format!("{namespace}:{base}/{interface_name}{version}"), 3));
        }
        for version in version.iter().map(String::as_str).chain([""]) {
            selectors.push((format!("{namespace}:{base}{version}"), 2));
        }
        selectors.push((namespace.clone(), 1));
        (modules, selectors)
    }

    /// The module of a package: with its version where several versions are about.
    fn package_module(&self, package: &PackageName) -> Ident {
        let versions = (self.resolve.package_names.keys())
            .filter(|other| other.namespace == package.namespace && other.name == package.name)
            .count();
        match &package.version {
            Some(version) if versions > 1 => {
                let version = version.to_string().replace(['.', '-', '+'], "_");
                format_ident!("{}{}", names::snake(&package.name), version)
            }
            _ => names::snake(&package.name),
        }
    }
}

/// The path from a module `depth` levels below the root to the root, with `::` behind it.
pub(crate) fn root_path(depth: usize) -> TokenStream {
    match depth {
        0 => quote!(self::),
        _ => std::iter::repeat_n(quote!(super::), depth).collect(),
    }
}

/// The name at the root by which generated code refers to the target of a `with` entry.
pub(crate) fn with_alias(index: usize) -> Ident {
    format_ident!("__with{index}")
}

/// Likewise for a `trappable_error_type` entry.
pub(crate) fn error_alias(index: usize) -> Ident {
    format_ident!("__error{index}")
}
