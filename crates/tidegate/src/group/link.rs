//! Instantiating what a group consists of besides its members.

use super::call::{begin, end};
use super::plan::{Group, Groups};
use super::unwind::Flags;
use crate::baton::Baton;
use crate::call::guest::GuestCall;
use crate::error::bug;
use anyhow::{Context, Result};
use std::sync::{Arc, OnceLock};
use tidegate_core::abi::fuse::Fault;
use tidegate_core::plan::InstanceIdx;
use tidegate_core::runtime::{InstanceId, State};
use tidegate_core::trap::Trap;
use tidegate_engine::{
    self as engine, BlockingHostFn, Cx, Extern, Flow, Func, FuncType, Global, HostFn, HostType,
    Memory, ValType,
};

/// The groups of one instantiation.
#[derive(Default)]
pub(crate) struct GroupsOfInstance {
    /// For each of the plan's instances, its globals if it is in a group.
    globals: Box<[Option<Globals>]>,
    /// For each adapter module, its instance once it was made.
    pub(crate) adapters: Box<[OnceLock<engine::Instance>]>,
    /// For each isolate, the function that its adapters trap by.
    fails: Box<[OnceLock<Func>]>,
}

#[derive(Clone, Copy)]
struct Globals {
    budget: Global,
    entered: Global,
    may_leave: Option<Global>,
}

