//! Adapters: calls between two guests as core code, for instances that share an engine store.
//!
//! An adapter stands where a caller imports another instance's function. It is generated from the same [`Program`]s that pass values when the runtime does it,
//! and does what they do, in the same order: the caller may leave, the callee can be entered, values are lifted and lowered, `realloc` and
//! `post-return` run with their instance closed. What it cannot say in core code (a trap with its words, a string that is not ASCII) it asks the host.
//!
//! A function whose values no core code can move (handles, other encodings, 64-bit memories), or whose callee needs a task of its own, is *accompanied*:
//! the adapter has the host pass the arguments, calls the callee itself, and has the host pass the result. Either way the callee runs right above its
//! caller, so that all of it is one stack.

mod blocks;
mod body;
mod code;
mod fault;
mod module;
mod text;
mod values;
mod words;

pub use fault::{Fault, Part, ValueFault};
pub use module::{AdapterModule, Modules};

use super::Program;
use crate::plan::{CoreDef, InstanceIdx, TrampolineIdx};

/// Something that an adapter module is instantiated with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Import {
    /// A definition of the component: a function or a memory.
    Core(CoreDef),
    /// A global: 0 while `realloc` or `post-return` of the instance runs.
    MayLeave(InstanceIdx),
    /// A global: 0 unless the instance was entered by an adapter, or is unusable.
    Entered(InstanceIdx),
    /// A global: how many bytes of strings and lists one call may pass.
    Budget,
    /// A function of the host that traps: see [`Fault`].
    Fail,
    /// A function of the host that traps unless the bytes at an address (`i32`), so many (`i32`), in this memory are UTF-8.
    Validate(CoreDef),
    /// A function of the host that passes the arguments of an accompanied call: from the lowered function's parameters to the lifted one's.
    Begin(TrampolineIdx),
    /// A function of the host that ends an accompanied call: from the lifted function's results to the lowered one's.
    End(TrampolineIdx),
}

/// An adapter to be made.
#[derive(Debug)]
pub struct Adapter<'a> {
    /// The lowered function that it stands for.
    pub trampoline: TrampolineIdx,
    /// How its parameters pass.
    pub params: &'a Program,
    /// How its result passes.
    pub result: Option<&'a Program>,
    /// The callee, and its ancestors up to the nearest that it shares with the caller, as far as they can be found unusable.
    pub path: Vec<InstanceIdx>,
    /// Whether the caller's code may run while it may not leave.
    pub caller_closes: bool,
    /// Whether the callee's code may run while it may not leave.
    pub callee_closes: bool,
    /// Whether the callee needs a task of its own.
    pub needs_task: bool,
}
