//! Callbacks: from one event to the next.
//!
//! Nearly always a callback waits for a set none of whose members has an event, and goes on when one of them has, with nobody before it. For both there is a
//! short way, which makes the same state transitions with one look at each of what takes part, or does nothing. Whatever is out of the ordinary is left
//! to the long way.

use super::super::{
    Base, Choice, Chooser, Event, Frame, Handle, Offence, Parked, Pending, Run, State, TaskState,
    ThreadId, Until,
};
use crate::trap::Trap;

/// What a callback returns in the low 4 bits.
const EXIT: u32 = 0;
const YIELD: u32 = 1;
const WAIT: u32 = 2;

/// What follows on a callback's return.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallbackStep {
    /// The task has exited; its caller goes on.
    Exit,
    /// Call the callback with this event.
    Call(Event),
    /// The thread waits; its caller goes on.
    Block,
}

impl State {
    /// The core function of a callback-lifted task, or its callback, has returned `packed`.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#canon-lift).
    ///
    /// # Errors
    /// [`Offence::CallbackCode`]; for `WAIT` an unknown index or another kind of handle; for `EXIT` [`Offence::NotResolved`].
    #[inline]
    pub fn callback_returned(
        &mut self,
        packed: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<CallbackStep, Trap> {
        if packed & 0xf == WAIT
            && let Some(step) = self.wait_at_once(packed >> 4, chooser)
        {
            return Ok(step);
        }
        self.callback_returned_in_full(packed, chooser)
    }

    /// The same the long way.
    fn callback_returned_in_full(
        &mut self,
        packed: u32,
        chooser: &mut dyn Chooser,
    ) -> Result<CallbackStep, Trap> {
        let (code, index) = (packed & 0xf, packed >> 4);
        let thread = self.current()?;
        let task = self.threads[thread.0].task;
        let instance = self.tasks[task.0].instance;
        if code == EXIT {
            self.exit_thread()?;
            return Ok(CallbackStep::Exit);
        }
        if code > WAIT {
            return Err(Offence::CallbackCode(code).at("callback"));
        }
        let (until, parked, set) = if code == YIELD {
            (Until::NotExclusive, Parked::CallbackYield, None)
        } else {
            let set = self.set_at(instance, index)?;
            let until = Until::SetEvent {
                set,
                exclusive: true,
            };
            (until, Parked::CallbackWait(set), Some(set))
        };
        self.release_exclusive(instance);
        let Some(cancelled) = self.wait_until(thread, until, parked, true, chooser) else {
            return Ok(CallbackStep::Block);
        };
        self.take_exclusive(task, thread);
        Ok(CallbackStep::Call(match set {
            _ if cancelled => Event::TASK_CANCELLED,
            None => Event::NONE,
            Some(set) => self.take_event(set, chooser)?,
        }))
    }

    /// [`callback_returned`](Self::callback_returned) with `WAIT` for the set at an index, in a thread that was entered and that nobody waits for: it waits,
    /// or by the [fair](super::super::Fair) choice has the first event that is there. `None` if it is not so.
    #[inline(always)]
    fn wait_at_once(&mut self, index: u32, chooser: &mut dyn Chooser) -> Option<CallbackStep> {
        let &Frame {
            thread: id,
            instance: instance_id,
            base: Base::Entered(from),
        } = self.frames.last()?
        else {
            return None;
        };
        let thread = self.threads.get_mut(id.0)?;
        let task = self.tasks.get(thread.task.0)?;
        let instance = self.instances.get_mut(instance_id.0 as usize)?;
        let Some(&Handle::WaitableSet(set_id)) = instance.handles.find(index) else {
            return None;
        };
        let set = self.waitable_sets.get_mut(set_id.0)?;
        if task.state == TaskState::PendingCancel || instance.has_others_waiting() {
            return None;
        }
        if let Some(&waitable_id) = set.pending.front() {
            let waitable = self.waitables.get_mut(waitable_id.0)?;
            let Some(Pending::Copy { result, reclaim }) = waitable.pending else {
                return None;
            };
            let blocks = Choice::BlockThoughReady { yields: false };
            if !chooser.takes_first() || chooser.choose(blocks) != 0 {
                return None;
            }
            set.pending.pop_front();
            waitable.pending = None;
            let event = self.deliver_copy(waitable_id, result, reclaim);
            return Some(CallbackStep::Call(event));
        }
        instance.exclusive_thread = None;
        thread.run = Run::Waiting(Until::SetEvent {
            set: set_id,
            exclusive: true,
        });
        thread.parked = Parked::CallbackWait(set_id);
        thread.cancellable = true;
        set.waiters.push(id);
        self.frames.pop();
        self.leave(instance_id, from);
        Some(CallbackStep::Block)
    }

    /// [`tick`](Self::tick) by the fair choice, where the thread that comes first waits in its callback, alone, for a set that has an event. `None` if it
    /// is not so. No guest code runs.
    #[inline]
    pub(in super::super) fn next_callback(&mut self) -> Option<(ThreadId, Event)> {
        let &id = self.hints.front()?;
        let thread = self.threads.get_mut(id.0)?;
        let (
            true,
            Run::Waiting(Until::SetEvent {
                set: set_id,
                exclusive: true,
            }),
        ) = (thread.hinted, thread.run)
        else {
            return None;
        };
        let instance_id = self.tasks.get(thread.task.0)?.instance;
        let instance = self.instances.get_mut(instance_id.0 as usize)?;
        let set = self.waitable_sets.get_mut(set_id.0)?;
        let &waitable_id = set.pending.front()?;
        let waitable = self.waitables.get_mut(waitable_id.0)?;
        let Some(Pending::Copy { result, reclaim }) = waitable.pending else {
            return None;
        };
        if instance.exclusive_thread.is_some() || set.waiters.as_slice() != [id] {
            return None;
        }
        self.hints.pop_front();
        thread.hinted = false;
        thread.run = Run::Running;
        set.waiters.clear();
        set.pending.pop_front();
        waitable.pending = None;
        instance.exclusive_thread = Some(id);
        self.set_may_enter(instance_id, None, false);
        self.frames.push(Frame {
            thread: id,
            instance: instance_id,
            base: Base::Entered(None),
        });
        Some((id, self.deliver_copy(waitable_id, result, reclaim)))
    }
}
