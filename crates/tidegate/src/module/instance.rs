//! Instances of core modules.

use super::Module;
use super::caller::{Exported, MemorySlot};
use super::linker::ModuleLinker;
use crate::baton::{Baton, HomeGuard, StoreId};
use crate::call::enter::{return_isolate, run_stack, take_isolate};
use crate::error::bug;
use crate::interrupt::block_on;
use crate::interrupt::{self, Scope};
use crate::{AsContextMut, Result, WrongStore};
use anyhow::{Context, bail};
use tidegate_engine::{self as engine, Extern, ExternType, Isolate, Stack};

/// An instance of a core module, in an isolate of its own. It lives as long as its store.
#[derive(Clone, Copy, Debug)]
pub struct ModuleInstance {
    store: StoreId,
    isolate: usize,
    instance: engine::Instance,
    suspendable: bool,
}

/// A function of a core instance.
#[derive(Clone, Copy, Debug)]
pub struct CoreFunc {
    instance: ModuleInstance,
    func: engine::Func,
}

pub(super) async fn instantiate<T: Send + 'static>(
    mut baton: Baton,
    linker: &ModuleLinker<T>,
    module: &Module,
) -> (Baton, Result<ModuleInstance>) {
    let (module, imports, memory, index, suspendable) = match prepare(&mut baton, linker, module) {
        Ok(prepared) => prepared,
        Err(error) => return (baton, Err(error)),
    };
    let mut isolate = match take_isolate(&mut baton, index) {
        Ok(isolate) => isolate,
        Err(error) => return (baton, Err(error)),
    };
    let result = if suspendable {
        let mut stack = Stack::instantiate(&module, &imports);
        let (returned, result) = run_stack(isolate, &mut stack).await;
        isolate = returned;
        result.and_then(|()| stack.instance().context(bug("no instance was made")))
    } else {
        isolate.cx().instantiate(&module, &imports)
    };
    let result = result.map(|instance| {
        if let Some(Extern::Memory(exported)) = isolate.cx().export(instance, "memory") {
            memory.get_or_init(|| Exported::Own(exported));
        }
        ModuleInstance {
            store: isolate.data_mut().id,
            isolate: index,
            instance,
            suspendable,
        }
    });
    (return_isolate(isolate, index), result)
}

type Prepared = (engine::Module, Vec<Extern>, MemorySlot, usize, bool);

/// Makes the isolate and the host functions in it.
fn prepare<T: Send + 'static>(
    baton: &mut Baton,
    linker: &ModuleLinker<T>,
    module: &Module,
) -> Result<Prepared> {
    let kind = baton.engine.kind();
    let compiled = module.compiled(kind)?.clone();
    let mut isolate = Isolate::new(
        baton.engine.core(kind)?,
        Baton::default(),
        baton.limits.isolate,
    )?;
    if let Some(control) = &baton.control {
        control.attach(&mut isolate);
    }
    if compiled.uses_exceptions() {
        isolate.enable_exceptions();
    }
    let memory = MemorySlot::default();
    let mut imports = Vec::with_capacity(compiled.imports().len());
    for import in compiled.imports() {
        let (from, name) = (&import.module, &import.name);
        if let (ExternType::Memory(_), Some((shared_from, shared_name, shared))) =
            (&import.ty, &linker.shared_memory)
            && (from, name) == (shared_from, shared_name)
        {
            memory.get_or_init(|| Exported::Shared(shared.clone()));
            imports.push(isolate.cx().add_shared_memory(shared)?);
            continue;
        }
        let definition = linker.get(from, name).with_context(|| {
            format!("unknown import `{from}` `{name}`: nothing of this name is defined")
        })?;
        match &import.ty {
            ExternType::Func(ty) if *ty == definition.ty => {}
            ExternType::Func(ty) => bail!(
                "import `{from}` `{name}` is of type {ty}, but the function that is defined is of type {}",
                definition.ty
            ),
            other => bail!(
                "import `{from}` `{name}` must be a {}, but a function is defined",
                other.kind()
            ),
        }
        imports.push(Extern::Func(definition.make(&mut isolate.cx(), &memory)?));
    }
    // Code that computes can be interrupted, and must be on a stack of its own to go on later.
    let suspendable = isolate.is_suspendable() || baton.engine.is_interruptible();
    baton.isolates.push(Some(isolate));
    Ok((
        compiled,
        imports,
        memory,
        baton.isolates.len() - 1,
        suspendable,
    ))
}

