//! The macros, with their documentation.

/// Turns a WIT world into Rust: traits for what a component imports, a struct for what it exports, types for what passes between.
///
/// ```
/// use tidegate::{Component, Config, Engine, Linker, Store};
///
/// tidegate::bindgen!({
///     inline: r#"
///         package example:greeter;
///
///         interface clock { hour: func() -> u32; }
///
///         world greeter {
///           import clock;
///           export greet: func(name: string) -> string;
///         }
///     "#,
/// });
///
/// struct Clock;
///
/// impl example::greeter::clock::Host for Clock {
///     fn hour(&mut self) -> u32 {
///         9
///     }
/// }
///
/// fn greet(engine: &Engine, component: &Component) -> tidegate::Result<String> {
///     let mut linker = Linker::new(engine);
///     Greeter::add_to_linker(&mut linker)?;
///     let mut store = Store::new(engine, Clock);
///     let greeter = Greeter::instantiate(&mut store, component, &linker)?;
///     greeter.call_greet(&mut store, "Ada")
/// }
/// # fn main() {
/// #     let engine = Engine::new(&Config::new()).unwrap();
/// #     let text = include_str!("../../../examples/guests/greeter.wat");
/// #     let component = Component::new(&engine, text).unwrap();
/// #     assert_eq!(greet(&engine, &component).unwrap(), "Good morning, Ada");
/// # }
/// ```
///
/// The macro stands where items stand in a module, not inside a function.
///
/// # Forms
///
/// `bindgen!()` binds the only world of the package in the folder `wit` beside `Cargo.toml`; `bindgen!("name")` a world by its name;
/// `bindgen!(in "path")` and `bindgen!("name" in "path")` look elsewhere. The path is a folder, whose `deps` folder may hold further packages,
/// or a single file. All options need braces:
///
/// ```ignore
/// bindgen!({
///     // A world: `name`, `ns:pkg/name` or `ns:pkg/name@version`.
///     world: "my-world",
///     // One path or several, relative to `Cargo.toml`.
///     path: ["wit", "other/package.wit"],
///     // A document in place, which may refer to packages at `path`.
///     inline: "package a:b; …",
///     // The `@unstable` features that are there; all of them without this line.
///     features: ["clocks-timezone"],
///
///     // How imported functions are bound. The first entry that matches a function decides alone. An entry names a function, an
///     // interface, a package or a namespace; a version may be left out. A function of the world itself is its bare name.
///     imports: {
///         "wasi:io/poll.poll": async | trappable,
///         "wasi:io/poll.[method]pollable.ready": trappable,
///         "wasi:filesystem/types.[drop]descriptor": async,
///         "wasi:clocks": trappable | tracing,
///         "my:pkg/api.fetch": concurrent | trappable,
///         default: trappable,
///     },
///     // Likewise for exported functions, for which there are `sync`, `async` and `concurrent`.
///     exports: { default: async },
///
///     // Interfaces, packages and namespaces that are bound elsewhere, by the path of their module; and single types by a Rust type, which for a
///     // resource is the `R` of `Resource<R>`.
///     with: {
///         "wasi:io": other_crate::bindings::wasi::io,
///         "my:pkg/api.session": Session,
///     },
///     // Rust errors in place of WIT's.
///     trappable_error_type: { "my:pkg/api.error" => ApiError },
///     // Further derives for every record, variant and enum.
///     additional_derives: [Hash, serde::Serialize],
///     // Where this crate is found, if it is not `::tidegate`.
///     tidegate_crate: path::to::tidegate,
/// });
/// ```
///
/// # Flags of functions
///
/// | flag | what it does |
/// | --- | --- |
/// | `sync` | a host function returns at once; a call of an exported function blocks the thread. So it is without a flag, unless WIT says `async` |
/// | `async` | a host function is an `async fn` that has `&mut self` while it waits, so that nothing else runs in the store; a call of an exported function is an `async fn` |
/// | `concurrent` | a host function is an `async fn` with an [`Accessor`](crate::Accessor), and others run while it waits; a call of an exported function takes a [`Caller`](crate::Caller): a store, or an accessor beside other calls. So it is without a flag, or with `async`, where WIT says `async` |
/// | `store` | a host function returns at once, and has [`Access`](crate::Access) to the whole store, to make a stream for example |
/// | `trappable` | a host function returns [`Result`](crate::Result), whose error traps the guest |
/// | `tracing` | each call of a host function, and its return, is a `tracing` event at level `TRACE` |
/// | `verbose_tracing` | those events show strings and lists too |
///
/// # What is generated
///
/// * For an imported interface `ns:pkg/name`, a module `ns::pkg::name` with its types, a trait `Host`, a trait `HostRes` for each of its resources, and
///   `add_to_linker`. An interface that has nothing but types needs no trait.
/// * For the world, a struct named after it with `instantiate`, `instantiate_async`, `new`, `add_to_linker`, `call_…` for each exported function, and
///   an accessor for each exported interface. If the world imports functions itself, a trait `WorldImports` for them. `WorldPre` is a component linked
///   once, to be instantiated many times.
/// * For an exported interface, a module `exports::ns::pkg::name` with its types and a struct `Guest`, which has the functions as `call_…` and
///   for each resource a method that gives its functions.
///
/// # What implements the traits
///
/// * The store's data itself: `add_to_linker(&mut linker)`.
/// * A part of it, which a closure borrows: `add_to_linker_with(&mut linker, |data| &mut data.part)`.
/// * A view made of several borrows: `add_to_linker_get::<_, D>(&mut linker, |data| View { … })`, where `D` implements
///   [`HasData`](crate::HasData) to name the view.
///
/// Each trait is implemented for `&mut U` where `U` implements it.
///
/// # Concurrent functions
///
/// They stand in the same trait as the others, without `self`: they are told where the host's data is, and borrow it when they need it and never while they wait.
///
/// ```
/// use tidegate::{Accessor, Engine, HasSelf, Linker};
///
/// tidegate::bindgen!({
///     inline: r#"
///         package example:rooms;
///
///         interface doors {
///           enter: async func(name: string) -> u32;
///         }
///
///         world rooms { import doors; }
///     "#,
/// });
///
/// #[derive(Default)]
/// struct House {
///     inside: Vec<String>,
/// }
///
/// impl example::rooms::doors::Host for House {
///     async fn enter<T: Send + 'static>(house: &Accessor<T, HasSelf<Self>>, name: String) -> u32 {
///         knock().await;
///         let entered = house.with(|mut access| {
///             let inside = &mut access.get().inside;
///             inside.push(name);
///             inside.len()
///         });
///         entered.map_or(0, |inside| inside as u32)
///     }
/// }
///
/// async fn knock() {}
///
/// fn linker(engine: &Engine) -> tidegate::Result<Linker<House>> {
///     let mut linker = Linker::new(engine);
///     // As ever: one line.
///     Rooms::add_to_linker(&mut linker)?;
///     Ok(linker)
/// }
/// # fn main() {
/// #     linker(&Engine::default()).unwrap();
/// # }
/// ```
///
/// `T` is the data of whatever store the linker is for, and `HasSelf<Self>` says that `House`, all of it or a part, is found there. The traits of an interface with such
/// functions have that name as a parameter, `Host<HasSelf<Self>>` if nothing else is said. A view says its own: `impl doors::Host<View<'static>> for View<'_>` with
/// `async fn enter<T: Send + 'static>(house: &Accessor<T, View<'static>>, …)`.
///
/// # Errors with a type of their own
///
/// A function of type `result<T, error>` whose error is named in `trappable_error_type` returns `Result<T, ApiError>` from the host. The trait `Host` of the
/// interface that defines the WIT type gets a method `convert_error`, which makes the WIT error of it, or a trap. So `?` works on whatever
/// `ApiError` can be made from.
///
/// # Reading the code
///
/// With the environment variable `TIDEGATE_DEBUG_BINDGEN` set to a folder while compiling, the code is written to a file there and included from it.
pub use tidegate_macros::bindgen;

