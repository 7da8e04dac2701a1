//! The ways in which a subject can be done: the same for both runtimes.

/// How functions are lifted, which is the beginning of their names, and called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lifted {
    /// Synchronously, called by `call`.
    Sync,
    /// Synchronously, called by `call_async`.
    SyncAwaited,
    /// With a callback.
    Callback,
    /// With a stack of its own.
    Stackful,
}

impl Lifted {
    /// The name of what is lifted so.
    pub fn name(self, name: &str) -> String {
        match self {
            Self::Sync | Self::SyncAwaited => name.into(),
            Self::Callback => format!("callback-{name}"),
            Self::Stackful => format!("stackful-{name}"),
        }
    }
}

/// How the host's functions are defined.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// As functions that never wait.
    Sync,
    /// As futures that are ready at once.
    Ready,
    /// As futures that wait once.
    Waits,
}

/// What the host's function does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is ready at once.
    Ready,
    /// It waits once, and wakes at once.
    Waits,
}

/// What a stream of the host's moves, and how the host's end behaves.
#[derive(Clone, Copy)]
pub struct Flow {
    /// Items a time.
    pub chunk: usize,
    /// Streams at once.
    pub streams: usize,
    /// Whether the host uses the guest's memory itself, or a vector.
    pub direct: bool,
    /// Whether the host waits once each time.
    pub waits: bool,
}

impl Flow {
    /// So many bytes a time, by the guest's memory.
    pub const fn direct(chunk: usize) -> Self {
        Self {
            chunk,
            streams: 1,
            direct: true,
            waits: false,
        }
    }

    /// So many bytes a time, by a vector.
    pub const fn vector(chunk: usize) -> Self {
        Self {
            direct: false,
            ..Self::direct(chunk)
        }
    }

    /// The host waits once each time.
    pub const fn waits(self) -> Self {
        Self {
            waits: true,
            ..self
        }
    }

    /// So many streams at once.
    pub const fn times(self, streams: usize) -> Self {
        Self { streams, ..self }
    }

    /// What a row of it is called.
    pub fn name(self) -> String {
        let mut name = crate::rows::size(self.chunk);
        name += if self.direct { ", direct" } else { ", vector" };
        if self.waits {
            name += ", waits once";
        }
        if self.streams > 1 {
            name += ", 1,000 streams";
        }
        name
    }
}
