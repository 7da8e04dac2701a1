//! Indices into a plan's lists.

macro_rules! index {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u32);
        impl $name {
            /// The position in its list.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

index! {
    /// A component instance: an index into [`Plan::instances`](super::Plan::instances). Index 0 is the root.
    InstanceIdx
    /// A core instance, numbered in the order of [`Step::Instantiate`](super::Step::Instantiate).
    CoreInstanceIdx
    /// An embedded core module: an index into [`Plan::modules`](super::Plan::modules).
    ModuleIdx
    /// A leaf that the root component imports: an index into [`Plan::imports`](super::Plan::imports).
    ImportIdx
    /// A `canon` definition that makes a core function: an index into [`Plan::trampolines`](super::Plan::trampolines).
    TrampolineIdx
    /// A `canon lift`: an index into [`Plan::lifts`](super::Plan::lifts).
    LiftIdx
    /// Canonical options: an index into [`Plan::options`](super::Plan::options).
    OptionsIdx
}
