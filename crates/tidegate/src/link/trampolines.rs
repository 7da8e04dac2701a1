//! The core functions of `canon` definitions in an instance: made, or found by number, when they are needed.

use super::Reexport;
use super::functions::{At, CoreBody, host_body};
use super::instantiate::{InstanceData, isolate_cx, nth};
use crate::Result;
use crate::baton::Baton;
use crate::call::builtins;
use crate::call::canon::{CallSite, Callee, CanonOptions};
use crate::call::enter::{return_isolate, take_isolate};
use crate::call::guest::GuestCall;
use crate::error::bug;
use anyhow::Context;
use std::sync::{Arc, OnceLock};
use tidegate_core::plan::{
    Canon, FuncDef, ImportIdx, InstanceIdx, LiftIdx, Options, OptionsIdx, StringEncoding,
    Trampoline, TrampolineIdx,
};
use tidegate_core::runtime::Lift;
use tidegate_core::types::{FuncTypeIdx, ValType};
use tidegate_engine::{self as engine, Func};

impl InstanceData {
    /// Options without memory, as built-ins and destructors have them.
    pub(super) fn plain_options(&self, instance: InstanceIdx) -> Result<CanonOptions> {
        Ok(CanonOptions {
            shared: self.shared.clone(),
            instance: nth(self.first_instance, instance.index()),
            isolate: self.isolate(instance)?,
            memory: None,
            memory64: false,
            encoding: StringEncoding::Utf8,
            realloc: None,
            index: None,
            may_leave: self.groups.may_leave(instance),
        })
    }

    pub(super) fn canon_options(
        &self,
        at: &mut At<'_, '_>,
        instance: InstanceIdx,
        index: OptionsIdx,
    ) -> Result<CanonOptions> {
        let linked = self.linked.clone();
        let options: &Options = &linked.component.plan().options[index.index()];
        let mut made = self.plain_options(instance)?;
        if let Some(def) = &options.memory {
            made.memory = Some(self.core_memory(at, def)?);
        }
        if let Some(def) = &options.realloc {
            made.realloc = Some(self.core_func(at, def)?);
        }
        made.memory64 = options.memory64;
        made.encoding = options.encoding;
        made.index = Some(index);
        Ok(made)
    }

    /// Resolves a `canon lift`.
    pub(crate) fn callee(&self, baton: &mut Baton, index: LiftIdx) -> Result<Callee> {
        let linked = self.linked.clone();
        let plan = linked.component.plan();
        let lift = &plan.lifts[index.index()];
        let options = &plan.options[lift.options.index()];
        let at = &mut At::Store(baton);
        let core = self.core_func(at, &lift.core)?;
        let post_return = options
            .post_return
            .as_ref()
            .map(|def| self.core_func(at, def))
            .transpose()?;
        Ok(Callee {
            options: self.canon_options(at, lift.instance, lift.options)?,
            core,
            post_return,
            ty: Some(lift.ty),
            flat_params: core.params(),
            flat_results: core.results(),
            returns_number: plan.types.func(lift.ty).result.is_none_or(is_number),
            quiet: linked.prepared()?.quiet[index.index()],
            suspendable: self.suspendable(lift.instance),
            concurrent: linked.component.is_concurrent(),
            nested: self.nested(lift.instance),
            lift: lift_kind(plan.types.func(lift.ty).async_, options),
            callback: options
                .callback
                .as_ref()
                .map(|def| self.core_func(at, def))
                .transpose()?,
        })
    }

    /// A function that the component imports, for the host to call.
    pub(crate) fn reexport(&self, baton: &mut Baton, import: ImportIdx) -> Result<Arc<Reexport>> {
        let cells = self.reexports.get_or_init(|| {
            let imports = &self.plan().imports;
            imports.iter().map(|_| OnceLock::new()).collect()
        });
        let cell = &cells[import.index()];
        if let Some(reexport) = cell.get() {
            return Ok(reexport.clone());
        }
        let resolved = &self.linked.imports.resolved[import.index()];
        let made = Arc::new(Reexport::new(baton, &self.shared, resolved, import)?);
        Ok(cell.get_or_init(|| made).clone())
    }

