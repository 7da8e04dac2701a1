//! `stream.read` and `stream.write` with the `async` option, as nearly all of them go: nothing is wrong with them, and the ends meet, or one begins to wait.
//!
//! The same state transitions as those of the built-ins themselves ([`State::stream_read`]), with one look at each of the handle, the end and what both
//! ends share, and without a word for what is wrong. Whatever is out of the ordinary is left to those.

use super::super::{
    Buffer, Copy, CopyCall, CopyResult, CopySide, CopyState, GuestBuffer, Handle, HostTurn,
    InstanceId, PayloadId, SharedKind, Side, State, WaitableKind, shared::completed,
};

/// The ends that a `stream.read` or `stream.write` is for.
#[derive(Clone, Copy, Debug)]
pub struct StreamEnds {
    /// Whose built-in it is.
    pub instance: InstanceId,
    /// The element type.
    pub payload: PayloadId,
    /// Which it uses.
    pub side: Side,
}

/// What a read or write comes to at once.
#[must_use]
#[derive(Debug)]
pub enum AtOnce {
    /// It is out of the ordinary: nothing has happened, and the built-in itself is to be executed.
    No,
    /// It returns [`BLOCKED`](super::BLOCKED).
    Blocked,
    /// Perform the copy, then go on with [`finish_copy_at_once`](State::finish_copy_at_once).
    Copy(Copy),
    /// Ask the host's end, then go on with [`finish_moved_at_once`](State::finish_moved_at_once), or as after
    /// [`CopyStep::Host`](super::CopyStep::Host).
    Host(HostTurn),
}

impl State {
    /// `stream.read` or `stream.write` with the `async` option, if it is nothing out of the ordinary.
    #[inline]
    pub fn begin_at_once(&mut self, of: &StreamEnds, index: u32, buffer: &GuestBuffer) -> AtOnce {
        let Some(instance) = self.instances.get(of.instance.0 as usize) else {
            return AtOnce::No;
        };
        let id = match (instance.handles.find(index), of.side) {
            (Some(Handle::ReadableStream(id)), Side::Readable)
            | (Some(Handle::WritableStream(id)), Side::Writable) => *id,
            _ => return AtOnce::No,
        };
        let (true, Some(buffer)) = (instance.may_leave, buffer.fits()) else {
            return AtOnce::No;
        };
        let Some(waitable) = self.waitables.get_mut(id.0) else {
            return AtOnce::No;
        };
        let WaitableKind::End(end) = &mut waitable.kind else {
            return AtOnce::No;
        };
        let shared_id = end.shared;
        let Some(shared) = self.shared.get_mut(shared_id.0) else {
            return AtOnce::No;
        };
        if end.state != CopyState::Idle || shared.payload != of.payload || shared.dropped {
            return AtOnce::No;
        }
        let call = CopyCall {
            end: id,
            async_: true,
        };
        let Some(other) = shared.pending else {
            end.state = CopyState::Copying;
            end.buffer = buffer;
            shared.pending = Some(id);
            if shared.host[of.side.other() as usize] {
                return AtOnce::Host(HostTurn {
                    shared: shared_id,
                    side: of.side.other(),
                    call,
                });
            }
            shared.flow.count_stall(of.side);
            return AtOnce::Blocked;
        };
        // The end whose read or write waits is the other one: this one is idle.
        let Some((waitable, waiting)) = self.waitables.get_both_mut(id.0, other.0) else {
            return AtOnce::No;
        };
        let (WaitableKind::End(end), WaitableKind::End(waiting_end)) =
            (&mut waitable.kind, &waiting.kind)
        else {
            return AtOnce::No;
        };
        if waiting.instance == of.instance || buffer.length == 0 {
            return AtOnce::No;
        }
        let theirs = CopySide {
            instance: waiting.instance,
            buffer: waiting_end.buffer,
        };
        let ours = CopySide {
            instance: of.instance,
            buffer,
        };
        end.state = CopyState::Copying;
        end.buffer = buffer;
        let remaining = theirs.buffer.remaining();
        if remaining > 0 {
            let (source, target) = match of.side {
                Side::Readable => (theirs, ours),
                Side::Writable => (ours, theirs),
            };
            return AtOnce::Copy(Copy {
                source,
                target,
                count: remaining.min(buffer.length),
                payload: of.payload,
                shared: shared_id,
                call,
            });
        }
        // Its buffer is done with, but it has not been told: now this end is the one that waits.
        shared.pending = Some(id);
        shared.flow.count_stall(of.side);
        let noted = waiting.note(completed(false));
        self.tell(other, noted);
        AtOnce::Blocked
    }

