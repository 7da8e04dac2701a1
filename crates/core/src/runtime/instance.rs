//! Component instances and the rules of entering and leaving them.

use super::{HandleTable, InstanceId, State};
use crate::trap::Trap;

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
}

impl Instance {
    pub(super) fn new(parent: Option<InstanceId>) -> Self {
        Self {
            parent,
            handles: HandleTable::default(),
            may_enter: true,
            may_leave: true,
            poisoned: false,
        }
    }
}

impl State {
    /// Enters `callee` from `caller` (the host if `None`): `may_enter_from` and `enter_from` of the specification.
    ///
    /// Every instance on the path from `callee` up to the nearest ancestor that it shares with `caller` becomes closed to entry.
    ///
    /// # Errors
    /// [`Trap::CannotEnter`], [`Trap::Poisoned`]; nothing has changed then.
    pub fn enter(&mut self, callee: InstanceId, caller: Option<InstanceId>) -> Result<(), Trap> {
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
        self.set_may_enter(callee, caller, false);
        Ok(())
    }

    /// Undoes [`enter`](Self::enter): `leave_to` of the specification.
    pub fn leave(&mut self, callee: InstanceId, caller: Option<InstanceId>) {
        self.set_may_enter(callee, caller, true);
    }

    fn set_may_enter(&mut self, callee: InstanceId, caller: Option<InstanceId>, value: bool) {
        let mut at = Some(callee);
        while let Some(id) = at.filter(|&id| !self.is_self_or_ancestor(id, caller)) {
            let instance = self.instance_mut(id);
            instance.may_enter = value;
            at = instance.parent;
        }
    }

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

    /// Makes every instance unusable that is entered, as when the calls into them were dropped midway.
    pub fn poison_entered(&mut self) {
        for instance in &mut self.instances {
            instance.poisoned |= !instance.may_enter;
        }
    }

    /// Checks that an instance may call imports and built-ins.
    ///
    /// # Errors
    /// [`Trap::CannotLeave`].
    pub fn check_may_leave(&self, id: InstanceId) -> Result<(), Trap> {
        if self.instance(id).may_leave {
            Ok(())
        } else {
            Err(Trap::CannotLeave)
        }
    }
}
