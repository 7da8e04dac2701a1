//! `stream.*`.

use super::super::{GuestBuffer, InstanceId, PayloadId, SharedId, SharedKind, Side, State};
use super::copy::{CancelStep, CopyStep, EndCall};
use crate::trap::Trap;

impl State {
    /// `stream.new`: gives the index of the readable end in the low half and that of the writable end in the high half.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-streamfuturenew).
    ///
    /// # Errors
    /// May not leave; too many waitables or handles.
    pub fn stream_new(&mut self, instance: InstanceId, payload: PayloadId) -> Result<u64, Trap> {
        self.new_ends(instance, SharedKind::Stream, payload)
    }

    /// `stream.read`: reads up to as many items as the buffer holds. With an empty buffer, asks whether items are there.
    ///
    /// `async_` says whether the built-in has the `async` option: then it does not wait.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-streamreadwrite).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; another element type; a read under way, or none possible any more; in a waitable
    /// set, and not `async_`; a bad buffer; both ends in one instance, if the items are not numbers.
    pub fn stream_read(
        &mut self,
        instance: InstanceId,
        payload: PayloadId,
        async_: bool,
        index: u32,
        buffer: GuestBuffer,
    ) -> Result<CopyStep, Trap> {
        let call = end("stream.read", instance, Side::Readable, payload, index);
        self.copy(call, async_, buffer)
    }

    /// `stream.write`: writes up to all items of the buffer. With an empty buffer, asks whether a reader is there.
    ///
    /// `async_` says whether the built-in has the `async` option: then it does not wait.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-streamreadwrite).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; another element type; a write under way, or none possible any more; in a waitable
    /// set, and not `async_`; a bad buffer; both ends in one instance, if the items are not numbers.
    pub fn stream_write(
        &mut self,
        instance: InstanceId,
        payload: PayloadId,
        async_: bool,
        index: u32,
        buffer: GuestBuffer,
    ) -> Result<CopyStep, Trap> {
        let call = end("stream.write", instance, Side::Writable, payload, index);
        self.copy(call, async_, buffer)
    }

    /// `stream.cancel-read`: takes back the buffer of a read under way. Items that were moved before stay moved, and are reported.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-streamfuturecancel-readwrite).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; another element type; no read under way, or a thread waits for it; in a waitable set,
    /// and not `async_`.
    pub fn stream_cancel_read(
        &mut self,
        instance: InstanceId,
        payload: PayloadId,
        async_: bool,
        index: u32,
    ) -> Result<CancelStep, Trap> {
        let call = end(
            "stream.cancel-read",
            instance,
            Side::Readable,
            payload,
            index,
        );
        self.cancel_copy(call, async_)
    }

    /// `stream.cancel-write`: takes back the buffer of a write under way. Items that were moved before stay moved, and are reported.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-streamfuturecancel-readwrite).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; another element type; no write under way, or a thread waits for it; in a waitable set,
    /// and not `async_`.
    pub fn stream_cancel_write(
        &mut self,
        instance: InstanceId,
        payload: PayloadId,
        async_: bool,
        index: u32,
    ) -> Result<CancelStep, Trap> {
        let call = end(
            "stream.cancel-write",
            instance,
            Side::Writable,
            payload,
            index,
        );
        self.cancel_copy(call, async_)
    }

    /// `stream.drop-readable`. Gives the other end if the host holds it and wants to know.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-streamfuturedrop-readablewritable).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; another element type; a read under way.
    pub fn stream_drop_readable(
        &mut self,
        instance: InstanceId,
        payload: PayloadId,
        index: u32,
    ) -> Result<Option<(SharedId, Side)>, Trap> {
        self.drop_end(end(
            "stream.drop-readable",
            instance,
            Side::Readable,
            payload,
            index,
        ))
    }

    /// `stream.drop-writable`. Gives the other end if the host holds it and wants to know.
    ///
    /// [Specification](https://github.com/WebAssembly/component-model/blob/6d281648bd89caf885a7adcc412962dbd2425ab7/design/mvp/CanonicalABI.md#-canon-streamfuturedrop-readablewritable).
    ///
    /// # Errors
    /// May not leave; unknown index or another kind of handle; another element type; a write under way.
    pub fn stream_drop_writable(
        &mut self,
        instance: InstanceId,
        payload: PayloadId,
        index: u32,
    ) -> Result<Option<(SharedId, Side)>, Trap> {
        self.drop_end(end(
            "stream.drop-writable",
            instance,
            Side::Writable,
            payload,
            index,
        ))
    }
}

fn end(
    name: &'static str,
    instance: InstanceId,
    side: Side,
    payload: PayloadId,
    index: u32,
) -> EndCall {
    EndCall {
        name,
        instance,
        kind: SharedKind::Stream,
        side,
        payload,
        index,
    }
}