    /// The core function of a `canon` definition in its isolate, made when first asked for: where it is not one that instantiations share.
    #[inline(never)]
    pub(super) fn trampoline(&self, baton: &mut Baton, index: TrampolineIdx) -> Result<Func> {
        let known = self.trampolines.get_or_init(|| {
            let trampolines = &self.plan().trampolines;
            trampolines.iter().map(|_| OnceLock::new()).collect()
        });
        let known = &known[index.index()];
        if let Some(func) = known.get() {
            return Ok(*func);
        }
        let linked = self.linked.clone();
        if let Some(module) = linked.component.groups().of_trampoline(index) {
            let func = self.adapter(baton, module, index)?;
            return Ok(*known.get_or_init(|| func));
        }
        let trampoline = &linked.component.plan().trampolines[index.index()];
        let isolate = self.isolate(trampoline.instance)?;
        let ty = linked.prepared()?.functions[index.index()].ty.clone();
        let body = match &trampoline.canon {
            Canon::Lower {
                func: FuncDef::Import(import),
                ty,
                options,
            } => {
                let site = self.call_site(&mut At::Store(baton), index, (*ty, *options))?;
                host_body(
                    linked.host_func(*import)?,
                    site,
                    self.door(trampoline.instance),
                )
            }
            Canon::Lower {
                func: FuncDef::Lift(lift),
                ty,
                options,
            } => {
                let call = self.guest_call(baton, index, (*ty, *options), *lift)?;
                if linked.component.is_concurrent() {
                    call.lowered_body()
                } else {
                    call.body(linked.may_block(trampoline), self.door(trampoline.instance))
                }
            }
            canon => {
                let at = &mut At::Store(baton);
                let options = self.built_in_options(at, trampoline)?;
                let definitions = self.built_in_definitions(at, trampoline)?;
                let mut made = take_isolate(baton, isolate)?;
                let body = builtins::body(&mut made.cx(), canon, options, definitions);
                *baton = return_isolate(made, isolate);
                body?
            }
        };
        let func = body.define(&mut isolate_cx(baton, isolate)?, ty)?;
        Ok(*known.get_or_init(|| func))
    }

    /// What a shared function does here, made when it is first called. `cx` is its isolate.
    #[inline]
    pub(super) fn shared_body(
        &self,
        cx: &mut engine::Cx<'_, Baton>,
        number: usize,
    ) -> Result<&CoreBody> {
        let place = self.bodies.get(number);
        match place.and_then(OnceLock::get) {
            Some(body) => Ok(body),
            None => self.make_body(cx, number),
        }
    }

    // This runs on the guest's stack, deeper than most of what follows, and should not be what makes it take one more page. Hence functions of their
    // own with small frames.
    #[cold]
    fn make_body(&self, cx: &mut engine::Cx<'_, Baton>, number: usize) -> Result<&CoreBody> {
        let trampoline = self.plan().trampolines.get(number);
        let (place, trampoline) = (self.bodies.get(number).zip(trampoline))
            .context(bug("a shared function has no place"))?;
        let body = match &trampoline.canon {
            Canon::Lower {
                func: FuncDef::Import(import),
                ty,
                options,
            } => {
                let index = TrampolineIdx(number as u32);
                let site = self.call_site(&mut At::Isolate(cx), index, (*ty, *options))?;
                let func = self.linked.host_func(*import)?;
                host_body(func, site, self.door(trampoline.instance))
            }
            _ => self.built_in_body(cx, trampoline)?,
        };
        Ok(place.get_or_init(|| body))
    }

    #[inline(never)]
    fn built_in_body(
        &self,
        cx: &mut engine::Cx<'_, Baton>,
        trampoline: &Trampoline,
    ) -> Result<CoreBody> {
        let at = &mut At::Isolate(cx);
        let options = self.built_in_options(at, trampoline)?;
        let definitions = self.built_in_definitions(at, trampoline)?;
        builtins::body(cx, &trampoline.canon, options, definitions)
    }

    /// What a built-in works with.
    fn built_in_options(
        &self,
        at: &mut At<'_, '_>,
        trampoline: &Trampoline,
    ) -> Result<CanonOptions> {
        match builtins::options(&trampoline.canon) {
            Some(index) => self.canon_options(at, trampoline.instance, index),
            None => self.plain_options(trampoline.instance),
        }
    }

    /// What else it works with.
    #[inline(never)]
    fn built_in_definitions(
        &self,
        at: &mut At<'_, '_>,
        trampoline: &Trampoline,
    ) -> Result<builtins::Definitions> {
        let canon = &trampoline.canon;
        Ok(builtins::Definitions {
            table: match canon {
                Canon::ThreadNewIndirect { table, .. } => Some(self.core_table(at, table)?),
                _ => None,
            },
            memory: match canon {
                Canon::WaitableSetWait { memory, .. } | Canon::WaitableSetPoll { memory, .. } => {
                    Some(self.core_memory(at, memory)?)
                }
                _ => None,
            },
            door: self.door(trampoline.instance),
            blocks: self.linked.may_block(trampoline),
        })
    }

    /// The place of a lowered function.
    pub(super) fn call_site(
        &self,
        at: &mut At<'_, '_>,
        index: TrampolineIdx,
        (ty, options): (FuncTypeIdx, OptionsIdx),
    ) -> Result<Arc<CallSite>> {
        let function = &self.linked.prepared()?.functions[index.index()];
        let instance = self.plan().trampolines[index.index()].instance;
        Ok(Arc::new(CallSite {
            borrows: function.borrows,
            flat: function.flat,
            options: self.canon_options(at, instance, options)?,
            ty,
            async_type: self.plan().types.func(ty).async_,
            async_: self.plan().options[options.index()].async_,
            name: function.name.clone(),
        }))
    }

