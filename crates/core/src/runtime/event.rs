//! Events: what waitables tell whoever waits for them.

/// What kind of event it is: the specification's `EventCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum EventCode {
    /// There is none.
    None = 0,
    /// A subtask has started or resolved.
    Subtask = 1,
    /// A read of a stream is over.
    StreamRead = 2,
    /// A write to a stream is over.
    StreamWrite = 3,
    /// A read of a future is over.
    FutureRead = 4,
    /// A write to a future is over.
    FutureWrite = 5,
    /// The caller wants the task to cancel.
    TaskCancelled = 6,
}

/// An event, as it is delivered to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Its kind.
    pub code: EventCode,
    /// The index of the waitable's handle; 0 if the event is not a waitable's.
    pub index: u32,
    /// For a subtask its state. For a future the [`CopyResult`](super::CopyResult); for a stream that in the low 4 bits and the number of
    /// items moved above them.
    pub payload: u32,
}

impl Event {
    /// No event.
    pub const NONE: Event = Event {
        code: EventCode::None,
        index: 0,
        payload: 0,
    };
    /// The caller wants the task to cancel.
    pub const TASK_CANCELLED: Event = Event {
        code: EventCode::TaskCancelled,
        index: 0,
        payload: 0,
    };
}
