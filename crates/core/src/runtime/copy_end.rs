//! Readable and writable ends, as a guest holds them.

use super::{
    Buffer, Event, EventCode, Handle, InstanceId, Offence, PayloadId, SharedId, SharedKind, State,
    Waitable, WaitableId, WaitableKind,
};
use crate::trap::Trap;

/// Which of the two ends of a stream or future.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that is read from. It can be given away.
    Readable,
    /// The end that is written to. It stays where it was made.
    Writable,
}

impl Side {
    /// The other end.
    #[inline]
    pub fn other(self) -> Side {
        match self {
            Side::Readable => Side::Writable,
            Side::Writable => Side::Readable,
        }
    }
}

/// Where an end stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CopyState {
    /// It can be read or written.
    #[default]
    Idle,
    /// A read or write is under way, or its result was not delivered yet.
    Copying,
    /// The read or write is being cancelled.
    CancellingCopy,
    /// Nothing more will come or be taken.
    Done,
}

/// How a read or write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum CopyResult {
    /// Items were copied, or the other end is ready.
    Completed = 0,
    /// The other end was dropped.
    Dropped = 1,
    /// It was cancelled.
    Cancelled = 2,
}

/// An end that a guest holds.
#[derive(Debug)]
pub(super) struct CopyEnd {
    pub side: Side,
    pub shared: SharedId,
    pub state: CopyState,
    /// The buffer of the read or write under way; of the last one if there is none.
    pub buffer: Buffer,
}

impl CopyEnd {
    pub(super) fn copying(&self) -> bool {
        matches!(self.state, CopyState::Copying | CopyState::CancellingCopy)
    }
}

impl Waitable {
    #[inline]
    pub(super) fn end(&self) -> Option<&CopyEnd> {
        match &self.kind {
            WaitableKind::End(end) => Some(end),
            WaitableKind::Subtask(_) => None,
        }
    }

    #[inline]
    pub(super) fn end_mut(&mut self) -> Option<&mut CopyEnd> {
        self.kind.end_mut()
    }
}

impl WaitableKind {
    #[inline]
    pub(super) fn end_mut(&mut self) -> Option<&mut CopyEnd> {
        match self {
            WaitableKind::End(end) => Some(end),
            WaitableKind::Subtask(_) => None,
        }
    }
}

/// The kind of handle that an end has.
fn handle(kind: SharedKind, side: Side, id: WaitableId) -> Handle {
    match (kind, side) {
        (SharedKind::Stream, Side::Readable) => Handle::ReadableStream(id),
        (SharedKind::Stream, Side::Writable) => Handle::WritableStream(id),
        (SharedKind::Future, Side::Readable) => Handle::ReadableFuture(id),
        (SharedKind::Future, Side::Writable) => Handle::WritableFuture(id),
    }
}

impl State {
    #[inline]
    pub(super) fn end(&self, id: WaitableId) -> &CopyEnd {
        self.waitables[id.0]
            .end()
            .expect("ends are named only by what refers to ends")
    }

    #[inline]
    pub(super) fn end_mut(&mut self, id: WaitableId) -> &mut CopyEnd {
        self.waitables[id.0]
            .end_mut()
            .expect("ends are named only by what refers to ends")
    }

    /// Adds the handle of an end to an instance.
    pub(super) fn add_end(
        &mut self,
        instance: InstanceId,
        shared: SharedId,
        side: Side,
    ) -> Result<u32, Trap> {
        let kind = self.shared[shared.0].kind;
        let id = self.new_waitable(
            instance,
            WaitableKind::End(CopyEnd {
                side,
                shared,
                state: CopyState::Idle,
                buffer: Buffer::default(),
            }),
        )?;
        let index = self
            .instance_mut(instance)
            .handles
            .add(handle(kind, side, id))
            .inspect_err(|_| {
                self.waitables.discard(id.0);
            })?;
        self.waitables[id.0].index = index;
        Ok(index)
    }