/// Implements [`ComponentType`](trait@crate::ComponentType): the Rust type stands for a component type.
///
/// A struct stands for a record, an enum for a variant, or for an enum if no case has a payload. `#[component(record)]`, `#[component(variant)]` and
/// `#[component(enum)]` say so explicitly. Labels are the names in kebab-case, unless `#[component(name = "…")]` says otherwise. Fields and
/// cases are in the order of WIT.
///
/// ```
/// use tidegate::{ComponentType, Lift, Lower};
///
/// /// `record entry { file-name: string, size: u64 }`
/// #[derive(ComponentType, Lift, Lower)]
/// struct Entry {
///     file_name: String,
///     size: u64,
/// }
///
/// /// `variant found { nothing, one(entry), URL(string) }`
/// #[derive(ComponentType, Lift, Lower)]
/// enum Found {
///     Nothing,
///     One(Entry),
///     #[component(name = "URL")]
///     Url(String),
/// }
///
/// /// `variant answer { yes, no }`: as an `enum` it would be another type.
/// #[derive(ComponentType, Lift, Lower)]
/// #[component(variant)]
/// enum Answer {
///     Yes,
///     No,
/// }
/// ```
pub use tidegate_macros::ComponentType;

/// Implements [`Lift`](trait@crate::Lift): values can be received from guests. See [`ComponentType`](macro@crate::ComponentType).
pub use tidegate_macros::Lift;

/// Implements [`Lower`](trait@crate::Lower): values can be given to guests. See [`ComponentType`](macro@crate::ComponentType).
pub use tidegate_macros::Lower;

/// Defines a type that stands for `flags`: a set of at most 32 labels.
///
/// Labels are the names in kebab-case, unless `#[component(name = "…")]` says otherwise.
///
/// ```
/// tidegate::flags! {
///     /// `flags permissions { read, write, set-owner }`
///     pub Permissions {
///         const READ;
///         const WRITE;
///         const SET_OWNER;
///     }
/// }
///
/// let some = Permissions::READ | Permissions::SET_OWNER;
/// assert!(some.contains(Permissions::READ));
/// assert_eq!(format!("{some:?}"), "Permissions(READ | SET_OWNER)");
/// assert_eq!(!some, Permissions::WRITE);
/// ```
pub use tidegate_macros::flags;
