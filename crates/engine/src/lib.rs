//! Core WebAssembly engines behind one narrow interface.
//!
//! Nothing here knows the Component Model. An [`Isolate`] is an engine store that holds one or more core instances;
//! a [`Cx`] is the right to use it: from outside ([`Isolate::cx`]) or from inside a host function. A call that may block
//! runs on a [`Stack`] of its own, which ends in [`Step::Blocked`] and is resumed with a [`Job`].
//!
//! Core values cross this interface as raw 64-bit words: `i32` and `f32` in the low half with the high half zero,
//! references and vectors not at all.
//!
//! Two adapters implement it: `wasmtime` (Cranelift) and `wasmi` (interpreter). The types here are enums over both, so that no
//! engine type shows above this crate.

use std::task::Context;

/// Which engine executes core code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EngineKind {
    /// Compiled by Cranelift.
    Wasmtime,
    /// Interpreted.
    Wasmi,
}

/// What an isolate carries for its user.
pub trait IsolateData: Send + 'static {
    /// What a blocking host function hands to whoever runs the stack.
    type Block: Send + 'static;
}

/// How a host function that may block ends.
#[derive(Debug)]
pub enum Flow<B> {
    /// The results are in the slots.
    Return,
    /// The stack parks; it goes on with a [`Job`].
    Block(B),
}

/// A core function type.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct FuncType {
    /// Parameters, in order.
    pub params: Vec<ValType>,
    /// Results, in order.
    pub results: Vec<ValType>,
}

/// A core value type that may cross the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs)]
pub enum ValType {
    I32,
    I64,
    F32,
    F64,
}

/// A host function that never blocks: reads its parameters from the front of the slots and leaves its results there.
pub type HostFn<D> = Box<dyn Fn(Cx<'_, D>, &mut [u64]) -> anyhow::Result<()> + Send + Sync>;

/// A host function that may block.
pub type BlockingHostFn<D> = Box<
    dyn Fn(Cx<'_, D>, &mut [u64]) -> anyhow::Result<Flow<<D as IsolateData>::Block>> + Send + Sync,
>;

/// What a parked stack does next, in the context of the host call it is blocked in: it may use the isolate, and ends that
/// host call (with results in the slots, or an error) or blocks again.
pub type Job<D> = Box<
    dyn FnOnce(Cx<'_, D>, &mut [u64]) -> anyhow::Result<Flow<<D as IsolateData>::Block>> + Send,
>;

/// The right to use an isolate.
pub struct Cx<'a, D: IsolateData> {
    _todo: std::marker::PhantomData<&'a mut D>,
}

/// How a stack is run on.
pub enum Resume<D: IsolateData> {
    /// For the first time, or after [`Step::Yielded`].
    Continue,
    /// After [`Step::Blocked`].
    Job(Job<D>),
}

/// Where a run of a stack ended.
pub enum Step<B> {
    /// It finished; the results (of a call) stand in the stack's slots.
    Done(anyhow::Result<()>),
    /// It is parked in a host function.
    Blocked(B),
    /// Its time slice is over; run it on with [`Resume::Continue`].
    Yielded,
}

/// Unused until the adapters exist.
pub fn _context(_: &mut Context<'_>) {}
