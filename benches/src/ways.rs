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
