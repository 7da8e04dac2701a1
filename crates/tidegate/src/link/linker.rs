//! The linker: what the host offers to components, by name.

use super::host_func::{HostDtor, HostFunc};
use super::imports::{self, LinkError};
use super::in_place::{Answer, InPlace};
use crate::module::Module;
use crate::{Accessor, Component, Engine, Result, StoreContextMut, Val};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use tidegate_core::abi::{LiftParams, LowerResult};
use tidegate_core::plan::{Import, ImportKind};

/// What the host offers to components whose stores carry a `T`.
///
/// Names are those of the components' imports. An interface is served by any compatible version that was defined: `ns:pkg/iface@0.2.3` by
/// `0.2.12`, `1.2.0` by `1.5.0`, as the specification's canonical interface names have it.
pub struct Linker<T: Send + 'static> {
    engine: Engine,
    root: Names,
    allow_shadowing: bool,
    data: PhantomData<fn() -> T>,
}

impl<T: Send + 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Self {
            engine: self.engine.clone(),
            root: self.root.clone(),
            allow_shadowing: self.allow_shadowing,
            data: PhantomData,
        }
    }
}

/// Definitions by name.
pub(crate) type Names = BTreeMap<String, Definition>;

/// Something that the host offers.
#[derive(Clone)]
pub(crate) enum Definition {
    Func(Arc<HostFunc>),
    Resource(HostResource),
    Module(Module),
    Instance(Names),
}

impl Definition {
    /// The kind, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Definition::Func(_) => "function",
            Definition::Resource(_) => "resource type",
            Definition::Module(_) => "core module",
            Definition::Instance(_) => "instance",
        }
    }
}

/// A resource type that the host implements.
#[derive(Clone)]
pub(crate) struct HostResource {
    /// The Rust type that stands for it.
    pub(crate) ty: TypeId,
    /// Called with the representation when its owner drops the handle.
    pub(crate) dtor: Arc<HostDtor>,
}

/// The type of a resource that the host implements, as a [`Linker`] wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceType(TypeId);

impl ResourceType {
    /// The resource type whose handles are `Resource<R>`.
    pub fn host<R: 'static>() -> Self {
        Self(TypeId::of::<R>())
    }
}

/// Why something could not be defined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DefineError {
    /// The name is taken.
    #[error("`{name}` is defined already (`Linker::allow_shadowing` permits to replace it)")]
    Defined {
        /// The name.
        name: String,
    },
    /// The name is taken by something that is no instance.
    #[error("`{name}` is defined as a {kind}, so nothing can be defined in it")]
    NoInstance {
        /// The name.
        name: String,
        /// What it is.
        kind: &'static str,
    },
}