    /// The end behind a handle, which must be of this kind and element type.
    pub(super) fn end_at(
        &self,
        builtin: &'static str,
        instance: InstanceId,
        index: u32,
        kind: SharedKind,
        side: Side,
        payload: PayloadId,
    ) -> Result<WaitableId, Trap> {
        let found = self.instance(instance).handles.get(index)?;
        let id = match (found, kind, side) {
            (Handle::ReadableStream(id), SharedKind::Stream, Side::Readable)
            | (Handle::WritableStream(id), SharedKind::Stream, Side::Writable)
            | (Handle::ReadableFuture(id), SharedKind::Future, Side::Readable)
            | (Handle::WritableFuture(id), SharedKind::Future, Side::Writable) => *id,
            (other, ..) => {
                return Err(other.mismatch(index, handle(kind, side, WaitableId(0)).kind()));
            }
        };
        if self.shared[self.end(id).shared.0].payload != payload {
            return Err(Offence::WrongElementType.at(builtin));
        }
        Ok(id)
    }

    /// The event of a read or write: its result, and for a stream how many items were moved.
    // Inlined, as an event that is written in thirds and moved as a whole is waited for.
    #[inline(always)]
    pub(super) fn deliver_copy(
        &mut self,
        id: WaitableId,
        result: CopyResult,
        reclaim: bool,
    ) -> Event {
        let waitable = &mut self.waitables[id.0];
        let index = waitable.index;
        let end = waitable
            .end_mut()
            .expect("ends are named only by what refers to ends");
        let (side, progress) = (end.side, end.buffer.progress);
        let shared = &mut self.shared[end.shared.0];
        if reclaim {
            shared.pending = None;
        }
        let kind = shared.kind;
        let state = match (kind, result) {
            (SharedKind::Stream, CopyResult::Dropped)
            | (SharedKind::Future, CopyResult::Dropped | CopyResult::Completed) => CopyState::Done,
            _ => CopyState::Idle,
        };
        end.state = state;
        let (code, payload) = match (kind, side) {
            (SharedKind::Stream, Side::Readable) => {
                (EventCode::StreamRead, result as u32 | progress << 4)
            }
            (SharedKind::Stream, Side::Writable) => {
                (EventCode::StreamWrite, result as u32 | progress << 4)
            }
            (SharedKind::Future, Side::Readable) => (EventCode::FutureRead, result as u32),
            (SharedKind::Future, Side::Writable) => (EventCode::FutureWrite, result as u32),
        };
        Event {
            code,
            index,
            payload,
        }
    }

    /// Lifts `stream` or `future`: takes the readable end away from its holder.
    ///
    /// The value is on its way until it is [lowered](Self::lower_readable), given to a host end, or [dropped](Self::drop_side).
    ///
    /// # Errors
    /// Unknown index, wrong kind, wrong element type, a read under way, done already, in a waitable set; in the specification's order.
    pub fn lift_readable(
        &mut self,
        instance: InstanceId,
        kind: SharedKind,
        payload: PayloadId,
        index: u32,
    ) -> Result<SharedId, Trap> {
        let id = self.end_at("lift", instance, index, kind, Side::Readable, payload)?;
        let what = kind.name();
        match (self.end(id).state, kind) {
            (CopyState::Idle, _) => {}
            (CopyState::Copying | CopyState::CancellingCopy, _) => {
                return Err(Offence::Busy {
                    action: "lift",
                    what,
                }
                .at("lift"));
            }
            (CopyState::Done, SharedKind::Stream) => return Err(Offence::LiftAfterEnd.at("lift")),
            (CopyState::Done, SharedKind::Future) => return Err(Offence::LiftAfterRead.at("lift")),
        }
        if self.waitables[id.0].set.is_some() {
            return Err(Offence::LiftInSet { what }.at("lift"));
        }
        let shared = self.end(id).shared;
        self.instance_mut(instance).handles.remove(index)?;
        self.remove_waitable(id);
        Ok(shared)
    }

    /// Lowers `stream` or `future`: gives a readable end to an instance.
    ///
    /// # Errors
    /// [`Trap::Limit`]; [`Trap::Poisoned`] of an instance that could never drop the end, which counts as dropped then.
    pub fn lower_readable(&mut self, instance: InstanceId, shared: SharedId) -> Result<u32, Trap> {
        if self.instance(instance).poisoned {
            if self.drop_side(shared, Side::Readable) {
                self.unheard.push((shared, Side::Writable));
            }
            return Err(Trap::Poisoned);
        }
        self.add_end(instance, shared, Side::Readable)
    }
}
