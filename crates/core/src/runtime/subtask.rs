//! Subtasks: calls of imports, seen from the caller.

use super::{
    Event, EventCode, InstanceId, Lends, Pending, State, TaskId, Waitable, WaitableId, WaitableKind,
};
use crate::trap::Trap;

/// How far a subtask is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum SubtaskState {
    /// The callee has not received its arguments.
    #[default]
    Starting = 0,
    /// The callee runs.
    Started = 1,
    /// The callee returned its results, which are where the caller wanted them.
    Returned = 2,
    /// The callee was cancelled and never received its arguments.
    CancelledBeforeStarted = 3,
    /// The callee received its arguments and confirmed the cancellation.
    CancelledBeforeReturned = 4,
}

impl SubtaskState {
    /// Whether it is final.
    pub fn resolved(self) -> bool {
        !matches!(self, SubtaskState::Starting | SubtaskState::Started)
    }
}

/// Who does the work of a subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// A guest's task. It exists as long as the subtask is not resolved.
    Task(TaskId),
    /// A host function; the number is the driver's.
    Host(u64),
}

/// A call of an import.
#[derive(Debug)]
pub(super) struct Subtask {
    pub state: SubtaskState,
    pub callee: Callee,
    /// The handles lent for the call. They are given back when the end of the call is delivered.
    pub lends: Lends,
    pub cancellation_requested: bool,
    pub resolve_delivered: bool,
    /// The callee's instance trapped before it resolved.
    pub failed: bool,
}

impl Waitable {
    pub(super) fn subtask(&self) -> Option<&Subtask> {
        match &self.kind {
            WaitableKind::Subtask(subtask) => Some(subtask),
            WaitableKind::End(_) => None,
        }
    }

    fn subtask_mut(&mut self) -> Option<&mut Subtask> {
        match &mut self.kind {
            WaitableKind::Subtask(subtask) => Some(subtask),
            WaitableKind::End(_) => None,
        }
    }
}

impl State {
    pub(super) fn new_subtask(
        &mut self,
        instance: InstanceId,
        callee: Callee,
    ) -> Result<WaitableId, Trap> {
        self.new_waitable(
            instance,
            WaitableKind::Subtask(Subtask {
                state: SubtaskState::Starting,
                callee,
                lends: Lends::default(),
                cancellation_requested: false,
                resolve_delivered: false,
                failed: false,
            }),
        )
    }

    /// A subtask's state.
    pub fn subtask_state(&self, id: WaitableId) -> SubtaskState {
        self.subtask(id).state
    }

    pub(super) fn subtask(&self, id: WaitableId) -> &Subtask {
        self.waitables[id.0]
            .subtask()
            .expect("subtasks are named only by what refers to subtasks")
    }

    pub(super) fn subtask_mut(&mut self, id: WaitableId) -> &mut Subtask {
        self.waitables[id.0]
            .subtask_mut()
            .expect("subtasks are named only by what refers to subtasks")
    }

    /// Hands over the handles that were lent by lifting a call's arguments: they are given back when the end of the call is delivered.
    pub fn lend(&mut self, id: WaitableId, lends: Lends) {
        self.subtask_mut(id).lends = lends;
    }

    /// Whether a subtask is resolved or never will be.
    pub(super) fn is_resolved(&self, id: WaitableId) -> bool {
        let subtask = self.subtask(id);
        subtask.state.resolved() || subtask.failed
    }

    /// `on_start` of `canon_lower`.
    pub(super) fn subtask_started(&mut self, id: WaitableId) {
        self.subtask_mut(id).state = SubtaskState::Started;
        self.subtask_progress(id);
    }

    /// `on_resolve` of `canon_lower`, after the results were lowered.
    pub(super) fn resolve_subtask(&mut self, id: WaitableId, returned: bool) {
        let subtask = self.subtask_mut(id);
        subtask.state = match (returned, subtask.state) {
            (true, _) => SubtaskState::Returned,
            (false, SubtaskState::Starting) => SubtaskState::CancelledBeforeStarted,
            (false, _) => SubtaskState::CancelledBeforeReturned,
        };
        self.subtask_progress(id);
    }

    /// `on_progress` of `canon_lower`, for a call that has returned to its caller already; or the caller is blocked in it.
    fn subtask_progress(&mut self, id: WaitableId) {
        let waitable = &self.waitables[id.0];
        if waitable.index != 0 {
            self.set_pending(id, Pending::Subtask);
        } else if let Some(waiter) = waitable.waiter {
            self.hint(waiter);
        }
    }

    /// The callee's instance trapped.
    pub(super) fn fail_subtask(&mut self, id: WaitableId) {
        if self.is_resolved(id) {
            return;
        }
        self.subtask_mut(id).failed = true;
        let waitable = &self.waitables[id.0];
        if waitable.index != 0 {
            self.set_pending(id, Pending::PeerTrapped);
        } else if let Some(waiter) = waitable.waiter {
            self.hint(waiter);
        }
    }

    /// The event of a subtask.
    pub(super) fn deliver_subtask(&mut self, id: WaitableId) -> Event {
        let index = self.waitables[id.0].index;
        let state = self.subtask(id).state;
        if state.resolved() {
            self.deliver_resolve(id);
        }
        Event {
            code: EventCode::Subtask,
            index,
            payload: state as u32,
        }
    }

    /// `Subtask.deliver_resolve`: the caller learns that the call is over, and its handles are its own again.
    pub(super) fn deliver_resolve(&mut self, id: WaitableId) {
        let instance = self.waitables[id.0].instance;
        let subtask = self.subtask_mut(id);
        subtask.resolve_delivered = true;
        let mut lends = std::mem::take(&mut subtask.lends);
        self.give_back(instance, &mut lends);
    }
}