impl<T: Send + 'static> Linker<T> {
    /// A linker that offers nothing.
    pub fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            root: Names::new(),
            allow_shadowing: false,
            data: PhantomData,
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again, which replaces its first definition; false by default.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    /// The top level, where a component's plain imports are looked up.
    pub fn root(&mut self) -> LinkerInstance<'_, T> {
        LinkerInstance {
            names: &mut self.root,
            allow_shadowing: self.allow_shadowing,
            data: PhantomData,
        }
    }

    /// The instance of this name, made if there is none; short for `root().into_instance(name)`.
    ///
    /// # Errors
    /// The name is that of something else.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>, DefineError> {
        self.root().into_instance(name)
    }

    /// Defines every import of a component that nothing is defined for yet: functions that trap with their name when they are called, and resource
    /// types that nobody can make. For programs that import more than they use.
    ///
    /// # Errors
    /// A core module is among them, for which nothing can stand in; a name on the way is that of something else.
    pub fn define_unknown_imports_as_traps(
        &mut self,
        component: &Component,
    ) -> Result<(), LinkError> {
        for import in &component.plan().imports {
            match imports::find(import, &self.root) {
                Ok(_) => {}
                Err(LinkError::Unknown { .. }) => self.define_as_trap(import)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn define_as_trap(&mut self, import: &Import) -> Result<(), LinkError> {
        /// The type of resources that there are none of.
        struct Unknown;

        let path = imports::path(import);
        let definition = match &import.kind {
            ImportKind::Func(_) => Definition::Func(Arc::new(HostFunc::dynamic(
                move |_: StoreContextMut<'_, T>, _: &[Val], _: &mut [Val]| {
                    anyhow::bail!(
                        "`{path}` was called, which is an import that nothing is defined for"
                    )
                },
            ))),
            ImportKind::Resource(_) => Definition::Resource(HostResource {
                ty: TypeId::of::<Unknown>(),
                dtor: Arc::new(HostDtor::sync(|_: StoreContextMut<'_, T>, _| Ok(()))),
            }),
            ImportKind::EmptyInstance => Definition::Instance(Names::new()),
            ImportKind::Module(_) => {
                return Err(LinkError::Unknown {
                    import: path,
                    kind: "core module",
                    nearest: None,
                });
            }
        };
        let Some((last, scopes)) = import.path.split_last() else {
            return Ok(());
        };
        let mut names = &mut self.root;
        for (depth, name) in scopes.iter().enumerate() {
            let implements = import.implements.as_deref().filter(|_| depth == 0);
            // Other imports of this interface may be served by another version, which they must still find.
            let found = imports::offered_name(names, name, implements).unwrap_or(name);
            let scope = names
                .entry(found.to_owned())
                .or_insert_with(|| Definition::Instance(Names::new()));
            names = match scope {
                Definition::Instance(names) => names,
                other => {
                    return Err(LinkError::Kind {
                        import: imports::path(import),
                        expected: "instance",
                        found: other.kind(),
                    });
                }
            };
        }
        names.insert(last.to_string(), definition);
        Ok(())
    }

    pub(crate) fn names(&self) -> &Names {
        &self.root
    }
}

/// Where definitions are added: the top level of a [`Linker`], or an instance in it.
pub struct LinkerInstance<'a, T: Send + 'static> {
    names: &'a mut Names,
    allow_shadowing: bool,
    data: PhantomData<fn() -> T>,
}

impl<'a, T: Send + 'static> LinkerInstance<'a, T> {
    /// Whether a name of this instance may be defined again, as long as this view of it lives: see [`Linker::allow_shadowing`].
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    /// Defines a function: a closure from a tuple of parameters to `()` or a tuple of one result.
    ///
    /// # Errors
    /// [`DefineError::Defined`]. Whether the types fit is found when a component is linked.
    pub fn func_wrap<F, P, R>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: Fn(StoreContextMut<'_, T>, P) -> Result<R> + Send + Sync + 'static,
        P: LiftParams + 'static,
        R: LowerResult + 'static,
    {
        self.define(name, Definition::Func(Arc::new(HostFunc::sync(func))))
    }

    /// Defines a function that may wait: it returns a future, which holds the store until it is ready.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn func_wrap_async<F, P, R>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: for<'b> Fn(StoreContextMut<'b, T>, P) -> Box<dyn Future<Output = Result<R>> + Send + 'b>
            + Send
            + Sync
            + 'static,
        P: LiftParams + Send + 'static,
        R: LowerResult + Send + 'static,
    {
        self.define(name, Definition::Func(Arc::new(HostFunc::waiting(func))))
    }

    /// Defines a function that may wait while others run: it has an [`Accessor`] to borrow the store by, and its caller, if it called asynchronously,
    /// goes on.
    ///
    /// A guest that wants the call cancelled ends the future, unless it watches for [`Accessor::cancelled`]. Where a component calls it by a type that is
    /// not `async`, it waits as one of [`func_wrap_async`](Self::func_wrap_async) does, with the store.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn func_wrap_concurrent<F, P, R>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: Fn(&Accessor<T>, P) -> Pin<Box<dyn Future<Output = Result<R>> + Send + '_>>
            + Send
            + Sync
            + 'static,
        P: LiftParams + Send + 'static,
        R: LowerResult + Send + 'static,
    {
        self.define(name, Definition::Func(Arc::new(HostFunc::concurrent(func))))
    }

    /// Defines a function of whatever type its importer gives it, over dynamic values, that may wait while others run. It gives the result if its type
    /// has one.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn func_new_concurrent<F>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: Fn(
                &Accessor<T>,
                Vec<Val>,
            ) -> Pin<Box<dyn Future<Output = Result<Option<Val>>> + Send + '_>>
            + Send
            + Sync
            + 'static,
    {
        let func = HostFunc::dynamic_concurrent(func);
        self.define(name, Definition::Func(Arc::new(func)))
    }

    /// Defines a function that reads or writes bytes where they lie, in the memory of its caller: lists of bytes among its parameters or in its
    /// result are [`GuestBytes`](crate::GuestBytes), which copy nothing.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn func_in_place<F, P, R>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: Fn(&mut InPlace<'_, T>, &P) -> Result<R> + Send + Sync + 'static,
        P: LiftParams + 'static,
        R: LowerResult + 'static,
    {
        self.define(name, Definition::Func(Arc::new(HostFunc::in_place(func))))
    }

    /// The same for a function that may wait: it is called again when what it waited for is there.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn func_in_place_waiting<F, P, R>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: Fn(&mut InPlace<'_, T>, &P) -> Result<Answer<R>> + Send + Sync + 'static,
        P: LiftParams + Send + 'static,
        R: LowerResult + 'static,
    {
        self.define(
            name,
            Definition::Func(Arc::new(HostFunc::in_place_waiting(func))),
        )
    }

    /// Defines a function of whatever type its importer gives it, over dynamic values.
    ///
    /// The results are `Val::Bool(false)` to begin with, as many as the type has.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn func_new<F>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: Fn(StoreContextMut<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    {
        self.define(name, Definition::Func(Arc::new(HostFunc::dynamic(func))))
    }

    /// Defines a function over dynamic values that may wait.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn func_new_async<F>(&mut self, name: &str, func: F) -> Result<(), DefineError>
    where
        F: for<'b> Fn(
                StoreContextMut<'b, T>,
                &'b [Val],
                &'b mut [Val],
            ) -> Box<dyn Future<Output = Result<()>> + Send + 'b>
            + Send
            + Sync
            + 'static,
    {
        self.define(
            name,
            Definition::Func(Arc::new(HostFunc::dynamic_waiting(func))),
        )
    }

    /// Defines a resource type that the host implements. `dtor` is called with the representation when the last owner drops it.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn resource<F>(&mut self, name: &str, ty: ResourceType, dtor: F) -> Result<(), DefineError>
    where
        F: Fn(StoreContextMut<'_, T>, u32) -> Result<()> + Send + Sync + 'static,
    {
        let dtor = Arc::new(HostDtor::sync(dtor));
        self.define(name, Definition::Resource(HostResource { ty: ty.0, dtor }))
    }

    /// Defines a resource type whose destructor may wait.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn resource_async<F>(
        &mut self,
        name: &str,
        ty: ResourceType,
        dtor: F,
    ) -> Result<(), DefineError>
    where
        F: for<'b> Fn(
                StoreContextMut<'b, T>,
                u32,
            ) -> Box<dyn Future<Output = Result<()>> + Send + 'b>
            + Send
            + Sync
            + 'static,
    {
        let dtor = Arc::new(HostDtor::waiting(dtor));
        self.define(name, Definition::Resource(HostResource { ty: ty.0, dtor }))
    }

    /// Defines a core module.
    ///
    /// # Errors
    /// As [`func_wrap`](Self::func_wrap).
    pub fn module(&mut self, name: &str, module: &Module) -> Result<(), DefineError> {
        self.define(name, Definition::Module(module.clone()))
    }

    /// The instance of this name in this one, made if there is none.
    ///
    /// # Errors
    /// The name is that of something else.
    pub fn instance(&mut self, name: &str) -> Result<LinkerInstance<'_, T>, DefineError> {
        LinkerInstance {
            names: &mut *self.names,
            allow_shadowing: self.allow_shadowing,
            data: PhantomData,
        }
        .into_instance(name)
    }

    /// As [`instance`](Self::instance), by value.
    ///
    /// # Errors
    /// The name is that of something else.
    pub fn into_instance(self, name: &str) -> Result<LinkerInstance<'a, T>, DefineError> {
        let definition = self
            .names
            .entry(name.to_owned())
            .or_insert_with(|| Definition::Instance(Names::new()));
        match definition {
            Definition::Instance(names) => Ok(LinkerInstance {
                names,
                allow_shadowing: self.allow_shadowing,
                data: PhantomData,
            }),
            other => Err(DefineError::NoInstance {
                name: name.to_owned(),
                kind: other.kind(),
            }),
        }
    }

    fn define(&mut self, name: &str, definition: Definition) -> Result<(), DefineError> {
        if !self.allow_shadowing && self.names.contains_key(name) {
            return Err(DefineError::Defined {
                name: name.to_owned(),
            });
        }
        self.names.insert(name.to_owned(), definition);
        Ok(())
    }
}