    /// A lowered function that another guest's is behind.
    pub(super) fn guest_call(
        &self,
        baton: &mut Baton,
        index: TrampolineIdx,
        lowered: (FuncTypeIdx, OptionsIdx),
        lift: LiftIdx,
    ) -> Result<GuestCall> {
        let trampoline = &self.plan().trampolines[index.index()];
        Ok(GuestCall {
            site: self.call_site(&mut At::Store(baton), index, lowered)?,
            callee: Arc::new(self.callee(baton, lift)?),
            programs: self.shared.component.programs(index, lowered, lift)?,
            parks: self.suspendable(trampoline.instance),
        })
    }
}

/// Whether a type is that of numbers that take one word, any of which is one.
pub(super) fn is_number(ty: ValType) -> bool {
    matches!(
        ty,
        ValType::Bool
            | ValType::S8
            | ValType::U8
            | ValType::S16
            | ValType::U16
            | ValType::S32
            | ValType::U32
            | ValType::S64
            | ValType::U64
            | ValType::F32
            | ValType::F64
    )
}

/// How a function is lifted.
fn lift_kind(async_type: bool, options: &Options) -> Lift {
    match (async_type, options.async_, &options.callback) {
        (false, ..) => Lift::Sync,
        (true, false, _) => Lift::Blocking,
        (true, true, Some(_)) => Lift::Callback,
        (true, true, None) => Lift::Stackful,
    }
}

#[cfg(test)]
mod tests {
    use crate::{Component, Config, Engine, EngineKind, Linker, Store, Strategy};
    use std::sync::Arc;

    /// Core functions are defined once, and find the instance that calls them.
    #[test]
    fn instances_that_share_functions_have_their_own_memories() {
        for kind in EngineKind::ALL {
            let mut config = Config::new();
            config.strategy(Strategy::Always(kind));
            let engine = Engine::new(&config).unwrap();
            let component = Component::new(
                &engine,
                r#"(component
                    (import "say" (func $say (param "what" string)))
                    (core module $memory (memory (export "memory") 1))
                    (core instance $memory (instantiate $memory))
                    (core func $say' (canon lower (func $say) (memory $memory "memory")))
                    (core module $m
                        (import "" "memory" (memory 1))
                        (import "" "say" (func $say (param i32 i32)))
                        (func (export "be") (param i32) (i32.store8 (i32.const 0) (local.get 0)))
                        (func (export "speak") (call $say (i32.const 0) (i32.const 1))))
                    (core instance $m (instantiate $m (with "" (instance
                        (export "memory" (memory $memory "memory")) (export "say" (func $say'))))))
                    (func (export "be") (param "c" u8) (canon lift (core func $m "be")))
                    (func (export "speak") (canon lift (core func $m "speak"))))"#,
            )
            .unwrap();
            let mut linker = Linker::<String>::new(&engine);
            linker
                .root()
                .func_wrap("say", |mut store, (what,): (String,)| {
                    store.data_mut().push_str(&what);
                    Ok(())
                })
                .unwrap();
            let pre = linker.instantiate_pre(&component).unwrap();
            let mut stores = [
                Store::new(&engine, String::new()),
                Store::new(&engine, String::new()),
            ];
            let mut speakers = Vec::new();
            for (index, store) in stores.iter_mut().enumerate() {
                for letter in [b'a', b'b'] {
                    let instance = pre.instantiate(&mut *store).unwrap();
                    let be = instance.get_typed_func::<(u8,), ()>(&mut *store, "be");
                    let letter = letter + 2 * index as u8;
                    be.unwrap().call(&mut *store, (letter,)).unwrap();
                    let speak = instance.get_typed_func::<(), ()>(&mut *store, "speak");
                    speakers.push((index, speak.unwrap()));
                }
            }
            for (index, speak) in speakers.iter().chain(speakers.iter().rev()) {
                speak.call(&mut stores[*index], ()).unwrap();
            }
            assert_eq!(stores[0].data(), "abba");
            assert_eq!(stores[1].data(), "cddc");
        }
    }

    /// A guest's destructor refers to what its instance consists of, which knows the destructor in turn.
    #[test]
    fn what_a_store_held_ends_with_it() {
        let engine = Engine::default();
        let component = Component::new(
            &engine,
            r#"(component
                (core module $d (func (export "dtor") (param i32)))
                (core instance $d (instantiate $d))
                (type $r (resource (rep i32) (dtor (func $d "dtor"))))
                (core func $new (canon resource.new $r))
                (core func $drop (canon resource.drop $r))
                (core module $m
                    (import "" "new" (func $new (param i32) (result i32)))
                    (import "" "drop" (func $drop (param i32)))
                    (func (export "f") (call $drop (call $new (i32.const 7)))))
                (core instance $m (instantiate $m (with "" (instance
                    (export "new" (func $new)) (export "drop" (func $drop))))))
                (func (export "f") (canon lift (core func $m "f"))))"#,
        )
        .unwrap();
        let pre = Linker::new(&engine).instantiate_pre(&component).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = pre.instantiate(&mut store).unwrap();
        let f = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
        f.call(&mut store, ()).unwrap();
        let shared = Arc::downgrade(&instance.data().shared);
        drop((f, instance, store));
        assert!(shared.upgrade().is_none());
    }
}
