//! Names of things that a store holds. Each is an index that only the runtime hands out; guests never see one.

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
    /// A task of a store: one call of a component function.
    TaskId
    /// A thread of a store. What executes it (a callback's next call, or a parked stack) belongs to the driver, who keeps it by this name.
    ThreadId
    /// A waitable of a store: a subtask, or an end of a stream or future that an instance holds.
    WaitableId
    /// A waitable set of a store.
    WaitableSetId
    /// What the two ends of a stream or future share.
    SharedId
}

/// The host, as far as it holds handles: the first instance of every store. It is never entered, and no instance's parent.
pub const HOST: InstanceId = InstanceId(0);
