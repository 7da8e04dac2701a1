//! Who waits for what: the report when nothing can go on.

use super::{InstanceId, Parked, Run, Side, State, ThreadId, Until, subtask::Callee};
use std::fmt;

/// A thread that does not run, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The thread.
    pub thread: ThreadId,
    /// The instance that it belongs to.
    pub instance: InstanceId,
    /// What it waits for.
    pub what: WaitingFor,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitingFor {
    /// Nothing: it can go on.
    Ready,
    /// Another thread of its instance must resume it.
    Resumption,
    /// Backpressure: the instance must call `backpressure.dec` this many times, or the task that runs exclusively must end its turn.
    Entry {
        /// The backpressure counter.
        backpressure: u32,
        /// Who runs exclusively.
        exclusive: Option<ThreadId>,
    },
    /// Another task must end its turn in the instance.
    Exclusive(Option<ThreadId>),
    /// An event of a waitable set.
    Event {
        /// How many waitables are in the set. With none, it waits for ever.
        members: u32,
    },
    /// A call of a function of another instance.
    Call(InstanceId),
    /// A call of a host function.
    HostCall,
    /// A reader of a stream or future that it writes, or the other way round.
    OtherEnd {
        /// Stream or future.
        kind: &'static str,
        /// The end that it waits for.
        end: Side,
    },
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "thread {} of instance {} ",
            self.thread.index(),
            self.instance.0
        )?;
        match &self.what {
            WaitingFor::Ready => write!(f, "is ready"),
            WaitingFor::Resumption => write!(f, "is suspended until another thread resumes it"),
            WaitingFor::Entry {
                exclusive: Some(other),
                ..
            } => write!(
                f,
                "waits to start until thread {} ends its turn",
                other.index()
            ),
            WaitingFor::Entry { backpressure, .. } => {
                write!(f, "waits to start behind backpressure of {backpressure}")
            }
            WaitingFor::Exclusive(Some(other)) => {
                write!(f, "waits until thread {} ends its turn", other.index())
            }
            WaitingFor::Exclusive(None) => write!(f, "waits for its turn"),
            WaitingFor::Event { members: 0 } => {
                write!(f, "waits for an event of an empty waitable set")
            }
            WaitingFor::Event { members } => {
                write!(f, "waits for an event of a set of {members} waitables")
            }
            WaitingFor::Call(instance) => {
                write!(f, "waits for its call of instance {} to return", instance.0)
            }
            WaitingFor::HostCall => write!(f, "waits for a host function"),
            WaitingFor::OtherEnd { kind, end } => {
                let end = match end {
                    Side::Readable => "read from",
                    Side::Writable => "write to",
                };
                write!(f, "waits for somebody to {end} its {kind}")
            }
        }
    }
}

/// Everything that waits although nothing can go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("deadlock detected: event loop cannot make further progress{}", list(.waiting))]
pub struct Deadlock {
    /// The threads that wait, and for what.
    pub waiting: Vec<Waiting>,
}

fn list(waiting: &[Waiting]) -> String {
    waiting
        .iter()
        .map(|waiting| format!("\n  {waiting}"))
        .collect()
}

impl State {
    /// What waits for what. Meant for when [`tick`](Self::tick) gives nothing, no host function is at work, and somebody waits for a result all
    /// the same.
    pub fn deadlock(&self) -> Deadlock {
        let waiting = self
            .threads
            .iter()
            .filter(|(_, thread)| thread.run != Run::Running)
            .map(|(name, thread)| {
                let id = ThreadId(name);
                Waiting {
                    thread: id,
                    instance: self.tasks[thread.task.0].instance,
                    what: self.waiting_for(id),
                }
            })
            .collect();
        Deadlock { waiting }
    }

    /// What a thread waits for.
    pub fn waiting_for(&self, id: ThreadId) -> WaitingFor {
        let thread = &self.threads[id.0];
        let instance = self.instance(self.tasks[thread.task.0].instance);
        let Run::Waiting(until) = thread.run else {
            return WaitingFor::Resumption;
        };
        if self.is_ready(id) {
            return WaitingFor::Ready;
        }
        match until {
            Until::Now => WaitingFor::Ready,
            Until::Entry => WaitingFor::Entry {
                backpressure: instance.backpressure,
                exclusive: instance.exclusive_thread,
            },
            Until::NotExclusive => WaitingFor::Exclusive(instance.exclusive_thread),
            Until::SetEvent { set, .. } => {
                let set = &self.waitable_sets[set.0];
                if set.pending.is_empty() {
                    WaitingFor::Event {
                        members: set.members,
                    }
                } else {
                    WaitingFor::Exclusive(instance.exclusive_thread)
                }
            }
            Until::Host { .. } => WaitingFor::HostCall,
            Until::Event(waitable) | Until::Resolved(waitable) => match thread.parked {
                Parked::Copy(end) => {
                    let end = self.end(end);
                    WaitingFor::OtherEnd {
                        kind: self.shared[end.shared.0].kind.name(),
                        end: end.side.other(),
                    }
                }
                _ => match self.subtask(waitable).callee {
                    Callee::Host(_) => WaitingFor::HostCall,
                    Callee::Task(task) => self
                        .tasks
                        .get(task.0)
                        .map_or(WaitingFor::HostCall, |task| WaitingFor::Call(task.instance)),
                },
            },
        }
    }
}
