//! The state of running component instances: what the specification's `Store` and `ComponentInstance` hold, without engine or I/O.
//!
//! [`State`] is a machine that somebody else drives. It holds no memory, engine, waker or clock. The driver reports what guests and hosts
//! do: the built-ins are methods with the specification's names, grouped as in [`canon`], and each makes its checks in the
//! specification's order. What the driver must do next is returned to it by value: run a [`Resumed`] thread, perform a [`Copy`](struct@Copy), ask a host end
//! ([`HostTurn`]), let the current thread's stack [block](CopyStep::Block).
//!
//! # Threads and frames
//! Exactly one thread is current, the one whose code runs, or none while the host runs. Calling a guest function makes a thread that runs on top
//! of its caller, which stays in the background until the callee blocks or exits; then control goes back to the caller. The order of calls is:
//!
//! 1. [`call`](State::call) (or [`begin_sync_call`](State::begin_sync_call)) makes the callee's thread current, unless it must wait to start.
//! 2. The driver runs it: built-ins that give `Block` have taken the thread off, and the driver keeps its stack until the thread is resumed.
//! 3. [`exit_thread`](State::exit_thread) or [`callback_returned`](State::callback_returned) takes it off in the end.
//! 4. Back in the caller, [`lower_returned`](State::lower_returned) says whether the call has returned.
//!
//! While no guest runs, [`tick`](State::tick) gives a thread that can go on.
//!
//! # Choices
//! Where the specification leaves open what comes next, a [`Chooser`] decides.

pub mod canon;

mod buffer;
mod chooser;
mod copy_end;
mod deadlock;
mod error_context;
mod event;
mod handle_table;
mod host_end;
mod host_reader;
mod ids;
mod instance;
mod limits;
mod offence;
mod payload;
mod poison;
mod pool;
mod resource;
mod scheduler;
mod shared;
mod slab;
mod subtask;
mod task;
mod thread;
mod waitable;
mod waitable_set;

pub use buffer::{Buffer, Copy, CopyCall, CopySide, GuestBuffer};
pub use canon::{
    AtOnce, CallSpec, CallbackStep, Called, CancelStep, CopyStep, LowerStep, StreamEnds,
    SubtaskCancelStep, ThreadStep, WaitStep,
};
pub use chooser::{Choice, Chooser, Fair, Seeded};
pub use copy_end::{CopyResult, CopyState, Side};
pub use deadlock::{Deadlock, Waiting, WaitingFor};
pub use error_context::ErrorContext;
pub use event::{Event, EventCode};
pub use handle_table::{Handle, HandleTable, Table};
pub use host_end::{HostTurn, Offer};
pub use host_reader::{HostReader, ReaderGone};
pub use ids::{HOST, InstanceId, SharedId, TaskId, ThreadId, WaitableId, WaitableSetId};
pub use instance::Instance;
pub use limits::Limits;
pub use offence::Offence;
pub use payload::PayloadId;
pub use poison::Poisoned;
pub use resource::{Lends, ResourceHandle, ResourceType};
pub use scheduler::SyncStep;
pub use shared::{Flow, SharedKind};
pub use subtask::SubtaskState;
pub use task::{Caller, Lift, TaskState};
pub use thread::{Action, Resumed};

use copy_end::CopyEnd;
use payload::Payloads;
use pool::Pool;
use scheduler::{Base, Frame};
use shared::Shared;
use slab::Slab;
use std::collections::VecDeque;
use subtask::Subtask;
use task::Task;
use thread::{Parked, Run, Thread, Until};
use waitable::{Pending, Waitable, WaitableKind};
use waitable_set::WaitableSet;

/// Where a store may depart from the specification, for those who want it to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Let a read and a write of one instance exchange items of any type. The specification allows only numbers, "temporarily".
    pub intra_component_copies: bool,
    /// Let an instance call functions of its ancestors and descendants ("donut wrapping"), as the specification's text has it. Its conformance
    /// tests want a trap, "for now", and get it unless this is set.
    pub donut_wrapping: bool,
    /// Let a function whose type is not `async` call an `async` one synchronously even when it would have to trap if that one blocked: it may
    /// not block. So says the specification's text; its conformance tests want a trap before the call, and get it unless this is set.
    pub hopeful_sync_calls: bool,
    /// While a function whose type is not `async` is blocked, let the task of a callback go on that is ready and finds nobody running exclusively.
    /// The specification's code does; its conformance tests want no thread to go on that needs the one stack, and get it unless this is set.
    pub callbacks_during_sync_calls: bool,
    /// When a read or write of a stream is cancelled that has moved items and whose event was not delivered, give `COMPLETED`, as the
    /// specification's text does. Its conformance tests want `CANCELLED`, with the same number of items, and get it unless this is set.
    pub completed_despite_cancel: bool,
}

/// The state of all component instances of one store.
#[derive(Debug)]
pub struct State {
    instances: Vec<Instance>,
    resource_types: Vec<resource::Definition>,
    tasks: Pool<Task>,
    threads: Pool<Thread>,
    waitables: Slab<Waitable>,
    waitable_sets: Slab<WaitableSet>,
    shared: Slab<Shared>,
    payloads: Payloads,
    /// The threads that run, from the outermost to the current one.
    frames: Vec<Frame>,
    /// Threads that may be ready. Every thread that is ready is here, but for tasks that wait to start behind the first of their queue.
    hints: VecDeque<ThreadId>,
    /// Ends of the host whose other end is gone with an instance.
    unheard: Vec<(SharedId, Side)>,
    limits: Limits,
    rules: Rules,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// A state without component instances: only the host's table.
    pub fn new() -> Self {
        Self::with_limits(Limits::default(), Rules::default())
    }

    /// The same, with other limits and rules.
    pub fn with_limits(limits: Limits, rules: Rules) -> Self {
        // Room for the host and a component that is one instance, as most are.
        let mut instances = Vec::with_capacity(2);
        instances.push(Instance::new(None, &limits));
        Self {
            instances,
            resource_types: Vec::new(),
            tasks: Pool::default(),
            threads: Pool::default(),
            waitables: Slab::default(),
            waitable_sets: Slab::default(),
            shared: Slab::default(),
            payloads: Payloads::default(),
            frames: Vec::new(),
            hints: VecDeque::new(),
            unheard: Vec::new(),
            limits,
            rules,
        }
    }

    /// Adds an instance, child of `parent`.
    pub fn add_instance(&mut self, parent: Option<InstanceId>) -> InstanceId {
        let id = InstanceId(self.instances.len() as u32);
        self.instances.push(Instance::new(parent, &self.limits));
        id
    }

    /// An instance's state.
    #[inline]
    pub fn instance(&self, id: InstanceId) -> &Instance {
        &self.instances[id.0 as usize]
    }

    /// An instance's state.
    #[inline]
    pub fn instance_mut(&mut self, id: InstanceId) -> &mut Instance {
        &mut self.instances[id.0 as usize]
    }

    /// What the store may hold.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many tasks, threads, waitables, waitable sets, and streams and futures there are.
    pub fn counts(&self) -> Counts {
        Counts {
            tasks: self.tasks.len(),
            threads: self.threads.len(),
            waitables: self.waitables.len(),
            waitable_sets: self.waitable_sets.len(),
            shared: self.shared.len(),
        }
    }
}

/// How many things a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks, running or waiting to start.
    pub tasks: usize,
    /// Threads.
    pub threads: usize,
    /// Subtasks and ends of streams and futures that instances hold.
    pub waitables: usize,
    /// Waitable sets.
    pub waitable_sets: usize,
    /// Streams and futures at least one end of which exists.
    pub shared: usize,
}
