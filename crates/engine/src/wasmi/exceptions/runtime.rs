//! Exceptions in a store: what is in flight, and the functions that translated modules import.

use wasmi::{
    AsContextMut, Caller, ExternRef, Func, FuncType, Global, Mutability, Nullable, StoreContextMut,
    Val, ValType,
};

use crate::{
    isolate::IsolateData,
    trap::{Trap, TrapCode},
    wasmi::{convert, isolate::StoreData},
};

/// How many exceptions an isolate can catch by reference. The engine frees references with the store only, so that a guest
/// could otherwise take any amount of memory.
const MAX_REFERENCES: u32 = 100_000;

/// Exceptions of a store.
pub(in crate::wasmi) struct Exceptions {
    /// Whether one is in flight: imported by every module.
    pub(in crate::wasmi) pending: Global,
    current: Option<Exception>,
    /// How many references were made.
    references: u32,
    tags: Vec<Tag>,
    /// The functions that need no tag.
    shared: [Func; 3],
}

struct Tag {
    ty: FuncType,
    /// What a module that has this tag imports for it.
    funcs: [Func; 3],
}

/// A thrown exception.
#[derive(Clone, Debug)]
struct Exception {
    tag: u32,
    payload: Vec<Val>,
}

/// What was in flight when a stack was interrupted.
#[derive(Default)]
pub(in crate::wasmi) struct Flight(Option<Exception>);

impl Exceptions {
    /// Exceptions for a store that has none yet.
    pub(in crate::wasmi) fn new<D: IsolateData>(
        mut store: StoreContextMut<'_, StoreData<D>>,
    ) -> Self {
        let external = || [ValType::ExternRef];
        Self {
            pending: Global::new(&mut store, Val::I32(0), Mutability::Var),
            current: None,
            references: 0,
            tags: Vec::new(),
            shared: [
                Func::new(&mut store, FuncType::new([], external()), take),
                Func::new(&mut store, FuncType::new(external(), []), throw_ref),
                Func::new(&mut store, FuncType::new([], []), clear),
            ],
        }
    }

    /// The functions that a module with these tags imports, in the order of the translation.
    pub(in crate::wasmi) fn imports(&self, tags: &[u32]) -> Vec<Func> {
        let of_tags = tags.iter().flat_map(|tag| self.tags[*tag as usize].funcs);
        of_tags.chain(self.shared).collect()
    }

    pub(in crate::wasmi) fn tag_type(&self, tag: u32) -> &FuncType {
        &self.tags[tag as usize].ty
    }

    /// Takes what is in flight.
    pub(in crate::wasmi) fn land<D: IsolateData>(
        store: StoreContextMut<'_, StoreData<D>>,
    ) -> Flight {
        Flight(set(store, None))
    }

    /// Puts what was in flight back into flight.
    pub(in crate::wasmi) fn resume<D: IsolateData>(
        store: StoreContextMut<'_, StoreData<D>>,
        flight: Flight,
    ) {
        set(store, flight.0);
    }
}

impl Flight {
    /// # Errors
    /// Something was in flight: a trap.
    pub(in crate::wasmi) fn check(self) -> Result<(), Trap> {
        match self.0 {
            None => Ok(()),
            Some(_) => Err(Trap::new(TrapCode::UncaughtException)),
        }
    }
}

/// Defines a tag in a store that has exceptions.
pub(in crate::wasmi) fn new_tag<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    payload: &[ValType],
) -> Option<u32> {
    let tag = store.data().exceptions.as_ref()?.tags.len() as u32;
    let payload = || payload.to_vec();
    let ty = FuncType::new(payload(), []);
    let funcs = [
        Func::new(
            &mut store,
            ty.clone(),
            move |mut caller: Caller<'_, StoreData<D>>, params: &[Val], _: &mut [Val]| {
                let exception = Exception {
                    tag,
                    payload: params.to_vec(),
                };
                set(caller.as_context_mut(), Some(exception));
                Ok(())
            },
        ),
        Func::new(
            &mut store,
            FuncType::new([], [ValType::I32]),
            move |caller: Caller<'_, StoreData<D>>, _: &[Val], results: &mut [Val]| {
                let matches = current(&caller).is_some_and(|current| current.tag == tag);
                results[0] = Val::I32(matches.into());
                Ok(())
            },
        ),
        Func::new(
            &mut store,
            FuncType::new([], payload()),
            |caller: Caller<'_, StoreData<D>>, _: &[Val], results: &mut [Val]| {
                if let Some(current) = current(&caller) {
                    results.clone_from_slice(&current.payload);
                }
                Ok(())
            },
        ),
    ];
    let tags = &mut store.data_mut().exceptions.as_mut()?.tags;
    tags.push(Tag { ty, funcs });
    Some(tag)
}

fn current<'a, D: IsolateData>(caller: &'a Caller<'_, StoreData<D>>) -> Option<&'a Exception> {
    caller.data().exceptions.as_ref()?.current.as_ref()
}

/// Sets what is in flight and gives what was.
fn set<D: IsolateData>(
    mut store: StoreContextMut<'_, StoreData<D>>,
    exception: Option<Exception>,
) -> Option<Exception> {
    let exceptions = store.data_mut().exceptions.as_mut()?;
    let pending = exceptions.pending;
    let is_pending = exception.is_some();
    let before = std::mem::replace(&mut exceptions.current, exception);
    if is_pending != before.is_some() {
        // Cannot fail: the global is a mutable `i32`.
        let _ = pending.set(&mut store, Val::I32(is_pending.into()));
    }
    before
}

/// What is in flight as a reference.
fn take<D: IsolateData>(
    mut caller: Caller<'_, StoreData<D>>,
    _: &[Val],
    results: &mut [Val],
) -> Result<(), wasmi::Error> {
    let Some(exception) = set(caller.as_context_mut(), None) else {
        return Ok(());
    };
    if let Some(exceptions) = &mut caller.data_mut().exceptions {
        exceptions.references += 1;
        if exceptions.references > MAX_REFERENCES {
            let trap = Trap::new(TrapCode::OutOfResources);
            return Err(convert::to_engine(trap.into()));
        }
    }
    results[0] = Val::from(ExternRef::new(&mut caller, exception));
    Ok(())
}

fn throw_ref<D: IsolateData>(
    mut caller: Caller<'_, StoreData<D>>,
    params: &[Val],
    _: &mut [Val],
) -> Result<(), wasmi::Error> {
    let exception = match params {
        [Val::ExternRef(Nullable::Val(reference))] => {
            reference.data(&caller).downcast_ref::<Exception>().cloned()
        }
        _ => None,
    };
    match exception {
        Some(exception) => {
            set(caller.as_context_mut(), Some(exception));
            Ok(())
        }
        None => Err(convert::to_engine(
            Trap::new(TrapCode::NullReference).into(),
        )),
    }
}

fn clear<D: IsolateData>(
    mut caller: Caller<'_, StoreData<D>>,
    _: &[Val],
    _: &mut [Val],
) -> Result<(), wasmi::Error> {
    set(caller.as_context_mut(), None);
    Ok(())
}
