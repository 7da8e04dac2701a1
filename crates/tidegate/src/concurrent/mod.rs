//! Running the async half: the driver of [`State`](tidegate_core::runtime::State), which knows what happens next but runs nothing itself.
//!
//! Isolates in whose code nothing can block are entered by plain calls ([`plain`], and for the host [`direct`]); the others on stacks of their own.
//! Where the code of such a one must let other code run (a call of another instance, a built-in that blocks), its stack parks with a [`Request`], and
//! the driver ([`drive`]) does what was requested: it keeps a list of who is to go on when the code that runs gives control back, just like the
//! specification's nested `resume`s.

mod accessor_call;
mod args;
mod at_once;
mod builtins;
mod calls;
mod deliver;
mod destructor;
mod direct;
mod driver;
mod end;
mod go_on;
mod host;
mod host_calls;
mod host_func;
mod id_map;
mod lower;
mod needs;
mod nested;
mod number_map;
mod on_top;
mod park;
mod parked_stacks;
mod plain;
mod reply;
mod result;
mod run;
mod signal;
mod slot;
mod spare;
mod spawn;
mod start;
mod step;
mod thread;
mod watch;
mod work;

pub use accessor_call::{CallCancelled, ConcurrentCall};
pub(crate) use at_once::copy_at_once;
pub(crate) use builtins::blocking;
pub(crate) use deliver::{reachable, visit, visit_from};
pub(crate) use destructor::{call_destructor, destroy};
pub(crate) use direct::{Begin, DirectResult, begin_call};
pub(crate) use driver::drive;
pub(crate) use end::{call_trapped, end_entered, fail_instance, instance_unusable};
pub(crate) use host::{LaterArgs, call_cancelled, cancel_dropped};
pub(crate) use host_func::{Begun, call_host_function};
pub(crate) use needs::{Needs, needs_several_stacks, uses_async};
pub(crate) use park::{Entry, Parked, Request, Run, Then};
pub(crate) use reply::{Reply, With};
pub use run::GuestWaits;
pub use signal::Cancelled;
pub(crate) use signal::Signal;
pub(crate) use spare::FunctionId;
pub(crate) use spawn::spawn;
pub use spawn::{Aborted, JoinHandle};
pub(crate) use start::start;
pub(crate) use work::{HostWork, WorkKey, WorkSet, cancel};

use crate::call::canon::Callee;
use crate::call::enter::Slots;
use crate::call::guest::{GuestCall, Pending};
use anyhow::{Context, Error, Result};
use args::Args;
use calls::Calls;
use host_calls::HostCalls;
use id_map::IdMap;
use parked_stacks::ParkedStacks;
use spare::Spares;
use std::pin::Pin;
use std::sync::Arc;
use tidegate_core::runtime::{InstanceId, Offence, TaskId, ThreadId, WaitableId};
use tidegate_core::trap::Trap;
use tidegate_engine::Func;

/// What the driver knows of a store's tasks and threads.
#[derive(Default)]
pub(crate) struct Concurrent {
    /// The calls that have not ended.
    pub(crate) tasks: Calls,
    /// The functions of threads that have not begun, with their arguments.
    pub(crate) new_threads: IdMap<ThreadId, (usize, Func, u64)>,
    /// The stacks that wait to be resumed.
    pub(crate) parked: ParkedStacks,
    /// Flat results of synchronous calls, until the caller goes on.
    pub(crate) returned: IdMap<WaitableId, u64>,
    /// Flat results of functions whose type is not `async`, until the call is found to have ended.
    pub(crate) sync_results: IdMap<TaskId, u64>,
    /// What a start function's module was instantiated as, until that is fetched.
    pub(crate) started: Option<tidegate_engine::Instance>,
    /// Results of calls by the host, until they are fetched.
    pub(crate) host: HostCalls,
    /// Results of calls that run on their caller's stack, the innermost last.
    pub(crate) direct: Vec<DirectResult>,
    /// What made instances unusable: the cause of traps in those that depended on them.
    pub(crate) causes: Vec<(InstanceId, String)>,
    /// What the host has under way.
    pub(crate) work: WorkSet,
    /// Host functions that are done, whose callers' stacks are parked, until these go on.
    pub(crate) deliveries: IdMap<ThreadId, Pin<Box<dyn HostWork>>>,
    /// What calls of host functions have left behind.
    pub(crate) spares: Spares,
    /// How calls of host functions failed, whose callers have not learnt of it.
    pub(crate) host_errors: Vec<Error>,
    /// How many stacks have parked.
    pub(crate) parks: u64,
    /// The number of the next call by the host.
    pub(crate) next_number: u64,
}

