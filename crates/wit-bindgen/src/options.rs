//! What the user of `bindgen!` asks for.

use proc_macro2::Span;
use std::path::PathBuf;

/// Everything that one `bindgen!` says.
#[derive(Clone, Debug)]
pub struct Options {
    /// WIT packages as folders or files, relative to the crate's `Cargo.toml`. The folder `wit` if this is empty and there is no
    /// [`inline`](Self::inline) document either.
    pub paths: Vec<PathBuf>,
    /// A WIT document; it may refer to the packages of [`paths`](Self::paths).
    pub inline: Option<String>,
    /// The world to bind: `name`, `ns:pkg/name` or `ns:pkg/name@version`. May be absent where the package has exactly one.
    pub world: Option<String>,
    /// Which `@unstable` features of the WIT packages are there.
    pub features: Features,
    /// How imported functions are bound.
    pub imports: Rules,
    /// How exported functions are bound.
    pub exports: Rules,
    /// Interfaces, packages, namespaces and types that are bound elsewhere.
    pub with: Vec<Remap>,
    /// WIT error types for which host functions return a Rust error type instead.
    pub trappable_error_types: Vec<Remap>,
    /// Further derives for every record, variant and enum.
    pub additional_derives: Vec<syn::Path>,
    /// Where the `tidegate` crate is found.
    pub tidegate_crate: syn::Path,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            inline: None,
            world: None,
            features: Features::All,
            imports: Rules::default(),
            exports: Rules::default(),
            with: Vec::new(),
            trappable_error_types: Vec::new(),
            additional_derives: Vec::new(),
            tidegate_crate: syn::parse_quote!(::tidegate),
        }
    }
}

/// Which `@unstable` features are there.
#[derive(Clone, Debug)]
pub enum Features {
    /// Every one.
    All,
    /// Those named.
    Only(Vec<String>),
}

/// One entry `"wit name": rust::Type` of `with` or `trappable_error_type`.
#[derive(Clone, Debug)]
pub struct Remap {
    /// The WIT name.
    pub name: String,
    /// Where that name was written.
    pub span: Span,
    /// What it stands for, resolved where the macro is called.
    pub target: syn::Type,
}

/// How the functions on one side of the world are bound.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// In order: the first rule that matches a function decides alone.
    pub rules: Vec<Rule>,
    /// For a function that no rule matches.
    pub default: FunctionFlags,
}

/// One entry `"wit name": concurrent | trappable` of `imports` or `exports`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// A function (`ns:pkg/iface.name`, `ns:pkg/iface.[method]res.name`, a bare `name` of the world), or an interface, package or namespace.
    pub name: String,
    /// Where that name was written.
    pub span: Span,
    /// How its functions are bound.
    pub flags: FunctionFlags,
}

/// How one function is bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionFlags {
    /// How it waits, if that is said: otherwise WIT says it.
    pub mode: Option<Mode>,
    /// A host function returns `tidegate::Result<…>`, whose error traps the guest.
    pub trappable: bool,
    /// Each call of a host function and its return is traced, with those arguments that hold no list or string.
    pub tracing: bool,
    /// With `tracing`: all arguments and results are.
    pub verbose_tracing: bool,
}

impl FunctionFlags {
    /// How a function waits that WIT calls `async`, or does not.
    pub(crate) fn mode(&self, wit_async: bool) -> Mode {
        match self.mode {
            // A host function that keeps the store while it waits would hold up all others: nobody means that for a function that
            // promises not to.
            None | Some(Mode::Async) if wit_async => Mode::Concurrent,
            None => Mode::Sync,
            Some(mode) => mode,
        }
    }
}

/// How a function waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: a host function returns at once; a call of an export blocks the thread.
    Sync,
    /// A host function is an `async fn` that has the host's data, and the store with it, until it ends; an export's `call_…` is an `async fn`.
    Async,
    /// A host function is an `async fn` with an accessor, others run while it waits; an export's `call_…` can be called concurrently with others.
    Concurrent,
    /// A host function returns at once, and has access to the whole store. Not for exports.
    Store,
}
