//! The `canon` definitions that make core functions.

use super::{CoreDef, FuncDef, OptionsIdx};
use crate::types::{FuncTypeIdx, ResourceIdx, ValType};

/// A `canon` definition, apart from `canon lift`. Names and immediates are those of the specification's binary format.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs)]
pub enum Canon {
    Lower {
        func: FuncDef,
        ty: FuncTypeIdx,
        options: OptionsIdx,
    },
    ResourceNew(ResourceIdx),
    ResourceDrop(ResourceIdx),
    ResourceRep(ResourceIdx),
    TaskReturn {
        result: Option<ValType>,
        options: OptionsIdx,
    },
    TaskCancel,
    ContextGet {
        ty64: bool,
        slot: u32,
    },
    ContextSet {
        ty64: bool,
        slot: u32,
    },
    BackpressureInc,
    BackpressureDec,
    SubtaskCancel {
        async_: bool,
    },
    SubtaskDrop,
    /// In this and the following, `ty` is the `stream` or `future` type itself.
    StreamNew(ValType),
    StreamRead {
        ty: ValType,
        options: OptionsIdx,
    },
    StreamWrite {
        ty: ValType,
        options: OptionsIdx,
    },
    StreamCancelRead {
        ty: ValType,
        async_: bool,
    },
    StreamCancelWrite {
        ty: ValType,
        async_: bool,
    },
    StreamDropReadable(ValType),
    StreamDropWritable(ValType),
    FutureNew(ValType),
    FutureRead {
        ty: ValType,
        options: OptionsIdx,
    },
    FutureWrite {
        ty: ValType,
        options: OptionsIdx,
    },
    FutureCancelRead {
        ty: ValType,
        async_: bool,
    },
    FutureCancelWrite {
        ty: ValType,
        async_: bool,
    },
    FutureDropReadable(ValType),
    FutureDropWritable(ValType),
    ErrorContextNew {
        options: OptionsIdx,
    },
    ErrorContextDebugMessage {
        options: OptionsIdx,
    },
    ErrorContextDrop,
    WaitableSetNew,
    WaitableSetWait {
        cancellable: bool,
        memory: CoreDef,
        memory64: bool,
    },
    WaitableSetPoll {
        cancellable: bool,
        memory: CoreDef,
        memory64: bool,
    },
    WaitableSetDrop,
    WaitableJoin,
    ThreadIndex,
    /// `table`: the function table; `table64`: whether its indices are `i64`; `ty64`: whether its functions take an `i64`.
    ThreadNewIndirect {
        table: CoreDef,
        table64: bool,
        ty64: bool,
    },
    ThreadResumeLater,
    ThreadSuspend {
        cancellable: bool,
    },
    ThreadYield {
        cancellable: bool,
    },
    ThreadSuspendThenResume {
        cancellable: bool,
    },
    ThreadYieldThenResume {
        cancellable: bool,
    },
    ThreadSuspendThenPromote {
        cancellable: bool,
    },
    ThreadYieldThenPromote {
        cancellable: bool,
    },
}
