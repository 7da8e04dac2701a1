//! Calls on a stack of their own, which may park and go on later.

use std::task::Context;

use crate::{
    cx::Cx,
    error::EngineError,
    handles::{Extern, Func, FuncInner, Instance},
    isolate::{Isolate, IsolateData},
    module::{Module, ModuleInner},
    trap::Frame,
};

/// How a host function that may block ends.
#[derive(Debug)]
pub enum Flow<B> {
    /// The results are in the slots.
    Return,
    /// The stack parks; it goes on with a [`Job`].
    Block(B),
}

/// A host function that never blocks: reads its parameters from the front of the slots and leaves its results there. There
/// are as many slots as the larger number of the two.
pub type HostFn<D> = Box<dyn Fn(Cx<'_, D>, &mut [u64]) -> anyhow::Result<()> + Send + Sync>;

/// A host function that may block.
pub type BlockingHostFn<D> = Box<
    dyn Fn(Cx<'_, D>, &mut [u64]) -> anyhow::Result<Flow<<D as IsolateData>::Block>> + Send + Sync,
>;

/// What a parked stack does next, in the context of the host call it is blocked in: it may use the isolate, and ends that
/// host call (with results in the slots, or an error) or blocks again. The slots still hold what they held when it blocked.
pub type Job<D> = Box<
    dyn FnOnce(Cx<'_, D>, &mut [u64]) -> anyhow::Result<Flow<<D as IsolateData>::Block>> + Send,
>;

/// A call on top of a blocked stack, by [`Resume::Call`]: all of it runs in the context of the host call that the stack is blocked in.
pub trait TopCall<D: IsolateData>: Send {
    /// What is done before; gives the function.
    fn begin(&mut self, cx: Cx<'_, D>) -> Func;

    /// The arguments, which make way for the results: as many words as the function has of either.
    fn slots(&mut self) -> &mut [u64];

    /// What is done when the function has ended: the stack is blocked where it was, with the payload that this gives. The results are in the
    /// slots; errors are those of [`Cx::call`].
    fn end(self: Box<Self>, cx: Cx<'_, D>, result: anyhow::Result<()>) -> D::Block;
}

/// How a stack is run on.
pub enum Resume<D: IsolateData> {
    /// For the first time, or after [`Step::Yielded`].
    Continue,
    /// After [`Step::Blocked`].
    Job(Job<D>),
    /// Likewise: [`IsolateData::reply`] says what it means.
    Reply(D::Reply),
    /// Likewise: calls a function on top of what is blocked, which stays so. The function may block like any other code of the stack, yield, and be resumed;
    /// when it has ended, the stack is blocked with what [`TopCall::end`] gives, and resuming it is resuming what lies below. Not on wasmi, where a
    /// stack of its own can be had.
    Call(Box<dyn TopCall<D>>),
}

/// Where a run of a stack ended.
#[derive(Debug)]
pub enum Step<B> {
    /// It finished: see [`Stack::results`] or [`Stack::instance`]. Errors are those of [`Cx::call`] and [`Cx::instantiate`].
    Done(anyhow::Result<()>),
    /// It is parked in a host function.
    Blocked(B),
    /// Its time slice is over; run it on with [`Resume::Continue`].
    Yielded,
}

/// A call or an instantiation on a stack of its own.
///
/// # Where the isolate is
/// On wasmtime a started stack owns the isolate: the first [`run`](Self::run) takes it out of the `Option`, and the run that
/// ends in [`Step::Done`] puts it back. So there is one started stack per isolate; while it is blocked, others may be called
/// [on top](Resume::Call) of it, where the last that was called is the first that goes on. On wasmi a run borrows the isolate, and
/// the `Option` is filled again whenever `run` returns: any number of stacks may be parked, and resumed in any order.
///
/// # Dropping
/// A stack may be dropped at any point. Guest frames are not unwound in any way that a guest could notice. On wasmtime the
/// isolate, its user's data included, goes with a started stack; on wasmi it stays usable.
pub struct Stack<D: IsolateData> {
    inner: StackInner<D>,
}

enum StackInner<D: IsolateData> {
    Wasmtime(crate::wasmtime::WasmtimeStack<D>),
    Wasmi(Box<crate::wasmi::WasmiStack<D>>),
}

impl<D: IsolateData> Stack<D> {
    /// A call, to be started by the first [`run`](Self::run). `args` are the parameters, one word each.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] or [`EngineError::Misuse`] where the function or the number of arguments does not fit.
    pub fn call(func: Func, args: &[u64]) -> Result<Self, EngineError> {
        func.signature.check(func.slots())?;
        if args.len() != func.params() {
            return Err(EngineError::Misuse(
                "another number of arguments than the function has parameters",
            ));
        }
        let inner = match func.inner {
            FuncInner::Wasmtime(_) => {
                StackInner::Wasmtime(crate::wasmtime::WasmtimeStack::call(func, args))
            }
            FuncInner::Wasmi(_) => {
                StackInner::Wasmi(Box::new(crate::wasmi::WasmiStack::call(func, args)))
            }
        };
        Ok(Self { inner })
    }

    /// An instantiation whose start function may block; see [`Cx::instantiate`].
    pub fn instantiate(module: &Module, imports: &[Extern]) -> Self {
        let inner = match &module.inner {
            ModuleInner::Wasmtime(_) => StackInner::Wasmtime(
                crate::wasmtime::WasmtimeStack::instantiate(module.clone(), imports.into()),
            ),
            ModuleInner::Wasmi(_) => StackInner::Wasmi(Box::new(
                crate::wasmi::WasmiStack::instantiate(module.clone(), imports.into()),
            )),
        };
        Self { inner }
    }

    /// Starts the stack, or runs it on, until it finishes, blocks or has used up its time slice.
    ///
    /// `isolate` must hold the isolate that the function or imports belong to whenever the stack needs one: see
    /// [above](Self#where-the-isolate-is). The waker of `context` is woken at [`Step::Yielded`] and not kept otherwise.
    ///
    /// Wrong use (a job for a stack that is not blocked, none for one that is, a finished stack, no isolate) is
    /// [`Step::Done`] with an [`EngineError::Misuse`]; the stack stays as it is.
    #[inline(always)]
    pub fn run(
        &mut self,
        isolate: &mut Option<Isolate<D>>,
        context: &mut Context<'_>,
        resume: Resume<D>,
    ) -> Step<D::Block> {
        match &mut self.inner {
            StackInner::Wasmtime(stack) => stack.run(isolate, context, resume),
            StackInner::Wasmi(stack) => stack.run(isolate, context, resume),
        }
    }

    /// Runs `f` in the context of the host call that the stack is blocked in, and leaves the stack blocked there. `f` may use the isolate, also call into it,
    /// as long as nothing that it calls blocks.
    ///
    /// For stacks that own their isolate, which are those of wasmtime: elsewhere the isolate of a parked stack is at hand.
    ///
    /// # Errors
    /// [`EngineError::Misuse`] if the stack is not blocked or does not own its isolate; `f` was not run. If `f` panics, so does this.
    pub fn visit<R>(&mut self, f: impl FnOnce(Cx<'_, D>) -> R) -> Result<R, EngineError> {
        match &mut self.inner {
            StackInner::Wasmtime(stack) => stack.visit(f),
            StackInner::Wasmi(_) => Err(EngineError::Misuse(
                "the isolate of a parked stack is to be used itself",
            )),
        }
    }

    /// The guest's frames, innermost first, where a stack yielded because [it was asked to](crate::InterruptHandle::ask_yield); empty otherwise, and on
    /// wasmi, which cannot tell.
    pub fn take_frames(&mut self) -> Vec<Frame> {
        match &mut self.inner {
            StackInner::Wasmtime(stack) => stack.take_frames(),
            StackInner::Wasmi(_) => Vec::new(),
        }
    }

    /// The results of a call that finished well; empty otherwise.
    pub fn results(&self) -> &[u64] {
        match &self.inner {
            StackInner::Wasmtime(stack) => stack.results(),
            StackInner::Wasmi(stack) => stack.results(),
        }
    }

    /// The instance, of an instantiation that finished well.
    pub fn instance(&self) -> Option<Instance> {
        match &self.inner {
            StackInner::Wasmtime(stack) => stack.instance(),
            StackInner::Wasmi(stack) => stack.instance(),
        }
    }
}
