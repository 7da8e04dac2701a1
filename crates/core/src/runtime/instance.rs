//! Component instances and the rules of entering and leaving them.

use super::{HandleTable, InstanceId, Lift, Limits, State, Table, ThreadId};
use crate::trap::Trap;
use std::collections::VecDeque;

/// The runtime state of a component instance.
#[derive(Debug)]
pub struct Instance {
    /// The instance that instantiated this one.
    pub parent: Option<InstanceId>,
    /// Its handles.
    pub handles: HandleTable,
    /// Whether it may be entered: false while it runs.
    pub may_enter: bool,
    /// Whether it may call imports and built-ins: false in `realloc` and `post-return`.
    pub may_leave: bool,
    /// Whether a trap made it unusable.
    pub poisoned: bool,
    /// Its threads, by the indices that its code knows them by.
    pub(super) threads: Table<ThreadId>,
    /// While it is not 0, no task whose type is `async` starts.
    pub(super) backpressure: u32,
    /// The implicit thread that runs exclusively: no other such thread may run core code until it is released.
    pub(super) exclusive_thread: Option<ThreadId>,
    /// Calls of functions whose types are not `async` that are under way. More than one only by donut wrapping.
    pub(super) sync_calls: u32,
    /// Threads whose task waits to start: those that need exclusivity, and the others. `None` until there are some: in most instances there never are.
    pub(super) entering: Option<Box<[VecDeque<ThreadId>; 2]>>,
    /// Threads that were found to be ready but for exclusivity. May name some that are not any more.
    pub(super) gated: Vec<ThreadId>,
}

impl Instance {
    pub(super) fn new(parent: Option<InstanceId>, limits: &Limits) -> Self {
        Self {
            parent,
            handles: HandleTable::new(limits.handles, HandleTable::NAMES),
            may_enter: true,
            may_leave: true,
            poisoned: false,
            threads: Table::new(limits.threads, &("threads", "max-threads")),
            backpressure: 0,
            exclusive_thread: None,
            sync_calls: 0,
            entering: None,
            gated: Vec::new(),
        }
    }

    /// The queue of threads that wait for their task to start, for tasks lifted like this one.
    pub(super) fn entering(&mut self, lift: Lift) -> &mut VecDeque<ThreadId> {
        let queues = self.entering.get_or_insert_default();
        &mut queues[usize::from(!lift.needs_exclusive())]
    }

    /// The same, to look at.
    pub(super) fn queue(&self, lift: Lift) -> Option<&VecDeque<ThreadId>> {
        let queues = self.entering.as_ref()?;
        Some(&queues[usize::from(!lift.needs_exclusive())])
    }

    /// Its threads, by the indices that its code knows them by.
    pub fn threads(&self) -> &Table<ThreadId> {
        &self.threads
    }

    /// How many tasks wait to start: the specification's `num_waiting_to_enter`.
    #[inline]
    pub fn num_waiting_to_enter(&self) -> usize {
        let Some([exclusive, others]) = self.entering.as_deref() else {
            return 0;
        };
        exclusive.len() + others.len()
    }

    /// Whether somebody may go on when the thread gives up exclusivity that has it.
    #[inline]
    pub(super) fn has_others_waiting(&self) -> bool {
        !self.gated.is_empty() || self.num_waiting_to_enter() > 0
    }
}

impl State {
    /// Enters `callee` from `caller` (the host if `None`): `may_enter_from` and `enter_from` of the specification.
    ///
    /// Every instance on the path from `callee` up to the nearest ancestor that it shares with `caller` becomes closed to entry.
    ///
    /// # Errors
    /// [`Trap::CannotEnter`], [`Trap::Poisoned`]; nothing has changed then.
    #[inline]
    pub fn enter(&mut self, callee: InstanceId, caller: Option<InstanceId>) -> Result<(), Trap> {
        self.check_may_enter(callee, caller)?;
        self.set_may_enter(callee, caller, false);
        Ok(())
    }

    /// Whether `callee` may be entered from `caller`: `may_enter_from` of the specification.
    #[inline]
    pub(super) fn check_may_enter(
        &self,
        callee: InstanceId,
        caller: Option<InstanceId>,
    ) -> Result<(), Trap> {
        let mut at = Some(callee);
        while let Some(id) = at.filter(|&id| !self.is_self_or_ancestor(id, caller)) {
            let instance = self.instance(id);
            if instance.poisoned {
                return Err(Trap::Poisoned);
            }
            if !instance.may_enter {
                return Err(Trap::CannotEnter);
            }
            at = instance.parent;
        }
        Ok(())
    }

    /// Undoes [`enter`](Self::enter): `leave_to` of the specification.
    #[inline]
    pub fn leave(&mut self, callee: InstanceId, caller: Option<InstanceId>) {
        self.set_may_enter(callee, caller, true);
    }

    #[inline]
    pub(super) fn set_may_enter(
        &mut self,
        callee: InstanceId,
        caller: Option<InstanceId>,
        value: bool,
    ) {
        let mut at = Some(callee);
        while let Some(id) = at.filter(|&id| !self.is_self_or_ancestor(id, caller)) {
            let instance = self.instance_mut(id);
            instance.may_enter = value;
            at = instance.parent;
        }
    }

    #[inline]
    fn is_self_or_ancestor(&self, id: InstanceId, of: Option<InstanceId>) -> bool {
        let mut at = of;
        while let Some(other) = at {
            if other == id {
                return true;
            }
            at = self.instance(other).parent;
        }
        false
    }

    /// Checks that `caller` may call functions of `callee`: that it may leave, and that none of the two contains the other, unless
    /// [`Rules::donut_wrapping`](super::Rules::donut_wrapping) is set. Whether the callee can be entered is not asked.
    ///
    /// # Errors
    /// [`Trap::CannotLeave`], [`Trap::Poisoned`], [`Trap::CannotEnter`].
    #[inline]
    pub fn check_call(&self, caller: InstanceId, callee: InstanceId) -> Result<(), Trap> {
        self.check_may_leave(caller)?;
        let nested = || {
            self.is_self_or_ancestor(caller, Some(callee))
                || self.is_self_or_ancestor(callee, Some(caller))
        };
        if !self.rules.donut_wrapping && caller != callee && nested() {
            return Err(Trap::CannotEnter);
        }
        Ok(())
    }

    /// Checks that an instance may call imports and built-ins.
    ///
    /// # Errors
    /// [`Trap::CannotLeave`].
    #[inline]
    pub fn check_may_leave(&self, id: InstanceId) -> Result<(), Trap> {
        let instance = self.instance(id);
        if instance.may_leave {
            Ok(())
        } else if instance.poisoned {
            Err(Trap::Poisoned)
        } else {
            Err(Trap::CannotLeave)
        }
    }
}