impl ModuleInstance {
    /// An exported function; `None` if there is no such function, or the instance belongs to another store.
    pub fn get_func(&self, mut store: impl AsContextMut, name: &str) -> Option<CoreFunc> {
        match self.export(store.as_context_mut().slot, name)? {
            Extern::Func(func) => Some(CoreFunc {
                instance: *self,
                func,
            }),
            _ => None,
        }
    }

    /// The bytes of an exported memory; `None` as for [`get_func`](Self::get_func). Runs `f` on them.
    pub fn with_memory<R>(
        &self,
        mut store: impl AsContextMut,
        name: &str,
        f: impl FnOnce(&mut [u8]) -> R,
    ) -> Option<R> {
        let place = store.as_context_mut().slot;
        match self.export(place, name)? {
            Extern::Memory(memory) => {
                let isolate = place.isolates[self.isolate].as_mut()?;
                Some(f(isolate.cx().memory_mut(memory)))
            }
            _ => None,
        }
    }

    fn export(&self, place: &mut Baton, name: &str) -> Option<Extern> {
        if place.id != self.store {
            return None;
        }
        place.isolates[self.isolate]
            .as_mut()?
            .cx()
            .export(self.instance, name)
    }
}

impl CoreFunc {
    /// How many slots a call needs: the larger of the numbers of parameters and results.
    pub fn slots(&self) -> usize {
        self.func.slots()
    }

    /// Calls it: parameters are taken from the front of `slots`, results put there. Should the guest wait, this thread waits.
    ///
    /// # Errors
    /// The guest's trap, or a host function's error.
    pub fn call(&self, mut store: impl AsContextMut, slots: &mut [u64]) -> Result<()> {
        let control = store.as_context_mut().slot.control.clone();
        block_on(control, self.call_async(store, slots))
    }

    /// Calls it, waiting where the guest waits.
    ///
    /// The future may be dropped: the guest is ended where it is; the store stays usable.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub async fn call_async(&self, mut store: impl AsContextMut, slots: &mut [u64]) -> Result<()> {
        let place = store.as_context_mut().slot;
        if place.id != self.instance.store {
            return Err(WrongStore.into());
        }
        if slots.len() < self.func.slots() {
            bail!(
                "the function needs {} slots, but {} were given",
                self.func.slots(),
                slots.len()
            );
        }
        let index = self.instance.isolate;
        if !self.instance.suspendable {
            let _scope = Scope::enter(place);
            interrupt::begin_plain(place)?;
            let mut isolate = take_isolate(place, index)?;
            let result = isolate.cx().call(self.func, slots);
            *place = return_isolate(isolate, index);
            return interrupt::explain(place.control.as_deref(), result);
        }
        let stack = Stack::call(self.func, &slots[..self.func.params()])?;
        let mut guard = HomeGuard::new(place);
        // Dropped before the guard, which then finds the baton at home.
        let mut stack = stack;
        let mut baton = guard.take();
        let isolate = match take_isolate(&mut baton, index) {
            Ok(isolate) => isolate,
            Err(error) => {
                guard.put(baton);
                return Err(error);
            }
        };
        let (isolate, result) = run_stack(isolate, &mut stack).await;
        guard.put(return_isolate(isolate, index));
        let results = stack.results();
        slots[..results.len()].copy_from_slice(results);
        result
    }
}