    /// After the copy that [`begin_at_once`](Self::begin_at_once) asked for: what the built-in returns. `None` if something has happened meanwhile,
    /// and [`finish_copy`](Self::finish_copy) is to be called.
    #[inline(always)]
    pub fn finish_copy_at_once(&mut self, copy: &Copy, bytes: u64) -> Option<u32> {
        let id = copy.call.end;
        let shared = self.shared.get_mut(copy.shared.0)?;
        let other = shared.pending.filter(|&other| other != id)?;
        if shared.kind != SharedKind::Stream || shared.dropped {
            return None;
        }
        let (waitable, waiting) = self.waitables.get_both_mut(id.0, other.0)?;
        let (ours, theirs) = (waitable.kind.end_mut()?, waiting.kind.end_mut()?);
        if waitable.pending.is_some()
            || ours.state != CopyState::Copying
            || theirs.buffer.remaining() < copy.count
        {
            return None;
        }
        theirs.buffer.progress += copy.count;
        ours.buffer.progress += copy.count;
        ours.state = CopyState::Idle;
        let progress = ours.buffer.progress;
        shared.flow.count_copy(copy.count, bytes);
        let noted = waiting.note(completed(true));
        self.tell(other, noted);
        Some(moved(progress))
    }

    /// After the host's end was asked by a built-in that is still being executed, and has moved `count` items (`bytes` bytes): what the built-in
    /// returns, without an event in between. `None` if something has happened meanwhile that it is to be told of instead: then go on with
    /// [`finish_moved`](Self::finish_moved).
    #[inline]
    pub fn finish_moved_at_once(&mut self, turn: &HostTurn, count: u32, bytes: u64) -> Option<u32> {
        let id = turn.call.end;
        let shared = self.shared.get_mut(turn.shared.0)?;
        if shared.pending != Some(id) || shared.kind != SharedKind::Stream {
            return None;
        }
        let waitable = self.waitables.get_mut(id.0)?;
        if waitable.pending.is_some() {
            return None;
        }
        let end = waitable.end_mut()?;
        if end.state != CopyState::Copying {
            return None;
        }
        let count = count.min(end.buffer.remaining());
        end.buffer.progress += count;
        end.state = CopyState::Idle;
        shared.pending = None;
        shared.flow.count_copy(count, bytes);
        Some(moved(end.buffer.progress))
    }
}

/// What a read or write returns that has moved so many items.
fn moved(progress: u32) -> u32 {
    CopyResult::Completed as u32 | progress << 4
}

impl GuestBuffer {
    /// The buffer, if it is one: [`check`](Self::check) without a word for what is wrong.
    #[inline]
    fn fits(&self) -> Option<Buffer> {
        let length = u32::try_from(self.length)
            .ok()
            .filter(|&length| length <= Buffer::MAX_LENGTH)?;
        // At most 2^28 items of less than 2^32 bytes.
        let bytes = u64::from(length) * u64::from(self.item_size);
        let end = self.pointer.checked_add(bytes)?;
        // Alignments are powers of two.
        let unaligned = self.pointer & u64::from(self.align.wrapping_sub(1)) != 0;
        if end > self.memory || unaligned {
            return None;
        }
        Some(Buffer {
            pointer: self.pointer,
            length,
            progress: 0,
            options: self.options,
        })
    }
}