/// A call of a guest function.
pub(crate) struct CallData {
    pub(crate) callee: Arc<Callee>,
    pub(crate) from: From,
}

/// Where a call comes from.
pub(crate) enum From {
    /// Another guest.
    Guest(Box<FromGuest>),
    /// The host, by a number.
    Host(u64),
    /// Whoever called it runs it on his own stack; by its place among such calls.
    Direct(usize),
    /// It has returned already.
    Nobody,
    /// It is a destructor's, and gives nothing.
    Dropped,
}

/// A call from a guest.
pub(crate) struct FromGuest {
    pub(crate) call: GuestCall,
    /// The core arguments.
    pub(crate) slots: Slots,
    pub(crate) pending: Pending,
    /// The caller's side; `None` if the call is synchronous.
    pub(crate) subtask: Option<WaitableId>,
    /// The flat result, once there is one.
    pub(crate) result: Option<u64>,
}

impl Concurrent {
    /// A call that has not ended.
    pub(crate) fn task(&mut self, task: TaskId) -> Result<&mut CallData> {
        self.tasks
            .get_mut(task)
            .context(crate::error::bug("a task has no call"))
    }

    /// Notes the flat result of a task for its caller, now that it has one.
    pub(crate) fn keep_result(&mut self, task: TaskId, data: &mut CallData) {
        match &mut data.from {
            From::Guest(from) => {
                let result = from.result.take().unwrap_or(0);
                match from.subtask {
                    Some(subtask) if !from.call.site.async_ => {
                        self.returned.insert(subtask, result);
                    }
                    Some(_) => {}
                    None => {
                        self.sync_results.insert(task, result);
                    }
                }
            }
            From::Host(_) | From::Dropped if !data.callee.lift.async_type() => {
                self.sync_results.insert(task, 0);
            }
            From::Host(_) | From::Direct(_) | From::Nobody | From::Dropped => {}
        }
    }

    /// Notes the result of a task that runs on its caller's stack, if it is a number. Otherwise it must be lifted.
    #[inline]
    pub(crate) fn keep_word(&mut self, task: TaskId, words: &[u64]) -> bool {
        let Some(CallData {
            from: From::Direct(index),
            ..
        }) = self.tasks.get(task)
        else {
            return false;
        };
        match self.direct.get_mut(*index) {
            Some(result @ DirectResult::Open) => {
                *result = DirectResult::Word(words.first().copied().unwrap_or(0));
                true
            }
            _ => false,
        }
    }

    /// The error behind a trap: that of a host function, if the trap says no more than that the callee failed.
    pub(crate) fn what_failed(&mut self, error: Error) -> Error {
        let says_no_more = matches!(
            error.downcast_ref::<Trap>(),
            Some(Trap::Builtin {
                reason: Offence::PeerTrapped,
                ..
            })
        );
        let cause = says_no_more.then(|| self.host_errors.pop()).flatten();
        cause.unwrap_or(error)
    }

    /// What made an instance unusable.
    pub(crate) fn cause_of(&self, instance: InstanceId) -> Option<&str> {
        let cause = self.causes.iter().rev().find(|(of, _)| *of == instance);
        cause.map(|(_, cause)| cause.as_str())
    }

    /// What made an instance unusable last.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.causes.last().map(|(_, cause)| cause.as_str())
    }
}
