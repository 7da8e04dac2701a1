//! Names of things that a store holds. Each is an index that only the runtime hands out; guests never see one.

use super::pool::Name;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
    )*};
}

id! {
    /// A component instance of a store.
    InstanceId
    /// A waitable of a store: a subtask, or an end of a stream or future that an instance holds.
    WaitableId
    /// A waitable set of a store.
    WaitableSetId
    /// What the two ends of a stream or future share.
    SharedId
}

/// Names that outlive their bearers: the driver may come with one late, when the index is another's.
macro_rules! name {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub(super) Name);

        impl $name {
            /// The index, which is another's when the bearer of this name is gone.
            #[inline]
            pub fn index(self) -> usize {
                self.0.index() as usize
            }
        }
    )*};
}

name! {
    /// A task of a store: one call of a component function. No other task ever has the same name.
    TaskId
    /// A thread of a store. What executes it (a callback's next call, or a parked stack) belongs to the driver, who keeps it by this name, which no
    /// other thread ever has.
    ThreadId
}

impl TaskId {
    /// The task of a [quiet call](super::State::begin_quiet_call): there is none.
    pub const NONE: Self = Self(Name::NONE);
}

impl ThreadId {
    /// The thread of a [quiet call](super::State::begin_quiet_call): there is none.
    pub const NONE: Self = Self(Name::NONE);
}

/// The host, as far as it holds handles: the first instance of every store. It is never entered, and no instance's parent.
pub const HOST: InstanceId = InstanceId(0);