impl GroupsOfInstance {
    /// For a component of so many instances. Costs nothing without groups.
    pub(crate) fn new(instances: usize, groups: &Groups) -> Self {
        if groups.of_isolate.is_empty() {
            return Self::default();
        }
        Self {
            globals: vec![None; instances].into(),
            adapters: groups.modules.iter().map(|_| OnceLock::new()).collect(),
            fails: groups.of_isolate.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Makes the globals of a group in its isolate, and gives those that a trap is sorted out by. `ids` gives an instance as the store knows it;
    /// `budget` is how many bytes of strings and lists one call may pass.
    pub(crate) fn add(
        &mut self,
        cx: &mut Cx<'_, Baton>,
        group: &Group,
        ids: impl Fn(InstanceIdx) -> InstanceId,
        budget: usize,
    ) -> Result<Flags> {
        let budget = cx.new_global(ValType::I64, budget as u64)?;
        let mut members = Vec::with_capacity(group.members.len());
        for member in &group.members {
            let index = member.instance.index();
            let globals = Globals {
                budget,
                entered: cx.new_global(ValType::I32, 0)?,
                may_leave: match member.closes {
                    true => Some(cx.new_global(ValType::I32, 1)?),
                    false => None,
                },
            };
            members.push((ids(member.instance), globals.entered));
            self.globals[index] = Some(globals);
        }
        Ok(Flags {
            members: members.into(),
        })
    }

    /// The function that the adapters of an isolate (one of the plan's) trap by, made by the first: see [`fail`].
    pub(crate) fn fail(
        &self,
        cx: &mut Cx<'_, Baton>,
        isolate: usize,
        ty: &HostType,
        ends: impl Fn(u64) -> Option<(InstanceId, InstanceId)> + Send + Sync + 'static,
    ) -> Result<Func> {
        let place = self.fails.get(isolate);
        let place = place.context(bug("an isolate is in no group"))?;
        match place.get() {
            Some(func) => Ok(*func),
            None => {
                let func = fail(cx, ty, ends)?;
                Ok(*place.get_or_init(|| func))
            }
        }
    }

    /// Those of an instance, if it is in a group.
    fn find(&self, instance: InstanceIdx) -> Option<&Globals> {
        self.globals.get(instance.index())?.as_ref()
    }

    fn globals(&self, instance: InstanceIdx) -> Result<&Globals> {
        self.find(instance)
            .context(bug("an instance is in no group"))
    }

    pub(crate) fn entered(&self, instance: InstanceIdx) -> Result<Extern> {
        Ok(self.globals(instance)?.entered.into())
    }

    pub(crate) fn budget(&self, instance: InstanceIdx) -> Result<Extern> {
        Ok(self.globals(instance)?.budget.into())
    }

    /// The global that is 0 while an instance may not leave, if adapters look at it or set it.
    pub(crate) fn may_leave(&self, instance: InstanceIdx) -> Option<Global> {
        self.find(instance)?.may_leave
    }
}

/// The type of the function that adapters trap by.
pub(crate) fn fail_type() -> HostType {
    FuncType::new([ValType::I32, ValType::I64, ValType::I64, ValType::I64], []).into()
}

/// The function that adapters trap by. `ends` gives caller and callee of a trampoline.
fn fail(
    cx: &mut Cx<'_, Baton>,
    ty: &HostType,
    ends: impl Fn(u64) -> Option<(InstanceId, InstanceId)> + Send + Sync + 'static,
) -> Result<Func> {
    cx.host_func(
        ty.clone(),
        Box::new(move |mut cx, slots| {
            let words = [slots[1], slots[2], slots[3]];
            let fault = u32::try_from(slots[0]).ok().and_then(Fault::from_code);
            Err(
                match fault.context(bug("an adapter fails without a reason"))? {
                    Fault::Leave => Trap::CannotLeave.into(),
                    Fault::Enter => match ends(words[0]) {
                        Some((caller, callee)) => {
                            cannot_enter(&mut cx.data_mut().state, caller, callee).into()
                        }
                        None => Trap::CannotEnter.into(),
                    },
                    Fault::Value(fault) => fault.trap(words).into(),
                },
            )
        }),
    )
}

/// Why an instance cannot be entered.
fn cannot_enter(state: &mut State, caller: InstanceId, callee: InstanceId) -> Trap {
    match state.enter(callee, Some(caller)) {
        Err(trap) => trap,
        Ok(()) => {
            state.leave(callee, Some(caller));
            Trap::CannotEnter
        }
    }
}

/// The type of the function that validates strings.
pub(crate) fn validate_type() -> HostType {
    FuncType::new([ValType::I32, ValType::I32], []).into()
}

/// The function that validates strings in a memory.
pub(crate) fn validate(cx: &mut Cx<'_, Baton>, ty: &HostType, memory: Memory) -> Result<Func> {
    cx.host_func(
        ty.clone(),
        Box::new(move |cx, slots| {
            tidegate_core::abi::validate_utf8(cx.memory(memory), slots[0], slots[1])
        }),
    )
}

/// The function that begins an accompanied call. `door` is what adapters know of whether the caller may leave.
pub(crate) fn begin_func(
    cx: &mut Cx<'_, Baton>,
    ty: FuncType,
    call: &Arc<GuestCall>,
    door: Option<Door>,
) -> Result<Func> {
    let call = call.clone();
    let func: HostFn<Baton> = Box::new(move |mut cx, slots| begin(&call, &mut cx, slots));
    cx.host_func(ty, Door::guard(door, func))
}

/// The function that ends an accompanied call.
pub(crate) fn end_func(
    cx: &mut Cx<'_, Baton>,
    ty: FuncType,
    call: &Arc<GuestCall>,
) -> Result<Func> {
    let call = call.clone();
    cx.host_func(
        ty,
        Box::new(move |mut cx, slots| end(&call, &mut cx, slots)),
    )
}

/// Where an adapter's word for whether an instance may leave is, for the functions that the host gives to that instance.
#[derive(Clone, Copy)]
pub(crate) struct Door {
    pub(crate) instance: InstanceId,
    pub(crate) may_leave: Global,
}

impl Door {
    /// Runs a function of the host that finds in the state what adapters know.
    #[inline]
    fn pass<R>(
        self,
        cx: &mut Cx<'_, Baton>,
        run: impl FnOnce(&mut Cx<'_, Baton>) -> Result<R>,
    ) -> Result<R> {
        if cx.global_get(self.may_leave)? != 0 {
            return run(cx);
        }
        let before = cx.data_mut().state.instance(self.instance).may_leave;
        cx.data_mut().state.instance_mut(self.instance).may_leave = false;
        let result = run(cx)?;
        // Nothing that is allowed then parks its caller or hands the store on.
        cx.data_mut().state.instance_mut(self.instance).may_leave = before;
        Ok(result)
    }

    /// The function with a door in front, if there is one.
    pub(crate) fn guard(door: Option<Self>, func: HostFn<Baton>) -> HostFn<Baton> {
        match door {
            None => func,
            Some(door) => {
                Box::new(move |mut cx, slots| door.pass(&mut cx, |cx| func(cx.reborrow(), slots)))
            }
        }
    }

    /// The same for a function that may block.
    pub(crate) fn guard_blocking(
        door: Option<Self>,
        func: BlockingHostFn<Baton>,
    ) -> BlockingHostFn<Baton> {
        match door {
            None => func,
            Some(door) => Box::new(move |mut cx, slots| -> Result<Flow<_>> {
                door.pass(&mut cx, |cx| func(cx.reborrow(), slots))
            }),
        }
    }
}
